// What is left of the gateway's work when more comes than it can do.
//
// One shard on one core, the load driver on another. First the capacity is found: set-ups in a
// closed loop, so many under way at a time. Then set-ups come in an open loop, at a multiple of the
// capacity, whatever becomes of them, each of another pair; what is not answered is said again as
// RFC 3261 asks, and who is refused does not come back. Meanwhile pairs that were made before
// refresh their dialogs, and their presence changes. Each load meets a daemon of its own with an
// empty store.
//
// One closed loop is not enough: one life of the daemon differs from the next by some 15 % in how
// its memory came to lie, what the disk does and who else wants the cores, and all of that only
// takes away. Found too low, the capacity would make "twice" less than it says, and look good. So
// it is the most of three lives. Once all loads are through, a fourth tells whether the machine has
// become quicker meanwhile: if so, the peak that the goodput at twice the capacity is a share of is
// that one. The daemon's CPU time stands beside each: far below a core, somebody else had it.
//
// Reported per load: set-ups offered, done within a second, done at all and refused, each per
// second; their latency; how many of the refreshes and of the presence changes came through within
// a second, and their latency.
//
// At last one address floods with three times the capacity, and another, quiet one asks for little:
// how many of its requests are taken.
//
// The messages are nearly all of one length, which favours a gateway that hands runs of such to the
// kernel in one piece (bench/load/hot.h); with --mixed-lengths no two in a row are, of those that
// come and of those that they lead to, and the figures' names end in "-mixed".
//
//   bench_overload --gateway build/release/isthmus [--seconds 8] [--only xmpp-to-sip|sip-to-xmpp]
//                  [--mixed-lengths] [--figures FILE]
//                  [--dir FOLDER]     for the stores, one after the other
#include <arpa/inet.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench/load/drive.h"
#include "bench/load/figures.h"
#include "bench/load/load.h"
#include "bench/load/scratch.h"
#include "tests/number.h"

enum {
    WINDOW = 512,        // set-ups under way in the closed loop
    SETTLED = 1000,      // pairs that are there before, in each direction
    SETTLED_PER_S = 200, // refreshes, and changes of presence, of these
    CLOSED_S = 3,
    CLOSED_TIMES = 3,
    PEAK_PER_S = 200000, // no core does more: for the number of pairs
    AFTER_S = 4,         // for those under way at the end
    GOOD_US = 1000000,
    START_MS = 10000,
    QUIET_PER_S = 20,
    QUIET_MAX = 4096,
};

static const double MUCH_LESS = 1.15; // times the capacity

struct bench {
    struct load *load;
    struct load_setup setup;
    enum load_kind kind;
    unsigned seconds, next; // pair
    bool mixed;             // lengths
    const char *dir;        // where stores are made
    struct figures *figures;
    bool faulty;
    struct scratch scratch;
};

static void die(struct bench *b, const char *what)
{
    fprintf(stderr, "bench_overload: %s\n", what);
    load_destroy(b->load);
    exit(1);
}

static void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof set, &set); // with one core all is on it: a poor measure, but one
}

// One that can't store anything has no capacity.
static void check_store(struct bench *b)
{
    char why[256];
    if (load_store_fails(b->load, why))
        die(b, why);
}

// A daemon with an empty store, and the pairs that are settled.
static void begin(struct bench *b, unsigned pairs)
{
    static char folder[256];
    b->setup.pairs = SETTLED + pairs;
    b->next = SETTLED;
    if (b->dir) {
        snprintf(folder, sizeof folder, "%s/isthmus-XXXXXX", b->dir);
        if (scratch_create(&b->scratch, folder))
            die(b, "no folder for the store");
        b->setup.dir = folder;
    }
    if (load_create(&b->load, &b->setup))
        die(b, "no room for the pairs");
    load_mix_lengths(b->load, b->mixed);
    pin(0);
    if (load_start(b->load, START_MS))
        die(b, "the gateway does not start");
    pin(1);
    bool all =
        drive_set_up(b->load, LOAD_WATCH, SETTLED) && drive_set_up(b->load, LOAD_SERVE, SETTLED);
    check_store(b);
    if (!all)
        die(b, "the pairs that are there before can't be made");
    load_play_until(b->load, load_now_us() + 500000);
    load_figures_reset(b->load);
}

