// Inside a dialog: routes loose and strict, the remote target and what moves it, and requests that
// have come in a circle. RFC 3261 §12.2, RFC 6665 §4.4.1.
#include "flows.h"

#include <stdio.h>
#include <string.h>

static void without_proxy(struct core_config *cfg)
{
    cfg->proxy = (struct hop){0};
    cfg->tls_port = 5061;
}

static void many_shards(struct core_config *cfg)
{
    cfg->tcp_port = 5060;
    cfg->tls_port = 5061;
}

#define ACTIVE "Event: presence\nSubscription-State: active;expires=3600\n"

// A dialog with this target and route set.
static void routed(struct stage *s, struct stage_dialog *d, const char *contact, const char *routes)
{
    char headers[1024];
    if (s->question_head != s->question_tail) {
        net_is_asked(s, "sip:example.net");
        net_answers(s, "sip:example.net", 3600, "udp:127.0.0.1:5070", NULL);
    }
    sip_sees(s, "SUBSCRIBE sip:romeo@example.net", NULL);
    sip_dialog_of_subscribe(s, d, "ffd2");
    sip_answers(s, 200, "Expires: 3600\n");
    d->cseq = 1;
    snprintf(headers, sizeof headers, ACTIVE "Contact: <%s>\n%s", contact, routes);
    sip_notifies_with(s, d, headers, "");
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s, SUBSCRIBED);
}

static void expect_ruri(struct stage *s, const char *ruri)
{
    struct text got = stage_sip(s, s->sip->ruri);
    if (!text_eq(got, text_of(ruri)))
        fail_msg("expected Request-URI %s, got %.*s", ruri, TEXT_ARG(got));
}

static void expect_route(struct stage *s, const char *value)
{
    char want[512];
    snprintf(want, sizeof want, "\r\nRoute: %s\r\n", value);
    if (!strstr(s->sips[s->sip_head - 1].bytes, want))
        fail_msg("expected Route: %s in\n%s", value, s->sips[s->sip_head - 1].bytes);
}

// ---- Loose and strict

