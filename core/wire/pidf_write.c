// Writes PIDF: compact, in the order of elements that RFC 3863 §4.4 lays down.
#include "core/wire/pidf.h"

#include <assert.h>

#include "core/wire/pidf_name.h"

// xs:language; anything else would make the document invalid, so it is left out.
static bool is_language(struct text t)
{
    size_t run = 0;
    for (size_t i = 0; i < t.n; i++) {
        char c = t.p[i], lower = (char)(c | 0x20);
        bool letter = lower >= 'a' && lower <= 'z';
        bool digit = c >= '0' && c <= '9' && memchr(t.p, '-', i); // not in the first subtag
        if (c == '-' ? run == 0 : ++run > 8 || !(letter || digit))
            return false;
        if (c == '-')
            run = 0;
    }
    return run > 0;
}

static void write_status(struct buffer *b, const struct presence *p)
{
    if (!p->available) {
        buffer_lit(b, "<status><basic>closed</basic></status>");
        return;
    }
    buffer_lit(b, "<status><basic>open</basic>");
    if (p->show != SHOW_NONE) {
        buffer_lit(b, "<show xmlns='jabber:client'>");
        buffer_text(b, presence_show_text(p->show));
        buffer_lit(b, "</show>");
    }
    buffer_lit(b, "</status>");
}

// RFC 8048 §6.2 note 6: a negative priority is not mapped.
static void write_contact(struct buffer *b, struct text entity, const struct presence *p)
{
    if (!p->available || !p->has_priority || p->priority < 0)
        return;
    unsigned milli = pidf_priority_to_milli(p->priority);
    buffer_lit(b, "<contact priority='");
    buffer_u64(b, milli / 1000);
    if (milli % 1000) {
        const char decimals[] = {'.', (char)('0' + milli / 100), (char)('0' + milli / 10 % 10),
                                 (char)('0' + milli % 10)};
        buffer_add(b, decimals, sizeof decimals);
    }
    buffer_lit(b, "'>");
    pidf_contact_write(b, entity, p->resource);
    buffer_lit(b, "</contact>");
}

static void write_note(struct buffer *b, const struct presence_status *status)
{
    if (status->text.n == 0)
        return;
    buffer_lit(b, "<note");
    if (is_language(status->lang)) {
        buffer_lit(b, " xml:lang='");
        buffer_text(b, status->lang);
        buffer_char(b, '\'');
    }
    buffer_char(b, '>');
    buffer_xml(b, status->text);
    buffer_lit(b, "</note>");
}

static void write_tuple(struct buffer *b, struct text entity, const struct presence *p)
{
    assert(p->n_status <= PRESENCE_STATUS_MAX);
    buffer_lit(b, "<tuple id='");
    pidf_id_write(b, p->resource);
    buffer_lit(b, "'>");
    write_status(b, p);
    write_contact(b, entity, p);
    for (size_t i = 0; i < p->n_status; i++)
        write_note(b, &p->status[i]);
    buffer_lit(b, "</tuple>");
}

void pidf_write(struct buffer *b, struct text entity, const struct presence *p, size_t n)
{
    static const struct presence NOBODY = {.available = false};
    buffer_lit(b,
               "<?xml version='1.0' encoding='UTF-8'?>"
               "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='");
    buffer_xml(b, entity);
    buffer_lit(b, "'>");
    for (size_t i = 0; i < n; i++)
        write_tuple(b, entity, &p[i]);
    if (n == 0)
        write_tuple(b, entity, &NOBODY);
    buffer_lit(b, "</presence>");
}
