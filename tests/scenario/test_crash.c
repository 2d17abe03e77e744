// Death between any two commits: each journey is gone once for every record that it writes, with a
// kill -9 just before that commit and just behind it, and must come to the same end.
//
//   juliet's server ◀──▶ gateway ◀──▶ romeo's server and device
//                          │ ✝ (before or behind the n-th commit)
//                          ▼
//                        store
//
// The peers here do what real ones do: they answer, repeat what is not answered, and check that no
// CSeq ever goes back.
#include "flows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PEERS_MAX = 16 };

// One dialog as the SIP side sees it.
struct peer {
    char call_id[128], our_tag[64], contact[128], branch[64];
    uint32_t cseq_seen; // of the gateway's requests
    uint32_t cseq;      // of its own
    bool alive;
    char waiting[4096]; // a request of its own that is not answered yet
};

struct world {
    struct stage *s;
    // romeo's presence server
    struct peer watched[PEERS_MAX];
    size_t n_watched;
    const char *document;
    // romeo's device
    struct peer device;
    char substate[32]; // what the last NOTIFY said
    char shown[16];
    unsigned device_status; // of the last answer
    // juliet and her server
    bool approves, approved, rejects;
    const char *show;
    bool subscribed;
    char sees[16]; // of romeo
};

static void copy(char *to, size_t size, struct text t)
{
    assert_true(t.n < size);
    if (t.n)
        memcpy(to, t.p, t.n);
    to[t.n] = 0;
}

// ---- The SIP side

static void checks_cseq(struct peer *p, const struct sip_message *m)
{
    char branch[64];
    copy(branch, sizeof branch, sip_text(m, m->branch));
    if (strcmp(branch, p->branch) == 0)
        return; // sent again
    if (m->cseq <= p->cseq_seen)
        fail_msg("CSeq %u after %u", m->cseq, p->cseq_seen);
    p->cseq_seen = m->cseq;
    memcpy(p->branch, branch, sizeof branch);
}

static void server_notifies(struct world *w, struct peer *p)
{
    char headers[256];
    snprintf(headers, sizeof headers,
             "Subscription-State: %s\nContact: <sip:presence@127.0.0.1:5070>\n",
             p->alive ? "active;expires=3600" : "terminated;reason=timeout");
    p->cseq++;
    snprintf(p->waiting, sizeof p->waiting,
             "NOTIFY %s SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK%u%s\n"
             "Max-Forwards: 70\nFrom: <sip:romeo@example.net>;tag=%.8s\n"
             "To: <sip:juliet@example.com>;tag=%s\nCall-ID: %s\nCSeq: %u NOTIFY\n"
             "Event: presence\n%sContent-Type: application/pidf+xml\n\n%s",
             p->contact, p->cseq, p->call_id, p->call_id, p->our_tag, p->call_id, p->cseq, headers,
             w->document);
}

static struct peer *watched(struct world *w, const struct sip_message *m)
{
    char call_id[128];
    copy(call_id, sizeof call_id, sip_text(m, m->call_id));
    for (size_t i = 0; i < w->n_watched; i++)
        if (strcmp(w->watched[i].call_id, call_id) == 0)
            return &w->watched[i];
    if (m->status || m->to_tag.n)
        return NULL;
    assert_true(w->n_watched < PEERS_MAX);
    struct peer *p = &w->watched[w->n_watched++];
    *p = (struct peer){.alive = true};
    memcpy(p->call_id, call_id, sizeof call_id);
    copy(p->our_tag, sizeof p->our_tag, sip_text(m, m->from_tag));
    copy(p->contact, sizeof p->contact, sip_text(m, m->contact));
    return p;
}

static void server_takes_subscribe(struct world *w, const struct sip_message *m)
{
    char expires[64];
    struct peer *p = watched(w, m);
    if (!p || !p->alive) {
        sip_answers_to(w->s, m, 481, "");
        return;
    }
    checks_cseq(p, m);
    p->alive = m->expires > 0;
    server_notifies(w, p);
    snprintf(expires, sizeof expires, "Expires: %u\n", m->expires);
    sip_answers_to(w->s, m, 200, expires);
}

static void device_takes_notify(struct world *w, const struct sip_message *m)
{
    static const char *const words[] = {"away", "dnd", "closed"};
    struct text body = sip_text(m, m->body);
    checks_cseq(&w->device, m);
    snprintf(w->substate, sizeof w->substate, "%s",
             m->substate == SUBSTATE_ACTIVE    ? "active"
             : m->substate == SUBSTATE_PENDING ? "pending"
             : m->reason == REASON_REJECTED    ? "rejected"
                                               : "terminated");
    for (size_t i = 0; i < 3; i++)
        if (body.n && memmem(body.p, body.n, words[i], strlen(words[i])))
            snprintf(w->shown, sizeof w->shown, "%s", words[i]);
    sip_answers_to(w->s, m, 200, "");
}

