// The store: LMDB, one environment per shard, and one for what concerns them all.
//
// Layout below the directory: `meta` (schema version, hash key, generation, shard count, and the
// former one while it matters) and `gen-G/shard-I`. A changed shard count is re-partitioned at open
// into generation G+1 and switched to in one transaction of `meta`, so a crash in the middle leaves
// the old generation in force; leftovers of other generations are removed at the next open.
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "core/wire/text.h"

enum {
    STORE_VERSION = 1,
    STORE_KEY_BYTES = 16,
    // Since the shard count was lowered; by then every dialog has been refreshed, and with that has
    // named a port that is still a shard's, or has lapsed.
    STORE_FORMER_MS = 24 * 3600 * 1000,
    STORE_ROOM_BYTES = 64 << 20,
    STORE_ROOM_PART = 16,
};

struct store;
struct store_shard;

// What went wrong, for the one line that the operator reads. Filled in on error.
struct store_error {
    char text[256];
};

// Main thread, before the shards run. Creates what is missing (its parent directory must be there),
// locks the directory against a second daemon (EBUSY), looks through every shard's structure, and
// re-partitions. EACCES, EROFS, ENOSPC, EIO, EINVAL (shards: 1 … CORE_SHARDS_MAX), ENOTSUP (newer
// version: nothing is changed), EBADMSG (damaged: nothing is changed). On error *out is NULL.
int store_open(struct store **out, const char *dir, unsigned shards, struct store_error *why);
void store_close(struct store *s); // after all store_shard_close()
// 16 bytes, random, made with the store.
const uint8_t *store_key(const struct store *s);
// Above every id stored in any shard when the store was opened, and at least 1.
uint64_t store_next_id(const struct store *s);
// The largest of the former shard counts, as long as dialogs may name the ports of shards that are
// no more: STORE_FORMER_MS from the last lowering on. 0: no dialog does.
unsigned store_former_shards(const struct store *s, uint64_t now_ms);

// One shard's environment. Belongs to that shard's thread, and is opened once at a time.
int store_shard_open(struct store_shard **out, struct store *s, unsigned shard,
                     struct store_error *why);
void store_shard_close(struct store_shard *s);
// In ascending order of id; stops with what `each` returns when that is not 0.
int store_shard_scan(struct store_shard *s, int (*each)(void *, uint64_t id, struct text record),
                     void *arg);

// One turn's changes, applied in order, in one transaction; none at all costs nothing. `fresh`
// promises an id above all stored in this shard (MDB_APPEND; an assert). A full map grows and the
// turn is redone inside; what is returned is final for this commit: ENOSPC, EIO, ENOMEM. After an
// error nothing of the turn is stored, and the same turn may be tried again. Deleting what is not
// there is no error.
struct store_change {
    uint64_t id;
    struct text record; // empty: delete
    bool fresh;
};
int store_shard_commit(struct store_shard *s, const struct store_change *v, size_t n,
                       struct store_error *why);
uint64_t store_shard_bytes(const struct store_shard *s); // used pages × page size
// Its disk is so full that what is there should keep the rest to itself: less is left than
// STORE_ROOM_BYTES, or than a STORE_ROOM_PART of it if that is less. Once so (`before`), until
// there is a quarter more. False when the disk does not say.
bool store_shard_is_cramped(const struct store_shard *s, bool before);
// Its file was removed or moved away, or another one took its place, while it is open. Commits go
// on into the open file, and are with it should it come back; the next store_open() finds what is
// at its place then. False when nobody can tell.
bool store_shard_is_lost(const struct store_shard *s, struct store_error *why);

#endif
