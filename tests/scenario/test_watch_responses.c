// Every final response to our SUBSCRIBE, first and refresh, and what 3xx, 204 and odd durations are
// taken for. RFC 3261 §8.1.3, §21; RFC 6665 §4.1.2; RFC 8048 §5.2.2.
#include "flows.h"

#include <stdio.h>
#include <string.h>

enum end {
    STAYS,   // the dialog stands, and the same is sent again
    LAPSES,  // the dialog is over; a new one later
    ANEW,    // a new dialog at once
    REFUSED, // the authorization is over
};

// All classes; 423, 2xx, 401, 407 and redirects have tests of their own.
static const struct {
    unsigned status;
    const char *headers;
    enum end first, refresh;
    unsigned least_s, most_s; // until it is tried again
} responses[] = {
    {300, "", LAPSES, STAYS, 29, 39},
    {305, "", LAPSES, STAYS, 29, 39},
    {380, "", LAPSES, STAYS, 29, 39},
    {400, "", LAPSES, STAYS, 29, 39},
    {402, "", LAPSES, STAYS, 29, 39},
    {403, "", REFUSED, REFUSED, 0, 0},
    {404, "", LAPSES, LAPSES, 29, 39},
    {405, "Allow: OPTIONS\n", LAPSES, LAPSES, 29, 39},
    {406, "", LAPSES, STAYS, 29, 39},
    {408, "", LAPSES, STAYS, 29, 39},
    {410, "", LAPSES, LAPSES, 29, 39},
    {413, "Retry-After: 100\n", LAPSES, STAYS, 99, 101},
    {414, "", LAPSES, STAYS, 29, 39},
    {415, "Accept: text/plain\n", LAPSES, STAYS, 29, 39},
    {416, "", LAPSES, LAPSES, 29, 39},
    {420, "Unsupported: none\n", LAPSES, STAYS, 29, 39},
    {421, "Require: gruu\n", LAPSES, STAYS, 29, 39},
    {480, "Retry-After: 200\n", LAPSES, LAPSES, 199, 201},
    {481, "", LAPSES, ANEW, 29, 39},
    {482, "", LAPSES, LAPSES, 29, 39},
    {483, "", LAPSES, LAPSES, 29, 39},
    {484, "", LAPSES, LAPSES, 29, 39},
    {485, "", LAPSES, LAPSES, 29, 39},
    {486, "Retry-After: 60 (I'm in a meeting);duration=3600\n", LAPSES, STAYS, 59, 61},
    {488, "", LAPSES, STAYS, 29, 39},
    {489, "Allow-Events: dialog\n", REFUSED, REFUSED, 0, 0},
    {491, "", LAPSES, STAYS, 29, 39},
    {493, "", LAPSES, STAYS, 29, 39},
    {499, "", LAPSES, STAYS, 29, 39}, // unknown: as x00 (RFC 3261 §8.1.3.2)
    {500, "Retry-After: 90\n", LAPSES, STAYS, 89, 91},
    {501, "", LAPSES, LAPSES, 29, 39},
    {502, "", LAPSES, STAYS, 29, 39},
    {503, "Retry-After: 120\n", LAPSES, STAYS, 119, 121},
    {504, "", LAPSES, STAYS, 29, 39},
    {505, "", LAPSES, STAYS, 29, 39},
    {513, "", LAPSES, STAYS, 29, 39},
    {580, "", LAPSES, STAYS, 29, 39},
    {600, "Retry-After: 45\n", LAPSES, STAYS, 44, 46},
    {603, "Retry-After: 45\n", REFUSED, REFUSED, 0, 0},
    {604, "", LAPSES, LAPSES, 29, 39},
    {606, "", LAPSES, STAYS, 29, 39},
    {699, "", LAPSES, STAYS, 29, 39},
};
enum { RESPONSES = sizeof responses / sizeof *responses };