static void takes_response(struct world *w, const struct sip_message *m)
{
    struct peer *p = m->method == SIP_SUBSCRIBE ? &w->device : watched(w, m);
    assert_non_null(p);
    p->waiting[0] = 0;
    if (m->method == SIP_NOTIFY) {
        p->alive = p->alive && m->status != 481;
        return;
    }
    w->device_status = m->status;
    if (m->status == 200) {
        copy(p->our_tag, sizeof p->our_tag, sip_text(m, m->to_tag));
        copy(p->contact, sizeof p->contact, sip_text(m, m->contact));
    }
}

static void device_subscribes(struct world *w, unsigned expires_s)
{
    struct peer *p = &w->device;
    bool begun = p->our_tag[0] != 0;
    p->cseq++;
    w->device_status = 0;
    snprintf(p->waiting, sizeof p->waiting,
             "SUBSCRIBE %s SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKd%u\n"
             "Max-Forwards: 70\nFrom: <sip:romeo@example.net>;tag=device\n"
             "To: <sip:juliet@example.com>%s%s\nCall-ID: device\nCSeq: %u SUBSCRIBE\n"
             "Contact: <sip:romeo@127.0.0.1:5099>\nEvent: presence\nExpires: %u\n\n",
             begun ? p->contact : "sip:juliet@example.com", p->cseq, begun ? ";tag=" : "",
             p->our_tag, p->cseq, expires_s);
}

// ---- The XMPP side

static void juliet_shows(struct world *w, const char *to)
{
    char stanza[256];
    snprintf(stanza, sizeof stanza,
             "<presence from='juliet@example.com/balcony' to='%s'><show>%s</show></presence>", to,
             w->show);
    xmpp_says(w->s, stanza);
}

static void answers_iq(struct world *w, const char *stanza)
{
    char from[64], id[64], reply[512];
    assert_int_equal(sscanf(strstr(stanza, "from='"), "from='%63[^']", from), 1);
    assert_int_equal(sscanf(strstr(stanza, "id='"), "id='%63[^']", id), 1);
    snprintf(reply, sizeof reply,
             "<iq type='error' from='juliet@example.com' to='%s' id='%s'><error type='cancel'>"
             "<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
             from, id);
    xmpp_says(w->s, reply);
}

static void takes_ask(struct world *w)
{
    w->approved = w->approved || w->approves;
    if (w->rejects)
        xmpp_says(w->s, JULIET_REJECTS);
    if (!w->approved)
        return;
    xmpp_says(w->s, JULIET_APPROVES);
    juliet_shows(w, "romeo@example.net");
}

static void takes_stanza(struct world *w, const char *stanza)
{
    bool of_romeo = strstr(stanza, "from='romeo@example.net") != NULL;
    if (strstr(stanza, "<iq type='get'")) {
        answers_iq(w, stanza);
    } else if (strstr(stanza, "type='probe'")) {
        if (!of_romeo || w->approved)
            juliet_shows(w, of_romeo ? "romeo@example.net" : "gw.example.net");
    } else if (strstr(stanza, "type='subscribe'")) {
        takes_ask(w);
    } else if (strstr(stanza, "type='subscribed'")) {
        w->subscribed = true;
    } else if (strstr(stanza, "type='unsubscribed'")) {
        w->subscribed = false;
    } else if (strstr(stanza, "type='unavailable'")) {
        snprintf(w->sees, sizeof w->sees, "gone");
    } else {
        assert_int_equal(sscanf(strstr(stanza, "<show>"), "<show>%15[^<]", w->sees), 1);
    }
}

// ---- Time

static void takes_all(struct world *w)
{
    const struct sip_message *m;
    const char *stanza;
    bool any = true;
    while (any) {
        any = false;
        while ((stanza = xmpp_next(w->s)) && (any = true))
            takes_stanza(w, stanza);
        while ((m = sip_next(w->s)) && (any = true)) {
            char *block = malloc(m->size);
            assert_non_null(block);
            memcpy(block, m, m->size);
            m = (const struct sip_message *)block;
            if (m->status)
                takes_response(w, m);
            else if (m->method == SIP_SUBSCRIBE)
                server_takes_subscribe(w, m);
            else
                device_takes_notify(w, m);
            free(block);
        }
    }
}

static void repeats(struct world *w)
{
    char message[4096];
    for (size_t i = 0; i <= w->n_watched; i++) {
        struct peer *p = i < w->n_watched ? &w->watched[i] : &w->device;
        if (!p->waiting[0])
            continue;
        memcpy(message, p->waiting, sizeof message);
        sip_says(w->s, message);
        takes_all(w);
    }
}

