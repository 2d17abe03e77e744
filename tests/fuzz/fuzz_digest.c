// A challenge → credentials: each is one header line, and says what was challenged.
#include "core/credentials.h"
#include "core/wire/sip.h"
#include "fuzz.h"

static struct sip_parser *parser;
static struct buffer message, lines;

static const struct core_realm realms[] = {
    {{"verona", 6}, {"gateway", 7}, {"sycamore", 8}},
    {{"a \"b\" \\ c", 9}, {"q\"u", 3}, {"p", 1}},
    {{"", 0}, {"nobody", 6}, {"", 0}},
};

static void write_response(struct text values, unsigned status)
{
    buffer_reset(&message);
    buffer_lit(&message, "SIP/2.0 ");
    buffer_u64(&message, status);
    buffer_lit(&message,
               " No\r\n"
               "Via: SIP/2.0/UDP 127.0.0.1:5080;branch=z9hG4bK1;rport=5080\r\n"
               "From: <sip:juliet@example.com>;tag=1\r\n"
               "To: <sip:romeo@example.net>;tag=2\r\n"
               "Call-ID: a@example.com\r\nCSeq: 1 SUBSCRIBE\r\n");
    struct fuzz_input in = {(const uint8_t *)values.p, values.n};
    while (in.n) {
        struct text value = fuzz_line(&in);
        buffer_text(&message,
                    status == 401 ? TEXT("WWW-Authenticate: ") : TEXT("Proxy-Authenticate: "));
        buffer_text(&message, value);
        buffer_lit(&message, "\r\n");
    }
    buffer_lit(&message, "Content-Length: 0\r\n\r\n");
}

static bool is_digest_line(struct text t)
{
    return text_starts(t, TEXT("Authorization: Digest ")) ||
           text_starts(t, TEXT("Proxy-Authorization: Digest "));
}

// Whole lines, in each of which the quotes end.
static void are_lines(struct text t)
{
    while (t.n) {
        const char *end = memmem(t.p, t.n, "\r\n", 2);
        fuzz_expect(end && is_digest_line(t), "not a header line: %.*s", TEXT_ARG(t));
        bool quoted = false;
        for (const char *at = t.p; at < end; at++) {
            fuzz_expect(*at != '\r' && *at != '\n' && *at != 0, "a line end inside of a line");
            if (quoted && *at == '\\')
                at++;
            else if (*at == '"')
                quoted = !quoted;
        }
        fuzz_expect(!quoted, "a quote without end: %.*s", TEXT_ARG(t));
        t.n -= (size_t)(end + 2 - t.p);
        t.p = end + 2;
    }
}

static void try(struct credentials *k, struct hash_random *random, struct text values,
                unsigned status, struct credentials_tried *tried)
{
    const struct sip_message *m;
    const struct hop hop = {.ip = {127, 0, 0, 1}, .port = 5070, .family = 4};
    write_response(values, status);
    if (sip_parse(parser, message.p, message.n, &m) != 0)
        return;
    for (unsigned i = 0; i < m->n_challenges; i++) {
        const struct sip_challenge *c = &m->challenge[i];
        fuzz_expect(c->algorithm != DIGEST_NONE, "a challenge that nobody can answer");
        fuzz_expect(c->proxy == (status == 407), "of a proxy, and not");
    }
    credentials_challenged(k, &hop, m, tried);
    buffer_reset(&lines);
    credentials_write(k, random, &hop, TEXT("SUBSCRIBE"), TEXT("sip:romeo@example.net"), tried,
                      &lines);
    fuzz_expect(!lines.failed, "not written");
    are_lines(fuzz_text(&lines));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct fuzz_input in = {data, n};
    struct credentials *k;
    struct hash_random random;
    struct credentials_tried tried = {0};
    if (!parser) {
        if (sip_parser_create(&parser, 65536))
            abort();
        buffer_init(&message, 0);
        buffer_init(&lines, 0);
    }
    if (credentials_create(&k, realms, sizeof realms / sizeof *realms))
        abort();
    hash_random_init(&random, 1, 0);
    unsigned status = fuzz_byte(&in) & 1 ? 407 : 401;
    // An empty line ends one response.
    struct text all = fuzz_take(&in, in.n);
    while (all.n) {
        const char *end = memmem(all.p, all.n, "\n\n", 2);
        size_t one = end ? (size_t)(end - all.p) : all.n;
        try(k, &random, (struct text){all.p, one}, status, &tried);
        size_t past = end ? one + 2 : one;
        all = (struct text){all.p + past, all.n - past};
    }
    credentials_destroy(k);
    return 0;
}
