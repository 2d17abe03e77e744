// What the tests of the stanza reader share: a reader, and what it has handed out, a line per
// stanza.
#ifndef TESTS_UNIT_STANZA_SEEN_H
#define TESTS_UNIT_STANZA_SEEN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/wire/stanza_reader.h"

#define HELPER __attribute__((unused)) static

HELPER const struct stanza_reader_limits LIMITS = {.stanza_bytes = 262144, .stanza_depth = 32};

// Everything that was read, as one line per stanza.
HELPER struct buffer seen;
HELPER size_t n_seen;

HELPER void show_text(const struct stanza *s, const char *name, struct span at)
{
    if (at.n == 0)
        return;
    buffer_char(&seen, ' ');
    buffer_text(&seen, text_of(name));
    buffer_char(&seen, '=');
    buffer_text(&seen, stanza_text(s, at));
}

HELPER void show_number(const char *name, int v)
{
    char line[64];
    buffer_text(&seen, (struct text){line, (size_t)snprintf(line, sizeof line, " %s=%d", name, v)});
}

HELPER void on_stanza(void *arg, const struct stanza *s)
{
    static const char *const kinds[] = {"presence", "message", "iq"};
    (void)arg;
    n_seen++;
    assert_true(stanza_size(s) >= sizeof *s);
    buffer_text(&seen, text_of(kinds[s->kind]));
    buffer_text(&seen, s->type == STANZA_OTHER ? TEXT(" other") : s->type ? TEXT(" ") : TEXT(""));
    buffer_text(&seen, stanza_type_text((enum stanza_type)s->type));
    show_text(s, "from", s->from);
    show_text(s, "to", s->to);
    show_text(s, "id", s->id);
    show_text(s, "lang", s->lang);
    if (s->show)
        show_number("show", s->show);
    if (s->has_priority)
        show_number("priority", s->priority);
    if (s->condition)
        show_number("condition", s->condition);
    if (s->too_big)
        buffer_lit(&seen, " too_big");
    show_text(s, "child", s->child_name);
    show_text(s, "ns", s->child_ns);
    if (s->child_has_node)
        buffer_lit(&seen, " node");
    for (size_t i = 0; i < s->n_status; i++) {
        show_text(s, "l", s->status[i].lang);
        show_text(s, "t", s->status[i].text);
    }
    buffer_char(&seen, '\n');
}

HELPER struct stanza_reader *reader_with(const struct stanza_reader_limits *limits)
{
    struct stanza_reader *r;
    buffer_reset(&seen);
    n_seen = 0;
    assert_int_equal(stanza_reader_create(&r, limits, on_stanza, NULL), 0);
    return r;
}

HELPER struct stanza_reader *reader(void)
{
    return reader_with(&LIMITS);
}

HELPER void expect(const char *want)
{
    buffer_char(&seen, '\0');
    assert_string_equal(seen.p, want);
    buffer_reset(&seen);
}

HELPER int feed(struct stanza_reader *r, const char *z)
{
    return stanza_reader_feed(r, z, strlen(z));
}

HELPER int group_begin(void **state)
{
    (void)state;
    buffer_init(&seen, 0);
    return 0;
}

HELPER int group_end(void **state)
{
    (void)state;
    buffer_free(&seen);
    return 0;
}

#endif
