// Which encoding a document is in, as far as its first bytes tell.
#ifndef CORE_WIRE_PIDF_ENCODING_H
#define CORE_WIRE_PIDF_ENCODING_H

#include "core/wire/text.h"

// Whether the XML declaration names Latin-1, which old clients send.
bool pidf_is_latin1(struct text body);
// White space, '<' or a byte order mark, and no zero bytes (XML 1.0 appendix F).
bool pidf_is_utf8(struct text body);

#endif
