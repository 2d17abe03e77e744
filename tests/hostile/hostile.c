// Hostile peers around the real daemon, one attack after the other, while honest users are served.
//
//   baseline ─▶ attack, N seconds ─▶ recovery ─▶ next attack ─▶ … ─▶ the table
//
// Each attack has bounds (attacks.c): how the honest users fare meanwhile, what the daemon may take
// of memory, and that all is as before when it is over. Exit status 1 if one is broken.
#include "hostile.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attacker.h"
#include "bench/load/free_ports.h"
#include "bench/load/scratch.h"
#include "configure.h"
#include "front.h"
#include "honest.h"
#include "tests/certificates.h"
#include "tests/number.h"
#include "witness.h"

enum {
    START_MS = 30000,
    SAMPLE_US = 50000,
    GRACE_MS = 3000,      // for what was begun within the attack's time
    BEGIN_MS = 30000,     // an attack that does not get going is a fault of the test
    END_MS = 20000,       // or come to an end
    RECOVERY_MS = 20000,  // until all is as before
    DESCRIPTORS_MORE = 4, // the witnesses' own
    TENTHS_MAX = 36000,   // of a second
    ROUNDS_MAX = 1000,
    NICE = 10, // attackers: the honest side's threads go first
};

struct options {
    const char *binary;
    unsigned seconds; // tenths of
    unsigned rounds;
    bool is_short, loose;
    int n_names;
    char **names;
};

struct arena {
    const struct options *options;
    char dir[64];
    struct scratch scratch;
    struct load *load;
    struct front *front;
    struct field field;
    struct honest honest;
    struct witness *rest, *tcp;
    uint32_t baseline_us; // p99 without an attack
    uint64_t cpu_ns, began_us;
    uint64_t faults;
};

struct reading {
    struct honest_figure honest;
    struct witness_figure rest, tcp;
    double cpu_percent;
    uint64_t memory_bytes; // the most
    unsigned descriptors;  // at its end: to count thousands takes the honest side's time
};

struct row {
    const struct attack *attack;
    struct reading during, after;
    uint64_t said, before_bytes, after_bytes;
    uint32_t baseline_us;
    unsigned recovered_ms;
    char broken[256]; // "": no bound is
    bool only_slow;   // none but that of the honest users' p99
};

// ---- The arena ---------------------------------------------------------------------------------

static void show_log(const struct arena *a)
{
    char path[300];
    snprintf(path, sizeof path, "%s/log", load_dir(a->load));
    char *text = hostile_read_file(path);
    size_t n = strlen(text);
    fprintf(stderr, "%s\n", text + (n > 6000 ? n - 6000 : 0));
    free(text);
}

static void learn_call_ids(struct arena *a)
{
    char *body = NULL;
    struct field *f = &a->field;
    f->n_call_ids = 0;
    load_rest(a->load, "GET", "/v1/subscriptions?limit=200", &body);
    static const char key[] = "\"call_id\":\"";
    for (const char *at = body; at && f->n_call_ids < FIELD_CALL_IDS && (at = strstr(at, key));) {
        at += strlen(key);
        snprintf(f->call_id[f->n_call_ids++], sizeof f->call_id[0], "%.*s", (int)strcspn(at, "\""),
                 at);
    }
    free(body);
    if (!f->n_call_ids)
        hostile_die("REST", "no Call-ID is told of");
}

static void take_reading(struct arena *a, struct reading *out);
static void play_for(struct arena *a, struct reading *r, uint64_t us);

// A pass to warm up, and one that counts.
static void measure_baseline(struct arena *a)
{
    uint64_t us = a->options->seconds * 100000ull;
    for (int i = 0; i < 2; i++) {
        struct reading r = {0};
        play_for(a, &r, us < 500000 ? 500000 : us);
        honest_finish(&a->honest, GRACE_MS);
        take_reading(a, &r);
        a->baseline_us = (uint32_t)histogram_at(&r.honest.latency_us, 990000);
        if (i && r.honest.done < r.honest.begun)
            hostile_die("honest load alone", "not all of it comes through");
    }
}

