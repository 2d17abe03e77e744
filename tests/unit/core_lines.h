// What the tests of the core's parts share: one line to step a core with a stanza or a SIP message.
#ifndef TESTS_UNIT_CORE_LINES_H
#define TESTS_UNIT_CORE_LINES_H

#include "core/core.h"
#include "core/wire/stanza_reader.h"

struct lines {
    struct core *core;
    struct effects fx;
    uint64_t now_ms;
    struct sip_parser *parser;
};

static inline void lines_on_stanza(void *arg, const struct stanza *stanza)
{
    struct lines *l = arg;
    struct event ev = {.kind = EVENT_STANZA, .stanza = stanza};
    core_step(l->core, &ev, l->now_ms, &l->fx);
}

static inline void lines_stanza(struct lines *l, const char *text)
{
    struct stanza_reader *r;
    struct stanza_reader_limits limits = {65536, 32};
    assert_int_equal(stanza_reader_create(&r, &limits, lines_on_stanza, l), 0);
    assert_int_equal(stanza_reader_feed(r, text, strlen(text)), 0);
    stanza_reader_destroy(r);
}

static inline const struct sip_message *lines_parse(struct lines *l, const char *message)
{
    const struct sip_message *m;
    assert_int_equal(sip_parse(l->parser, message, strlen(message), &m), 0);
    return m;
}

static inline void lines_sip(struct lines *l, const char *message)
{
    struct event ev = {.kind = EVENT_SIP, .port = SIP_PORT_LISTEN(0)};
    assert_int_equal(hop_parse(&ev.source, TEXT("127.0.0.1"), 5070, HOP_UDP), 0);
    ev.sip = lines_parse(l, message);
    core_step(l->core, &ev, l->now_ms, &l->fx);
}

#endif
