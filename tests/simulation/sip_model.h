// The SIP side behind one proxy address: SIP users, their presence server, and their devices.
//
// Real bytes in both directions. sip_model.c tells messages apart; sip_wire.c has the transactions;
// sip_server.c is the presence server (notifier), sip_devices.c are the devices (subscribers).
#ifndef TESTS_SIP_MODEL_H
#define TESTS_SIP_MODEL_H

#include "gateway.h"
#include "pair.h"

struct sip_user {
    char jid[40], uri[48];
    struct view own; // what his devices have published
};

// The presence server's side of a dialog with the gateway.
struct notifier {
    bool open;      // takes refreshes
    bool in_flight; // a NOTIFY
    bool dirty;     // newer state waits for it
    bool last;      // the NOTIFY that is due says terminated
    unsigned s, x;
    struct notifier *next; // of the pair
    uint64_t expires_ms;
    enum sip_reason reason;
    struct sip_leg leg;
};

struct sip_request_out;
struct sip_answers;

struct sip {
    struct sip_user *user;
    struct notifier **notifier; // all that ever were
    size_t n_notifiers, cap_notifiers;
    struct sip_request_out **request;
    size_t n_requests, cap_requests;
    struct sip_answers *answers; // for retransmissions
    struct sip_parser *parser;
    struct pidf_reader *reader;
    struct buffer b;
    uint64_t number; // of tags, branches, Call-IDs
};

void sip_create(struct world *w);
void sip_destroy(struct world *w);
void sip_receive(struct world *w, struct text bytes);

const char *sip_jid(const struct world *w, unsigned s);
// From "romeo3@example.net/ID" or "sip:Romeo3@example.net"; false: nobody's.
bool sip_user_of(const struct world *w, struct text address, unsigned *s);

// What people do: presence.
void sip_publish(struct world *w, unsigned s, const char *resource);
void sip_unpublish(struct world *w, unsigned s, const char *resource);
void sip_authorize(struct world *w, unsigned s, unsigned x, enum sip_auth auth);
void sip_server_restart(struct world *w);
// Ends one dialog with a reason of RFC 6665 §4.1.3 that asks to come again.
void sip_server_ends_one(struct world *w);
// What people do: devices.
void sip_device_subscribe(struct world *w, unsigned s, unsigned d, unsigned x);
void sip_device_end(struct world *w, unsigned s, unsigned d, unsigned x);
void sip_device_vanish(struct world *w, unsigned s, unsigned d, unsigned x);
void sip_device_winfo(struct world *w, unsigned s, unsigned x);
void sip_device_fetch(struct world *w, unsigned s, unsigned x);
// Strangers: an untrusted address, or a trusted one with a From of an untrusted domain.
void sip_stranger(struct world *w, unsigned x, bool trusted_address);

#endif