// The queues of the stage are long, but not without end.
static void forgets_the_past(struct stage *s)
{
    if (s->stanza_head != s->stanza_tail || s->sip_head != s->sip_tail)
        return;
    for (size_t i = 0; i < s->stanza_tail; i++)
        free(s->stanzas[i].bytes);
    for (size_t i = 0; i < s->sip_tail; i++)
        free(s->sips[i].bytes);
    s->stanza_head = s->stanza_tail = s->sip_head = s->sip_tail = 0;
}

static void lives_s(struct world *w, unsigned seconds)
{
    uint64_t end_ms = w->s->now_ms + seconds * UINT64_C(1000);
    while (w->s->now_ms < end_ms) {
        takes_all(w);
        repeats(w);
        stage_pass_ms(w->s, 500);
        if (w->s->died) { // a life that has just begun
            w->s->died = false;
            stage_pass_ms(w->s, 1500);
            stage_streams_up(w->s);
        }
        takes_all(w);
        forgets_the_past(w->s);
    }
}

// ---- Journeys

static void juliet_says_until(struct world *w, const char *stanza, bool subscribed)
{
    for (int i = 0; i < 3 && (i == 0 || w->subscribed != subscribed); i++) {
        xmpp_says(w->s, stanza); // her server says it again with her next login
        lives_s(w, 120);
    }
    assert_int_equal(w->subscribed, subscribed);
}

static void watch_journey(struct world *w)
{
    w->show = "away";
    w->document = PIDF_AWAY;
    juliet_says_until(w, JULIET_SUBSCRIBES, true);
    assert_string_equal(w->sees, "away");
    w->document = PIDF(TUPLE("ID-dr4hcr0st3lup4c", OPEN("dnd")));
    for (size_t i = 0; i < w->n_watched; i++)
        if (w->watched[i].alive)
            server_notifies(w, &w->watched[i]);
    lives_s(w, 120);
    assert_string_equal(w->sees, "dnd");
    lives_s(w, 3600); // refreshes
    assert_string_equal(w->sees, "dnd");
    assert_true(w->subscribed);
    assert_int_equal(core_stats(w->s->core)->by_state[XMPP_TO_SIP][STATE_ACTIVE], 1);
    juliet_says_until(w, JULIET_UNSUBSCRIBES, false);
    for (size_t i = 0; i < w->n_watched; i++) // what a death left behind ends when it speaks
        if (w->watched[i].alive)
            server_notifies(w, &w->watched[i]);
    lives_s(w, 120);
    for (size_t i = 0; i < w->n_watched; i++)
        assert_false(w->watched[i].alive);
}

static void serve_begins(struct world *w)
{
    w->show = "away";
    device_subscribes(w, 3600);
    lives_s(w, 60);
    assert_int_equal(w->device_status, 200);
}

// The last NOTIFY may have died with the process, behind the commit: then the device, which knows
// its own expiry, is told by a 481.
static void device_is_done(struct world *w)
{
    if (strcmp(w->substate, "terminated") != 0) {
        device_subscribes(w, 600);
        lives_s(w, 60);
        assert_int_equal(w->device_status, 481);
    }
    assert_int_equal(core_stats(w->s->core)->by_state[SIP_TO_XMPP][STATE_DORMANT], 1);
    assert_int_equal(w->s->n_records, 1); // the authorization stays
    assert_int_equal(core_stats(w->s->core)->dialogs, 0);
}

static void serve_journey(struct world *w)
{
    w->approves = true;
    serve_begins(w);
    assert_string_equal(w->substate, "active");
    assert_string_equal(w->shown, "away");
    w->show = "dnd";
    juliet_shows(w, "romeo@example.net");
    lives_s(w, 60);
    assert_string_equal(w->shown, "dnd");
    device_subscribes(w, 1800);
    lives_s(w, 60);
    assert_int_equal(w->device_status, 200); // what it was told of is never lost
    assert_string_equal(w->substate, "active");
    device_subscribes(w, 0);
    lives_s(w, 120);
    device_is_done(w);
}

// The device's dialog runs out, the process dying on the way.
static void expiry_journey(struct world *w)
{
    w->approves = true;
    serve_begins(w);
    lives_s(w, 3700);
    device_is_done(w);
}

