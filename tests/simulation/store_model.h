// The store as the shards see it: records, committed turn by turn, and re-partitioned at start.
#ifndef TESTS_STORE_MODEL_H
#define TESTS_STORE_MODEL_H

#include "world.h"

struct store_model_record {
    uint64_t id;
    unsigned shard;
    char *bytes;
    size_t n;
};

struct store_model {
    struct store_model_record *v; // ascending by id
    size_t n, cap;
};

// One turn's changes, all of them.
void store_model_commit(struct world *w, struct store_model *s, unsigned shard,
                        const struct effects *fx);
// As store/partition.c does: every record to the shard that owns its user.
void store_model_partition(struct world *w, struct store_model *s, unsigned shards);
uint64_t store_model_next_id(const struct store_model *s);
void store_model_free(struct store_model *s);

#endif
