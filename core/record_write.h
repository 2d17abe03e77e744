// A subscription into its record, and back.
#ifndef CORE_RECORD_WRITE_H
#define CORE_RECORD_WRITE_H

#include "core/state.h"

void record_write(const struct core *c, const struct sub *s, struct buffer *b);
// Makes the subscription and its dialogs. EBADMSG: damaged; ENOTSUP: newer; ENOMEM.
int record_restore(struct core *c, uint64_t id, struct text record);

#endif