// In memory if there is such a place: a disk's own pauses would hide what the attacks cost.
static void make_folder(struct arena *a)
{
    bool in_memory = access("/dev/shm", W_OK) == 0;
    snprintf(a->dir, sizeof a->dir, "%s/isthmus-hostile-XXXXXX", in_memory ? "/dev/shm" : "/tmp");
    int error = scratch_create(&a->scratch, a->dir);
    if (error)
        hostile_die(a->dir, strerror(error));
}

static void arena_open(struct arena *a, const struct options *options)
{
    *a = (struct arena){.options = options};
    make_folder(a);
    struct load_setup setup = {
        .binary = options->binary, .pairs = HONEST_PAIRS + HONEST_CHURN, .dir = a->dir};
    int error = load_create(&a->load, &setup);
    if (error)
        hostile_die("load", strerror(error));
    a->field.sip_port = load_sip_port(a->load);
    a->field.shard_port = load_shard_port(a->load);
    a->field.api_port = load_api_port(a->load);
    a->field.tls_port = free_ports(1);
    a->field.scale = options->is_short ? 10 : 100;
    certificate_write(certificate_make(NULL, "DNS:example.net,IP:127.0.0.1", 30), load_dir(a->load),
                      "server");
    a->front = hostile_configure(a->load, &a->field);
    a->field.front = a->front;
    error = load_start(a->load, START_MS);
    if (error) {
        show_log(a);
        hostile_die("the daemon does not start", strerror(error));
    }
    if (!honest_settle(&a->honest, a->load)) {
        show_log(a);
        hostile_die("honest users", "don't get their subscriptions");
    }
    learn_call_ids(a);
    a->rest = witness_start(WITNESS_REST, a->field.api_port);
    a->tcp = witness_start(WITNESS_TCP, a->field.sip_port);
    measure_baseline(a);
}

static void arena_close(struct arena *a)
{
    witness_stop(a->rest);
    witness_stop(a->tcp);
    load_destroy(a->load);
    front_stop(a->front);
    scratch_remove(&a->scratch);
}

// ---- Measuring ---------------------------------------------------------------------------------

static void sample(struct arena *a, struct reading *r)
{
    uint64_t bytes = load_memory_bytes(a->load);
    r->memory_bytes = bytes > r->memory_bytes ? bytes : r->memory_bytes;
}

static void begin_reading(struct arena *a)
{
    struct honest_figure waste;
    honest_take(&a->honest, &waste);
    witness_take(a->rest);
    witness_take(a->tcp);
    a->cpu_ns = load_cpu_ns(a->load);
    a->began_us = load_now_us();
}

static void take_reading(struct arena *a, struct reading *out)
{
    uint64_t us = load_now_us() - a->began_us;
    out->cpu_percent = (double)(load_cpu_ns(a->load) - a->cpu_ns) / 10.0 / (double)(us ? us : 1);
    honest_take(&a->honest, &out->honest);
    out->rest = witness_take(a->rest);
    out->tcp = witness_take(a->tcp);
}

static void play_until(struct arena *a, struct reading *r, uint64_t end_us)
{
    uint64_t sample_us = 0;
    for (uint64_t now_us; (now_us = load_now_us()) < end_us;) {
        if (now_us >= sample_us) {
            sample(a, r);
            sample_us = now_us + SAMPLE_US;
        }
        honest_play(&a->honest, 1000);
    }
}

static void play_for(struct arena *a, struct reading *r, uint64_t us)
{
    begin_reading(a);
    play_until(a, r, load_now_us() + us);
}

// ---- An attack ---------------------------------------------------------------------------------

struct attacker {
    struct field *field;
    const struct attack *attack;
    _Atomic bool over;
};

static void *attacker_main(void *arg)
{
    struct attacker *at = arg;
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
    at->attack->run(at->field);
    at->over = true;
    return NULL;
}

