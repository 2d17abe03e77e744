// An XMPP server with its users, rosters and sessions, answering as Prosody or ejabberd do.
//
// What each answers a component is in the table of README.md and in
// tests/peers/test_server_facts.py. Users of example.com are its own; those of example.org are
// behind a server-to-server link that may be down.
#ifndef TESTS_XMPP_MODEL_H
#define TESTS_XMPP_MODEL_H

#include "pair.h"
#include "world.h"

struct xmpp_user {
    char jid[40];
    bool remote, open[WORLD_RESOURCES_MAX]; // her sessions
    bool deleted;
    unsigned slept;  // bits: sessions to be opened again
    struct view own; // her presence: one for each open session
};

// What becomes of stanzas to a server that can't be reached.
enum link_mode { LINK_WAITS, LINK_NOT_FOUND, LINK_TIMEOUT };

struct xmpp {
    struct xmpp_user *user;
    uint64_t link_down_ms, last_link_ms; // until when; when the last stanza gets through
    enum link_mode link_mode;
};

extern const char *const xmpp_resource[WORLD_RESOURCES_MAX];

void xmpp_create(struct world *w);
void xmpp_destroy(struct world *w);
void xmpp_receive(struct world *w, unsigned stream, const struct stanza *s);

// Lost with a stream, or at a link that is down. Only `unsubscribed` is never said again.
void xmpp_lost(struct world *w, struct text bytes);

// What users do.
void xmpp_log_in(struct world *w, unsigned x, unsigned session);
void xmpp_log_out(struct world *w, unsigned x, unsigned session);
void xmpp_change(struct world *w, unsigned x, unsigned session);
void xmpp_subscribe(struct world *w, unsigned x, unsigned s);
void xmpp_unsubscribe(struct world *w, unsigned x, unsigned s);
void xmpp_approve(struct world *w, unsigned x, unsigned s);
void xmpp_reject(struct world *w, unsigned x, unsigned s);
// By another client of hers, or her server's operator: he may see her, asked or not.
void xmpp_approve_unasked(struct world *w, unsigned x, unsigned s);
// He goes from her roster (RFC 6121 §2.5.2).
void xmpp_remove(struct world *w, unsigned x, unsigned s);
// Her account is no more. Not every server says so to her contacts (`silently`).
void xmpp_delete(struct world *w, unsigned x, bool silently);
void xmpp_link_down(struct world *w, uint32_t ms);
// Any stanza, for strangers.
void xmpp_say(struct world *w, unsigned stream, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// From "juliet3@example.com/balcony"; false: nobody's.
bool xmpp_user_of(const struct world *w, struct text jid, unsigned *x);
bool xmpp_online(const struct world *w, unsigned x);

#endif
