// The stanza reader: how big, deep, slow and strange a stanza may be, and what that leaves behind.
#include "tests/unit/stanza_seen.h"

// ── limits ──

static struct buffer stanza_of(size_t bytes)
{
    struct buffer z;
    buffer_init(&z, 0);
    buffer_lit(&z, "<presence><status>");
    while (z.n < bytes - sizeof "</status></presence>" + 1)
        buffer_char(&z, 'x');
    buffer_lit(&z, "</status></presence>");
    assert_int_equal(z.n, bytes);
    return z;
}

static int feed_steps(struct stanza_reader *r, const struct buffer *z, size_t step)
{
    int error = 0;
    for (size_t i = 0; i < z->n && !error; i += step)
        error = stanza_reader_feed(r, z->p + i, z->n - i < step ? z->n - i : step);
    return error;
}

static void a_stanza_may_have_so_many_bytes(void **state)
{
    (void)state;
    const struct stanza_reader_limits small = {.stanza_bytes = 1000, .stanza_depth = 32};
    struct buffer fits = stanza_of(1000), past = stanza_of(1001);
    const size_t steps[] = {1, 7, 100, 5000};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct stanza_reader *r = reader_with(&small);
        for (int k = 0; k < 3; k++) {
            assert_int_equal(feed_steps(r, &fits, steps[i]), 0);
            assert_int_equal(feed(r, "\n \n"), 0); // does not count
        }
        assert_int_equal(n_seen, 3);
        assert_int_equal(feed_steps(r, &past, steps[i]), 0); // passed over, but known of
        assert_int_equal(n_seen, 4);
        assert_non_null(memmem(seen.p, seen.n, " too_big\n", 9));
        assert_int_equal(feed(r, "<presence/>"), 0); // and the stream goes on
        assert_int_equal(n_seen, 5);
        assert_memory_equal(seen.p + seen.n - 9, "presence\n", 9);
        stanza_reader_destroy(r);
    }
    buffer_free(&fits);
    buffer_free(&past);
}

// No callback comes while a name, an attribute or a comment lasts; the limit holds all the same.
static void a_token_that_never_ends_is_cut(void **state)
{
    (void)state;
    const char *const begins[] = {"<presence from='",   "<pres",
                                  "<presence><status>", "<presence><!-- ",
                                  "<presence><?pi ",    "<presence><status><![CDATA[",
                                  "<presence>&",        "<presence a='1' b"};
    char x[1000];
    memset(x, 'x', sizeof x);
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++) {
        struct stanza_reader *r = reader();
        size_t fed = strlen(begins[i]);
        int error = feed(r, begins[i]);
        for (; !error && fed < 32 * LIMITS.stanza_bytes; fed += sizeof x)
            error = stanza_reader_feed(r, x, sizeof x);
        // What may not be there at all is known as such before.
        bool restricted = strstr(begins[i], "<!-- ") || strstr(begins[i], "<?pi ");
        assert_int_equal(error, restricted ? EPERM : EMSGSIZE);
        assert_true(fed <= 16 * LIMITS.stanza_bytes + sizeof x);
        assert_int_equal(n_seen, 0);
        stanza_reader_destroy(r);
    }
}

static void white_space_may_go_on_for_ever(void **state)
{
    (void)state;
    struct stanza_reader *r = reader_with(&(struct stanza_reader_limits){1000, 32});
    for (int i = 0; i < 5000; i++)
        assert_int_equal(feed(r, " "), 0);
    assert_int_equal(feed(r, "<presence/>"), 0);
    assert_int_equal(n_seen, 1);
    stanza_reader_destroy(r);
}

static void twenty_megabytes_end_the_stream(void **state)
{
    (void)state;
    struct buffer z = stanza_of(20u << 20);
    const size_t steps[] = {z.n, 65536, 1460};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct stanza_reader *r = reader();
        assert_int_equal(feed_steps(r, &z, steps[i]), EMSGSIZE);
        assert_int_equal(n_seen, 0);
        stanza_reader_destroy(r);
    }
    buffer_free(&z);
}

static void feed_nested(struct stanza_reader *r, unsigned depth, int want)
{
    struct buffer z;
    buffer_init(&z, 0);
    buffer_lit(&z, "<iq>");
    for (unsigned i = 1; i < depth; i++)
        buffer_lit(&z, "<a>");
    for (unsigned i = 1; i < depth; i++)
        buffer_lit(&z, "</a>");
    buffer_lit(&z, "</iq>");
    assert_int_equal(stanza_reader_feed(r, z.p, z.n), want);
    buffer_free(&z);
}

