// Who has a place at the API, and who loses it when others come.
#include "api/places.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct place {
    struct place *before, *after;
    int fd;
    bool lost;
    uint8_t address[9]; // family and IPv4 address, or network of an IPv6 one: they are one host's
};

static void address_of(uint8_t out[9], const struct sockaddr *from)
{
    memset(out, 0, 9);
    if (from->sa_family == AF_INET) {
        out[0] = 4;
        memcpy(out + 1, &((const struct sockaddr_in *)from)->sin_addr, 4);
    } else if (from->sa_family == AF_INET6) {
        out[0] = 6;
        memcpy(out + 1, &((const struct sockaddr_in6 *)from)->sin6_addr, 8);
    }
}

static void append(struct places *p, struct place *place)
{
    place->before = p->last;
    place->after = NULL;
    *(p->last ? &p->last->after : &p->first) = place;
    p->last = place;
    p->n++;
}

static void take_out(struct places *p, struct place *place)
{
    *(place->before ? &place->before->after : &p->first) = place->after;
    *(place->after ? &place->after->before : &p->last) = place->before;
    p->n--;
}

static size_t count_of(const struct places *p, const struct place *of)
{
    size_t n = 0;
    for (const struct place *at = p->first; at; at = at->after)
        n += memcmp(at->address, of->address, sizeof of->address) == 0;
    return n;
}

static void make_place(struct places *p)
{
    struct place *loser = p->first;
    size_t most = 0;
    for (struct place *at = p->first; at; at = at->after) {
        size_t n = count_of(p, at);
        if (n > most) { // of equals the first
            most = n;
            loser = at;
        }
    }
    take_out(p, loser);
    loser->lost = true;
    shutdown(loser->fd, SHUT_RDWR);
}

struct place *places_take(struct places *p, int fd, const struct sockaddr *from)
{
    struct place *place = calloc(1, sizeof *place);
    if (!place)
        return NULL;
    if (p->n >= p->most)
        make_place(p);
    place->fd = fd;
    address_of(place->address, from);
    append(p, place);
    return place;
}

void places_use(struct places *p, struct place *place)
{
    if (!place || place->lost)
        return;
    take_out(p, place);
    append(p, place);
}

void places_leave(struct places *p, struct place *place)
{
    if (place && !place->lost)
        take_out(p, place);
    free(place);
}