// juliet          gateway              romeo's server
//   |  subscribe    |  SUBSCRIBE           |
//   |-------------->|--------------------->|
//   | unsubscribed? |  final response      |
//   |<--------------|<---------------------|
//   |               |     … later …        |
//   |               |  SUBSCRIBE, new?     |
//   |               |--------------------->|
static void to_the_first(void **state)
{
    (void)state;
    for (size_t i = 0; i < RESPONSES; i++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        said_subscribe(s, &d);
        sip_answers(s, responses[i].status, responses[i].headers);
        if (responses[i].first == REFUSED) {
            xmpp_sees(s, UNSUBSCRIBED);
            all_is_over(s, 8000);
        } else {
            quiet(s);
            assert_int_equal(core_stats(s->core)->dialogs, 0);
            assert_int_equal(watch_state(s), STATE_PENDING);
            assert_in_range(seconds_until_tried_again(s, 5000), responses[i].least_s,
                            responses[i].most_s);
            sip_lacks(s, d.call_id);
        }
        stage_close(s);
    }
}

//   |               |  SUBSCRIBE (refresh) |
//   |               |--------------------->|
//   |  unavailable? |  final response      |
//   |<--------------|<---------------------|
static void to_a_refresh(void **state)
{
    (void)state;
    for (size_t i = 0; i < RESPONSES; i++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        watch_established(s, &d);
        sip_notifies(s, &d, "active;expires=400", PIDF_AWAY); // so that it is sooner
        sip_sees(s, "SIP/2.0 200", NULL);
        refresh_leaves(s);
        sip_answers(s, responses[i].status, responses[i].headers);
        if (responses[i].refresh == LAPSES || responses[i].refresh == REFUSED)
            xmpp_sees(s, ROMEO_GONE);
        if (responses[i].refresh == ANEW)
            sip_sees(s, "SUBSCRIBE sip:romeo@example.net", "CSeq: 1 ", NULL);
        if (responses[i].refresh == REFUSED) {
            xmpp_sees(s, UNSUBSCRIBED);
            all_is_over(s, 8000);
        } else if (responses[i].refresh != ANEW) {
            quiet(s);
            stage_pass_until_said(s, 5000);
            bool gone = is_next(s, ROMEO_GONE); // Retry-After was longer than what is left of it
            if (gone) {
                xmpp_sees(s, ROMEO_GONE);
                stage_pass_until_said(s, 5000);
            }
            if (is_next(s, "type='probe'"))
                probe_is_answered(s);
            bool same = responses[i].refresh == STAYS && !gone;
            sip_sees(s, "SUBSCRIBE", same ? ";tag=ffd2" : "CSeq: 1 ", NULL);
        }
        stage_close(s);
    }
}

// Not before `least_s`, nor later than `most_s`.
static void is_tried_again(struct stage *s, unsigned least_s, unsigned most_s)
{
    stage_pass_s(s, least_s);
    quiet(s);
    assert_in_range(seconds_until_tried_again(s, most_s), 0, most_s - least_s);
}

// A Retry-After of years is no reason to be silent for years: CORE_RETRY_AFTER_MAX_S.
static void retry_after_has_a_limit(void **state)
{
    (void)state;
    static const struct {
        const char *headers;
        unsigned least_s, most_s;
    } cases[] = {
        {"Retry-After: 86400\n", 86399, 86401},
        {"Retry-After: 86401\n", 86399, 86401},
        {"Retry-After: 4294967294\n", 86399, 86401},
        {"Retry-After: 99999999999999999999\n", 86399, 86401}, // whatever the reader makes of it
        {"Retry-After: tomorrow\n", 29, 39},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        said_subscribe(s, &d);
        sip_answers(s, 503, cases[i].headers);
        is_tried_again(s, cases[i].least_s, cases[i].most_s);
        stage_close(s);
    }
}

// ---- Redirects: RFC 3261 §8.1.3.4

