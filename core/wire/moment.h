// Moments as text: the profile of ISO 8601 that RFC 3339 and XEP-0082 share ⇄ milliseconds of UTC.
#ifndef CORE_WIRE_MOMENT_H
#define CORE_WIRE_MOMENT_H

#include "core/wire/text.h"

enum { MOMENT_TEXT_MAX = 64 }; // bytes; a longer one is none

// "2012-09-21T12:53:57.802353+02:00". Milliseconds since 1970, further digits are cut off. False:
// not a moment of the years 1 to 9999, or without a zone.
bool moment_parse(struct text t, int64_t *ms);
// "2012-09-21T10:53:57.802Z", without a fraction when it is zero.
void moment_write(struct buffer *b, int64_t ms);

#endif