static void rejection_journey(struct world *w)
{
    serve_begins(w);
    w->rejects = true;
    xmpp_says(w->s, JULIET_REJECTS);
    lives_s(w, 120);
    if (w->s->n_records) { // her word was lost with the process: she is asked again
        device_subscribes(w, 3600);
        lives_s(w, 120);
    }
    assert_int_equal(w->s->n_records, 0);
    if (strcmp(w->substate, "rejected") != 0) { // the last NOTIFY was lost: he finds out
        device_subscribes(w, 3600);
        lives_s(w, 120);
        assert_int_equal(w->device_status, 481);
    }
}

// Both at once: they share a user, and neither disturbs the other.
static void both_journeys(struct world *w)
{
    w->approves = true;
    w->document = PIDF_AWAY;
    serve_begins(w);
    juliet_says_until(w, JULIET_SUBSCRIBES, true);
    lives_s(w, 120);
    assert_string_equal(w->substate, "active");
    assert_string_equal(w->shown, "away");
    assert_string_equal(w->sees, "away");
    juliet_says_until(w, JULIET_UNSUBSCRIBES, false);
    assert_string_equal(w->substate, "active");
    device_subscribes(w, 0);
    lives_s(w, 120);
    device_is_done(w);
}

// Dies at the n-th commit; false: the journey has fewer.
static bool goes_and_dies_at(void (*journey)(struct world *), unsigned n, bool committed)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->s = stage_open();
    w->s->die_in = n;
    w->s->die_committed = committed;
    journey(w);
    bool died = w->s->die_in == 0;
    stage_close(w->s);
    free(w);
    return died;
}

static void at_every_commit(void (*journey)(struct world *), unsigned least)
{
    unsigned n = 1;
    for (; goes_and_dies_at(journey, n, false); n++)
        if (!goes_and_dies_at(journey, n, true))
            fail_msg("commit %u comes only without a death", n);
    print_message("    %u commits, each died at twice\n", n - 1);
    assert_true(n > least);
}

static void watching(void **state)
{
    (void)state;
    at_every_commit(watch_journey, 4);
}

static void serving(void **state)
{
    (void)state;
    at_every_commit(serve_journey, 4);
}

static void expiring(void **state)
{
    (void)state;
    at_every_commit(expiry_journey, 3);
}

static void rejecting(void **state)
{
    (void)state;
    at_every_commit(rejection_journey, 2);
}

static void both(void **state)
{
    (void)state;
    at_every_commit(both_journeys, 6);
}

// A hundred deaths in a row, some minutes of life between: CSeq numbers only grow, and the
// authorization outlives them all.
static void a_hundred_deaths(void **state)
{
    (void)state;
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->s = stage_open();
    w->approves = true;
    w->document = PIDF_AWAY;
    serve_begins(w);
    juliet_says_until(w, JULIET_SUBSCRIBES, true);
    for (int i = 0; i < 100; i++) {
        stage_crash(w->s);
        stage_streams_up(w->s);
        device_subscribes(w, 7200);
        lives_s(w, 360);
        assert_int_equal(w->device_status, 200);
        assert_string_equal(w->substate, "active");
        assert_string_equal(w->sees, "away");
    }
    assert_int_equal(w->n_watched, 1); // always the same dialog
    assert_int_equal(w->s->n_records, 2);
    stage_close(w->s);
    free(w);
}

// ---- The wall clock was set back while no process ran

static void restarts_two_hours_earlier(struct stage *s)
{
    s->now_ms -= 2 * 3600 * 1000;
    stage_crash(s);
    stage_streams_up(s);
}

// juliet          gateway                romeo's server
//                  |  ✝ 2 h back              |
//                  |  (probe,) SUBSCRIBE      |   not when the stored time has come
//                  |------------------------->|
static void a_watch_is_refreshed_at_once(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    restarts_two_hours_earlier(s);
    stage_pass_until_said(s, 120);
    const char *id = xmpp_sees_probe(s, "juliet@example.com");
    xmpp_answers_fence(s, "juliet@example.com", id);
    sip_sees(s, "SUBSCRIBE", "Expires: 3600", d.call_id, NULL);
    stage_close(s);
}

// romeo's device vanishes: its dialog ends when what it was granted is over, and no hour later.
static void a_device_has_no_more_than_it_was_granted(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    restarts_two_hours_earlier(s);
    stage_pass_s(s, 120);
    stage_forget(s);
    assert_int_equal(core_stats(s->core)->dialogs, 1);
    stage_pass_s(s, 3600);
    assert_int_equal(core_stats(s->core)->dialogs, 0);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(watching),
        cmocka_unit_test(serving),
        cmocka_unit_test(expiring),
        cmocka_unit_test(rejecting),
        cmocka_unit_test(both),
        cmocka_unit_test(a_hundred_deaths),
        cmocka_unit_test(a_watch_is_refreshed_at_once),
        cmocka_unit_test(a_device_has_no_more_than_it_was_granted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
