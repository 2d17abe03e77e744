// Bytes of a connection → framed messages: wherever the stream is cut into pieces, the messages are
// the same, and each can be given to the parser.
#include "core/wire/sip.h"
#include "fuzz.h"
#include "shards/sip_stream_frame.h"

static struct sip_parser *parser;

static bool is_line_end(char c)
{
    return c == '\r' || c == '\n';
}

// As it is looked at in pieces of `step` bytes.
static enum sip_stream_frame_verdict look(struct text t, size_t step, size_t max, size_t *n)
{
    struct sip_stream_frame f = {0};
    enum sip_stream_frame_verdict v = SIP_STREAM_FRAME_MORE;
    size_t seen = 0;
    for (size_t here = 0; v == SIP_STREAM_FRAME_MORE && here < t.n;) {
        here = t.n - here < step ? t.n : here + step;
        // Exactly what is here, so that one byte too far is seen.
        char *copy = malloc(here);
        if (!copy)
            abort();
        memcpy(copy, t.p, here);
        v = sip_stream_frame_look(&f, copy, here, max);
        free(copy);
        fuzz_expect(f.seen >= seen && f.seen <= here, "it does not go on from where it was");
        seen = f.seen;
        fuzz_expect(v != SIP_STREAM_FRAME_WHOLE || (f.n && f.n <= here && f.n <= max),
                    "%zu bytes of %zu are a message of at most %zu", f.n, here, max);
        fuzz_expect(v != SIP_STREAM_FRAME_UNFRAMED || (f.n && f.n <= here), "a head of %zu", f.n);
    }
    *n = f.n;
    return v;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    size_t step = 1 + fuzz_byte(&in), max = 256u << (fuzz_byte(&in) % 8);
    struct text t = fuzz_take(&in, in.n);
    if (!parser && sip_parser_create(&parser, 65536))
        abort();
    if (t.n / step > 512) // copies make it quadratic here
        step = t.n / 512 + 1;
    for (;;) {
        size_t n = 0, n_whole = 0;
        while (t.n && is_line_end(*t.p))
            t = (struct text){t.p + 1, t.n - 1};
        enum sip_stream_frame_verdict whole = look(t, t.n, max, &n_whole);
        enum sip_stream_frame_verdict v = look(t, step, max, &n);
        // What is garbage or too much may be seen so before it is all here.
        fuzz_expect(v == whole || v > SIP_STREAM_FRAME_WHOLE, "verdict %d, in one piece %d", v,
                    whole);
        fuzz_expect(v != SIP_STREAM_FRAME_WHOLE || n == n_whole, "%zu and %zu bytes", n, n_whole);
        if (v != SIP_STREAM_FRAME_WHOLE)
            return 0;
        const struct sip_message *m;
        sip_parse(parser, t.p, n, &m);
        t = (struct text){t.p + n, t.n - n};
    }
}