static void a_stanza_may_be_so_deep(void **state)
{
    (void)state;
    struct stanza_reader *r = reader();
    feed_nested(r, 32, 0);
    feed_nested(r, 32, 0);
    assert_int_equal(n_seen, 2);
    feed_nested(r, 33, 0); // passed over, and the stream goes on
    assert_int_equal(n_seen, 3);
    assert_non_null(memmem(seen.p, seen.n, " too_big", 8));
    feed_nested(r, 32, 0);
    stanza_reader_destroy(r);
}

// What a stanza past the limit had said before is forgotten, wherever the pieces end.
static void nothing_of_a_big_stanza_depends_on_the_pieces(void **state)
{
    (void)state;
    const struct stanza_reader_limits small = {.stanza_bytes = 200, .stanza_depth = 32};
    struct buffer z;
    buffer_init(&z, 0);
    buffer_lit(&z,
               "<presence from='a@example.com' type='error'><show>away</show><priority>-1"
               "</priority><error><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
               "<priority>5</priority><show>dnd</show><status>this makes it a big one</status>"
               "</presence>");
    for (size_t step = 1; step <= z.n; step++) {
        struct stanza_reader *r = reader_with(&small);
        assert_int_equal(feed_steps(r, &z, step), 0);
        expect("presence error from=a@example.com too_big\n");
        stanza_reader_destroy(r);
    }
    buffer_free(&z);
}

// Any user can have her server pass on as many levels as fit into its limit of size: that must not
// end the stream of all others.
static void depth_that_servers_pass_on_ends_no_stream(void **state)
{
    (void)state;
    struct stanza_reader *r = reader();
    feed_nested(r, 257, 0); // libxml2's limit elsewhere
    feed_nested(r, 512 * 1024 / 7, 0);
    assert_int_equal(n_seen, 2);
    feed_nested(r, 32, 0);
    assert_int_equal(n_seen, 3);
    stanza_reader_destroy(r);
    r = reader();
    feed_nested(r, 100000, EMSGSIZE);
    assert_int_equal(n_seen, 0);
    stanza_reader_destroy(r);
}

static void expect_passed_over(const struct buffer *z, size_t step)
{
    struct stanza_reader *r = reader();
    assert_int_equal(feed_steps(r, z, step), 0);
    expect("presence from=a@example.com to=b@example.net too_big\npresence from=c\n");
    stanza_reader_destroy(r);
}

// Ten thousand attributes are compared with each other, and took 11 ms of CPU; as many namespaces
// are looked through for each element. Their stanza is passed over, however it is cut, and the next
// one is read.
static void what_is_slow_to_parse_is_passed_over(void **state)
{
    (void)state;
    static const char head[] = "<presence from='a@example.com' to='b@example.net'>",
                      tail[] = "</presence> <presence from='c'/>";
    const size_t steps[] = {1, 1000, 16384, 1 << 20};
    for (int kind = 0; kind < 4; kind++) {
        struct buffer z;
        buffer_init(&z, 0);
        buffer_lit(&z, head);
        if (kind == 0) { // a long tag
            buffer_lit(&z, "<x");
            for (unsigned i = 0; i < 10000; i++) {
                buffer_lit(&z, " a");
                buffer_u64(&z, i);
                buffer_lit(&z, "='>'");
            }
            buffer_lit(&z, "/>");
        }
        for (unsigned i = 0; kind && i < 40; i++) { // many levels
            buffer_lit(&z, "<x xmlns:a");
            buffer_u64(&z, i);
            buffer_lit(&z, "='b'>");
        }
        if (kind == 2) // the first one too many ends at once
            buffer_lit(&z, "<y/><y />");
        if (kind == 3)
            buffer_lit(&z, "<![CDATA[</x>]]>");
        for (unsigned i = 0; kind && i < 40; i++)
            buffer_lit(&z, "</x>");
        buffer_lit(&z, tail);
        for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
            expect_passed_over(&z, steps[i]);
        buffer_free(&z);
    }
}