static void end(struct bench *b)
{
    char why[256];
    check_store(b);
    if (load_faults(b->load, why)) {
        fprintf(stderr, "bench_overload: %s\n", why);
        b->faulty = true;
    }
    load_kill(b->load);
    load_destroy(b->load);
    scratch_remove(&b->scratch);
    b->load = NULL;
}

// ---- The capacity

static double larger(double a, double b)
{
    return a > b ? a : b;
}

static double closed_loop(struct bench *b)
{
    begin(b, CLOSED_S * PEAK_PER_S);
    uint64_t begin_us = load_now_us(), end_us = begin_us + CLOSED_S * 1000000ull;
    uint64_t daemon_ns = load_cpu_ns(b->load);
    const struct load_figure *f = load_figure(b->load, b->kind);
    while (load_now_us() < end_us && b->next < b->setup.pairs) {
        while (load_under_way(b->load, b->kind) < WINDOW && b->next < b->setup.pairs)
            load_begin(b->load, b->kind, b->next++, 0);
        load_play(b->load, 10000);
    }
    double us = (double)(load_now_us() - begin_us), per_s = (double)f->done * 1e6 / us;
    printf(" %.0f (CPU %.0f %%", per_s, (double)(load_cpu_ns(b->load) - daemon_ns) / 10 / us);
    if (f->refused)
        printf(", %llu refused", (unsigned long long)f->refused);
    printf(")");
    end(b);
    return per_s;
}

static double capacity_of(struct bench *b, const char *direction)
{
    double most = 0;
    printf("%s%s: set-ups a second in closed loops:", direction, b->mixed ? ", lengths mixed" : "");
    for (unsigned i = 0; i < CLOSED_TIMES; i++)
        most = larger(most, closed_loop(b));
    printf("; at most %.0f\n", most);
    return most;
}

// The most that any load has shown so far, or that one more closed loop does.
static double once_more(struct bench *b, double capacity, double peak)
{
    printf("and in one more at the end:");
    peak = larger(peak, closed_loop(b));
    printf("\n");
    if (peak > MUCH_LESS * capacity)
        printf(
            "the capacity was found too low, by what else the machine did: %.0f are possible, and "
            "the loads were less than they say\n",
            peak);
    return peak;
}

// ---- The open loop

// Events that are due, evenly spaced.
struct source {
    double per_s;
    uint64_t begin_us, n;
};

static uint64_t due_us(const struct source *s)
{
    return s->begin_us + (uint64_t)((double)s->n * 1e6 / s->per_s);
}

static void begin_due(struct bench *b, struct source *set_ups, struct source *settled,
                      uint64_t now_us)
{
    for (int i = 0; i < 64 && due_us(set_ups) <= now_us && b->next < b->setup.pairs; i++) {
        load_begin(b->load, b->kind, b->next++, due_us(set_ups));
        set_ups->n++;
    }
    for (; due_us(settled) <= now_us; settled->n++) {
        load_begin(b->load, LOAD_REFRESH, settled->n % SETTLED, due_us(settled));
        load_begin(b->load, LOAD_PRESENCE, (settled->n + SETTLED / 2) % SETTLED, due_us(settled));
        load_begin(b->load, LOAD_NOTIFY, settled->n % SETTLED, due_us(settled));
    }
}

// How many of them took no longer: by halving, as the histogram only tells the other way round.
static double within(const struct histogram *h, uint64_t us)
{
    uint32_t least = 0, most = 1000001;
    while (h->n && most - least > 1) {
        uint32_t middle = (least + most) / 2;
        if (histogram_at(h, middle) <= us)
            least = middle;
        else
            most = middle;
    }
    return (double)h->n * least / 1e6;
}

// Of a direction, and of a load if there is one: how many times the capacity.
static void say(struct bench *b, const char *what, const char *unit, double value, double times)
{
    char name[32];
    snprintf(name, sizeof name, "%s-%s%s", what, load_kind_name(b->kind), b->mixed ? "-mixed" : "");
    figures_say(b->figures, &(struct figure){.what = name,
                                             .unit = unit,
                                             .value = value,
                                             .x = times > 0 ? "load" : NULL,
                                             .at = times});
}

static double ms_at(const struct histogram *h, uint32_t of_million)
{
    return (double)histogram_at(h, of_million) / 1000;
}

