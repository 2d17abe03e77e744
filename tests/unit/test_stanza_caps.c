// The verification strings of XEP-0115 §5.2 and §5.3, and what does and does not change them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "core/wire/stanza_caps.h"

#define T(literal)                                                                                 \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }

static void expect(const struct stanza_caps *caps, const char *want)
{
    struct buffer b;
    buffer_init(&b, 0);
    stanza_caps_ver(&b, caps);
    buffer_char(&b, '\0');
    assert_false(b.failed);
    assert_string_equal(b.p, want);
    buffer_free(&b);
}

static const struct text FEATURES[] = {
    T("http://jabber.org/protocol/muc"), // in no order
    T("http://jabber.org/protocol/disco#items"),
    T("http://jabber.org/protocol/caps"),
    T("http://jabber.org/protocol/disco#info"),
};
static const struct stanza_identity EXODUS[] = {{T("client"), T("pc"), T("Exodus 0.9.1"), T("")}};

static void simple_example(void **state)
{
    (void)state;
    expect(
        &(struct stanza_caps){
            .identities = EXODUS, .n_identities = 1, .features = FEATURES, .n_features = 4},
        "QgayPKawpkPSDYmwT/WM94uAlu0=");
}

static const struct stanza_identity PSI[] = {
    {T("client"), T("pc"), T("Psi 0.11"), T("en")},
    {T("client"), T("pc"), T("\xce\xa8 0.11"), T("el")},
};
static const struct text IP[] = {T("ipv6"), T("ipv4")};
static const struct text OS[] = {T("Mac")}, OS_VERSION[] = {T("10.5.1")}, SOFTWARE[] = {T("Psi")},
                         SOFTWARE_VERSION[] = {T("0.11")};
static const struct stanza_caps_field FIELDS[] = {
    {T("software_version"), SOFTWARE_VERSION, 1},
    {T("os"), OS, 1},
    {T("ip_version"), IP, 2},
    {T("software"), SOFTWARE, 1},
    {T("os_version"), OS_VERSION, 1},
};
static const struct stanza_caps_form FORM = {T("urn:xmpp:dataforms:softwareinfo"), FIELDS, 5};

static void complex_example(void **state)
{
    (void)state;
    expect(&(struct stanza_caps){.identities = PSI,
                                 .n_identities = 2,
                                 .features = FEATURES,
                                 .n_features = 4,
                                 .forms = &FORM,
                                 .n_forms = 1},
           "q07IKJEyjvHSyhy//CH0CxmKi8w=");
}

// The SHA-1 of nothing at all.
static void nothing_is_a_string_too(void **state)
{
    (void)state;
    expect(&(struct stanza_caps){0}, "2jmj7l5rSw0yVb/vlWAYkK/YBwk=");
}

static void a_form_has_its_place_by_type(void **state)
{
    (void)state;
    struct stanza_caps_form forms[] = {FORM, {T("urn:x"), FIELDS, 1}};
    struct stanza_caps caps = {.forms = forms, .n_forms = 2};
    struct buffer a, b;
    buffer_init(&a, 0);
    buffer_init(&b, 0);
    stanza_caps_ver(&a, &caps);
    forms[0] = forms[1];
    forms[1] = FORM;
    stanza_caps_ver(&b, &caps);
    assert_true(text_eq((struct text){a.p, a.n}, (struct text){b.p, b.n}));
    caps.n_forms = 1;
    stanza_caps_ver(&b, &caps);
    assert_false(text_eq((struct text){a.p, a.n}, (struct text){b.p + a.n, b.n - a.n}));
    buffer_free(&a);
    buffer_free(&b);
}

static void as_presence_says_it(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, 0);
    stanza_caps_write(&b, TEXT("urn:x&y"), TEXT("QgayPKawpkPSDYmwT/WM94uAlu0="));
    buffer_char(&b, '\0');
    assert_string_equal(b.p,
                        "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' "
                        "node='urn:x&amp;y' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/>");
    buffer_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(simple_example),          cmocka_unit_test(complex_example),
        cmocka_unit_test(nothing_is_a_string_too), cmocka_unit_test(a_form_has_its_place_by_type),
        cmocka_unit_test(as_presence_says_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
