// Questions and answers of the admin: round trips, bounds, damaged bytes. The core is a stand-in.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/wire/address.h"
#include "shards/admin.h"

// As much of a core as core_list() needs: a table of subscriptions, and what it was asked.
struct core {
    const struct core_subscription_view *v;
    size_t n;
    uint64_t cursor;
    size_t scan_max;
    int direction, state;
    char jid[JID_MAX], sip_jid[JID_MAX];
    size_t jid_n, sip_jid_n;
};

uint64_t core_list(const struct core *core, const struct core_filter *filter, uint64_t cursor,
                   size_t scan_max, bool (*each)(void *, const struct core_subscription_view *),
                   void *arg, uint64_t now_ms)
{
    struct core *c = (struct core *)core;
    (void)now_ms;
    c->cursor = cursor;
    c->scan_max = scan_max;
    c->direction = filter->direction;
    c->state = filter->state;
    c->jid_n = filter->jid.n;
    c->sip_jid_n = filter->sip_jid.n;
    memcpy(c->jid, filter->jid.p, filter->jid.n);
    memcpy(c->sip_jid, filter->sip_jid.p, filter->sip_jid.n);
    for (uint64_t i = cursor; i < c->n; i++)
        if (!each(arg, &c->v[i]))
            return i;
    return 0;
}

static const struct core_filter any = {.direction = -1, .state = -1};

static void ask(struct core *core, const struct core_filter *filter, uint64_t cursor,
                uint32_t limit, struct buffer *answer)
{
    struct buffer question;
    buffer_init(&question, ADMIN_QUESTION_MAX);
    buffer_reset(answer);
    admin_write_list(&question, 7, filter, cursor, limit);
    assert_false(question.failed);
    assert_int_equal(admin_answer(core, question.p, question.n, 1000, answer), 0);
    assert_true(answer->n <= ADMIN_ANSWER_MAX);
    buffer_free(&question);
}

static void assert_text(struct text have, struct text want)
{
    assert_int_equal(have.n, want.n);
    assert_memory_equal(have.p, want.p, want.n);
}

static const struct core_subscription_view romeo = {
    .id = UINT64_MAX - 1,
    .direction = SIP_TO_XMPP,
    .state = STATE_DORMANT,
    .xmpp = {"juliet@example.com", 18},
    .sip = {"sip:romeo@example.net", 21},
    .expires_in_s = 3599,
    .created_at_ms = 1700000000123,
    .n_dialogs = 2,
    .dialogs = {{{"a@b", 3}, {"sip:romeo@192.0.2.1", 19}, 3599}, {{"", 0}, {"sip:x", 5}, 1}},
};

static void ping_goes_round(void **state)
{
    struct buffer question, answer;
    (void)state;
    buffer_init(&question, 0);
    buffer_init(&answer, 0);
    admin_write_ping(&question, 0x0123456789abcdef);
    assert_int_equal(admin_answer(NULL, question.p, question.n, 0, &answer), 0);
    assert_int_equal(admin_read_ping(answer.p, answer.n, 0x0123456789abcdef), 0);
    assert_int_equal(admin_read_ping(answer.p, answer.n, 0x0123456789abcdee), EBADMSG);
    assert_int_equal(admin_read_ping(answer.p, answer.n - 1, 0x0123456789abcdef), EBADMSG);
    struct admin_list list;
    assert_int_equal(admin_read_list(&list, answer.p, answer.n, 0x0123456789abcdef), EBADMSG);
    buffer_free(&question);
    buffer_free(&answer);
}

static void every_field_goes_round(void **state)
{
    struct core core = {.v = &romeo, .n = 1};
    struct buffer answer;
    struct admin_list list;
    struct core_subscription_view s;
    (void)state;
    buffer_init(&answer, 0);
    ask(&core, &any, 0, 10, &answer);
    assert_int_equal(admin_read_list(&list, answer.p, answer.n, 7), 0);
    assert_int_equal(list.n, 1);
    assert_int_equal(list.cursor, 0);
    assert_int_equal(admin_read_item(&list, &s), 0);
    assert_int_equal(list.rest.n, 0);
    assert_true(s.id == romeo.id && s.direction == romeo.direction && s.state == romeo.state);
    assert_text(s.xmpp, romeo.xmpp);
    assert_text(s.sip, romeo.sip);
    assert_true(s.expires_in_s == 3599 && s.created_at_ms == 1700000000123 && s.n_dialogs == 2);
    for (int i = 0; i < 2; i++) {
        assert_text(s.dialogs[i].call_id, romeo.dialogs[i].call_id);
        assert_text(s.dialogs[i].remote, romeo.dialogs[i].remote);
        assert_int_equal(s.dialogs[i].expires_in_s, romeo.dialogs[i].expires_in_s);
    }
    assert_int_equal(admin_read_list(&list, answer.p, answer.n, 8), EBADMSG);
    buffer_free(&answer);
}