static void print_settled(const struct load *l, enum load_kind kind)
{
    const struct load_figure *f = load_figure(l, kind);
    double asked = (double)(f->begun - f->overtaken);
    printf("  %6.2f %% %7.1f", asked > 0 ? 100 * within(&f->latency_us, GOOD_US) / asked : 0,
           ms_at(&f->latency_us, 990000));
}

static uint64_t own_cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

struct quiet;
static void quiet_play(struct quiet *q, bool asks);

// In the end it is known what all of it has come to. Returns the goodput per second; *cpu_ns are
// the daemon's and the driver's while the load came.
static double open_loop(struct bench *b, double per_s, struct quiet *q, double cpu[2])
{
    uint64_t begin_us = load_now_us(), end_us = begin_us + b->seconds * 1000000ull, now_us;
    uint64_t daemon_ns = load_cpu_ns(b->load), own_ns = own_cpu_ns();
    struct source set_ups = {per_s, begin_us, 0}, settled = {SETTLED_PER_S, begin_us, 0};
    while ((now_us = load_now_us()) < end_us) {
        begin_due(b, &set_ups, &settled, now_us);
        load_play(b->load, due_us(&set_ups) > now_us ? 1000 : 0);
        if (q)
            quiet_play(q, true);
    }
    cpu[0] = (double)(load_cpu_ns(b->load) - daemon_ns) / 1e7 / b->seconds;
    cpu[1] = (double)(own_cpu_ns() - own_ns) / 1e7 / b->seconds;
    for (end_us += AFTER_S * 1000000ull; load_now_us() < end_us;) {
        load_play(b->load, 1000);
        if (q)
            quiet_play(q, false);
    }
    return within(&load_figure(b->load, b->kind)->latency_us, GOOD_US) / b->seconds;
}

// What became of a load: how many times the capacity it was, set-ups a second, µs.
struct outcome {
    double times, good_per_s, refused_per_s, p99_us;
};

static struct outcome load_once(struct bench *b, double peak, double times)
{
    begin(b, (unsigned)(peak * times * b->seconds) + WINDOW);
    double cpu[2], good = open_loop(b, peak * times, NULL, cpu);
    const struct load_figure *f = load_figure(b->load, b->kind);
    printf("%4.1f x %8.0f %8.0f %5.1f %% %8.0f %8.0f %8.1f %8.1f", times,
           (double)f->begun / b->seconds, good, 100 * good / peak, (double)f->done / b->seconds,
           (double)f->refused / b->seconds, ms_at(&f->latency_us, 500000),
           ms_at(&f->latency_us, 990000));
    print_settled(b->load, LOAD_REFRESH);
    print_settled(b->load, LOAD_PRESENCE);
    print_settled(b->load, LOAD_NOTIFY);
    printf("  %4.0f %% %4.0f %%\n", cpu[0], cpu[1]);
    struct outcome o = {times, good, (double)f->refused / b->seconds,
                        (double)histogram_at(&f->latency_us, 990000)};
    end(b);
    return o;
}

// ---- The quiet peer

// A SIP user agent of another address: asks now and then, answers what it is asked.
struct quiet {
    int fd;
    struct sockaddr_in gateway, own;
    struct source asks;
    struct {
        uint64_t asked_us, again_us, interval_us, done_us;
        unsigned status;
    } request[QUIET_MAX];
};

static bool quiet_open(struct quiet *q, uint16_t gateway_port)
{
    socklen_t n = sizeof q->own;
    memset(q, 0, sizeof *q);
    q->gateway = (struct sockaddr_in){.sin_family = AF_INET,
                                      .sin_port = htons(gateway_port),
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    q->own =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1)};
    q->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    q->asks = (struct source){QUIET_PER_S, load_now_us() + 500000, 0};
    return q->fd >= 0 && !bind(q->fd, (struct sockaddr *)&q->own, n) &&
           !getsockname(q->fd, (struct sockaddr *)&q->own, &n);
}

