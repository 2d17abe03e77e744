// The stage's net: where messages go, and what the resolver and the transports say.
#include "stage_net.h"

#include <stdio.h>
#include <string.h>

#include "stage.h"

struct hop net_place(const char *place)
{
    static const char *const names[] = {"udp:", "tcp:", "tls:"};
    struct hop hop;
    for (unsigned i = 0; i < 3; i++) {
        if (strncmp(place, names[i], 4) != 0)
            continue;
        const char *host = place + 4, *colon = strrchr(place, ':');
        unsigned port;
        assert_int_equal(sscanf(colon + 1, "%u", &port), 1);
        assert_int_equal(hop_parse(&hop, (struct text){host, (size_t)(colon - host)},
                                   (uint16_t)port, (enum hop_transport)i),
                         0);
        return hop;
    }
    fail_msg("no place: %s", place);
    return hop;
}

static const struct stage_message *net_last(const struct stage *s)
{
    assert_true(s->sip_head > 0);
    return &s->sips[s->sip_head - 1];
}

void sip_went_to(struct stage *s, const char *place)
{
    struct hop want = net_place(place), got = net_last(s)->to;
    struct buffer b;
    buffer_init(&b, 0);
    hop_write_host(&b, &got);
    if (!hop_eq(&want, &got))
        fail_msg("expected %s, went to %.*s:%u over %u", place, (int)b.n, b.p, got.port,
                 got.transport);
    buffer_free(&b);
}

void sip_demands_name(struct stage *s, const char *name)
{
    if (name)
        assert_string_equal(net_last(s)->server_name, name);
    else
        assert_null(net_last(s)->server_name);
}

void net_is_asked(struct stage *s, const char *uri)
{
    if (s->question_head == s->question_tail)
        fail_msg("expected a question about %s, got none", uri);
    assert_string_equal(s->questions[s->question_head++].bytes, uri);
}

static void net_happens(struct stage *s, const struct event *ev)
{
    core_step(s->core, ev, s->now_ms, &s->fx);
    stage_pass_ms(s, 0);
}

void net_answers(struct stage *s, const char *uri, uint32_t ttl_s, ...)
{
    struct hop hops[2 * EVENT_HOPS_MAX];
    struct event ev = {.kind = EVENT_RESOLVED, .uri = text_of(uri), .hops = hops, .ttl_s = ttl_s};
    va_list places;
    va_start(places, ttl_s);
    for (const char *place; (place = va_arg(places, const char *));)
        hops[ev.n_hops++] = net_place(place);
    va_end(places);
    net_happens(s, &ev);
}

void net_refuses(struct stage *s, const char *place)
{
    struct event ev = {.kind = EVENT_UNREACHABLE, .source = net_place(place)};
    net_happens(s, &ev);
}
