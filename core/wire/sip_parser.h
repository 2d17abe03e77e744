// The parser at work on one message: internal to sip_parse.c, sip_fields.c, sip_body.c.
//
// sip_parse.c reads the start line and finds the header field lines; sip_fields.c reads the values
// of those that the gateway looks at, sip_body.c those of the body. All write into the block `m`,
// whose text is the datagram and, behind it, the tail: copies that had to be changed.
#ifndef CORE_WIRE_SIP_PARSER_H
#define CORE_WIRE_SIP_PARSER_H

#include "core/wire/sip.h"
#include "core/wire/sip_header.h"

struct line {
    struct span value; // trimmed and unfolded
    uint8_t header;
};

// What sofia allocates for one message: enough for ordinary ones. A flood of parameters takes more
// from malloc, and gives it back with the home.
enum { SIP_AREA_BYTES = 4096 };

struct sip_parser {
    size_t message_max;
    struct sip_message *m; // the block, grows
    size_t cap;            // of m->text
    size_t used;           // of m->text: the datagram and the tail
    bool full;             // the tail did not fit: a mistake in text_capacity()
    size_t n_lines;
    struct line lines[SIP_LINES_MAX];
    struct span first[H_COUNT]; // the first line's value
    uint16_t count[H_COUNT];    // lines
    char *scratch;              // SIP_VALUE_MAX + 1
    struct su_home_s *home;     // in `area`, while fields are read
    _Alignas(16) char area[SIP_AREA_BYTES];
};

// Notes a defect; the first one found is the one that is answered.
void parser_defect(struct sip_parser *p, uint16_t status, const char *phrase);
// A copy behind the text so far.
struct span parser_tail(struct sip_parser *p, struct text t);
// All values of a list field, in order, with commas between the lines'.
struct span parser_join(struct sip_parser *p, enum sip_header h);

static inline struct text parser_text(const struct sip_parser *p, struct span at)
{
    return sip_text(p->m, at);
}

// The reverse: `t` lies in the block's text.
static inline struct span parser_span(const struct sip_parser *p, struct text t)
{
    return (struct span){t.n ? (uint32_t)(t.p - p->m->text) : 0, (uint32_t)t.n};
}

// All fields but those of the body. ENOMEM.
int fields_read(struct sip_parser *p);
// The body lies from `from` to `n` in the text.
void body_read(struct sip_parser *p, size_t from, size_t n);

#endif
