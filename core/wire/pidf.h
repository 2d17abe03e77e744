// PIDF documents (RFC 3863) ⇄ presence, with RFC 8048's <show xmlns='jabber:client'/>.
//
// Pure; one parser context per thread inside. DOCTYPE is refused.
#ifndef CORE_WIRE_PIDF_H
#define CORE_WIRE_PIDF_H

#include "core/wire/presence.h"

enum { PIDF_TUPLES_MAX = 32 }; // more are passed over, and counted in `dropped`

struct pidf {
    struct text entity;
    size_t n;
    struct presence tuple[PIDF_TUPLES_MAX]; // resource: the contact's gr, else the id without "ID-"
    unsigned dropped;
};

// `default_lang` is the message's Content-Language or empty. Text in `out` is borrowed from
// `scratch`, which is reset first. EBADMSG: not well-formed, no pidf root element, or a DOCTYPE.
// Unknown elements never make a document bad. A document-level <note> goes to tuples without one.
// Extended status (Blink) and RPID activities count for `show` in the order that DESIGN gives:
// jabber:client, then urn:ag-projects:xml:ns:pidf extended, then activities.
int pidf_read(struct pidf *out, struct text body, struct text default_lang, struct buffer *scratch);

// Full state: one tuple per presence; none at all gives a document with one closed tuple.
// `entity` is a URI, "pres:juliet@example.com".
void pidf_write(struct buffer *b, struct text entity, const struct presence *p, size_t n);

// RFC 8048 §6.2 note 6: 0…127 ⇄ 0…1 with three decimals, one to one. In thousandths.
unsigned pidf_priority_to_milli(int8_t priority); // priority >= 0
int8_t pidf_priority_from_milli(unsigned milli);  // milli <= 1000

#endif
