// The world's clock, queue, chance and memory of the last messages.
#include "world.h"

#include <stdarg.h>
#include <stdlib.h>

#include "options.h"

static const char *const fault_name[FAULT_KINDS] = {
    [FAULT_LOSS] = "lost datagrams",
    [FAULT_DUP] = "doubled datagrams",
    [FAULT_SLOW] = "slow datagrams",
    [FAULT_PARTITION] = "SIP cut off",
    [FAULT_STREAM_BREAK] = "streams broken",
    [FAULT_UNREACHABLE] = "links down",
    [FAULT_CRASH_BEFORE_COMMIT] = "deaths before a commit",
    [FAULT_CRASH_WITHIN_COMMIT] = "deaths within a commit",
    [FAULT_CRASH_AFTER_COMMIT] = "deaths after a commit",
    [FAULT_CRASH_WHILE_RELEASING] = "deaths while releasing",
    [FAULT_SHARDS] = "other shard counts",
    [FAULT_POWER_FAILURE] = "power failures",
    [FAULT_STORE_FULL] = "stores full",
    [FAULT_COMMIT_FAILS] = "commits failed once",
    [FAULT_RING_FULL] = "rings full between shards",
    [FAULT_RING_DROPPED] = "messages between shards dropped",
    [FAULT_CLOCK_LEAP] = "clocks that leapt ahead",
    [FAULT_CLOCK_STOP] = "processes suspended",
    [FAULT_MEMORY] = "turns without memory",
    [FAULT_TURNED_AWAY] = "requests turned away at the door",
    [FAULT_CLOCK_SET] = "clocks set between two lives",
    [FAULT_SERVER_RESTART] = "SIP servers restarted",
    [FAULT_SERVER_ENDS_ONE] = "dialogs ended by servers",
    [FAULT_SERVER_ERROR] = "SUBSCRIBEs refused",
    [FAULT_DEVICE_ERROR] = "NOTIFYs refused",
    [FAULT_STRANGER] = "strangers",
    [FAULT_ROGUE_TAGS] = "NOTIFYs with wrong tags",
    [FAULT_ROGUE_CSEQ] = "NOTIFYs with an old CSeq",
    [FAULT_ROGUE_BODY] = "bodies that are no PIDF",
    [FAULT_ROGUE_RESPONSE] = "answers that nobody waits for",
    [FAULT_ROGUE_GARBAGE] = "datagrams that are no SIP",
    [FAULT_ROGUE_NOBODY] = "presence of or to nobody",
    [FAULT_ROGUE_ADDRESSES] = "stanzas without addresses",
    [FAULT_ROGUE_RESULT] = "results that nobody asked for",
    [FAULT_ROGUE_ERROR] = "errors out of the blue",
    [FAULT_ROGUE_FLOOD] = "floods of presence",
    [FAULT_LAG] = "cores that can't follow",
    [FAULT_SHED] = "pieces of new work refused for that",
    [FAULT_DRAINING] = "times without new work",
    [FAULT_SETTINGS] = "settings changed",
    [FAULT_DISTRUST] = "domains not trusted for a while",
    [FAULT_REDIRECT_AWAY] = "redirections to strangers",
    [FAULT_RETRY_AFTER] = "absurd Retry-After",
    [FAULT_PROBATION] = "absurd retry-after",
    [FAULT_MIN_EXPIRES] = "absurd Min-Expires",
    [FAULT_ONLY_PROVISIONAL] = "answers that are never final",
    [FAULT_FORKED] = "SUBSCRIBEs forked",
    [FAULT_APPROVED_UNASKED] = "approvals that nobody asked for",
    [FAULT_CONTACT_REMOVED] = "contacts removed by another client",
    [FAULT_ACCOUNT_DELETED] = "accounts deleted",
    [FAULT_ROGUE_ANSWER] = "answers to SUBSCRIBE that are odd",
};

const char *world_fault_name(enum fault kind)
{
    return fault_name[kind];
}

char *world_copy(struct text t)
{
    char *p = malloc(t.n + 1);
    if (!p)
        abort();
    if (t.n)
        memcpy(p, t.p, t.n);
    p[t.n] = 0;
    return p;
}

bool world_number_of(struct text address, struct text name, unsigned n, unsigned *number)
{
    if (address.n < name.n || !text_eq_nocase((struct text){address.p, name.n}, name))
        return false;
    uint64_t v = 0;
    size_t i = name.n;
    for (; i < address.n && address.p[i] >= '0' && address.p[i] <= '9' && v < n; i++)
        v = v * 10 + (uint64_t)(address.p[i] - '0');
    *number = (unsigned)v;
    return i > name.n && i < address.n && address.p[i] == '@' && v < n;
}

