// A component stream in pieces of any size → stanzas: the same ones however it is cut, within the
// limits; and each answer to one of them is a stanza.
#include <errno.h>

#include "core/wire/stanza_pep.h"
#include "core/wire/stanza_reader.h"
#include "fuzz.h"

enum { BLOCK_SLACK = 64 * 1024 };

// The sanitizer's; absent without it.
extern size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static struct stanza_reader_limits limits;
static struct buffer seen, whole, answers;

static void in_block(const struct stanza *s, struct span at)
{
    size_t text = s->size - sizeof *s;
    fuzz_expect(at.n <= text && at.off <= text - at.n, "points outside of the block");
    fuzz_expect(text_is_xml(stanza_text(s, at)), "not text");
}

static void all_in_block(const struct stanza *s)
{
    in_block(s, s->from), in_block(s, s->to), in_block(s, s->id), in_block(s, s->lang);
    in_block(s, s->child_name), in_block(s, s->child_ns), in_block(s, s->child_node);
    fuzz_expect(s->n_status <= PRESENCE_STATUS_MAX, "%u status", s->n_status);
    for (unsigned i = 0; i < s->n_status; i++)
        in_block(s, s->status[i].lang), in_block(s, s->status[i].text);
    for (unsigned i = 0; i < PRESENCE_XMPP_TEXTS; i++)
        in_block(s, s->rich[i]);
    // References make text no longer than it is written.
    fuzz_expect(s->size <= sizeof *s + limits.stanza_bytes + 4096, "a block of %u", s->size);
}

// What is said of a presence, in the order of the packed form.
static void pack(struct buffer *b, const struct stanza *s)
{
    struct presence p;
    stanza_presence(s, TEXT("balcony"), 1700000000000, &p);
    fuzz_expect(p.n_status <= PRESENCE_STATUS_MAX, "%zu status", p.n_status);
    fuzz_expect(presence_pack(b, &p), "not packed");
}

static void note(void *arg, const struct stanza *s)
{
    struct buffer *b = arg;
    all_in_block(s);
    buffer_add(b, &s->kind, sizeof s->kind);
    buffer_add(b, &s->type, sizeof s->type);
    buffer_add(b, &s->condition, sizeof s->condition);
    buffer_add(b, &s->too_big, sizeof s->too_big);
    buffer_add(b, &s->pep, sizeof s->pep);
    const struct span spans[] = {s->from,       s->to,       s->id,        s->lang,
                                 s->child_name, s->child_ns, s->child_node};
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
        buffer_u64(b, spans[i].n);
        buffer_text(b, stanza_text(s, spans[i]));
    }
    pack(b, s);
}

static void answer(void *arg, const struct stanza *s)
{
    struct presence p;
    struct text from = stanza_text(s, s->to), to = stanza_text(s, s->from);
    unsigned *n = arg;
    size_t before = answers.n;
    stanza_write_error(&answers, s, CONDITION_SERVICE_UNAVAILABLE);
    *n += answers.n > before;
    stanza_presence(s, TEXT("balcony"), 1700000000000, &p);
    stanza_write_notification(&answers, from, to, &p, TEXT(""), 1700000000000);
    stanza_write_presence(&answers, from, to, STANZA_SUBSCRIBE, stanza_text(s, s->id));
    struct buffer payload;
    buffer_init(&payload, 0);
    stanza_pep_payload(&payload, PEP_MOOD, &p);
    stanza_write_pep(&answers, from, to, PEP_MOOD, fuzz_text(&payload));
    buffer_reset(&payload);
    stanza_pep_payload(&payload, PEP_ACTIVITY, &p);
    stanza_write_pep(&answers, from, to, PEP_ACTIVITY, fuzz_text(&payload));
    buffer_free(&payload);
    *n += 4;
}

static void count(void *arg, const struct stanza *s)
{
    unsigned *n = arg;
    fuzz_expect(!s->too_big || answers.n > limits.stanza_bytes, "an answer is too big");
    (*n)++;
}

static void bounded(size_t before)
{
    size_t most = 8 * limits.stanza_bytes + 16 * limits.stanza_bytes + (4 << 20);
    fuzz_expect(!__sanitizer_get_current_allocated_bytes ||
                    __sanitizer_get_current_allocated_bytes() <= before + most,
                "more than %zu bytes for limits of %zu", most, limits.stanza_bytes);
}

// Returns the reader's verdict.
static int feed(struct text t, size_t step, stanza_reader_cb cb, void *arg)
{
    struct stanza_reader *r;
    size_t before =
        __sanitizer_get_current_allocated_bytes ? __sanitizer_get_current_allocated_bytes() : 0;
    int err = 0;
    if (stanza_reader_create(&r, &limits, cb, arg))
        abort();
    for (size_t at = 0; at < t.n && !err;) {
        size_t n = t.n - at < step ? t.n - at : step;
        char *piece = fuzz_copy((struct text){t.p + at, n});
        err = stanza_reader_feed(r, piece, n);
        free(piece);
        at += n;
        bounded(before);
    }
    fuzz_expect(err == 0 || err == EBADMSG || err == EPERM || err == EMSGSIZE || err == ECONNRESET,
                "verdict %d", err);
    stanza_reader_stream_error(r);
    stanza_reader_destroy(r);
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool started;
    struct fuzz_input in = {data, size};
    size_t step = 1 + fuzz_byte(&in);
    uint8_t choice = fuzz_byte(&in);
    limits = (struct stanza_reader_limits){.stanza_bytes = 512u << (choice & 7),
                                           .stanza_depth = 4 + (choice >> 3)};
    if (!started) {
        started = true;
        buffer_init(&seen, 0);
        buffer_init(&whole, 0);
        buffer_init(&answers, 0);
    }
    struct text t = fuzz_take(&in, in.n);
    buffer_reset(&seen);
    buffer_reset(&whole);
    buffer_reset(&answers);
    int err = feed(t, step, note, &seen), err_whole = feed(t, t.n + 1, note, &whole);
    // What is wrong with a tag that has not ended may be seen earlier or later, and so are limits.
    size_t n_both = seen.n < whole.n ? seen.n : whole.n;
    fuzz_expect(n_both == 0 || memcmp(seen.p, whole.p, n_both) == 0, "other stanzas in pieces");
    fuzz_expect(err != err_whole || err == EMSGSIZE || seen.n == whole.n, "fewer stanzas");
    unsigned n_answers = 0, n = 0;
    feed(t, step, answer, &n_answers);
    fuzz_expect(!answers.failed, "not written");
    limits = (struct stanza_reader_limits){.stanza_bytes = 1 << 20, .stanza_depth = 32};
    err = feed(fuzz_text(&answers), 4096, count, &n);
    fuzz_expect(err == 0 && n == n_answers, "verdict %d to our own, %u of %u: %.*s", err, n,
                n_answers, (int)answers.n, answers.p);
    return 0;
}