static void run_attack(struct arena *a, struct row *row)
{
    struct field *f = &a->field;
    struct attacker at = {.field = f, .attack = row->attack};
    pthread_t thread;
    f->stop = f->begun = false;
    f->said = f->heard = 0;
    begin_reading(a);
    if (pthread_create(&thread, NULL, attacker_main, &at))
        hostile_die("thread", "none");
    for (uint64_t end_us = load_now_us() + BEGIN_MS * 1000ull; !f->begun && !at.over;) {
        play_until(a, &row->during, load_now_us() + 20000);
        if (load_now_us() > end_us) {
            attacker_complain(f, "the attack does not get going");
            break;
        }
    }
    play_until(a, &row->during, load_now_us() + a->options->seconds * 100000ull);
    honest_finish(&a->honest, GRACE_MS);
    sample(a, &row->during);
    take_reading(a, &row->during);
    row->during.descriptors = load_descriptors(a->load);
    row->said = f->said;
    f->stop = true;
    for (uint64_t end_us = load_now_us() + END_MS * 1000ull; !at.over;) {
        honest_play(&a->honest, 1000);
        if (load_now_us() > end_us)
            hostile_die(row->attack->name, "does not end");
    }
    pthread_join(thread, NULL);
    honest_finish(&a->honest, GRACE_MS);
}

// ---- Verdicts ----------------------------------------------------------------------------------