// ---- Chance: xorshift128+ (Vigna, 2017), begun by splitmix64

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t world_draw(struct world *w)
{
    uint64_t a = w->chance[0], b = w->chance[1];
    w->chance[0] = b;
    a ^= a << 23;
    w->chance[1] = a ^ b ^ (a >> 18) ^ (b >> 5);
    return w->chance[1] + b;
}

uint32_t world_below(struct world *w, uint32_t n)
{
    return (uint32_t)((world_draw(w) >> 32) * n >> 32);
}

uint32_t world_between(struct world *w, uint32_t least, uint32_t most)
{
    return least + world_below(w, most - least + 1);
}

bool world_chance(struct world *w, unsigned of_thousand)
{
    return world_below(w, 1000) < of_thousand;
}

bool world_fault(struct world *w, enum fault kind, unsigned of_thousand)
{
    bool comes = !w->calm && world_chance(w, of_thousand);
    w->faults[kind] += comes;
    return comes;
}

enum { CHANCE_ACT = 1, CHANCE_PHASE = 2 };

static uint64_t seed_of(uint64_t cause, uint64_t number)
{
    uint64_t state = cause ^ (number + 1) * 0xd6e8feb86659fd93u;
    return splitmix(&state);
}

static void chance_begin(struct world *w, uint64_t seed)
{
    w->cause = seed;
    w->effects = 0;
    w->chance[0] = splitmix(&seed);
    w->chance[1] = splitmix(&seed) | 1;
}

struct world_chance_kept world_chance_of(struct world *w, uint64_t number)
{
    struct world_chance_kept kept = {{w->chance[0], w->chance[1]}, w->cause, w->effects};
    chance_begin(w, seed_of(seed_of(w->seed, CHANCE_ACT), number));
    return kept;
}

void world_chance_end(struct world *w, struct world_chance_kept kept)
{
    memcpy(w->chance, kept.chance, sizeof kept.chance);
    w->cause = kept.cause;
    w->effects = kept.effects;
}

// ---- Time: a binary heap, by time and then by number

static bool sooner(const struct happening *a, const struct happening *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->number < b->number;
}

static void queue_push(struct world *w, struct happening h)
{
    if (w->n == w->cap) {
        w->cap = w->cap ? 2 * w->cap : 256;
        w->queue = realloc(w->queue, w->cap * sizeof *w->queue);
        if (!w->queue)
            abort();
    }
    size_t at = w->n++;
    for (; at && sooner(&h, &w->queue[(at - 1) / 2]); at = (at - 1) / 2)
        w->queue[at] = w->queue[(at - 1) / 2];
    w->queue[at] = h;
}

static struct happening queue_pop(struct world *w)
{
    struct happening top = w->queue[0], last = w->queue[--w->n];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < w->n; at = child) {
        child += child + 1 < w->n && sooner(&w->queue[child + 1], &w->queue[child]);
        if (!sooner(&w->queue[child], &last))
            break;
        w->queue[at] = w->queue[child];
    }
    w->queue[at] = last;
    return top;
}

void world_in(struct world *w, uint64_t delay_ms, world_act act, void *who, uint64_t what)
{
    queue_push(w, (struct happening){.at_ms = w->now_ms + delay_ms,
                                     .number = w->number++,
                                     .seed = seed_of(w->cause, w->effects++),
                                     .act = act,
                                     .who = who,
                                     .what = what});
}

void world_bring(struct world *w, uint64_t delay_ms, const struct happening *h)
{
    struct happening copy = *h;
    copy.at_ms = w->now_ms + delay_ms;
    copy.number = w->number++;
    copy.seed = seed_of(w->cause, w->effects++);
    copy.bytes.p = world_copy(h->bytes);
    queue_push(w, copy);
}

void world_run(struct world *w, uint64_t end_ms)
{
    while (!w->failed && w->n && w->queue[0].at_ms <= end_ms) {
        struct happening h = queue_pop(w);
        w->now_ms = h.at_ms;
        chance_begin(w, h.seed);
        h.act(w, &h);
        free((char *)h.bytes.p);
    }
    chance_begin(w, seed_of(seed_of(w->seed, CHANCE_PHASE), w->phases++));
    if (!w->failed)
        w->now_ms = end_ms;
}