//   |               |  SUBSCRIBE romeo@example.net     |
//   |               |--------------------------------->|
//   |               |  302, Contact: romeo@fallback    |
//   |               |<---------------------------------|
//   |               |  SUBSCRIBE romeo@fallback        |   (by the proxy, as all requests)
//   |               |--------------------------------->|
static void a_redirect_is_followed(void **state)
{
    (void)state;
    static const unsigned statuses[] = {300, 301, 302, 305, 380, 399};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        said_subscribe(s, &d);
        sip_answers(s, statuses[i], "Contact: <sip:romeo@fallback.example.org>;q=0.7\n");
        sip_sees(s, "SUBSCRIBE sip:romeo@fallback.example.org SIP/2.0", "CSeq: 2 SUBSCRIBE",
                 "Expires: 3600", "To: <sip:romeo@example.net>\r\n", d.call_id, d.our_tag, NULL);
        assert_int_equal(s->sips[s->sip_head - 1].to.port, 5070);
        sip_answers(s, 200, "Expires: 3600\n");
        approves(s, &d);
        xmpp_sees(s, SUBSCRIBED);
        xmpp_sees(s, ROMEO_AWAY);
        refresh_leaves(s); // in the dialog that the NOTIFY made
        stage_close(s);
    }
}

static void not_every_contact_is_asked(void **state)
{
    (void)state;
    static const char *const contacts[] = {
        "",
        "Contact: *\n",
        "Contact: <mailto:romeo@example.net>\n",
        "Contact: <tel:+1-212-555-1234>\n",
    };
    for (size_t i = 0; i < sizeof contacts / sizeof *contacts; i++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        said_subscribe(s, &d);
        sip_answers(s, 302, contacts[i]);
        quiet(s);
        assert_in_range(seconds_until_tried_again(s, 100), 29, 39);
        stage_close(s);
    }
}

// The URI without what else it would have a request say (§19.1.1): that is not for him to choose.
static void a_contact_with_header_fields(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    said_subscribe(s, &d);
    sip_answers(s, 302, "Contact: <sip:romeo@example.org?Subject=hello>\n");
    sip_sees(s, "SUBSCRIBE sip:romeo@example.org SIP/2.0", NULL);
    sip_lacks(s, "hello");
    stage_close(s);
}

// Two that name each other, and one that always has another name: an end after
// WATCH_REDIRECTS_MAX.
static void redirects_end(void **state)
{
    (void)state;
    static const char *const names[2][5] = {{"a", "b", "a", "b", "a"}, {"a", "b", "c", "d", "e"}};
    for (int k = 0; k < 2; k++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        said_subscribe(s, &d);
        for (int i = 0; i < 3; i++) {
            char contact[64], ruri[64];
            snprintf(contact, sizeof contact, "Contact: <sip:%s@example.org>\n", names[k][i]);
            snprintf(ruri, sizeof ruri, "SUBSCRIBE sip:%s@example.org ", names[k][i]);
            sip_answers(s, 302, contact);
            sip_sees(s, ruri, NULL);
        }
        sip_answers(s, 302, "Contact: <sip:f@example.org>\n");
        quiet(s);
        assert_in_range(seconds_until_tried_again(s, 100), 29, 39);
        assert_true(text_eq(stage_sip(s, s->sip->ruri), TEXT("sip:romeo@example.net")));
        stage_close(s);
    }
    struct stage *s = stage_open();
    struct stage_dialog d;
    said_subscribe(s, &d);
    sip_answers(s, 302, "Contact: <sip:a@example.org>\n");
    sip_sees(s, "SUBSCRIBE sip:a@example.org", NULL);
    sip_answers(s, 302, "Contact: <sip:a@example.org>\n"); // itself
    quiet(s);
    stage_close(s);
}

static void no_proxy(struct core_config *cfg)
{
    memset(&cfg->proxy, 0, sizeof cfg->proxy);
}

