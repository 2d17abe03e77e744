// Notification dialogs of both roles (RFC 3261 §12, RFC 6665 §4.4.1): identity, CSeq, targets,
// requests.
//
// What a request or answer means is the machines' business: core/watch.c and core/serve.c.
#ifndef CORE_DIALOG_H
#define CORE_DIALOG_H

#include "core/state.h"

// A new dialog of `sub` (0: none); expects dialog_set() for its texts. `tag` 0: a fresh one. 0: no
// memory.
uint32_t dialog_create(struct core *c, uint32_t sub, uint32_t owner_hash,
                       enum core_direction direction, uint64_t tag);
// Replaces all texts at once; ENOMEM, EMSGSIZE (CORE_DIALOG_TEXT_MAX). The next hop follows from
// them.
int dialog_set(struct core *c, struct dialog *d, const struct text fields[FIELD_COUNT]);
struct text dialog_get(const struct dialog *d, enum dialog_field field);
// Off its subscription, all indexes and timers, and gone.
void dialog_free(struct core *c, uint32_t handle);
void dialog_free_all(struct core *c);

// The dialog that a request with this To tag is in; Call-ID is compared, the From tag is not. 0:
// none.
uint32_t dialog_find(const struct core *c, const struct sip_message *m);
// Our tag as text; `out` has CORE_TAG_HEX bytes.
struct text dialog_tag(const struct core *c, const struct dialog *d, char out[CORE_TAG_HEX]);
// The owner hash in a tag of ours; false: not ours.
bool dialog_tag_owner(struct text tag, uint32_t *hash);

// Takes remote tag, target and route set from a request that makes the dialog (RFC 6665 §4.4.1), or
// only the target from a later one (target refresh, RFC 3261 §12.2). ENOMEM, EMSGSIZE.
int dialog_learn(struct core *c, struct dialog *d, const struct sip_message *m);
// RFC 3261 §12.2.2: in order, a retransmission, or too old.
enum dialog_order { ORDER_NEW, ORDER_SAME, ORDER_OLD };
enum dialog_order dialog_order(const struct dialog *d, const struct sip_message *m);
void dialog_took(struct dialog *d, const struct sip_message *m);

// ## Where it goes
//
// With a proxy configured: to it, unless the route set's first URI is numeric and within [trust]
// sip_sources; a user behind the proxy may write any Record-Route, and must not choose where our
// packets go. The proxy knows the way: the routes go along, and the remote target stays in the
// Request-URI. Without a proxy: where the first route leads, else the remote target, else the
// Request-URI (RFC 3261 §8.1.2), as far as sip_sources allows; see core/next_hop.h.
//
// The numeric address that the texts name, trusted or not; else the proxy's, and family 0 when all
// goes by name.
void dialog_hop(const struct core *c, const struct dialog *d, struct hop *out);
// Sends a request in the dialog; the caller has filled in what is special to it (method, expires,
// substate, body). Takes the next CSeq, leasing more from the record when they run out. EBUSY: the
// next hop has too many requests in flight; ENOMEM.
int dialog_send(struct core *c, uint32_t handle, struct sip_request *r);
void dialog_wait(struct core *c, uint32_t handle, enum dialog_wait wait, uint64_t due_ms);

// ## What is overdue
//
// Refreshes and expiries are begun at CORE_OVERDUE_PER_S at most: in ordinary life nobody comes
// near that, but when the process was not there (or got no time) for long, all of them are due at
// once. Each then waits for its turn, in the order in which they came. (Where so many dialogs are
// so brief that ordinary life comes near it, the rate is four times that of ordinary life.)
//
// Waits for `wait` until its turn, which is not before from_ms.
void dialog_wait_turn(struct core *c, uint32_t handle, enum dialog_wait wait, uint64_t from_ms);
// `wait` is over: whether it may go on now. Else it waits on, till its turn.
bool dialog_has_turn(struct core *c, uint32_t handle, enum dialog_wait wait);
// "sip:juliet@127.0.0.1:5081", where the peer reaches this dialog (core/contact.h).
void dialog_write_contact(struct core *c, const struct dialog *d, enum hop_transport transport,
                          struct buffer *b);

// Whole seconds until expires_ms, rounded down, at least 0.
uint32_t dialog_left_s(const struct core *c, const struct dialog *d);

// From the transaction layer: the request in flight was answered by `from`; 408 without message:
// not at all, 503 without message: it could not be sent.
void dialog_answered(struct core *c, uint32_t handle, const struct hop *from,
                     enum sip_method method, unsigned status, const struct sip_message *m);
// It has left for another place, as a transaction of its own.
void dialog_resent(struct core *c, uint32_t handle);
// TIMER_DIALOG.
void dialog_due(struct core *c, uint32_t handle);

#endif