static void quiet_ask(struct quiet *q, unsigned i)
{
    char m[1024];
    unsigned port = ntohs(q->own.sin_port);
    int n = snprintf(m, sizeof m,
                     "SUBSCRIBE sip:j%u@example.com SIP/2.0\r\n"
                     "Via: SIP/2.0/UDP 127.0.0.2:%u;branch=z9hG4bKquiet%u\r\nMax-Forwards: 70\r\n"
                     "Record-Route: <sip:127.0.0.2:%u;lr>\r\n"
                     "From: <sip:q%u@example.net>;tag=q\r\nTo: <sip:j%u@example.com>\r\n"
                     "Call-ID: quiet%u\r\nCSeq: 1 SUBSCRIBE\r\nContact: <sip:q%u@127.0.0.2:%u>\r\n"
                     "Event: presence\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n",
                     i, port, i, port, i, i, i, i, port);
    sendto(q->fd, m, (size_t)n, 0, (struct sockaddr *)&q->gateway, sizeof q->gateway);
}

// The head of a request, turned into an answer to it.
static void quiet_answer(struct quiet *q, const char *m, const struct sockaddr_in *to)
{
    static const char *const kept[] = {"Via:", "From:", "To:", "Call-ID:", "CSeq:"};
    char out[2048];
    size_t n = (size_t)snprintf(out, sizeof out, "SIP/2.0 200 OK\r\n");
    for (const char *line = strstr(m, "\r\n"), *next; line && (next = strstr(line + 2, "\r\n"));
         line = next)
        for (unsigned k = 0; k < sizeof kept / sizeof *kept; k++)
            if (strncmp(line + 2, kept[k], strlen(kept[k])) == 0 && n < sizeof out - 600)
                n += (size_t)snprintf(out + n, 500, "%.*s", (int)(next - line), line + 2);
    n += (size_t)snprintf(out + n, sizeof out - n, "Content-Length: 0\r\n\r\n");
    sendto(q->fd, out, n, 0, (const struct sockaddr *)to, sizeof *to);
}

static void quiet_take(struct quiet *q, const char *m, const struct sockaddr_in *from)
{
    const char *id = strstr(m, "Call-ID: quiet");
    unsigned i, status;
    if (!id || sscanf(id, "Call-ID: quiet%u", &i) != 1 || i >= q->asks.n)
        return;
    if (sscanf(m, "SIP/2.0 %u", &status) != 1) {
        quiet_answer(q, m, from);
    } else if (!q->request[i].status) {
        q->request[i].status = status;
        q->request[i].done_us = load_now_us();
    }
}

static void quiet_play(struct quiet *q, bool asks)
{
    char m[4096];
    struct sockaddr_in from;
    socklen_t from_n = sizeof from;
    uint64_t now_us = load_now_us();
    for (; asks && due_us(&q->asks) <= now_us && q->asks.n < QUIET_MAX; q->asks.n++) {
        unsigned i = (unsigned)q->asks.n;
        q->request[i].asked_us = due_us(&q->asks);
        q->request[i].interval_us = 500000;
        q->request[i].again_us = now_us + 500000;
        quiet_ask(q, i);
    }
    for (unsigned i = 0; i < q->asks.n; i++) // RFC 3261 §17.1.2.2
        if (!q->request[i].status && q->request[i].again_us <= now_us) {
            quiet_ask(q, i);
            q->request[i].interval_us =
                q->request[i].interval_us < 2000000 ? 2 * q->request[i].interval_us : 4000000;
            q->request[i].again_us = now_us + q->request[i].interval_us;
        }
    for (ssize_t n;
         (n = recvfrom(q->fd, m, sizeof m - 1, 0, (struct sockaddr *)&from, &from_n)) > 0;) {
        m[n] = 0;
        quiet_take(q, m, &from);
    }
}

static void fairness(struct bench *b, double peak)
{
    static struct quiet q;
    begin(b, (unsigned)(peak * 3 * b->seconds) + WINDOW);
    if (!quiet_open(&q, load_sip_port(b->load)))
        die(b, "127.0.0.2 can't be used");
    double cpu[2];
    open_loop(b, peak * 3, &q, cpu);
    const struct load_figure *f = load_figure(b->load, b->kind);
    static struct histogram taken; // of the quiet one
    unsigned late = 0;
    for (unsigned i = 0; i < q.asks.n; i++)
        if (q.request[i].status / 100 == 2)
            histogram_add(&taken, q.request[i].done_us - q.request[i].asked_us);
        else
            late += !q.request[i].status;
    printf(
        "one floods with %.0f a second: %.1f %% taken; another asks for %d a second: %.1f %% taken, "
        "p50 %.1f ms, p99 %.1f ms, %u unanswered\n",
        (double)f->begun / b->seconds, 100.0 * (double)f->done / (double)f->begun, QUIET_PER_S,
        100.0 * (double)taken.n / (double)q.asks.n, ms_at(&taken, 500000), ms_at(&taken, 990000),
        late);
    close(q.fd);
    end(b);
}

