// How a tuple of PIDF is named: by its id, or by the GRUU of its contact. Used by pidf*.c only.
#ifndef CORE_WIRE_PIDF_NAME_H
#define CORE_WIRE_PIDF_NAME_H

#include "core/wire/text.h"

// Appends "ID-" and the resource as an NCName (pidf.h tells the scheme).
void pidf_id_write(struct buffer *b, struct text resource);
// Both take their input from `b` and append what they decode to it. An id that does not begin with
// "ID-" is the resource as it stands.
struct span pidf_id_resource(struct buffer *b, struct span id);
// The value of the URI parameter `gr` (RFC 5627 §3.1), n == 0 when there is none. The contact may
// be percent-encoded as a whole, as Blink sends it.
struct span pidf_contact_gr(struct buffer *b, struct span contact);
// Appends `entity` with ";gr=" and the resource; with scheme sip, for pres URIs have no parameters.
void pidf_contact_write(struct buffer *b, struct text entity, struct text resource);
// A URI that may be percent-encoded as a whole, as Blink writes them: decoded if that makes it one,
// else as it stands. Appends what it decodes.
struct span pidf_uri(struct buffer *b, struct span at);

// A decimal from 0 to 1 (RFC 3863 §4.1.5) in thousandths; false: not one. Further digits are cut
// off.
bool pidf_milli_parse(struct text t, unsigned *out);

#endif
