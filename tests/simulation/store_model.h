// The store as the shards see it: records, committed turn by turn, and re-partitioned at start.
//
// As LMDB has it: a transaction is there as a whole or not at all, whenever the process dies. With
// MDB_NOMETASYNC a power failure may also lose the last transaction of each shard's environment,
// for a commit's meta page is only sure to be on the disk when the next commit's pages are.
#ifndef TESTS_STORE_MODEL_H
#define TESTS_STORE_MODEL_H

#include "world.h"

enum { STORE_MODEL_SHARDS_MAX = 5 };

struct store_model_record {
    uint64_t id;
    unsigned shard;
    char *bytes;
    size_t n;
};

// What a write has changed.
struct store_model_undo {
    uint64_t id;
    char *bytes; // as they were; NULL: it was not there
    size_t n;
};

// A shard's last transaction, in the order of its writes.
struct store_model_tail {
    struct store_model_undo *v;
    size_t n, cap;
};

struct store_model {
    struct store_model_record *v; // ascending by id
    size_t n, cap;
    struct store_model_tail tail[STORE_MODEL_SHARDS_MAX];
};

// One turn's changes, all of them.
void store_model_commit(struct world *w, struct store_model *s, unsigned shard,
                        const struct effects *fx);
// The process dies behind some of its writes.
void store_model_die_within(struct world *w, struct store_model *s, unsigned shard,
                            const struct effects *fx);
// The machine does: of some shards the last transaction is lost.
void store_model_power_failure(struct world *w, struct store_model *s);
// As store/partition.c does: every record to the shard that owns its user.
void store_model_partition(struct world *w, struct store_model *s, unsigned shards);
uint64_t store_model_next_id(const struct store_model *s);
void store_model_free(struct store_model *s);

#endif
