// Errors of one side as the other's: every row of RFC 7247's tables, and every code that has none.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/wire/error_map.h"

struct row {
    const char *left, *right;
};

// The rows of RFC 7247 §7.1, Table 2, as they stand.
static const struct row XMPP_TO_SIP_ROWS[] = {
    {"<bad-request/>", "400"},
    {"<conflict/>", "400"},
    {"<feature-not-implemented/>", "405 or 501 (1)"},
    {"<forbidden/>", "403 or 603 (2)"},
    {"<gone/>", "301 or 410 (3)"},
    {"<internal-server-error/>", "500"},
    {"<item-not-found/>", "404 or 604 (2)"},
    {"<jid-malformed/>", "400"},
    {"<not-acceptable/>", "406 or 606 (2)"},
    {"<not-allowed/>", "403"},
    {"<not-authorized/>", "401"},
    {"<policy-violation/>", "403"},
    {"<recipient-unavailable/>", "480 or 600 (2)"},
    {"<redirect/>", "302"},
    {"<registration-required/>", "407"},
    {"<remote-server-not-found/>", "404 or 408 (4)"},
    {"<remote-server-timeout/>", "408"},
    {"<resource-constraint/>", "500"},
    {"<service-unavailable/>", "see note (5) below"},
    {"<subscription-required/>", "400"},
    {"<undefined-condition/>", "400"},
    {"<unexpected-request/>", "491 or 400"},
};

// The rows of RFC 7247 §7.2, Table 3, as they stand.
static const struct row SIP_TO_XMPP_ROWS[] = {
    {"3xx", "<redirect/>"},
    {"300", "<redirect/>"},
    {"301", "<gone/> (1)"},
    {"302", "<redirect/>"},
    {"305", "<redirect/>"},
    {"380", "<not-acceptable/>"},
    {"4xx", "<bad-request/>"},
    {"400", "<bad-request/>"},
    {"401", "<not-authorized/>"},
    {"402", "<bad-request/> (2)"},
    {"403", "<forbidden/> (3)"},
    {"404", "<item-not-found/> (4)"},
    {"405", "<feature-not-implemented/>"},
    {"406", "<not-acceptable/>"},
    {"407", "<registration-required/>"},
    {"408", "<remote-server-timeout/> (5)"},
    {"410", "<gone/> (1)"},
    {"413", "<policy-violation/>"},
    {"414", "<policy-violation/>"},
    {"415", "<not-acceptable/>"},
    {"416", "<not-acceptable/>"},
    {"420", "<feature-not-implemented/>"},
    {"421", "<not-acceptable/>"},
    {"423", "<resource-constraint/>"},
    {"430", "<recipient-unavailable/> (6)"},
    {"439", "<feature-not-implemented/> (6)"},
    {"440", "<policy-violation/> (7)"},
    {"480", "<recipient-unavailable/>"},
    {"481", "<item-not-found/>"},
    {"482", "<not-acceptable/>"},
    {"483", "<not-acceptable/>"},
    {"484", "<item-not-found/>"},
    {"485", "<item-not-found/>"},
    {"486", "<recipient-unavailable/>"},
    {"487", "<recipient-unavailable/>"},
    {"488", "<not-acceptable/>"},
    {"489", "<policy-violation/> (8)"},
    {"491", "<unexpected-request/>"},
    {"493", "<bad-request/>"},
    {"5xx", "<internal-server-error/>"},
    {"500", "<internal-server-error/>"},
    {"501", "<feature-not-implemented/>"},
    {"502", "<remote-server-not-found/>"},
    {"503", "<internal-server-error/> (9)"},
    {"504", "<remote-server-timeout/>"},
    {"505", "<not-acceptable/>"},
    {"513", "<policy-violation/>"},
    {"6xx", "<recipient-unavailable/>"},
    {"600", "<recipient-unavailable/>"},
    {"603", "<recipient-unavailable/>"},
    {"604", "<item-not-found/>"},
    {"606", "<not-acceptable/>"},
};

#define COUNT(v) (sizeof(v) / sizeof *(v))

// "<gone/> (1)" is CONDITION_GONE.
static enum stanza_condition condition_in(const char *cell)
{
    const char *end = strstr(cell, "/>");
    assert_true(cell[0] == '<' && end);
    enum stanza_condition c =
        stanza_condition_parse((struct text){cell + 1, (size_t)(end - cell - 1)});
    assert_int_not_equal(c, CONDITION_NONE);
    return c;
}

