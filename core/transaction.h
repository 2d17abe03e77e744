// Non-INVITE transactions: client (RFC 3261 §17.1.2) and server (§17.2.2).
//
// A client transaction (core/client.c) is found by its own branch, which names it; a server
// transaction by a keyed hash of what RFC 3261 §17.2.3 matches on. Only a SUBSCRIBE that makes a
// dialog needs a server transaction: requests inside a dialog are told apart by their CSeq, and
// refusals are stateless (§8.2.7).
#ifndef CORE_TRANSACTION_H
#define CORE_TRANSACTION_H

#include "core/next_hop.h"
#include "core/wire/sip_glance.h"

// ## The next hop
//
// A request goes to an address or to what a name leads to (core/next_hop.h), and from place to
// place (RFC 3263 §4.3) when one can't be reached (EVENT_UNREACHABLE), says nothing, or says 503.
// Each attempt is a transaction of its own, with a branch of its own. All of them together, the
// time of resolving included, have timer F: 64*T1 from the start; so a place that others follow has
// an equal share of what is left of it. RFC 6665's Timer N of a SUBSCRIBE is meant for one
// transaction: it begins anew with each attempt (dialog_resent()), lest it end a dialog that the
// second place has just granted. With all places tried and not a word heard they are tried again
// after T2 while there is time: a proxy that restarts refuses connections for some seconds, and no
// dialog should end for that. What is said of it at the end is the last real answer, else 503
// without a message if no place could be reached (or there is none), else 408 without a message.
//
// A request of more than TRIAL_DATAGRAM_MAX bytes for a UDP place goes there over TCP (RFC 3261
// §18.1.1), and over UDP when that fails, which is remembered.

// Room for one more request to this next hop ([limits] requests_in_flight_per_peer), which is
// taken. What waits for a name is not in flight to an address yet, and counts by the name.
// `opens`: it would begin a dialog, with a SIP user of `domain` (or DOMAIN_NONE); the last quarter
// (CORE_ROOM_KEPT_PART) is for those that are there, and of the rest no domain gets more than it
// leaves to the others.
bool client_room(struct core *c, struct next_hop *to, bool opens, uint16_t domain);
// Sends `r` (Via and branch are filled in here) for `dialog`. The end is never told before this
// returns. ENOMEM.
int client_start(struct core *c, struct sip_request *r, struct next_hop *to, uint32_t dialog,
                 uint32_t *client);
// The dialog no longer cares for the end of this transaction; it goes on retransmitting.
void client_disown(struct core *c, uint32_t *handle);
// A response; ends the transaction when it is final and tells dialog_answered().
void client_response(struct core *c, const struct sip_message *m);
// Nothing can be sent to `hop`: all that is under way there goes elsewhere.
void client_unreachable(struct core *c, const struct hop *hop);
// The name that it goes by has been answered for.
void client_resolved(struct core *c, uint32_t handle);
void client_due(struct core *c, uint32_t handle);

// Which shard's transaction a response belongs to; false: not a branch of ours.
bool client_branch_shard(struct text branch, unsigned *shard);

// A keyed hash of what makes a request the same one when it is sent again (RFC 3261 §17.2.3).
uint64_t server_hash(const struct core *c, const struct sip_message *m);
uint64_t server_hash_of_glance(const struct core *c, const struct sip_glance *g);
bool server_knows(const struct core *c, uint64_t hash);
// A retransmitted request: answers it as before. False: not known.
bool server_replay(struct core *c, uint64_t hash);
// A CANCEL of a SUBSCRIBE whose answer we still remember (RFC 3261 §9.2 matches all but the
// method).
bool server_cancelled(const struct core *c, const struct event *ev);
// Remembers the answer just written by `server_answer` for retransmissions of this request.
void server_keep(struct core *c, const struct event *ev, struct text response);
void server_due(struct core *c);

// Where an answer goes (RFC 3261 §18.2.2); reopen_port as in struct effect.
struct server_way {
    struct hop to;
    uint16_t reopen_port;
};
struct server_way server_way_back(const struct hop *source, const struct sip_echo *req);
// An answer as bytes, counted as sent.
struct server_reply {
    const struct sip_echo *request;
    const struct hop *source;
    unsigned status;
    struct text to_tag, headers;
};
void server_write(struct core *c, struct buffer *b, const struct server_reply *r);

// Answers a request; returns the bytes as sent (valid until the next effect), empty if there's no
// memory.
struct text server_answer(struct core *c, const struct event *ev, unsigned status,
                          struct text to_tag, struct text headers);
// The same without state: the To tag follows from the request (RFC 3261 §8.2.7).
void server_refuse(struct core *c, const struct event *ev, unsigned status, struct text headers);
// The same by one who has its hash already.
void server_refuse_as(struct core *c, const struct event *ev, uint64_t hash, unsigned status,
                      struct text headers);

void client_free_all(struct core *c);
void transaction_free_all(struct core *c);

#endif
