// The serve machine's questions to the XMPP side.
#ifndef CORE_SERVE_ASK_H
#define CORE_SERVE_ASK_H

#include "core/state.h"

#define SERVE_PROBE_ID TEXT("serve-probe") // of every probe in a SIP user's name

// Of a pair that was not known before: is he approved, and is she there?
void serve_ask_first(struct core *c, uint32_t sub);
// Of one that was: whatever of that is still open.
void serve_ask(struct core *c, uint32_t sub);
// May what comes be the answer to the first probe? Until the fence behind it is answered.
bool serve_is_fenced(const struct core *c, const struct sub *s);

#endif
