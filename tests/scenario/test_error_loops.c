// Nothing that the gateway says can come back to it and make it speak again: every kind and type of
// stanza from everybody to everybody, and for each at most one answer, none to an error, a result
// or a notification (RFC 6120 §8.3.1, RFC 6121 §8).
#include "flows.h"

#include <stdio.h>
#include <string.h>

#define COUNT(v) (sizeof(v) / sizeof *(v))

static const char *const FROM[] = {
    "juliet@example.com", "juliet@example.com/balcony", "nobody@example.com", "example.com",
    "example.com/x",      "tybalt@capulet.example/x",   "capulet.example",
};
static const char *const TO[] = {
    "romeo@example.net",
    "romeo@example.net/orchard",
    "nobody@example.net",
    "nobody@example.net/x",
    "example.net",
    "example.net/x",
    "gw.example.net",
    "gw.example.net/x",
    "x@gw.example.net",
    "@example.net",
    "ro meo@example.net",
    "romeo@elsewhere.example",
    "romeo@example.net/\x7f",
};
static const struct {
    const char *kind, *type; // NULL: no type
    bool asks;               // may be answered
} SAID[] = {
    {"presence", NULL, false},
    {"presence", "unavailable", false},
    {"presence", "subscribed", false},
    {"presence", "unsubscribed", false},
    {"presence", "error", false},
    {"presence", "probe", true},
    {"presence", "unsubscribe", true},
    {"presence", "get", true},
    {"presence", "nonsense", true},
    {"message", NULL, true},
    {"message", "chat", true},
    {"message", "headline", true},
    {"message", "nonsense", true},
    {"message", "error", false},
    {"iq", "get", true},
    {"iq", "set", true},
    {"iq", "result", false},
    {"iq", "error", false},
    {"iq", "nonsense", true},
    {"iq", NULL, true},
};
static const char ERROR_INSIDE[] =
    "<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
static const char *const INSIDE[] = {
    "",
    ERROR_INSIDE,
    "<query xmlns='http://jabber.org/protocol/disco#info'/>",
    "<vCard xmlns='vcard-temp'/>",
    "<query xmlns='jabber:iq:last'/>",
    "<event xmlns='http://jabber.org/protocol/pubsub#event'>"
    "<items node='http://jabber.org/protocol/mood'/></event>",
};

// No stanza that somebody has to answer.
static bool is_final(const char *stanza)
{
    const char *end = strchr(stanza, '>');
    static const char *const FINAL[] = {" type='error'", " type='result'", " type='unavailable'",
                                        " type='unsubscribed'"};
    for (size_t i = 0; i < COUNT(FINAL); i++) {
        const char *at = strstr(stanza, FINAL[i]);
        if (at && at < end)
            return true;
    }
    return false;
}

// At most one stanza, of a kind that wants no answer; none at all to what does not ask.
static unsigned one_answer_at_most(struct stage *s, const char *said, bool asks)
{
    unsigned n = 0;
    xmpp_says(s, said);
    for (const char *answer; (answer = xmpp_next(s)) != NULL; n++)
        if (!asks || n || !is_final(answer))
            fail_msg("%s\nis answered\n%s", said, answer);
    while (sip_next(s)) // to the SIP side a probe is a question, which is no loop
        ;
    return n;
}

// Everything that anybody may say to `to`.
static unsigned say_all(const char *to, unsigned *answers)
{
    char said[1024], type[64];
    unsigned n = 0;
    struct stage *s = stage_open();
    for (; n < COUNT(FROM) * COUNT(SAID) * COUNT(INSIDE); n++) {
        const char *inside = INSIDE[n % COUNT(INSIDE)];
        size_t what = n / COUNT(INSIDE) % COUNT(SAID);
        snprintf(type, sizeof type, SAID[what].type ? " type='%s'" : "%s",
                 SAID[what].type ? SAID[what].type : "");
        snprintf(said, sizeof said, "<%s%s id='x%u' from='%s' to='%s'>%s</%s>", SAID[what].kind,
                 type, n, FROM[n / COUNT(INSIDE) / COUNT(SAID)], to, inside, SAID[what].kind);
        *answers += one_answer_at_most(s, said, SAID[what].asks);
    }
    stage_close(s);
    return n;
}

static void strangers_cause_no_loop(void **state)
{
    (void)state;
    unsigned n = 0, answers = 0;
    for (size_t i = 0; i < COUNT(TO); i++)
        n += say_all(TO[i], &answers);
    print_message("    %u stanzas, %u answers\n", n, answers);
    assert_true(n > 10000 && answers > n / 10);
}