static void broken(struct row *row, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void broken(struct row *row, const char *format, ...)
{
    va_list args;
    size_t n = strlen(row->broken);
    row->only_slow = row->only_slow && !n;
    if (n)
        n += (size_t)snprintf(row->broken + n, sizeof row->broken - n, "; ");
    if (n >= sizeof row->broken)
        return;
    va_start(args, format);
    vsnprintf(row->broken + n, sizeof row->broken - n, format, args);
    va_end(args);
}

static double percent(uint64_t part, uint64_t all)
{
    return all ? 100.0 * (double)part / (double)all : 100;
}

static double at_least(const struct arena *a, double bound, double usual)
{
    bound = bound > 0 ? bound : usual;
    return a->options->loose ? bound * 0.75 : bound;
}

static unsigned at_most(const struct arena *a, unsigned bound, unsigned usual)
{
    bound = bound ? bound : usual;
    return a->options->loose ? bound * 10 : bound;
}

static uint32_t p99_us(const struct reading *r)
{
    return (uint32_t)histogram_at(&r->honest.latency_us, 990000);
}

static unsigned grown_mb(const struct row *row, uint64_t bytes)
{
    return bytes > row->before_bytes ? (unsigned)((bytes - row->before_bytes) >> 20) : 0;
}

// The daemon's share of two cores and more goes to the attack: what honest users see of it.
static void judge_during(const struct arena *a, struct row *row)
{
    const struct bounds *b = &row->attack->bounds;
    const struct reading *r = &row->during;
    double ok = percent(r->honest.done, r->honest.begun);
    double rest = percent(r->rest.answered, r->rest.asked);
    double tcp = percent(r->tcp.answered, r->tcp.asked);
    unsigned p99_ms = at_most(a, b->p99_ms, 100), grows = at_most(a, b->grows_mb, 16);
    if (!row->said)
        broken(row, "the attack has said nothing");
    if (ok < at_least(a, b->ok_percent, 99.9))
        broken(row, "honest: %.2f %% come through", ok);
    if (p99_us(r) > p99_ms * 1000) {
        row->only_slow = !row->broken[0];
        broken(row, "honest p99: %u ms, bound %u", p99_us(r) / 1000, p99_ms);
    }
    if (rest < at_least(a, b->rest_percent, 95))
        broken(row, "REST: %.1f %% answered", rest);
    if (tcp < at_least(a, b->tcp_percent, 95))
        broken(row, "TCP: %.1f %% answered", tcp);
    if (grown_mb(row, r->memory_bytes) > grows)
        broken(row, "grew by %u MB, bound %u", grown_mb(row, r->memory_bytes), grows);
}

static bool is_as_before(const struct arena *a, const struct row *row, unsigned descriptors)
{
    const struct reading *r = &row->after;
    unsigned keeps = at_most(a, row->attack->bounds.keeps_mb, 8);
    uint32_t most_us = 5 * row->baseline_us > 20000 ? 5 * row->baseline_us : 20000;
    return r->honest.done == r->honest.begun &&
           p99_us(r) <= (a->options->loose ? 10 : 1) * most_us &&
           grown_mb(row, row->after_bytes) <= keeps &&
           load_descriptors(a->load) <= descriptors + DESCRIPTORS_MORE;
}

static void recover(struct arena *a, struct row *row, unsigned descriptors)
{
    uint64_t began_us = load_now_us(), took_us;
    bool good;
    do {
        row->after = (struct reading){0};
        play_for(a, &row->after, 300000);
        honest_finish(&a->honest, GRACE_MS);
        take_reading(a, &row->after);
        row->after_bytes = load_memory_bytes(a->load);
        took_us = load_now_us() - began_us;
        good = is_as_before(a, row, descriptors);
    } while (!good && took_us < RECOVERY_MS * 1000ull && load_alive(a->load, NULL));
    row->recovered_ms = (unsigned)(took_us / 1000);
    if (!good)
        broken(row, "not as before: %.2f %%, p99 %u ms, %u MB more, %d descriptors more",
               percent(row->after.honest.done, row->after.honest.begun), p99_us(&row->after) / 1000,
               grown_mb(row, row->after_bytes), (int)load_descriptors(a->load) - (int)descriptors);
}

static void judge_faults(struct arena *a, struct row *row)
{
    char why[256], *complaint = atomic_exchange(&a->field.complaint, NULL);
    uint64_t faults = load_faults(a->load, why);
    if (complaint)
        broken(row, "%s", complaint);
    free(complaint);
    if (faults > a->faults)
        broken(row, "the honest side: %.150s", why);
    a->faults = faults;
}

static void print_row(FILE *f, const struct row *row)
{
    const struct reading *r = &row->during;
    char said[48];
    snprintf(said, sizeof said, "%llu %s", (unsigned long long)row->said, row->attack->unit);
    fprintf(f, "%-18s %20s %7.2f %6.1f %7.1f %7.1f %7.1f %5.0f %6.1f %6.1f %5u %5u %5u %6u  %s\n",
            row->attack->name, said, percent(r->honest.done, r->honest.begun),
            percent(r->honest.setups_done, r->honest.setups_begun),
            (double)histogram_at(&r->honest.latency_us, 500000) / 1000, p99_us(r) / 1000.0,
            row->baseline_us / 1000.0, r->cpu_percent, percent(r->rest.answered, r->rest.asked),
            percent(r->tcp.answered, r->tcp.asked), grown_mb(row, r->memory_bytes),
            grown_mb(row, row->after_bytes), r->descriptors, row->recovered_ms,
            row->broken[0] ? row->broken : "held");
    fflush(f);
}

static void print_head(FILE *f)
{
    fprintf(f, "%-18s %20s %7s %6s %7s %7s %7s %5s %6s %6s %5s %5s %5s %6s\n", "attack", "said",
            "honest%", "new%", "p50ms", "p99ms", "base99", "CPU%", "REST%", "TCP%", "+MB", "after",
            "fds", "backms");
}

// ---- All of it ---------------------------------------------------------------------------------

static void attack_once(struct arena *a, struct row *row)
{
    unsigned descriptors = load_descriptors(a->load);
    row->before_bytes = load_memory_bytes(a->load);
    row->baseline_us = a->baseline_us;
    run_attack(a, row);
    judge_during(a, row);
    if (row->attack->bounds.leaves)
        row->after_bytes = load_memory_bytes(a->load);
    else
        recover(a, row, descriptors);
    judge_faults(a, row);
    front_forget_requests(a->front);
    if (!load_alive(a->load, NULL)) {
        broken(row, "THE DAEMON HAS DIED");
        show_log(a);
    }
    print_row(stderr, row);
}

// A machine that does other things as well has pauses of its own: what was only slow is looked at
// again.
static void attack_twice(struct arena *a, struct row *row)
{
    attack_once(a, row);
    if (!row->only_slow || row->attack->bounds.leaves)
        return;
    *row = (struct row){.attack = row->attack};
    attack_once(a, row);
}

static bool is_chosen(const struct options *o, const struct attack *attack)
{
    for (int i = 0; i < o->n_names; i++)
        if (strncmp(attack->name, o->names[i], strlen(o->names[i])) == 0)
            return true;
    return !o->n_names && !(o->is_short && attack->is_long);
}

static int run_all(const struct options *o)
{
    struct row *rows = calloc(n_attacks * o->rounds, sizeof *rows);
    struct arena a;
    unsigned n = 0, failed = 0;
    bool open = false;
    print_head(stderr);
    for (unsigned k = 0; k < n_attacks * o->rounds; k++) {
        const struct attack *attack = &attacks[k / o->rounds];
        if (!is_chosen(o, attack))
            continue;
        if (!open)
            arena_open(&a, o);
        struct row *row = &rows[n++];
        row->attack = attack;
        attack_twice(&a, row);
        failed += row->broken[0] != '\0';
        open = load_alive(a.load, NULL) && !attack->bounds.leaves;
        if (!open)
            arena_close(&a);
    }
    if (open)
        arena_close(&a);
    print_head(stdout);
    for (unsigned i = 0; i < n; i++)
        print_row(stdout, &rows[i]);
    printf("%u attacks, %u with a broken bound\n", n, failed);
    free(rows);
    return n == 0 || failed ? 1 : 0;
}

static void list(void)
{
    for (unsigned i = 0; i < n_attacks; i++)
        printf("%s\n", attacks[i].name);
    exit(0);
}

static void usage(const char *wrong)
{
    hostile_die(wrong,
                "usage: hostile [NAME…] [--seconds N] [--rounds N] [--short] [--loose] [--list]");
}

static bool read_tenths(const char *text, unsigned *out)
{
    char *end;
    double n = strtod(text, &end) * 10;
    *out = n >= 1 && n <= TENTHS_MAX ? (unsigned)n : 0;
    return *out && !*end;
}

// Each has to be an attack, or what several names begin with.
static void check_names(const struct options *o)
{
    for (int i = 0; i < o->n_names; i++) {
        struct options one = {.n_names = 1, .names = &o->names[i]};
        bool found = false;
        for (unsigned k = 0; k < n_attacks; k++)
            found = found || is_chosen(&one, &attacks[k]);
        if (!found)
            hostile_die(o->names[i], "no such attack; --list tells which there are");
    }
}

static void parse(struct options *o, int argc, char **argv)
{
    *o = (struct options){.binary = ISTHMUS_BINARY, .seconds = 50, .rounds = 1, .names = argv + 1};
    bool good = true;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
            good = read_tenths(argv[++i], &o->seconds);
        else if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc)
            good = number_of(argv[++i], 1, ROUNDS_MAX, &o->rounds);
        else if (strcmp(argv[i], "--binary") == 0 && i + 1 < argc)
            o->binary = argv[++i];
        else if (strcmp(argv[i], "--short") == 0)
            o->is_short = true;
        else if (strcmp(argv[i], "--loose") == 0)
            o->loose = true;
        else if (strcmp(argv[i], "--list") == 0)
            list();
        else if (argv[i][0] == '-')
            good = false;
        else
            o->names[o->n_names++] = argv[i];
        if (!good)
            usage(argv[i]);
    }
    check_names(o);
}

int main(int argc, char **argv)
{
    struct options o;
    struct rlimit files;
    parse(&o, argc, argv);
    signal(SIGPIPE, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    return run_all(&o);
}