// RFC 3261 §12.2.1.1: the target in the Request-URI and the whole set in Route, or the first route
// in the Request-URI and the target as the last of Route.
static void loose_and_strict_routes(void **state)
{
    (void)state;
    static const struct {
        const char *record_routes, *ruri, *route, *place;
    } table[] = {
        {"Record-Route: <sip:127.0.0.3:5066;lr>, <sip:127.0.0.4;lr>\n", "sip:romeo@127.0.0.9",
         "<sip:127.0.0.3:5066;lr>, <sip:127.0.0.4;lr>", "udp:127.0.0.3:5066"},
        {"Record-Route: <sip:127.0.0.3:5066;LR=on;x=y>\n", "sip:romeo@127.0.0.9",
         "<sip:127.0.0.3:5066;LR=on;x=y>", "udp:127.0.0.3:5066"},
        {"Record-Route: <sip:127.0.0.3:5066>, <sip:127.0.0.4;lr>\n", "sip:127.0.0.3:5066",
         "<sip:127.0.0.4;lr>, <sip:romeo@127.0.0.9>", "udp:127.0.0.3:5066"},
        {"Record-Route: \"a, <b>\" <sip:r,x?@127.0.0.3;transport=tcp;method=INVITE;a=b?h=v>;p=q\n",
         "sip:r,x?@127.0.0.3;transport=tcp;a=b", "<sip:romeo@127.0.0.9>", "tcp:127.0.0.3:5060"},
        {"Record-Route: <sip:127.0.0.3>\nRecord-Route: <sip:127.0.0.4>;x, <sip:127.0.0.5>\n",
         "sip:127.0.0.3", "<sip:127.0.0.4>;x, <sip:127.0.0.5>, <sip:romeo@127.0.0.9>",
         "udp:127.0.0.3:5060"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        for (int proxy = 0; proxy < 2; proxy++) {
            struct stage *s = proxy ? stage_open() : stage_open_with(without_proxy);
            struct stage_dialog d;
            xmpp_says(s, JULIET_SUBSCRIBES);
            routed(s, &d, "sip:romeo@127.0.0.9", table[i].record_routes);
            refresh_leaves(s);
            expect_ruri(s, table[i].ruri);
            expect_route(s, table[i].route);
            sip_went_to(s, table[i].place);
            stage_crash(s); // and it outlives the process
            stage_streams_up(s);
            if (is_next(s, "type='probe'"))
                probe_is_answered(s);
            stage_pass_until_said(s, 100);
            if (is_next(s, "type='probe'"))
                probe_is_answered(s);
            sip_sees(s, "SUBSCRIBE", NULL);
            expect_ruri(s, table[i].ruri);
            expect_route(s, table[i].route);
            stage_close(s);
        }
}

// The same from the notifier's side: NOTIFY by way of the SUBSCRIBE's Record-Route.
static void notify_by_a_strict_route(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    says_subscribe(s, 1, "Record-Route: <sip:127.0.0.3>, <sip:edge.example.net;lr>\n");
    sip_sees(s, "SIP/2.0 200", "Record-Route: <sip:127.0.0.3>, <sip:edge.example.net;lr>", NULL);
    sip_sees(s, "NOTIFY", NULL);
    expect_ruri(s, "sip:127.0.0.3");
    expect_route(s, "<sip:edge.example.net;lr>, <sip:romeo@127.0.0.1:5101>");
    sip_went_to(s, "udp:127.0.0.3:5060");
    stage_close(s);
}

// With a proxy a route that is not numeric, or not trusted, is the proxy's business; without one it
// is resolved, or nothing is sent.
static void routes_by_name_and_abroad(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    xmpp_says(s, JULIET_SUBSCRIBES);
    routed(s, &d, "sip:romeo@127.0.0.9", "Record-Route: <sip:edge.example.net;lr>\n");
    refresh_leaves(s);
    sip_went_to(s, "udp:127.0.0.1:5070");
    stage_close(s);
    s = stage_open();
    xmpp_says(s, JULIET_SUBSCRIBES);
    routed(s, &d, "sip:romeo@127.0.0.9", "Record-Route: <sip:192.0.2.1;lr>\n");
    refresh_leaves(s);
    sip_went_to(s, "udp:127.0.0.1:5070");
    stage_close(s);
    s = stage_open_with(without_proxy);
    xmpp_says(s, JULIET_SUBSCRIBES);
    routed(s, &d, "sip:romeo@127.0.0.9", "Record-Route: <sip:edge.example.net;lr>\n");
    xmpp_says(s, JULIET_UNSUBSCRIBES);
    net_is_asked(s, "sip:edge.example.net");
    net_answers(s, "sip:edge.example.net", 60, "udp:127.0.0.8:5060", NULL);
    sip_sees(s, "SUBSCRIBE sip:romeo@127.0.0.9", "Expires: 0", NULL);
    expect_route(s, "<sip:edge.example.net;lr>");
    sip_went_to(s, "udp:127.0.0.8:5060");
    stage_close(s);
    s = stage_open_with(without_proxy);
    xmpp_says(s, JULIET_SUBSCRIBES);
    routed(s, &d, "sip:romeo@127.0.0.9", "Record-Route: <sip:192.0.2.1;lr>\n");
    xmpp_says(s, JULIET_UNSUBSCRIBES);
    assert_null(sip_next(s));
    assert_int_equal(core_stats(s->core)->refused_trust, 1);
    stage_pass_ms(s, 100);
    xmpp_sees(s, UNSUBSCRIBED); // it is over all the same
    all_is_over(s, 8000);
    stage_close(s);
}

// RFC 3261 §8.1.1.8, §12.1.1: where the first route or the target is a sips URI, so is our Contact.
static void sips_is_answered_by_sips(void **state)
{
    (void)state;
    static const char *const table[][2] = {
        {"sips:romeo@127.0.0.9", ""},
        {"sip:romeo@127.0.0.9", "Record-Route: <sips:127.0.0.3;lr>\n"},
    };
    for (size_t i = 0; i < 2; i++) {
        struct stage *s = stage_open_with(without_proxy);
        struct stage_dialog d;
        xmpp_says(s, JULIET_SUBSCRIBES);
        routed(s, &d, table[i][0], table[i][1]);
        refresh_leaves(s);
        sip_went_to(s, i ? "tls:127.0.0.3:5061" : "tls:127.0.0.9:5061");
        assert_non_null(strstr(s->sips[s->sip_head - 1].bytes,
                               "Contact: <sips:juliet@127.0.0.1:5061;gr=example.com>\r\n"));
        stage_close(s);
    }
}

// ---- The remote target

// RFC 3261 §12.2.1.2: a 2xx to a target refresh request, which SUBSCRIBE and NOTIFY are, says where
// the next one goes.
static void a_2xx_to_subscribe_moves_the_target(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    refresh_leaves(s);
    expect_ruri(s, "sip:presence@127.0.0.1:5070");
    sip_answers(s, 200, "Expires: 600\nContact: <sip:moved@127.0.0.7>\n");
    stage_crash(s);
    stage_streams_up(s);
    stage_pass_until_said(s, 600);
    if (is_next(s, "type='probe'"))
        probe_is_answered(s);
    sip_sees(s, "SUBSCRIBE", NULL);
    expect_ruri(s, "sip:moved@127.0.0.7");
    sip_answers(s, 500, "Contact: <sip:nowhere@127.0.0.7>\n"); // only a 2xx does
    xmpp_says(s, JULIET_UNSUBSCRIBES);
    while (xmpp_next(s))
        ;
    sip_sees(s, "SUBSCRIBE", "Expires: 0", NULL);
    expect_ruri(s, "sip:moved@127.0.0.7");
    stage_close(s);
}

// A 2xx without a dialog, or of another one, moves nothing.
static void another_answer_moves_nothing(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    said_subscribe(s, &d);
    sip_answers(s, 200, "Expires: 3600\nContact: <sip:early@127.0.0.7>\n"); // no dialog yet
    approves(s, &d);
    xmpp_sees(s, SUBSCRIBED);
    xmpp_sees(s, ROMEO_AWAY);
    refresh_leaves(s);
    expect_ruri(s, "sip:presence@127.0.0.1:5070");
    stage_close(s);
}

static void a_2xx_to_notify_moves_the_target(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    xmpp_says(s, JULIET_DND);
    sip_sees(s, "NOTIFY sip:romeo@127.0.0.1:5099", NULL);
    sip_answers(s, 200, "Contact: <sip:romeo@127.0.0.7:5099>\n");
    xmpp_says(s, JULIET_AWAY);
    sip_sees(s, "NOTIFY sip:romeo@127.0.0.7:5099", NULL);
    unsigned puts = s->puts;
    sip_answers(s, 200, "Contact: <sip:romeo@127.0.0.7:5099>\n");
    assert_int_equal(s->puts, puts); // the same again costs no write
    d.cseq++;
    sip_resubscribes_with(s, &d, "Contact: <sip:romeo@127.0.0.8>\nEvent: presence\nExpires: 600\n");
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY sip:romeo@127.0.0.8 SIP/2.0", NULL);
    stage_close(s);
}

// ---- Circles

static void comes_through(struct stage *s, const char *via)
{
    char message[1024];
    snprintf(message, sizeof message,
             "SUBSCRIBE sip:juliet@example.com SIP/2.0\n"
             "Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKtop;rport\n%s"
             "Max-Forwards: 60\nFrom: <sip:romeo@example.net>;tag=loop\nTo: "
             "<sip:juliet@example.com>\nCall-ID: loop\nCSeq: 1 SUBSCRIBE\n"
             "Contact: <sip:romeo@127.0.0.1:5099>\nEvent: presence\nExpires: 600\n\n",
             via);
    sip_says(s, message);
}

// RFC 3261 §16.3 item 4: what has been here before is in a circle.
static void what_has_passed_us_is_a_circle(void **state)
{
    (void)state;
    static const char *const ours[] = {
        "Via: SIP/2.0/UDP 127.0.0.1:5080;branch=z9hG4bKa\n",
        "Via: SIP/2.0/UDP 127.0.0.2:5070;branch=z9hG4bKa, SIP/2.0/TCP 127.0.0.1;branch=z9hG4bKb\n",
        "Via: SIP/2.0/UDP 127.0.0.2:5070;branch=z9hG4bKa\n"
        "Via: SIP/2.0/TLS 127.0.0.1:5061;branch=z9hG4bKb\n",
    };
    static const char *const others[] = {
        "Via: SIP/2.0/UDP 127.0.0.1:5081;branch=z9hG4bKa\n",
        "Via: SIP/2.0/UDP 127.0.0.2:5080;branch=z9hG4bKa\n",
    };
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        struct stage *s = stage_open_with(many_shards);
        comes_through(s, ours[i]);
        sip_sees(s, "SIP/2.0 482 ", NULL);
        quiet(s);
        stage_close(s);
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct stage *s = stage_open_with(many_shards);
        comes_through(s, others[i]);
        sip_sees(s, "SIP/2.0 200 ", NULL);
        stage_close(s);
    }
}

// Our own request comes back to us by a proxy that routes the SIP domain here.
static void our_own_request_comes_back(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    char message[4096];
    xmpp_says(s, JULIET_SUBSCRIBES);
    sip_sees(s, "SUBSCRIBE sip:romeo@example.net", NULL);
    const struct stage_message *m = &s->sips[s->sip_head - 1];
    const char *via = strstr(m->bytes, "Via:");
    snprintf(message, sizeof message,
             "SUBSCRIBE sip:romeo@example.net SIP/2.0\r\n"
             "Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKproxy\r\n%s",
             via);
    for (char *p = message; (p = strstr(p, "\r\n"));) // the stage wants them bare
        memmove(p, p + 1, strlen(p));
    sip_says(s, message);
    sip_sees(s, "SIP/2.0 482 ", NULL);
    quiet(s);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loose_and_strict_routes),
        cmocka_unit_test(notify_by_a_strict_route),
        cmocka_unit_test(routes_by_name_and_abroad),
        cmocka_unit_test(sips_is_answered_by_sips),
        cmocka_unit_test(a_2xx_to_subscribe_moves_the_target),
        cmocka_unit_test(another_answer_moves_nothing),
        cmocka_unit_test(a_2xx_to_notify_moves_the_target),
        cmocka_unit_test(what_has_passed_us_is_a_circle),
        cmocka_unit_test(our_own_request_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
