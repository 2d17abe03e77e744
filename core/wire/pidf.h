// PIDF documents (RFC 3863) ⇄ presence, with RFC 8048's <show xmlns='jabber:client'/> and the rich
// payload: RPID (RFC 4480), CIPID (RFC 4482), data model (RFC 4479), service capabilities (RFC
// 5196) and Blink's extensions. tests/PAYLOAD.md tells what becomes of each element.
//
// Pure, but for the reader's parser, which is kept for the next document. DOCTYPE is refused.
#ifndef CORE_WIRE_PIDF_H
#define CORE_WIRE_PIDF_H

#include "core/wire/presence.h"

enum {
    PIDF_TUPLES_MAX = 32, // more are passed over, and counted in `dropped`
    PIDF_DEVICES_MAX = 8, // more are passed over
};

struct pidf {
    struct text entity;
    size_t n;
    struct presence tuple[PIDF_TUPLES_MAX]; // resource: the contact's gr, else the id without "ID-"
    unsigned dropped;
};

// The parser and its memory. One per thread; not shared.
struct pidf_reader;
int pidf_reader_create(struct pidf_reader **out); // ENOMEM
void pidf_reader_destroy(struct pidf_reader *r);

// `default_lang` is the message's Content-Language or empty. Text in `out` is borrowed from
// `scratch`, which is reset first. EBADMSG: not well-formed, no pidf root element, or a DOCTYPE;
// ENOMEM: also when `scratch` is at its limit.
//
// Unknown elements never make a document bad; an extension that holds one which must be understood
// is as if it were not there (RFC 3863 §4.3.3). A document-level <note> goes to tuples without one,
// else the person's (RFC 4479 §3.4). For `show`, jabber:client's counts, else Blink's extended
// status, else RPID activities. A closed tuple has neither show nor priority. A tuple without
// <basic> is closed, unless jabber:client's show or the extended status says that somebody is there
// (RFC 3863 §4.1.4 gives no default). Of several tuples with one resource the first open one is
// kept, else the first. A resource that is no text, or has more than JID_PART_MAX bytes, is not
// taken over.
//
// Rich payload that a tuple does not state itself it takes from the device that its deviceID names,
// and then from the person. A value that is malformed, or longer than PRESENCE_TEXT_MAX, is left
// out alone.
int pidf_read(struct pidf_reader *r, struct pidf *out, struct text body, struct text default_lang,
              struct buffer *scratch);

// Full state: one tuple per presence; none at all gives a document with one closed tuple.
// `entity` is a URI, "pres:juliet@example.com".
//
// Beyond RFC 8048, and only where there is something to say: Blink's extended status beside a show;
// in the tuple display-name, user-input, timestamp; and one person with the activities and mood of
// the foremost device, or else away or busy when all her devices agree that she is not free.
//
// A tuple's id is "ID-" and the resource. It has to be an NCName (xs:ID), so any character that is
// not an ASCII letter, a digit, '-', '.' or '_' becomes "_xHHHH_" with the hexadecimal digits of
// its code point, four or more, as does a '_' before an 'x' (the scheme of ISO 9075-14 §9.1 for SQL
// names). pidf_read() undoes that in ids that begin with "ID-". A priority needs a <contact>: the
// entity, or for a resource its GRUU (RFC 5627), "sip:juliet@example.com;gr=balcony".
void pidf_write(struct buffer *b, struct text entity, const struct presence *p, size_t n);

// RFC 8048 §6.2 note 6: 0…127 ⇄ 0…1 with three decimals, one to one. In thousandths.
unsigned pidf_priority_to_milli(int8_t priority); // priority >= 0
int8_t pidf_priority_from_milli(unsigned milli);  // milli <= 1000

#endif
