// Users: the bare XMPP JIDs of this shard, with what limits and probes need to know of each.
#ifndef CORE_USER_H
#define CORE_USER_H

#include "core/state.h"

// The keyed hash that decides the shard; of "local@domain", prepared.
uint32_t user_hash(const uint8_t key[CORE_KEY_BYTES], const struct jid *bare);
// 0: not there.
uint32_t user_find(const struct core *c, const struct jid *bare);
// Finds or makes; a user without subscriptions is forgotten after a while. 0: no memory,
// or too many of those.
uint32_t user_get(struct core *c, const struct jid *bare);
void user_jid(const struct core *c, const struct user *u, struct jid *out);
// One more new subscription or fetch of this user; false: too many in this minute
// ([limits] new_subscriptions_per_user_per_min).
bool user_admit(struct core *c, struct user *u);
// One of her devices has spoken, or has said that it leaves; then whether no other is known. The
// USER_DEVICES latest are: one that left without a word stays among them until others push it out.
void user_device_here(struct user *u, struct text resource);
bool user_device_gone(struct user *u, struct text resource);
// TIMER_USER.
void user_forget_due(struct core *c, uint32_t handle);
void user_free_all(struct core *c);
// The user's subscriptions have changed: arms or disarms forgetting.
void user_settle(struct core *c, uint32_t handle);

#endif
