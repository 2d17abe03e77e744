// The presence known of one presentity: one packed value per resource, and one of the person if she
// says how she feels or what she does.
#ifndef CORE_KNOWN_H
#define CORE_KNOWN_H

#include "core/shelf.h"
#include "core/wire/presence.h"

enum {
    // Resources per subscription; a further one replaces the oldest, if possible one that has left.
    KNOWN_MAX = 32,
    KNOWN_BYTES_MAX = 64 << 20, // of all together; what would be more is not taken
};

// Of twelve bytes.
struct __attribute__((packed, aligned(4))) known_item {
    uint64_t since_ms;
    uint32_t n : 31, doubted : 1; // bytes of the packed value
};

// One block of a shelf: this, the items, and behind them their packed values in the same order.
struct known {
    uint32_t n : 6;
    uint32_t person : 1; // v[n] is what was said of the person, and none of the resources
    uint32_t steps : 25; // size of the block, in steps of the shelf
    struct known_item v[];
};

enum known_change { KNOWN_SAME, KNOWN_CHANGED, KNOWN_NO_MEMORY };

void known_free(struct shelf *s, struct known **k);
// Adds or replaces the value of p->resource. `scratch` is overwritten; p may borrow from anything
// but `scratch` and the known value itself.
enum known_change known_put(struct shelf *s, struct known **k, const struct presence *p,
                            struct buffer *scratch, uint64_t now_ms);
void known_remove(struct shelf *s, struct known **k, size_t i);
// Doubts all: what is not put again before known_remove_doubted() is removed by that.
void known_doubt(struct known *k);
bool known_remove_doubted(struct shelf *s, struct known **k); // whether there was any
// What was said of the person stays.
void known_forget_resources(struct shelf *s, struct known **k);
static inline size_t known_count(const struct known *k)
{
    return k ? k->n : 0;
}
void known_at(const struct known *k, size_t i, struct presence *out);
// The index of a resource; known_count() if it is not there.
size_t known_find(const struct known *k, struct text resource);
bool known_is_available(const struct known *k, size_t i);
bool known_any_available(const struct known *k);

// Mood and activity of the person herself, whichever device she uses (XEP-0107, XEP-0108): of `p`
// nothing else counts, and of nothing at all no memory is held. `p` may borrow from the known
// value.
enum known_change known_put_person(struct shelf *s, struct known **k, const struct presence *p,
                                   struct buffer *scratch, uint64_t now_ms);
bool known_person(const struct known *k, struct presence *out);

#endif