static void filter_reaches_the_core(void **state)
{
    static char longest[JID_MAX];
    struct core core = {.v = &romeo, .n = 1};
    struct core_filter filter = {.direction = SIP_TO_XMPP, .state = STATE_ACTIVE};
    struct buffer answer;
    (void)state;
    memset(longest, 'j', sizeof longest);
    filter.jid = (struct text){longest, JID_MAX};
    filter.sip_jid = TEXT("romeo@example.net");
    buffer_init(&answer, 0);
    ask(&core, &filter, 0xfedcba9876543210, 10, &answer);
    assert_true(core.cursor == 0xfedcba9876543210);
    assert_int_equal(core.scan_max, ADMIN_SCAN_MAX);
    assert_int_equal(core.direction, SIP_TO_XMPP);
    assert_int_equal(core.state, STATE_ACTIVE);
    assert_text((struct text){core.jid, core.jid_n}, filter.jid);
    assert_text((struct text){core.sip_jid, core.sip_jid_n}, filter.sip_jid);
    ask(&core, &any, 0, 10, &answer);
    assert_int_equal(core.direction, -1);
    assert_int_equal(core.state, -1);
    assert_int_equal(core.jid_n + core.sip_jid_n, 0);
    buffer_free(&answer);
}

// Reads all items on from `cursor`, checks that their ids ascend by one, returns the next id.
static uint64_t read_page(struct core *core, uint32_t limit, uint64_t *cursor, uint64_t id)
{
    struct buffer answer;
    struct admin_list list;
    struct core_subscription_view s;
    buffer_init(&answer, 0);
    ask(core, &any, *cursor, limit, &answer);
    assert_int_equal(admin_read_list(&list, answer.p, answer.n, 7), 0);
    assert_in_range(list.n, 1, limit);
    *cursor = list.cursor;
    while (list.n--) {
        assert_int_equal(admin_read_item(&list, &s), 0);
        assert_true(s.id == id++);
    }
    buffer_free(&answer);
    return id;
}

static struct core_subscription_view *table(size_t n, const struct core_subscription_view *like)
{
    struct core_subscription_view *v = calloc(n, sizeof *v);
    assert_non_null(v);
    for (size_t i = 0; i < n; i++) {
        v[i] = *like;
        v[i].id = i;
    }
    return v;
}

static void pages_have_no_gaps(void **state)
{
    struct core_subscription_view *v = table(2500, &romeo);
    struct core core = {.v = v, .n = 2500};
    static const uint32_t limits[] = {1, 2, 999, 1000, UINT32_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        uint64_t cursor = 0, id = 0;
        do
            id = read_page(&core, limits[i], &cursor, id);
        while (cursor);
        assert_int_equal(id, 2500);
    }
    free(v);
}

// Items as long as they get: each is cut to its bounds, and they come in several answers.
static void longest_items_are_cut_and_paged(void **state)
{
    static char longest[ADMIN_ADDRESS_MAX + 1];
    struct core_subscription_view big = romeo;
    (void)state;
    memset(longest, 'x', sizeof longest);
    big.xmpp = big.sip = (struct text){longest, sizeof longest};
    big.n_dialogs = CORE_DIALOG_VIEWS_MAX + 3;
    for (int i = 0; i < CORE_DIALOG_VIEWS_MAX; i++)
        big.dialogs[i] = (struct core_dialog_view){
            {longest, ADMIN_CALL_ID_MAX + 1}, {longest, ADMIN_REMOTE_MAX + 1}, 5};
    struct core_subscription_view *v = table(20, &big);
    struct core core = {.v = v, .n = 20};
    uint64_t cursor = 0, id = 0, answers = 0;
    do {
        id = read_page(&core, 1000, &cursor, id);
        answers++;
    } while (cursor);
    assert_int_equal(id, 20);
    assert_in_range(answers, 20 / (ADMIN_ANSWER_MAX / ADMIN_ITEM_MAX), 20);
    struct buffer answer;
    struct admin_list list;
    struct core_subscription_view s;
    buffer_init(&answer, 0);
    ask(&core, &any, 0, 1, &answer);
    assert_int_equal(answer.n, 21 + ADMIN_ITEM_MAX);
    assert_int_equal(admin_read_list(&list, answer.p, answer.n, 7), 0);
    assert_int_equal(admin_read_item(&list, &s), 0);
    assert_int_equal(s.sip.n, ADMIN_ADDRESS_MAX);
    assert_int_equal(s.n_dialogs, CORE_DIALOG_VIEWS_MAX + 3);
    assert_int_equal(s.dialogs[CORE_DIALOG_VIEWS_MAX - 1].remote.n, ADMIN_REMOTE_MAX);
    buffer_free(&answer);
    free(v);
}

