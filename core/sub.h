// Subscriptions: the long-lived authorization of one pair in one direction, and its record.
//
// A sub is shared by both machines; what differs is in core/watch.c and core/serve.c. Changes to
// what the record holds are announced with sub_touch() and leave as one EFFECT_PUT at the step's
// end.
#ifndef CORE_SUB_H
#define CORE_SUB_H

#include "core/state.h"

// The pair, both as bare JIDs. 0: not there. Ended ones are not found.
uint32_t sub_find(const struct core *c, const struct jid *xmpp, const struct jid *peer,
                  enum core_direction direction);
// The same of a user who has been found.
uint32_t sub_find_of(const struct core *c, uint32_t user, const struct jid *peer,
                     enum core_direction direction);
// A new one, pending, with the next id. `sip_uri`: the SIP user's own spelling; empty: as mapped.
// 0: no memory.
uint32_t sub_create(struct core *c, uint32_t user, const struct jid *peer, struct text sip_uri,
                    enum core_direction direction);
// Puts a restored one in place; id, state and times are the caller's.
uint32_t sub_link(struct core *c, uint32_t user, const struct jid *peer, struct text sip_uri,
                  enum core_direction direction);
void sub_touch(struct core *c, uint32_t handle);
void sub_set_state(struct core *c, struct sub *s, enum core_state state);
// How long to wait before the next try: 30 s doubling to an hour, with a quarter of jitter.
uint64_t sub_backoff_ms(struct core *c, struct sub *s);
// The authorization goes: out of the index, its record deleted. The object goes with its last
// dialog.
void sub_end(struct core *c, uint32_t handle);
// End of a step: records out, ended and empty subscriptions away.
void sub_flush(struct core *c);
void sub_free_all(struct core *c);

// The SIP user (peer) and the XMPP user, as bare JID and as SIP URI; `write` appends to b.
void sub_peer_jid(const struct core *c, const struct sub *s, struct jid *out);
void sub_write_peer_jid(const struct core *c, const struct sub *s, struct buffer *b);
void sub_write_user_jid(const struct core *c, const struct sub *s, struct buffer *b);
void sub_write_sip_uri(const struct core *c, const struct sub *s, struct buffer *b);
void sub_write_user_sip_uri(const struct core *c, const struct sub *s, struct buffer *b);
// Without a scheme.
void sub_write_user_address(const struct core *c, const struct sub *s, struct buffer *b);
// The component stream of the SIP user's domain is up.
bool sub_stream_up(const struct core *c, const struct sub *s);
// Both ends are (still) trusted.
bool sub_trusted(const struct core *c, const struct sub *s);

#endif