// Without a proxy a Contact could aim our packets at anybody: they go to none but whom we take SIP
// from ([trust] sip_sources).
static void a_redirect_aims_at_nobody_else(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(no_proxy);
    xmpp_says(s, JULIET_SUBSCRIBES);
    net_is_asked(s, "sip:example.net");
    net_answers(s, "sip:example.net", 3600, "udp:127.0.0.1:5070", NULL);
    sip_sees(s, "SUBSCRIBE sip:romeo@example.net", NULL);
    sip_answers(s, 302, "Contact: <sip:victim@192.0.2.1>\n");
    quiet(s);
    assert_in_range(seconds_until_tried_again(s, 100), 29, 39);
    sip_answers(s, 302, "Contact: <sip:romeo@127.0.0.9:5090>\n"); // who is trusted
    sip_sees(s, "SUBSCRIBE sip:romeo@127.0.0.9:5090 SIP/2.0", NULL);
    sip_went_to(s, "udp:127.0.0.9:5090");
    stage_close(s);
}

// ---- 2xx

// 204 says that no NOTIFY is to come: Timer N ends with it (RFC 6665 §4.1.2.2).
static void no_notification(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    refresh_leaves(s);
    sip_answers(s, 204, "Expires: 3600\n");
    stage_pass_s(s, 100);
    quiet(s);
    assert_int_equal(watch_state(s), STATE_ACTIVE);
    refresh_leaves(s); // the same dialog
    stage_close(s);
}

// Without Expires it is what was asked; more than was asked is not granted (RFC 6665 §4.2.1.1).
static void durations_of_the_200(void **state)
{
    (void)state;
    static const struct {
        const char *headers;
        unsigned least_s, most_s;
    } cases[] = {
        {"", 3600 - 42 - 361, 3600 - 41},
        {"Expires: 7200\n", 3600 - 42 - 361, 3600 - 41},
        {"Expires: 4294967295\n", 3600 - 42 - 361, 3600 - 41},
        {"Expires: 600\n", 490, 559},
        {"Expires: 0\n", 4, 6}, // CORE_REFRESH_FLOOR_MS
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        said_subscribe(s, &d);
        sip_answers(s, 200, cases[i].headers);
        sip_notifies(s, &d, "active", PIDF_AWAY);
        sip_sees(s, "SIP/2.0 200", NULL);
        xmpp_sees(s, SUBSCRIBED);
        xmpp_sees(s, ROMEO_AWAY);
        uint64_t before_ms = s->now_ms;
        refresh_leaves(s);
        assert_in_range((s->now_ms - before_ms) / 1000, cases[i].least_s, cases[i].most_s);
        stage_close(s);
    }
}

// A NOTIFY has the last word, up to [subscription] max_expires_s.
static void a_notify_longer_than_granted(void **state)
{
    (void)state;
    static const struct {
        const char *substate;
        unsigned least_s, most_s;
    } cases[] = {
        {"active;expires=5000", 5000 - 42 - 501, 5000 - 41},
        {"active;expires=7201", 7200 - 42 - 721, 7200 - 41},
        {"active;expires=4294967295", 7200 - 42 - 721, 7200 - 41},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        said_subscribe(s, &d);
        sip_answers(s, 200, "Expires: 3600\n");
        sip_notifies(s, &d, cases[i].substate, PIDF_AWAY);
        sip_sees(s, "SIP/2.0 200", NULL);
        xmpp_sees(s, SUBSCRIBED);
        xmpp_sees(s, ROMEO_AWAY);
        uint64_t before_ms = s->now_ms;
        stage_pass_until_said(s, 8000);
        probe_is_answered(s);
        sip_sees(s, "SUBSCRIBE", ";tag=ffd2", NULL);
        assert_in_range((s->now_ms - before_ms) / 1000, cases[i].least_s, cases[i].most_s);
        stage_close(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(to_the_first),
        cmocka_unit_test(to_a_refresh),
        cmocka_unit_test(retry_after_has_a_limit),
        cmocka_unit_test(a_redirect_is_followed),
        cmocka_unit_test(not_every_contact_is_asked),
        cmocka_unit_test(a_contact_with_header_fields),
        cmocka_unit_test(redirects_end),
        cmocka_unit_test(a_redirect_aims_at_nobody_else),
        cmocka_unit_test(no_notification),
        cmocka_unit_test(durations_of_the_200),
        cmocka_unit_test(a_notify_longer_than_granted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