// ---- All of it

static void say_outcome(struct bench *b, const struct outcome *o)
{
    say(b, "goodput", "1/s", o->good_per_s, o->times);
    say(b, "refused", "1/s", o->refused_per_s, o->times);
    say(b, "p99", "us", o->p99_us, o->times);
}

static void measure(struct bench *b, enum load_kind kind, const char *direction)
{
    static const double times[] = {0.5, 1, 1.5, 2, 3};
    b->kind = kind;
    struct outcome outcomes[sizeof times / sizeof *times];
    double capacity = capacity_of(b, direction), peak = capacity, at_twice = 0;
    printf(
        "  load  offered     good     of     done  refused   p50 ms   p99 ms   refresh  p99 ms "
        " presence  p99 ms    notify  p99 ms   CPU driver\n");
    for (unsigned i = 0; i < sizeof times / sizeof *times; i++) {
        const struct outcome *o = &outcomes[i];
        outcomes[i] = load_once(b, capacity, times[i]);
        peak = larger(peak, o->good_per_s);
        at_twice = o->times == 2 ? o->good_per_s : at_twice;
    }
    peak = once_more(b, capacity, peak);
    say(b, "capacity", "1/s", capacity, 0);
    say(b, "at-twice", "% of the peak", 100 * at_twice / peak, 0); // of the goodput
    for (unsigned i = 0; i < sizeof times / sizeof *times; i++)
        say_outcome(b, &outcomes[i]);
    if (kind == LOAD_SERVE)
        fairness(b, capacity);
}

static bool is_direction(const char *text)
{
    return strcmp(text, "sip-to-xmpp") == 0 || strcmp(text, "xmpp-to-sip") == 0;
}

_Noreturn static void usage(FILE *to)
{
    fputs(
        "usage: bench_overload [--gateway FILE] [--seconds N] [--only xmpp-to-sip|sip-to-xmpp]\n"
        "                      [--mixed-lengths] [--figures FILE] [--dir DIR]\n"
        "--mixed-lengths: no two messages in a row are of one length; figures end in \"-mixed\"\n",
        to);
    exit(to == stdout ? 0 : 2);
}

// What only one direction is asked for by; none: "".
static const char *options(struct bench *b, const char **figures, int argc, char **argv)
{
    static const struct option names[] = {
        {"gateway", 1, NULL, 'g'}, {"seconds", 1, NULL, 's'},
        {"only", 1, NULL, 'o'},    {"mixed-lengths", 0, NULL, 'm'},
        {"figures", 1, NULL, 'f'}, {"dir", 1, NULL, 'd'},
        {"help", 0, NULL, 'h'},    {0}};
    const char *only = "";
    bool good = true;
    for (int o; good && (o = getopt_long(argc, argv, "", names, NULL)) != -1;)
        switch (o) {
        case 'g': b->setup.binary = optarg; break;
        case 's': good = number_of(optarg, 1, 3600, &b->seconds); break;
        case 'o': only = optarg; break;
        case 'm': b->mixed = true; break;
        case 'f': *figures = optarg; break;
        case 'd': b->dir = optarg; break;
        case 'h': usage(stdout);
        default: good = false;
        }
    if (!good || optind < argc || (*only && !is_direction(only)))
        usage(stderr);
    return only;
}

int main(int argc, char **argv)
{
    struct bench b = {.setup = {.binary = "build/release/isthmus",
                                .toml = "[limits]\nnew_subscriptions_per_user_per_min = 1000000\n"},
                      .seconds = 8};
    const char *figures = NULL, *only = options(&b, &figures, argc, argv);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (figures_open(&b.figures, "overload", figures))
        die(&b, "the file of figures can't be written");
    if (!*only || strcmp(only, "sip-to-xmpp") == 0)
        measure(&b, LOAD_SERVE, "SIP to XMPP");
    if (!*only || strcmp(only, "xmpp-to-sip") == 0)
        measure(&b, LOAD_WATCH, "XMPP to SIP");
    figures_close(b.figures);
    return b.faulty ? 1 : 0;
}