// ---- What is remembered for the report

static void note_line(struct world *w, const char *line)
{
    uint64_t t = w->now_ms - w->begin_ms;
    char *to = w->ladder[w->ladder_n++ % WORLD_LADDER];
    snprintf(to, sizeof w->ladder[0], "%6llu.%03llu  %s", (unsigned long long)(t / 1000),
             (unsigned long long)(t % 1000), line);
    if (w->verbose)
        puts(to);
}

void world_note(struct world *w, const char *format, ...)
{
    char line[WORLD_LINE];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    note_line(w, line);
}

// Of a SIP message only the lines that tell which one it is.
static void note_sip(char *line, size_t size, const char *way, struct text m)
{
    static const char *const wanted[] = {
        "From:", "CSeq:", "Expires:", "Subscription-State:", "Call-ID:", "Min-Expires:"};
    const char *p = m.p, *end = m.p + m.n;
    size_t n = (size_t)snprintf(line, size, "%s ", way);
    for (bool first = true; p < end && n < size; first = false) {
        const char *eol = memchr(p, '\n', (size_t)(end - p));
        size_t len = eol ? (size_t)(eol - p) : (size_t)(end - p);
        size_t shown = len && p[len - 1] == '\r' ? len - 1 : len;
        if (!first && shown == 0)
            break;
        bool show = first;
        for (size_t i = 0; i < sizeof wanted / sizeof *wanted && !show; i++)
            show = shown > strlen(wanted[i]) && memcmp(p, wanted[i], strlen(wanted[i])) == 0;
        if (show)
            n += (size_t)snprintf(line + n, size - n, "%.*s | ", (int)(shown > 90 ? 90 : shown), p);
        p += len + 1;
    }
    const char *body = memmem(m.p, m.n, "<presence", 9);
    for (; body && n < size; body = memmem(body + 1, (size_t)(end - body - 1), "<tuple", 6)) {
        const char *close = memmem(body, (size_t)(end - body), "</status>", 9);
        if (*(body + 1) == 't')
            n += (size_t)snprintf(line + n, size - n, "%.*s ",
                                  (int)(close && close - body < 90 ? close - body : 90), body);
    }
}

void world_note_message(struct world *w, const char *way, struct text bytes)
{
    char line[WORLD_LINE];
    w->messages++;
    if (bytes.n && bytes.p[0] == '<')
        snprintf(line, sizeof line, "%s %.*s", way, TEXT_ARG(bytes));
    else
        note_sip(line, sizeof line, way, bytes);
    note_line(w, line);
}

void world_digest(struct world *w, struct text bytes)
{
    w->hash = (w->hash ^ w->now_ms) * 0x100000001b3u;
    for (size_t i = 0; i < bytes.n; i++) // FNV-1a
        w->hash = (w->hash ^ (uint8_t)bytes.p[i]) * 0x100000001b3u;
}

void world_broken(struct world *w, const char *format, ...)
{
    if (w->failed)
        return;
    w->failed = true;
    va_list args;
    va_start(args, format);
    vsnprintf(w->why, sizeof w->why, format, args);
    va_end(args);
}

void world_report(const struct world *w, FILE *to)
{
    uint64_t t = w->now_ms - w->begin_ms, from = 0;
    fprintf(to, "\nseed %llu: %s\nat %llu.%03llu s\n", (unsigned long long)w->seed, w->why,
            (unsigned long long)(t / 1000), (unsigned long long)(t % 1000));
    options_print(&w->opt, to);
    if (w->ladder_n > WORLD_LADDER)
        from = w->ladder_n - WORLD_LADDER;
    for (uint64_t i = from; i < w->ladder_n; i++)
        fprintf(to, "%s\n", w->ladder[i % WORLD_LADDER]);
    fprintf(to, "again: simulation_world --seed %llu --verbose\n", (unsigned long long)w->seed);
}

struct world *world_create(uint64_t seed, bool verbose)
{
    struct world *w = calloc(1, sizeof *w);
    if (!w)
        abort();
    w->seed = seed;
    w->verbose = verbose;
    w->begin_ms = w->now_ms = 1700000000000;
    w->hash = 0xcbf29ce484222325u;
    chance_begin(w, seed);
    return w;
}

void world_destroy(struct world *w)
{
    for (size_t i = 0; i < w->n; i++)
        free((char *)w->queue[i].bytes.p);
    free(w->queue);
    free(w);
}
