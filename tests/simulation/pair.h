// One XMPP user and one SIP user who have to do with each other: what her server, his server, his
// devices and the inspector each know of the two.
//
// A pair exists from the first time that anybody names it, so thousands of users with a few
// contacts each cost what those contacts cost.
#ifndef TESTS_PAIR_H
#define TESTS_PAIR_H

#include "view.h"

enum { SIP_DEVICES_MAX = 2, SIP_TEXT = 128 };

enum sip_auth { AUTH_PENDING, AUTH_ACTIVE, AUTH_REJECTED };

// Her server's roster.
struct xmpp_roster {
    bool to, ask;   // she watches him, or has asked to
    bool from;      // he may watch her
    bool pending;   // he has asked to
    bool delivered; // and she has been shown that
    bool untold;    // `unsubscribed` was lost on its way: nothing tells her, but her next login
};

// A dialog's peer, as either side needs it.
struct sip_leg {
    char call_id[SIP_TEXT], our_tag[SIP_TEXT], their_tag[SIP_TEXT], target[SIP_TEXT];
    uint32_t cseq, their_cseq;
    bool winfo; // Event: presence.winfo
};

// A device that watches an XMPP user, or did.
struct device {
    bool wanted; // he wants to see her
    bool trying; // a SUBSCRIBE is in flight
    bool live;   // the dialog stands
    bool active; // as the last NOTIFY said
    bool inside; // what it has asked last was in that dialog
    unsigned s, d, x, incarnation;
    uint64_t expires_ms;
    struct sip_leg leg;
    struct view view;
    char etag[SIP_TEXT]; // of what it has; empty: of nothing
};

// What the inspector has seen of one direction.
struct told {
    bool said;      // let out
    bool told;      // and arrived
    uint64_t ended; // step at which one of the ends has ended it
    uint64_t ended_ms;
};

// What the gateway said that it has, when it was last asked for all of it.
struct known_of {
    uint16_t n, state;
};

struct notifier;

struct pair {
    unsigned x, s;
    struct pair *next_of_x, *next_of_s; // in the order in which they came up
    struct xmpp_roster roster;
    struct view seen[WORLD_RESOURCES_MAX]; // what each of her sessions sees of him
    enum sip_auth auth;                    // may she watch him?
    struct notifier *notifiers;            // the presence server's dialogs, newest first
    struct device device[SIP_DEVICES_MAX];
    struct told told[2];
    struct known_of known[2];
};

void pair_create_all(struct world *w); // the table of them
void pair_destroy_all(struct world *w);

// Brought up if need be.
struct pair *pair_of(struct world *w, unsigned x, unsigned s);
// NULL: never named.
struct pair *pair_find(const struct world *w, unsigned x, unsigned s);

// for (struct pair *p = pair_first_of_x(w, x); p; p = p->next_of_x)
struct pair *pair_first_of_x(const struct world *w, unsigned x);
struct pair *pair_first_of_s(const struct world *w, unsigned s);
// 0 … pair_count()-1, in the order in which they came up.
size_t pair_count(const struct world *w);
struct pair *pair_at(const struct world *w, size_t i);

// One of the SIP users whom `x` may have to do with, by the world's shape.
unsigned pair_contact(struct world *w, unsigned x);

#endif