static void errors_are_never_answered(struct stage *s)
{
    static const char *const CONDITIONS[] = {
        "bad-request",
        "conflict",
        "feature-not-implemented",
        "forbidden",
        "gone",
        "internal-server-error",
        "item-not-found",
        "jid-malformed",
        "not-acceptable",
        "not-allowed",
        "not-authorized",
        "policy-violation",
        "redirect",
        "recipient-unavailable",
        "registration-required",
        "remote-server-not-found",
        "remote-server-timeout",
        "resource-constraint",
        "service-unavailable",
        "subscription-required",
        "undefined-condition",
        "unexpected-request",
    };
    static const char *const KINDS[] = {"presence", "message", "iq"};
    for (size_t i = 0; i < COUNT(KINDS) * COUNT(CONDITIONS) * COUNT(FROM) * COUNT(TO); i++) {
        char said[1024];
        const char *kind = KINDS[i % COUNT(KINDS)];
        size_t k = i / COUNT(KINDS);
        snprintf(said, sizeof said,
                 "<%s type='error' id='e' from='%s' to='%s'><error type='cancel'><%s "
                 "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></%s>",
                 kind, FROM[k / COUNT(CONDITIONS) % COUNT(FROM)],
                 TO[k / COUNT(CONDITIONS) / COUNT(FROM)], CONDITIONS[k % COUNT(CONDITIONS)], kind);
        xmpp_says(s, said);
        const char *answer = xmpp_next(s);
        if (answer)
            fail_msg("%s\nis answered\n%s", said, answer);
    }
}

static void errors_to_watchers_are_never_answered(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    errors_are_never_answered(s);
    stage_close(s);
}

static void errors_to_watched_are_never_answered(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    errors_are_never_answered(s);
    stage_close(s);
}

// Before she has decided an error may end the request; even then nothing is said to her.
static void errors_to_who_asks_are_never_answered(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_begun(s, &d);
    errors_are_never_answered(s);
    stage_close(s);
}

// Each of our own stanzas back as an error: that is what a server does with what it can't deliver.
static void what_bounces_stays_there(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    char said[64][1024];
    size_t n = 0;
    xmpp_says(s, JULIET_SUBSCRIBES);
    sip_sees(s, "SUBSCRIBE", NULL);
    sip_dialog_of_subscribe(s, &d, "ffd2");
    sip_answers(s, 200, "Expires: 3600\n");
    sip_notifies(
        s, &d, "active;expires=3600",
        PIDF(TUPLE(
            "ID-a",
            OPEN(
                "away")) "<dm:person xmlns:dm='urn:ietf:params:xml:ns:pidf:data-model' id='p'>"
                         "<mood xmlns='urn:ietf:params:xml:ns:pidf:rpid'><happy/></mood></dm:person>"));
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_says(s, ROMEO_SUBSCRIBES);
    while (sip_next(s))
        ;
    for (const char *m; (m = xmpp_next(s)) != NULL; n++) {
        char kind[16], from[128], to[128];
        assert_true(n < COUNT(said));
        assert_int_equal(sscanf(m, "<%15[a-z]", kind), 1);
        assert_int_equal(sscanf(strstr(m, " from='"), " from='%127[^']", from), 1);
        assert_int_equal(sscanf(strstr(m, " to='"), " to='%127[^']", to), 1);
        snprintf(said[n], sizeof said[n],
                 "<%s type='error' from='%s' to='%s' id='serve-fence'>%s%s</%s>", kind, to, from,
                 strstr(m, "<event") ? "<event xmlns='http://jabber.org/protocol/pubsub#event'>"
                                       "<items node='http://jabber.org/protocol/mood'/></event>"
                                     : "",
                 "<error type='wait'><resource-constraint "
                 "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>",
                 kind);
    }
    assert_true(n >= 6); // subscribed, presence, mood, probe, fence, subscribe
    for (size_t i = 0; i < n; i++) {
        xmpp_says(s, said[i]);
        quiet(s);
    }
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strangers_cause_no_loop),
        cmocka_unit_test(errors_to_watchers_are_never_answered),
        cmocka_unit_test(errors_to_watched_are_never_answered),
        cmocka_unit_test(errors_to_who_asks_are_never_answered),
        cmocka_unit_test(what_bounces_stays_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
