// What the ends of each dialog have been told of it, and what has to follow from that:
//
// - Who was granted a time is served until then and no longer, across any crash.
// - A dialog that its peer does not know (481) is not used again (RFC 3261 §12.2.1.2).
// - A dialog keeps its remote tag.
//
// Times are those of the step that made the message. `*fault` is left alone if nothing is wrong.
#ifndef TESTS_GRANTS_H
#define TESTS_GRANTS_H

#include "core/wire/sip.h"

struct grants *grants_create(void);
void grants_destroy(struct grants *g);

// What leaves the gateway: requests for the first time, and answers. `ended_ms`: when one of the
// ends has ended the authorization, the last time.
void grants_request(struct grants *g, const struct sip_message *m, uint64_t at_ms,
                    const char **fault);
void grants_answer(struct grants *g, const struct sip_message *m, uint64_t at_ms, uint64_t ended_ms,
                   const char **fault);
// A request leaves again, perhaps for another place.
void grants_resent(struct grants *g, const struct sip_message *m);
// A request comes in.
void grants_asked(struct grants *g, const struct sip_message *m, uint64_t at_ms);
// An answer comes in. `timeout_ms` is 64*T1.
void grants_answered(struct grants *g, const struct sip_message *m, uint64_t at_ms,
                     uint64_t timeout_ms);
// The process begins: what was in flight is forgotten.
void grants_birth(struct grants *g, uint64_t at_ms);
// One of the shards was born again, and the others live on.
void grants_rebirth(struct grants *g, uint64_t at_ms);
// Its clock has leapt, or was set: nobody can say when what was granted ends.
void grants_doubt(struct grants *g);
// A shard does nothing since its store is full: its timers are late.
void grants_held(struct grants *g, uint64_t at_ms);
// The writes that made these records are lost, and all that rests upon them.
void grants_lost(struct grants *g, struct text before, struct text lost);

#endif
