// Fetches by users nobody has heard of: each is cheap, and there may be any number of them.
#include "flows.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/state.h"

// Takes all that was said, and makes room for more.
static void drain(struct stage *s)
{
    for (size_t i = 0; i < s->stanza_tail; i++)
        free(s->stanzas[i].bytes);
    for (size_t i = 0; i < s->sip_tail; i++)
        free(s->sips[i].bytes);
    s->stanza_head = s->stanza_tail = s->sip_head = s->sip_tail = 0;
}

static void he_fetches(struct stage *s, unsigned i)
{
    char z[600];
    snprintf(z, sizeof z,
             "SUBSCRIBE sip:u%u@example.com SIP/2.0\n"
             "Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKf%u;rport\n"
             "From: <sip:romeo@example.net>;tag=t%u\nTo: <sip:u%u@example.com>\n"
             "Call-ID: f%u\nEvent: presence\nMax-Forwards: 70\nCSeq: 1 SUBSCRIBE\n"
             "Contact: <sip:romeo@127.0.0.1:5099>\nExpires: 0\n\n",
             i, i, i, i, i);
    sip_says(s, z);
}

static void she_probes(struct stage *s, unsigned i)
{
    char z[200];
    snprintf(z, sizeof z,
             "<presence from='u%u@example.com/x' to='romeo@example.net' type='probe' id='p'/>", i);
    xmpp_says(s, z);
}

static void nothing_is_left(struct stage *s)
{
    for (int i = 0; i < 2000; i++) {
        stage_pass_ms(s, 100);
        drain(s);
    }
    const struct core_stats *now = core_stats(s->core);
    assert_int_equal(now->dialogs, 0);
    assert_int_equal(now->users, 0);
    assert_int_equal(now->timers, 0);
    assert_int_equal(now->client_transactions, 0);
    assert_int_equal(now->server_transactions, 0);
}

// So that the stage's queue has room for all that is sent again at once.
static void few_in_flight(struct core_config *cfg)
{
    cfg->settings.requests_in_flight_per_peer = 1000;
}

static void so_many_sip_fetches_at_once(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(few_in_flight);
    for (unsigned i = 0; i < CORE_FETCHES_MAX; i++) {
        he_fetches(s, i);
        sip_sees(s, "SIP/2.0 200", NULL);
        drain(s);
    }
    he_fetches(s, CORE_FETCHES_MAX);
    sip_sees(s, "SIP/2.0 503", "Retry-After: ", NULL);
    quiet(s);
    she_probes(s, 1); // the same bound
    xmpp_sees(s,
              "<presence from='romeo@example.net' to='u1@example.com/x' id='p' type='error'>"
              "<error type='wait'><resource-constraint "
              "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>");
    quiet(s);
    nothing_is_left(s);
    he_fetches(s, CORE_FETCHES_MAX + 1);
    sip_sees(s, "SIP/2.0 200", NULL);
    drain(s);
    nothing_is_left(s);
    stage_close(s);
}

// Who is refused leaves no more behind than a bounded number of users that count their attempts.
static void nobody_has_room(struct core_config *cfg)
{
    cfg->settings.subscriptions_per_shard = 1;
}

static void so_many_idle_users(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(nobody_has_room);
    struct stage_dialog d;
    watch_established(s, &d);
    for (unsigned i = 0; i < CORE_IDLE_USERS_MAX + 10; i++) {
        char z[200];
        snprintf(z, sizeof z,
                 "<presence from='u%u@example.com' to='romeo@example.net' type='subscribe'/>", i);
        xmpp_says(s, z);
        const char *answer = xmpp_next(s);
        assert_non_null(answer);
        assert_non_null(strstr(answer, "resource-constraint"));
        drain(s);
    }
    assert_int_equal(core_stats(s->core)->users, CORE_IDLE_USERS_MAX + 1);
    stage_pass_s(s, 100);
    assert_int_equal(core_stats(s->core)->users, 1);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(so_many_sip_fetches_at_once),
        cmocka_unit_test(so_many_idle_users),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
