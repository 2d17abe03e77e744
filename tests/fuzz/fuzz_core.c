// A program of events → one core, with all invariants of core_world.h after each step.
//
// The first eight bytes choose the configuration; then each eight are an instruction:
//
//   0      what: see the table at the end
//   1      which template, status or amount
//   2      XMPP user and resource; the k-th last message, where one is answered
//   3      SIP user, and where a SIP message comes from
//   4      a number: CSeq, expiry, identity of a message
//   5      lines that are added
//   6, 7   a byte of the message, by its place in 256ths, and what it becomes; 7 zero: none
//
// A mutator of its own keeps instructions whole.
#include <stdarg.h>

#include "core_program.h"

const struct hop program_hops[PROGRAM_HOPS] = {
    {.ip = {127, 0, 0, 1}, .port = FUZZ_PROXY_PORT, .family = 4},
    {.ip = {127, 0, 0, 1}, .port = 5099, .family = 4, .transport = HOP_TCP},
    {.ip = {127, 0, 0, 2}, .port = 5060, .family = 4, .transport = HOP_TLS},
    {.ip = {203, 0, 113, 9}, .port = 5060, .family = 4},
    {.ip = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}, .port = 5061, .family = 6},
};

void program_put(struct program *p, const char *format, ...)
{
    char *z;
    va_list args;
    va_start(args, format);
    if (vasprintf(&z, format, args) < 0)
        abort();
    va_end(args);
    buffer_text(&p->b, text_of(z));
    free(z);
}

void program_damage(struct program *p)
{
    if (p->u[7] && p->b.n)
        p->b.p[p->u[6] * p->b.n / 256] = (char)p->u[7];
}

void program_say_stanza(struct program *p)
{
    program_damage(p);
    world_stanza_in(&p->w, fuzz_text(&p->b));
}

void program_say_sip(struct program *p)
{
    program_damage(p);
    world_sip_in(&p->w, fuzz_text(&p->b), &OF(program_hops, p->u[3] >> 4));
}

static void do_pass(struct program *p)
{
    static const uint64_t units_ms[] = {1, 500, 4000, 32000, 60000, 600000, 3600000};
    uint64_t due_ms = core_next_due(p->w.core);
    if (p->u[1] % 8 == 7 && due_ms < p->w.now_ms + units_ms[6])
        world_pass_ms(&p->w, due_ms > p->w.now_ms ? due_ms - p->w.now_ms : 0);
    else
        world_pass_ms(&p->w, OF(units_ms, p->u[1] % 8) * (1 + p->u[2] % 2));
}

static void do_stream(struct program *p)
{
    static const char *const streams[] = {"example.net", "gw.example.net", "example.org",
                                          "example.edu"};
    p->w.may_cross = true;
    world_step(&p->w, &(struct event){.kind = p->u[1] & 1 ? EVENT_STREAM_UP : EVENT_STREAM_DOWN,
                                      .domain = text_of(OF(streams, p->u[2]))});
}

static void do_resolved(struct program *p)
{
    const char *uri = world_last_question(&p->w, p->u[2] & 7);
    struct hop to[3] = {OF(program_hops, p->u[1]), OF(program_hops, p->u[1] >> 4),
                        OF(program_hops, p->u[5])};
    char *copy = uri ? fuzz_copy(text_of(uri)) : NULL;
    p->w.may_cross = true;
    if (copy)
        world_step(&p->w, &(struct event){.kind = EVENT_RESOLVED,
                                          .uri = text_of(copy),
                                          .hops = to,
                                          .n_hops = p->u[3] % 4,
                                          .ttl_s = p->u[4] * 30});
    free(copy);
}

static void do_unreachable(struct program *p)
{
    p->w.may_cross = true;
    world_step(&p->w,
               &(struct event){.kind = EVENT_UNREACHABLE, .source = OF(program_hops, p->u[1])});
}

static void do_crash(struct program *p)
{
    if (p->u[1] & 1)
        p->w.die = true; // in the middle of the next step
    else
        world_crash(&p->w);
}

static void do_settings(struct program *p)
{
    struct core_settings *s = &p->w.cfg.settings;
    s->draining = p->u[1] & 1;
    s->unsubscribe_on_expiry = p->u[1] & 2;
    s->notify_interval_ms = p->u[1] & 4 ? 5000 : 0;
    s->requests_in_flight_per_peer = p->u[1] & 8 ? 1 : 16;
    s->subscriptions_per_user = p->u[1] & 16 ? 1 : 8;
    s->probe_window_s = p->u[1] & 32 ? 0 : 60;
    core_set_settings(p->w.core, s);
}

// Input has waited so long before it was read; some of this is overload.
static void do_lag(struct program *p)
{
    core_set_lag_ms(p->w.core, p->u[1] * 4, p->w.now_ms);
    if (p->u[2] & 1)
        world_pass_ms(&p->w, 100);
}

// One of the domains is trusted no more, or is again.
static void do_trust(struct program *p)
{
    struct core_trust *t = &p->w.cfg.trust;
    t->n_sip_domains = p->u[1] & 1 ? 1 : 2;
    t->n_xmpp_domains = t->n_probe_exempt_domains + (p->u[1] & 2 ? 0 : 1);
    if (core_set_trust(p->w.core, t))
        abort();
}

static bool see_subscription(void *arg, const struct core_subscription_view *v)
{
    unsigned *n = arg;
    fuzz_expect(v->xmpp.n && v->sip.n, "a view of nothing");
    (*n)++;
    return true;
}