static unsigned code_at(const char *p)
{
    uint32_t code;
    assert_true(text_to_u32((struct text){p, 3}, 699, &code));
    return code;
}

// The two codes of a cell such as "405 or 501 (1)"; the same one twice if there is one only.
static void codes_in(const char *cell, unsigned *first, unsigned *second)
{
    const char * or = strstr(cell, " or ");
    *first = code_at(cell);
    *second = or ? code_at(or +4) : *first;
}

static void expect_sip(enum stanza_condition c, unsigned of_full_jid, unsigned of_bare_jid)
{
    assert_int_equal(error_map_to_sip(c, true, false), of_full_jid);
    assert_int_equal(error_map_to_sip(c, false, false), of_bare_jid);
    if (c == CONDITION_GONE)
        return;
    assert_int_equal(error_map_to_sip(c, true, true), of_full_jid);
    assert_int_equal(error_map_to_sip(c, false, true), of_bare_jid);
}

// A cell's note says how to choose between its codes; "491 or 400" leaves it open.
static void expect_row(const struct row *r)
{
    enum stanza_condition c = condition_in(r->left);
    unsigned first, second;
    if (strcmp(r->right, "see note (5) below") == 0) {
        expect_sip(c, 403, 403); // "403 Forbidden and 405 Method Not Allowed […] are closest"
        return;
    }
    codes_in(r->right, &first, &second);
    if (strstr(r->right, "(1)") || strstr(r->right, "(2)")) {
        expect_sip(c, first, second);
    } else if (strstr(r->right, "(3)")) {
        expect_sip(c, second, second);
        assert_int_equal(error_map_to_sip(c, true, true), first);
        assert_int_equal(error_map_to_sip(c, false, true), first);
    } else {
        expect_sip(c, first, first);
    }
}

static void each_condition_has_its_status(void **state)
{
    (void)state;
    bool covered[CONDITION_COUNT] = {[CONDITION_NONE] = true};
    for (size_t i = 0; i < COUNT(XMPP_TO_SIP_ROWS); i++) {
        expect_row(&XMPP_TO_SIP_ROWS[i]);
        covered[condition_in(XMPP_TO_SIP_ROWS[i].left)] = true;
    }
    for (size_t i = 0; i < CONDITION_COUNT; i++)
        assert_true(covered[i]);
    expect_sip(CONDITION_NONE, 400, 400); // an error that names none is undefined
}

// Note 5: a 503 would be taken for all that is behind the gateway.
static void none_becomes_503(void **state)
{
    (void)state;
    for (unsigned c = 0; c < CONDITION_COUNT; c++)
        for (unsigned how = 0; how < 4; how++)
            assert_int_not_equal(
                error_map_to_sip((enum stanza_condition)c, how & 1, (how & 2) != 0), 503);
}

// The row that names the code, else that of its class.
static const struct row *row_of(unsigned status)
{
    const char name[] = {(char)('0' + status / 100), (char)('0' + status / 10 % 10),
                         (char)('0' + status % 10), 0};
    const char class[] = {name[0], 'x', 'x', 0};
    const struct row *of_class = NULL;
    for (size_t i = 0; i < COUNT(SIP_TO_XMPP_ROWS); i++) {
        if (strcmp(SIP_TO_XMPP_ROWS[i].left, name) == 0)
            return &SIP_TO_XMPP_ROWS[i];
        if (strcmp(SIP_TO_XMPP_ROWS[i].left, class) == 0)
            of_class = &SIP_TO_XMPP_ROWS[i];
    }
    assert_non_null(of_class);
    return of_class;
}

static void each_status_has_its_condition(void **state)
{
    (void)state;
    for (unsigned status = 300; status <= 699; status++)
        assert_int_equal(error_map_to_xmpp(status), condition_in(row_of(status)->right));
}

static void what_is_no_failure_has_none(void **state)
{
    (void)state;
    for (unsigned status = 0; status < 300; status++)
        assert_int_equal(error_map_to_xmpp(status), CONDITION_NONE);
    assert_int_equal(error_map_to_xmpp(700), CONDITION_NONE);
    assert_int_equal(error_map_to_xmpp(UINT16_MAX), CONDITION_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_condition_has_its_status),
        cmocka_unit_test(none_becomes_503),
        cmocka_unit_test(each_status_has_its_condition),
        cmocka_unit_test(what_is_no_failure_has_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
