// The presence known of one presentity: one packed value per resource.
#ifndef CORE_KNOWN_H
#define CORE_KNOWN_H

#include "core/wire/presence.h"

enum {
    // Resources per subscription; a further one replaces the oldest, if possible one that has left.
    KNOWN_MAX = 32,
};

struct known_item {
    char *packed;
    uint32_t n;
    bool doubted;
    uint64_t since_ms;
};

struct known {
    uint32_t n;
    struct known_item v[];
};

enum known_change { KNOWN_SAME, KNOWN_CHANGED, KNOWN_NO_MEMORY };

void known_free(struct known **k);
// Adds or replaces the value of p->resource. `scratch` is overwritten; p may borrow from anything
// but `scratch` and the known value itself.
enum known_change known_put(struct known **k, const struct presence *p, struct buffer *scratch,
                            uint64_t now_ms);
void known_remove(struct known **k, size_t i);
// Doubts all: what is not put again before known_remove_doubted() is removed by that.
void known_doubt(struct known *k);
bool known_remove_doubted(struct known **k); // whether there was any
static inline size_t known_count(const struct known *k)
{
    return k ? k->n : 0;
}
void known_at(const struct known *k, size_t i, struct presence *out);
// The index of a resource; known_count() if it is not there.
size_t known_find(const struct known *k, struct text resource);
bool known_any_available(const struct known *k);

#endif
