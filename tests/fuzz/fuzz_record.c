// Stored bytes → a subscription: what is accepted is written again the same, and the core that has
// taken it in runs on, however odd its numbers are.
#include <errno.h>

#include "core/record.h"
#include "core/record_write.h"
#include "core/user.h"
#include "core_config.h"

enum { STEPS = 40, HEAD_BYTES = 15, HASH_AT = 2, ID = 7 };
#define FAR_MS (UINT64_C(3) * 24 * 3600 * 1000) // the wheel turns tick by tick

static struct core_config cfg;
static struct buffer first, second, third;

static bool take_text(const uint8_t **p, const uint8_t *end, struct text *out)
{
    if (end - *p < 2)
        return false;
    size_t n = (size_t)((*p)[0] | (*p)[1] << 8);
    if ((size_t)(end - *p) < 2 + n)
        return false;
    *out = (struct text){(const char *)*p + 2, n};
    *p += 2 + n;
    return true;
}

// A record is good only with the keyed hash of its user, which no mutation would find.
static void set_hash(uint8_t *p, size_t n)
{
    const uint8_t *at = p + HEAD_BYTES, *end = p + n;
    struct jid user = {0};
    if (n < HEAD_BYTES || !take_text(&at, end, &user.local) || !take_text(&at, end, &user.domain) ||
        user.local.n > JID_PART_MAX || user.domain.n > JID_PART_MAX)
        return;
    uint32_t hash = user_hash(cfg.key, &user);
    memcpy(p + HASH_AT, &hash, sizeof hash);
}

// NULL: refused.
static struct core *restored(struct text record)
{
    struct core *c = fuzz_core_create(&cfg);
    int err = core_restore(c, ID, record, FUZZ_EPOCH_MS);
    fuzz_expect(err == 0 || err == EBADMSG || err == ENOTSUP, "verdict %d", err);
    if (!err)
        return c;
    core_destroy(c);
    return NULL;
}

static void write_again(struct core *c, struct buffer *b)
{
    buffer_reset(b);
    fuzz_expect(c->subs.live == 1, "%u subscriptions", c->subs.live);
    record_write(c, core_sub(c, 1), b);
    fuzz_expect(!b->failed, "not written");
}

static struct core *again(const struct buffer *record)
{
    struct core *c = restored(fuzz_text(record));
    fuzz_expect(c, "what was written is refused");
    return c;
}

static void check_effects(const struct effects *fx)
{
    fuzz_expect(!fx->failed, "the core says that memory ran out");
    for (size_t i = 0; i < fx->n; i++)
        if (fx->v[i].kind == EFFECT_PUT) {
            struct core *c = restored(effect_text(fx, &fx->v[i]));
            fuzz_expect(c, "a record that is put is refused");
            core_destroy(c);
        }
}

static void step(struct core *c, const struct event *ev, uint64_t now_ms)
{
    struct effects fx;
    effects_init(&fx);
    core_step(c, ev, now_ms, &fx);
    check_effects(&fx);
    effects_free(&fx);
}

// Its timers, one after the other, to their end or for some days.
static void live(struct core *c)
{
    uint64_t now_ms = FUZZ_EPOCH_MS;
    static const char *const streams[] = {"gw.example.net", "example.net", "example.org"};
    for (size_t i = 0; i < sizeof streams / sizeof *streams; i++)
        step(c, &(struct event){.kind = EVENT_STREAM_UP, .domain = text_of(streams[i])}, now_ms);
    for (unsigned i = 0; i < STEPS; i++) {
        uint64_t due_ms = core_next_due(c);
        if (due_ms > FUZZ_EPOCH_MS + FAR_MS)
            return;
        now_ms = due_ms > now_ms ? due_ms : now_ms;
        step(c, &(struct event){.kind = EVENT_TICK}, now_ms);
    }
}

static void start(void)
{
    if (cfg.shards)
        return;
    cfg = fuzz_core_config();
    buffer_init(&first, 0);
    buffer_init(&second, 0);
    buffer_init(&third, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    start();
    uint8_t *copy = (uint8_t *)fuzz_copy((struct text){(const char *)data, n});
    uint32_t hash;
    record_owner_hash((struct text){(const char *)copy, n}, &hash);
    set_hash(copy, n);
    struct core *c = restored((struct text){(const char *)copy, n});
    free(copy);
    if (!c)
        return 0;
    write_again(c, &first);
    struct core *d = again(&first);
    write_again(d, &second);
    core_destroy(d);
    d = again(&second);
    write_again(d, &third);
    // Dialogs may change places, and change them back.
    fuzz_expect(first.n == second.n, "written again it is longer or shorter");
    fuzz_expect(text_eq(fuzz_text(&first), fuzz_text(&third)), "written again it is another");
    core_destroy(d);
    live(c);
    core_destroy(c);
    return 0;
}