static void refuse(struct core *core, const void *question, size_t n)
{
    struct buffer answer;
    void *exact = malloc(n ? n : 1); // so that ASan sees a read behind the end
    buffer_init(&answer, 0);
    memcpy(exact, question, n);
    assert_int_equal(admin_answer(core, exact, n, 0, &answer), EBADMSG);
    assert_int_equal(answer.n, 0);
    free(exact);
    buffer_free(&answer);
}

static void damaged_questions_are_refused(void **state)
{
    struct core core = {.v = &romeo, .n = 1};
    struct core_filter filter = {TEXT("juliet@example.com"), TEXT("romeo@example.net"), 0, 2};
    struct buffer q;
    (void)state;
    buffer_init(&q, 0);
    admin_write_list(&q, 7, &filter, 0, 10);
    for (size_t n = 0; n < q.n; n++)
        refuse(&core, q.p, n);
    static const struct {
        size_t at;
        char value;
    } damage[] = {
        {0, 0},     {0, 3},    // kind
        {17, 0},               // limit 0
        {18, 0x40},            // limit 16394
        {21, 2},    {21, -2},  // direction
        {22, 3},    {22, 100}, // state
        {24, 0x7f}, {23, 17},  // length of the JID
    };
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        char was = q.p[damage[i].at];
        q.p[damage[i].at] = damage[i].value;
        refuse(&core, q.p, q.n);
        q.p[damage[i].at] = was;
    }
    buffer_char(&q, 0);
    refuse(&core, q.p, q.n);
    buffer_reset(&q);
    admin_write_ping(&q, 1);
    refuse(&core, q.p, q.n - 1);
    buffer_char(&q, 0);
    refuse(&core, q.p, q.n);
    buffer_free(&q);
}

static int read_all(const char *answer, size_t n)
{
    struct admin_list list;
    struct core_subscription_view s;
    int rc = admin_read_list(&list, answer, n, 7);
    for (uint32_t i = 0; rc == 0 && i < list.n; i++)
        rc = admin_read_item(&list, &s);
    return rc;
}

static void damaged_answers_are_refused(void **state)
{
    struct core_subscription_view *v = table(3, &romeo);
    struct core core = {.v = v, .n = 3};
    struct buffer answer;
    unsigned seed = 1;
    (void)state;
    buffer_init(&answer, 0);
    ask(&core, &any, 0, 3, &answer);
    assert_int_equal(read_all(answer.p, answer.n), 0);
    for (size_t n = 0; n < answer.n; n++) {
        char *exact = malloc(n + 1);
        memcpy(exact, answer.p, n);
        assert_int_equal(read_all(exact, n), EBADMSG);
        free(exact);
    }
    for (int i = 0; i < 20000; i++) {
        char *damaged = malloc(answer.n);
        memcpy(damaged, answer.p, answer.n);
        for (int k = rand_r(&seed) % 3; k >= 0; k--)
            damaged[(size_t)rand_r(&seed) % answer.n] = (char)rand_r(&seed);
        read_all(damaged, answer.n); // no more than: it must not read elsewhere
        free(damaged);
    }
    static const size_t choice[] = {21 + 8, 21 + 9}; // direction and state of the first item
    for (int i = 0; i < 2; i++) {
        char was = answer.p[choice[i]];
        answer.p[choice[i]] = i ? STATE_DORMANT + 1 : SIP_TO_XMPP + 1;
        assert_int_equal(read_all(answer.p, answer.n), EBADMSG);
        answer.p[choice[i]] = was;
    }
    answer.p[17] = (char)0xe9; // 1001 items
    answer.p[18] = 3;
    assert_int_equal(read_all(answer.p, answer.n), EBADMSG);
    buffer_free(&answer);
    free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ping_goes_round),
        cmocka_unit_test(every_field_goes_round),
        cmocka_unit_test(filter_reaches_the_core),
        cmocka_unit_test(pages_have_no_gaps),
        cmocka_unit_test(longest_items_are_cut_and_paged),
        cmocka_unit_test(damaged_questions_are_refused),
        cmocka_unit_test(damaged_answers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
