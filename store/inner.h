// What the files of the store share with one another. Nobody outside of store/ includes this, tests
// of the store aside.
#ifndef STORE_INNER_H
#define STORE_INNER_H

#include <lmdb.h>
#include <stdatomic.h>
#include <sys/types.h>
#include "core/core.h"
#include "store/store.h"

enum {
    STORE_SHARDS_MAX = CORE_SHARDS_MAX,
    STORE_PATH_MAX = 4096,
    STORE_DIR_MAX = STORE_PATH_MAX - 128, // the rest is for names below the directory
};

// A shard count that was larger than those after it. `shards` is 0 if there was none.
struct meta_former {
    unsigned shards;
    uint64_t lowered_ms; // when it last became less
};

struct store {
    char *dir; // absolute, without links
    int fd;    // of the directory; holds the lock
    uint8_t key[STORE_KEY_BYTES];
    uint64_t generation, next_id;
    unsigned shards;
    struct meta_former former;
    _Atomic uint64_t open; // bit i: shard i is open, in this process; LMDB forbids a second time
};

struct store_path {
    char z[STORE_PATH_MAX];
};

// What tests set: how large the maps are, powers of two, and the time.
struct store_tuning {
    size_t map_start_bytes, map_max_bytes;
    uint64_t now_ms; // 0: as the clock says
};
extern struct store_tuning store_tuning;

uint64_t store_now_ms(void);

// Writes the sentence and returns `rc`. `why` may be NULL.
int store_fail(struct store_error *why, int rc, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void store_path(struct store_path *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void store_shard_path(struct store_path *out, const char *dir, uint64_t generation, unsigned shard);

// directory.c: what is done with directories and names alone.

// Makes `dir` if it is missing, opens and locks it. EBUSY: another process has it.
int directory_open(int *fd, const char *dir, struct store_error *why);
bool directory_has(int fd, const char *name);
// Durably made, mode 0700.
int directory_make(const char *path, struct store_error *why);
int directory_sync(const char *path, struct store_error *why);
// Removes `name` below `fd` with all that it holds. 0 when it was not there.
int directory_remove(int fd, const char *name);
// The number in "gen-17"; false for every other name.
bool directory_generation(const char *name, uint64_t *generation);
// Whether any generation's directory is there.
int directory_any_generation(int fd, bool *any);
// Removes what an unfinished start left: all generations but one, and an unfinished meta.
int directory_sweep(int fd, uint64_t keep, struct store_error *why);

// env.c: an LMDB environment.

// `flags` as of mdb_env_open; the map holds what is stored, and is at least the starting size.
int env_open(MDB_env **out, const char *path, unsigned flags, struct store_error *why);
// Twice the map, no transaction open. ENOSPC: it is as large as it may be. After any other error
// the environment is of no use but to be closed.
int env_grow(MDB_env *env);
// An errno value for what LMDB returned.
int env_errno(int rc);
// The same for a write below `path`: LMDB takes one that the disk had only partly room for as EIO.
int env_write_errno(const char *path, int rc);
// mdb_strerror(), whose answer for an errno value is not safe among threads.
const char *env_text(int rc);
uint64_t env_bytes(MDB_env *env);
// Opens the one table of an environment: integer ids.
int env_table(MDB_txn *txn, MDB_dbi *out);

// place.c

struct place {
    dev_t device;
    ino_t inode;
    bool known;
};
// The environment's file is the one that belongs there from now on.
void place_note(struct place *p, MDB_env *env);
// ENOENT: no file is there any more. ESTALE: another one is. 0: it is there, or nobody can tell.
int place_check(const struct place *p, const char *path, struct store_error *why);

// verify.c

// Reads the structure of an environment's file without LMDB, which trusts its file and would abort
// or read past the map where it is damaged. EBADMSG. *id_max is 0 when nothing is stored.
int verify_env(const char *path, uint64_t *id_max, struct store_error *why);

// meta.c: what concerns all shards.

struct meta {
    uint8_t key[STORE_KEY_BYTES];
    uint64_t generation; // 0: none yet, and shards is 0
    unsigned shards;
    struct meta_former former;
};

// A new one with a random key and no generation, made whole and then moved into place.
int meta_create(int dir_fd, const char *dir, struct store_error *why);
// ENOTSUP: of a newer version. EBADMSG. Nothing is written.
int meta_read(struct meta *out, const char *dir, struct store_error *why);
// In one transaction, and on disk when it returns 0.
// The key stays as it is.
int meta_switch(const char *dir, const struct meta *m, struct store_error *why);
// Whether dialogs may still name the ports of that count.
bool meta_former_is_needed(const struct meta_former *f, uint64_t now_ms);
// What `f` becomes when the count changes.
struct meta_former meta_former_after(const struct meta_former *f, unsigned from, unsigned to,
                                     uint64_t now_ms);

// partition.c

// Writes all records into a next generation of `shards` shards, switches to it, and removes the
// old.
int partition_run(struct store *s, unsigned shards, struct store_error *why);

// shard.c

// One shard's environment by its path; `flags` are added. For the store's own use, too.
int shard_open_path(struct store_shard **out, const char *path, unsigned flags,
                    struct store_error *why);
int shard_sync(struct store_shard *s, struct store_error *why);

#endif
