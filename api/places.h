// Who has a place at the API, and who loses it when others come: a connection is not worth more for
// being there first.
//
// When all places are taken, the one that was used longest ago goes, of those of the address that
// has the most. So who holds connections open, saying little or reading nothing, keeps nobody else
// from being answered.
#ifndef API_PLACES_H
#define API_PLACES_H

#include <stddef.h>

struct sockaddr;
struct place;

struct places {
    size_t n, most;
    struct place *first, *last; // the first was used longest ago
};

// A new connection's. If there are too many, the descriptor of another one is shut down, so that
// its end is seen by who polls it; that one has no place any more. NULL: no memory.
struct place *places_take(struct places *p, int fd, const struct sockaddr *from);
void places_use(struct places *p, struct place *place);   // it has asked something; NULL is fine
void places_leave(struct places *p, struct place *place); // it is closed; NULL is fine

#endif
