// Non-INVITE transactions: client (RFC 3261 §17.1.2) and server (§17.2.2).
//
// A client transaction is found by its own branch, which names it; a server transaction by a keyed
// hash of what RFC 3261 §17.2.3 matches on. Only a SUBSCRIBE that makes a dialog needs a server
// transaction: requests inside a dialog are told apart by their CSeq, and refusals are stateless
// (§8.2.7).
#ifndef CORE_TRANSACTION_H
#define CORE_TRANSACTION_H

#include "core/state.h"

// Room for one more request to this next hop ([limits] requests_in_flight_per_peer).
bool client_room(const struct core *c, const struct hop *to);
// Sends `r` (its branch is filled in here) to `to` for `dialog`. 0: no memory.
uint32_t client_start(struct core *c, struct sip_request *r, const struct hop *to, uint32_t dialog);
// The dialog no longer cares for the end of this transaction; it goes on retransmitting.
void client_disown(struct core *c, uint32_t *handle);
// A response; ends the transaction when it is final and tells dialog_answered().
void client_response(struct core *c, const struct sip_message *m);
void client_due(struct core *c, uint32_t handle);

// Which shard's transaction a response belongs to; false: not a branch of ours.
bool client_branch_shard(struct text branch, unsigned *shard);

// A retransmitted request: answers it as before. False: not known.
bool server_replay(struct core *c, const struct event *ev);
// A CANCEL of a SUBSCRIBE whose answer we still remember (RFC 3261 §9.2 matches all but the
// method).
bool server_cancelled(const struct core *c, const struct event *ev);
// Remembers the answer just written by `server_answer` for retransmissions of this request.
void server_keep(struct core *c, const struct event *ev, struct text response);
void server_due(struct core *c, uint32_t handle);

// Answers a request; returns the bytes as sent (valid until the next effect), empty if there's no
// memory.
struct text server_answer(struct core *c, const struct event *ev, unsigned status,
                          struct text to_tag, struct text headers);
// The same without state: the To tag follows from the request (RFC 3261 §8.2.7).
void server_refuse(struct core *c, const struct event *ev, unsigned status, struct text headers);

void transaction_free_all(struct core *c);

#endif
