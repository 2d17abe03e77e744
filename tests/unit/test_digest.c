// Answers to Digest challenges: the vectors of the RFCs, sessions, quoting, limits.
#include "core/wire/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static struct buffer out;

static void assert_written(const struct digest *d, const char *method, const char *uri,
                           const char *expected)
{
    buffer_reset(&out);
    digest_write(&out, d, text_of(method), text_of(uri));
    assert_false(out.failed);
    buffer_char(&out, '\0');
    assert_string_equal(out.p, expected);
}

// RFC 7616 §3.9.1.
static struct digest mufasa(enum digest_algorithm a)
{
    return (struct digest){
        .algorithm = a,
        .qop = true,
        .realm = TEXT("http-auth@example.org"),
        .nonce = TEXT("7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"),
        .opaque = TEXT("FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"),
        .user = TEXT("Mufasa"),
        .password = TEXT("Circle of Life"),
        .cnonce = TEXT("f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"),
        .nc = 1,
    };
}

static void rfc_7616_md5(void **state)
{
    struct digest d = mufasa(DIGEST_MD5);
    (void)state;
    assert_written(&d, "GET", "/dir/index.html",
                   "Authorization: Digest username=\"Mufasa\", realm=\"http-auth@example.org\", "
                   "nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", "
                   "uri=\"/dir/index.html\", response=\"8ca523f5e9506fed4657c9700eebdbec\", "
                   "algorithm=MD5, qop=auth, nc=00000001, "
                   "cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", "
                   "opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"\r\n");
}

static void rfc_7616_sha256(void **state)
{
    struct digest d = mufasa(DIGEST_SHA256);
    (void)state;
    assert_written(&d, "GET", "/dir/index.html",
                   "Authorization: Digest username=\"Mufasa\", realm=\"http-auth@example.org\", "
                   "nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", "
                   "uri=\"/dir/index.html\", response=\""
                   "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1\", "
                   "algorithm=SHA-256, qop=auth, nc=00000001, "
                   "cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", "
                   "opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"\r\n");
}

// RFC 2617 §3.5, and the same challenge without qop: what RFC 2069 would answer.
static struct digest zanzibar(void)
{
    return (struct digest){
        .algorithm = DIGEST_MD5,
        .qop = true,
        .realm = TEXT("testrealm@host.com"),
        .nonce = TEXT("dcd98b7102dd2f0e8b11d0f600bfb0c093"),
        .user = TEXT("Mufasa"),
        .password = TEXT("Circle Of Life"),
        .cnonce = TEXT("0a4f113b"),
        .nc = 1,
    };
}

static void assert_has(const struct digest *d, const char *method, const char *uri,
                       const char *part)
{
    buffer_reset(&out);
    digest_write(&out, d, text_of(method), text_of(uri));
    assert_false(out.failed);
    buffer_char(&out, '\0');
    if (!strstr(out.p, part))
        fail_msg("%s lacks %s", out.p, part);
}

static void rfc_2617(void **state)
{
    struct digest d = zanzibar();
    (void)state;
    assert_has(&d, "GET", "/dir/index.html", "response=\"6629fae49393a05397450978507c4ef1\"");
}

// Computed apart, by the rule of RFC 2617 §3.2.2.1.
static void rfc_2069(void **state)
{
    struct digest d = zanzibar();
    (void)state;
    d.qop = false;
    d.proxy = true;
    assert_written(&d, "GET", "/dir/index.html",
                   "Proxy-Authorization: Digest username=\"Mufasa\", "
                   "realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", "
                   "uri=\"/dir/index.html\", response=\"670fd8c2df070c60b045671b8b24ff02\", "
                   "algorithm=MD5\r\n");
}

static void count_is_hexadecimal(void **state)
{
    struct digest d = zanzibar();
    (void)state;
    d.nc = 0xabc1;
    assert_has(&d, "GET", "/", ", nc=0000abc1, ");
    d.nc = UINT32_MAX;
    assert_has(&d, "GET", "/", ", nc=ffffffff, ");
}

// Computed apart, by the rule of RFC 7616 §3.4.2.
static void sessions(void **state)
{
    struct digest d = zanzibar();
    (void)state;
    d.algorithm = DIGEST_MD5_SESS;
    assert_has(&d, "SUBSCRIBE", "sip:romeo@example.net",
               "response=\"21b860d3a985f26c8289f96d8098adb8\", algorithm=MD5-sess");
    d.algorithm = DIGEST_SHA256_SESS;
    assert_has(
        &d, "SUBSCRIBE", "sip:romeo@example.net",
        "response=\"6945f946acf2a5aa54898acbff20a455c3ef34d4db91b6d21ce183dbd3f1e6cc\", algorithm=SHA-256-sess");
    d.qop = false; // the server needs the cnonce all the same
    assert_has(&d, "SUBSCRIBE", "sip:romeo@example.net", ", cnonce=\"0a4f113b\"");
    assert_null(strstr(out.p, "qop"));
}

// What is hashed is the plain text, what is written is quoted.
static void quoting(void **state)
{
    struct digest d = zanzibar();
    (void)state;
    d.user = TEXT("a\"b\\c");
    d.realm = TEXT("\"x\"");
    d.opaque = TEXT("\\");
    assert_has(&d, "GET", "/", "username=\"a\\\"b\\\\c\", realm=\"\\\"x\\\"\", ");
    assert_has(&d, "GET", "/", ", opaque=\"\\\\\"\r\n");
    assert_has(&d, "GET", "/", "response=\"539a4a29f44579484be5cf9e428633d6\"");
}

static void line_ends_are_refused(void **state)
{
    static const struct text bad[] = {{"a\r\nb", 4}, {"a\nb", 3}, {"a\rb", 3}, {"a\0b", 3}};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct digest d = zanzibar();
        d.user = bad[i];
        buffer_reset(&out);
        digest_write(&out, &d, TEXT("GET"), TEXT("/"));
        assert_true(out.failed);
        buffer_reset(&out);
        d = zanzibar();
        d.opaque = bad[i];
        digest_write(&out, &d, TEXT("GET"), TEXT("/"));
        assert_true(out.failed);
    }
}

static void empty_parts(void **state)
{
    struct digest d = {.algorithm = DIGEST_SHA256, .qop = true, .nc = 1};
    (void)state;
    assert_has(&d, "GET", "/", "username=\"\", realm=\"\", nonce=\"\"");
    assert_null(strstr(out.p, "opaque"));
}

static void names(void **state)
{
    static const char *const known[] = {"MD5", "MD5-sess", "SHA-256", "SHA-256-sess"};
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(digest_algorithm_parse(text_of(known[i])), DIGEST_MD5 + i);
        assert_true(text_eq(digest_algorithm_text(DIGEST_MD5 + i), text_of(known[i])));
    }
    assert_int_equal(digest_algorithm_parse(TEXT("md5-SESS")), DIGEST_MD5_SESS);
    assert_int_equal(digest_algorithm_parse(TEXT("SHA-512-256")), DIGEST_NONE);
    assert_int_equal(digest_algorithm_parse(TEXT("")), DIGEST_NONE);
    assert_int_equal(digest_algorithm_text(DIGEST_NONE).n, 0);
}

// Out of room is said once, and nothing breaks.
static void no_room(void **state)
{
    struct digest d = mufasa(DIGEST_SHA256_SESS);
    struct buffer small;
    (void)state;
    buffer_reset(&out);
    digest_write(&out, &d, TEXT("SUBSCRIBE"), TEXT("sip:romeo@example.net"));
    for (size_t limit = 1; limit < out.n; limit++) {
        buffer_init(&small, limit);
        digest_write(&small, &d, TEXT("SUBSCRIBE"), TEXT("sip:romeo@example.net"));
        assert_true(small.failed);
        buffer_free(&small);
    }
}

static int start(void **state)
{
    (void)state;
    buffer_init(&out, 0);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    buffer_free(&out);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc_7616_md5),
        cmocka_unit_test(rfc_7616_sha256),
        cmocka_unit_test(rfc_2617),
        cmocka_unit_test(rfc_2069),
        cmocka_unit_test(count_is_hexadecimal),
        cmocka_unit_test(sessions),
        cmocka_unit_test(quoting),
        cmocka_unit_test(line_ends_are_refused),
        cmocka_unit_test(empty_parts),
        cmocka_unit_test(names),
        cmocka_unit_test(no_room),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
