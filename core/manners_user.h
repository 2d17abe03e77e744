// What a SIP user's watchers may ask about him beyond his presence: XEP-0012, 0054, 0092, 0202.
#ifndef CORE_MANNERS_USER_H
#define CORE_MANNERS_USER_H

#include "core/state.h"

enum user_question { ASKS_LAST_OF, ASKS_VERSION_OF, ASKS_TIME_OF, ASKS_CARD_OF };

// The answer's payload, appended to `b`: out of what is known for her own subscription, so nobody
// learns more than he has seen anyway, and nothing crosses to SIP. False: she is no approved
// watcher, or it is not known; which of the two is not told.
bool manners_user(const struct core *c, const struct jid *from, const struct jid *to,
                  enum user_question q, struct buffer *b);

#endif