// The first element too many is one without content, cut anywhere.
static void an_empty_element_is_the_one_too_many(void **state)
{
    (void)state;
    struct buffer z;
    buffer_init(&z, 0);
    buffer_lit(&z, "<presence from='a@example.com' to='b@example.net'>");
    for (int i = 1; i < 32; i++)
        buffer_lit(&z, "<x>");
    buffer_lit(&z, "<y />");
    for (int i = 1; i < 32; i++)
        buffer_lit(&z, "</x>");
    buffer_lit(&z, "</presence><presence from='c'/>");
    for (size_t step = 1; step <= z.n; step++)
        expect_passed_over(&z, step);
    buffer_free(&z);
}

static void long_names_end_no_stream(void **state)
{
    (void)state;
    struct stanza_reader *r = reader();
    char *name = malloc(60001);
    assert_non_null(name);
    memset(name, 'n', 60000);
    name[60000] = 0;
    assert_int_equal(feed(r, "<iq><"), 0);
    assert_int_equal(feed(r, name), 0);
    assert_int_equal(feed(r, " xmlns='urn:example:long' "), 0);
    assert_int_equal(feed(r, name), 0);
    assert_int_equal(feed(r, "=''/></iq>"), 0);
    assert_int_equal(n_seen, 1);
    free(name);
    stanza_reader_destroy(r);
}

// ── over the life of a stream ──

// Each stanza has a name, an attribute and a namespace that no other one has.
static size_t feed_made_up_names(struct stanza_reader *r, unsigned from, unsigned to, size_t step)
{
    struct buffer z;
    buffer_init(&z, 0);
    for (unsigned i = from; i < to; i++) {
        char one[256];
        int n = snprintf(one, sizeof one,
                         "<presence id='%u'><n%u-%050u a%u='1' xmlns='urn:example:%u'/></presence>",
                         i, i, i, i, i);
        buffer_add(&z, one, (size_t)n);
    }
    assert_int_equal(feed_steps(r, &z, step), 0);
    size_t n = z.n;
    buffer_free(&z);
    return n;
}

static void loses_nothing_when_the_parser_is_renewed(void **state)
{
    (void)state;
    const size_t steps[] = {1, 1459, 16384, 1u << 20, SIZE_MAX / 2};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct stanza_reader *r = reader();
        size_t fed = feed_made_up_names(r, 0, 20000, steps[i]);
        assert_true(fed > 2u << 20); // so at least two were renewed
        assert_int_equal(n_seen, 20000);
        const char *line = seen.p;
        for (int k = 0; k < 20000; k++) {
            char want[32];
            int n = snprintf(want, sizeof want, "presence id=%d\n", k);
            assert_memory_equal(line, want, n);
            line += n;
        }
        stanza_reader_destroy(r);
    }
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
static size_t heap_in_use(void)
{
    return mallinfo2().uordblks;
}
#else
size_t __sanitizer_get_current_allocated_bytes(void);
static size_t heap_in_use(void)
{
    return __sanitizer_get_current_allocated_bytes();
}
#endif

static void names_of_peers_do_not_pile_up(void **state)
{
    (void)state;
    struct stanza_reader *r = reader();
    buffer_reserve(&seen, 8u << 20);
    size_t before = heap_in_use();
    for (unsigned k = 0; k < 20; k++)
        feed_made_up_names(r, k * 10000, (k + 1) * 10000, 8192);
    assert_int_equal(n_seen, 200000);
    // Some 30 MB have passed; what one parser may gather is a small multiple of what it is given.
    assert_true(heap_in_use() < before + (6u << 20));
    stanza_reader_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stanza_may_have_so_many_bytes),
        cmocka_unit_test(a_token_that_never_ends_is_cut),
        cmocka_unit_test(white_space_may_go_on_for_ever),
        cmocka_unit_test(twenty_megabytes_end_the_stream),
        cmocka_unit_test(a_stanza_may_be_so_deep),
        cmocka_unit_test(what_is_slow_to_parse_is_passed_over),
        cmocka_unit_test(an_empty_element_is_the_one_too_many),
        cmocka_unit_test(nothing_of_a_big_stanza_depends_on_the_pieces),
        cmocka_unit_test(depth_that_servers_pass_on_ends_no_stream),
        cmocka_unit_test(long_names_end_no_stream),
        cmocka_unit_test(loses_nothing_when_the_parser_is_renewed),
        cmocka_unit_test(names_of_peers_do_not_pile_up),
    };
    return cmocka_run_group_tests(tests, group_begin, group_end);
}
