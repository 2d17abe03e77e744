// What a PIDF document has said while it is read. Used by pidf.c and pidf_give.c only.
//
// A reader belongs to one thread; of all here it owns its parser, its copy and nothing else. Spans
// are of the caller's scratch buffer, which moves as it grows.
#ifndef CORE_WIRE_PIDF_INNER_H
#define CORE_WIRE_PIDF_INNER_H

#include "core/wire/pidf.h"
#include "core/wire/pidf_place.h"
#include "core/wire/pidf_rich.h"

enum { PIDF_PLACES_DEEP = 8 }; // no known place is deeper

// A show that somebody has stated, or has not.
struct pidf_said {
    bool is;
    enum presence_show show;
};

struct pidf_notes {
    size_t n;
    struct {
        struct span lang, text;
    } v[PRESENCE_STATUS_MAX];
};

// One tuple while it is read.
struct pidf_tuple {
    struct span id, contact, resource, lang;
    struct pidf_said basic, client, extended, activity; // basic: `is` when open
    bool has_basic, has_priority;
    unsigned priority_milli;
    struct pidf_notes notes;
    struct pidf_rich rich;
};

// What was known where an extension begins, for when it turns out not to count.
struct pidf_before {
    struct pidf_rich rich;
    struct pidf_said activity;
    struct pidf_notes notes;
};

// An element that was looked up before. Names are the parser's, which has each of them once and
// keeps it for life: so they are compared as pointers, and forgotten with the parser.
struct pidf_met {
    const unsigned char *uri, *local;
    enum pidf_place below;
    enum pidf_ns ns;
    struct pidf_element is;
};

enum { PIDF_MET = 32 };

struct pidf_reader {
    struct _xmlParserCtxt *xml; // libxml2's, whose headers stay in pidf.c
    struct pidf_met met[PIDF_MET];
    struct buffer copy; // of the document that is read
    struct buffer *scratch;
    bool refused, is_pidf;
    unsigned skip; // depth inside an element that we pass over; 0: not inside one
    unsigned deep;
    struct pidf_element at[PIDF_PLACES_DEEP];
    unsigned duties; // bit n: the n-th open element holds what must be understood, and is not
    struct pidf_before before_person, before_words;
    struct span entity, lang, default_lang; // lang: of the root element, else the default
    struct span note_lang;
    uint32_t text_from;
    struct pidf_said person_activity;
    struct pidf_notes notes, person_notes;
    bool has_person;
    struct pidf_rich person; // of several persons the first that says a thing
    size_t n_devices;
    struct pidf_rich device[PIDF_DEVICES_MAX];
    size_t n;
    unsigned dropped;
    struct pidf_tuple tuple[PIDF_TUPLES_MAX];
};

static inline struct text pidf_text_at(const struct pidf_reader *r, struct span at)
{
    return at.n ? (struct text){r->scratch->p + at.off, at.n} : (struct text){"", 0};
}

// What a document that has been read says of each device; of two tuples with the same resource
// the one that is there counts.
void pidf_give(const struct pidf_reader *r, struct pidf *out);

#endif