static void do_list(struct program *p)
{
    unsigned n = 0;
    struct core_filter f = {.direction = -1, .state = -1};
    core_list(p->w.core, &f, 0, SIZE_MAX, see_subscription, &n, p->w.now_ms);
    fuzz_expect(n == core_stats(p->w.core)->subscriptions, "%u are listed", n);
}

// The bytes of the next units, as they are.
static void take_raw(struct program *p)
{
    struct text raw = fuzz_take(&p->in, (size_t)p->u[1] * UNIT);
    buffer_text(&p->b, raw);
}

static void do_raw_stanza(struct program *p)
{
    take_raw(p);
    world_stanza_in(&p->w, fuzz_text(&p->b));
}

static void do_raw_sip(struct program *p)
{
    take_raw(p);
    program_say_sip(p);
}

static void (*const instructions[])(struct program *) = {
    do_pass,
    program_presence,
    program_presence_back,
    program_iq_back,
    program_question,
    program_subscribe,
    program_resubscribe,
    program_notify,
    program_answer,
    program_other,
    do_stream,
    do_resolved,
    do_unreachable,
    do_crash,
    do_settings,
    do_list,
    do_raw_sip,
    do_raw_stanza,
    do_pass,
    program_answer,
    program_notify,
    program_presence,
    program_question_back,
    do_lag,
    do_trust,
};

static struct core_config configuration(const uint8_t u[UNIT])
{
    struct core_config c = fuzz_core_config();
    if (u[0] & 1)
        c.gateway_domain = TEXT("");
    if (u[0] & 2)
        c.proxy = (struct hop){0};
    if ((u[0] & 6) == 6)
        c.proxy_uri = TEXT("sip:proxy.example.net;transport=tcp");
    if (u[0] & 8)
        c.tcp_port = c.tls_port = 0;
    c.settings.unsubscribe_on_expiry = u[0] & 16;
    c.settings.notify_interval_ms = u[0] & 32 ? 5000 : 0;
    c.settings.notify_failures = 1 + u[1] % 3;
    c.settings.lag_ms = u[1] & 64 ? 50 : 0;
    if (u[1] & 128)
        c.advertise = TEXT("2001:db8::5");
    return c;
}

// All streams are up at first, or byte 2 says otherwise.
static void begin(struct program *p, const uint8_t u[UNIT])
{
    static const char *const streams[] = {"example.net", "gw.example.net", "example.org"};
    struct core_config c = configuration(u);
    world_open(&p->w, &c);
    buffer_init(&p->b, 0);
    p->w.may_cross = true;
    for (unsigned i = 0; i < 3; i++)
        if (!(u[2] >> i & 1))
            world_step(&p->w,
                       &(struct event){.kind = EVENT_STREAM_UP, .domain = text_of(streams[i])});
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct program p;
    if (n < UNIT)
        return 0;
    p = (struct program){.in = {data + UNIT, n - UNIT}};
    begin(&p, data);
    for (unsigned i = 0; p.in.n >= UNIT && i < UNITS_MAX; i++) {
        p.u = (const uint8_t *)fuzz_take(&p.in, UNIT).p;
        buffer_reset(&p.b);
        OF(instructions, p.u[0])(&p);
    }
    world_crash(&p.w); // what was committed can be taken up
    world_close(&p.w);
    buffer_free(&p.b);
    return 0;
}

// ---- The mutator

extern size_t LLVMFuzzerMutate(uint8_t *data, size_t n, size_t max) __attribute__((weak));
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed);

static unsigned draw(unsigned *seed, size_t below)
{
    *seed = *seed * 1664525u + 1013904223u;
    return below ? (*seed >> 8) % (unsigned)below : 0;
}

static size_t insert(uint8_t *data, size_t n, size_t max, unsigned *seed)
{
    if (n + UNIT > max)
        return n;
    size_t at = (1 + draw(seed, n / UNIT)) * UNIT, from = draw(seed, n / UNIT) * UNIT;
    uint8_t unit[UNIT];
    memcpy(unit, data + from, UNIT);
    if (draw(seed, 2))
        for (unsigned i = 0; i < UNIT; i++)
            unit[i] = (uint8_t)(i >= 5 && draw(seed, 8) ? 0 : draw(seed, 256));
    memmove(data + at + UNIT, data + at, n - at);
    memcpy(data + at, unit, UNIT);
    return n + UNIT;
}

static size_t erase(uint8_t *data, size_t n, unsigned *seed)
{
    if (n < 3 * UNIT)
        return n;
    size_t at = (1 + draw(seed, n / UNIT - 1)) * UNIT;
    memmove(data + at, data + at + UNIT, n - at - UNIT);
    return n - UNIT;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed)
{
    n -= n % UNIT;
    if (n < 2 * UNIT) {
        memset(data, 0, 2 * UNIT);
        return 2 * UNIT <= max ? 2 * UNIT : n;
    }
    unsigned times = 1 + draw(&seed, 4);
    for (unsigned i = 0; i < times; i++)
        switch (draw(&seed, 8)) {
        case 0:
        case 1: n = insert(data, n, max, &seed); break;
        case 2: n = erase(data, n, &seed); break;
        case 3: LLVMFuzzerMutate(data + draw(&seed, n / UNIT) * UNIT, UNIT, UNIT); break;
        case 4:
            n = LLVMFuzzerMutate(data, n, max);
            n -= n % UNIT;
            if (n < 2 * UNIT)
                return n;
            break;
        default: data[draw(&seed, n)] = (uint8_t)draw(&seed, 256); break;
        }
    return n;
}
