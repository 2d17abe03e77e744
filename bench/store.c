// What the store costs: CPU per put in turns of a hundred, bytes on disk, opening, scan,
// re-partition.
//
//   bench_store [--figures FILE] [DIR [RECORDS]]
//
// DIR must not be there yet; it stays, to be looked at. None: one is made in the working directory,
// and removed.
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "bench/load/figures.h"
#include "bench/load/scratch.h"
#include "core/record.h"
#include "store/store.h"

enum { TURN = 100, RECORD_BYTES = 250 };

static struct figures *figures;

static void say(const char *what, const char *unit, double value)
{
    figures_say(figures, &(struct figure){.what = what, .unit = unit, .value = value});
}

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct span_of_time {
    double cpu_s, wall_s;
};

static struct span_of_time begin(void)
{
    return (struct span_of_time){seconds(CLOCK_PROCESS_CPUTIME_ID), seconds(CLOCK_MONOTONIC)};
}

static void end_each(struct span_of_time t, const char *what, uint64_t n)
{
    say(what, "us/record", (seconds(CLOCK_PROCESS_CPUTIME_ID) - t.cpu_s) / (double)n * 1e6);
}

static void end_all(struct span_of_time t, const char *what)
{
    say(what, "s", seconds(CLOCK_MONOTONIC) - t.wall_s);
}

static void must(int rc, const struct store_error *why)
{
    if (rc == 0)
        return;
    fprintf(stderr, "%s\n", why->text);
    exit(1);
}

static void write_record(char *p, uint64_t id)
{
    uint32_t hash = (uint32_t)((id * 0x9E3779B97F4A7C15u) >> 32);
    memset(p, (int)(id & 0x7f), RECORD_BYTES);
    p[0] = RECORD_VERSION;
    p[1] = 0;
    for (int i = 0; i < 4; i++)
        p[2 + i] = (char)(hash >> (8 * i));
}

// Turns of a hundred, each record of id first, first + step, …
static void commit_all(struct store_shard *s, uint64_t n, uint64_t first, uint64_t step, bool fresh)
{
    static char bytes[TURN][RECORD_BYTES];
    struct store_change v[TURN];
    struct store_error why;
    for (uint64_t i = 0; i < n; i += TURN) {
        for (uint64_t k = 0; k < TURN; k++) {
            uint64_t id = first + (i + k) * step;
            write_record(bytes[k], id);
            v[k] = (struct store_change){id, {bytes[k], RECORD_BYTES}, fresh};
        }
        must(store_shard_commit(s, v, TURN, &why), &why);
    }
}

static int count(void *arg, uint64_t id, struct text record)
{
    *(uint64_t *)arg += id + (uint8_t)record.p[record.n - 1];
    return 0;
}

static void say_size(const char *dir, const struct store_shard *s, uint64_t n)
{
    char path[4096];
    struct stat st = {0};
    snprintf(path, sizeof path, "%s/gen-1/shard-0/data.mdb", dir);
    stat(path, &st);
    say("pages", "B/record", (double)store_shard_bytes(s) / (double)n);
    say("disk", "B/record", (double)st.st_blocks * 512 / (double)n);
}

static void fill_and_scan(struct store *store, const char *dir, uint64_t n)
{
    struct store_error why;
    struct store_shard *s;
    must(store_shard_open(&s, store, 0, &why), &why);
    struct span_of_time t = begin();
    commit_all(s, n, store_next_id(store), 1, true);
    end_each(t, "cpu-put", n);
    say_size(dir, s, n);
    uint64_t sum = 0;
    t = begin();
    store_shard_scan(s, count, &sum);
    end_each(t, "cpu-scan", n);
    t = begin();
    commit_all(s, n / 10, 1, 7, false); // every 7th: each on a page of two or so
    end_each(t, "cpu-put-apart", n / 10);
    store_shard_close(s);
}

static struct store *open_timed(const char *dir, unsigned shards, const char *what)
{
    struct store_error why;
    struct store *store;
    struct span_of_time t = begin();
    must(store_open(&store, dir, shards, &why), &why);
    end_all(t, what);
    return store;
}

static void run(const char *dir, uint64_t n)
{
    struct store *store = open_timed(dir, 1, "open-new");
    fill_and_scan(store, dir, n);
    store_close(store);
    store_close(open_timed(dir, 1, "open"));
    store_close(open_timed(dir, 2, "open-1-into-2"));
    store_close(open_timed(dir, 3, "open-2-into-3"));
}

_Noreturn static void usage(FILE *to)
{
    fputs("usage: bench_store [--figures FILE] [DIR [RECORDS]]   (DIR is made)\n", to);
    exit(to == stdout ? 0 : 2);
}

static const char *file_of_figures(int argc, char **argv)
{
    static const struct option names[] = {{"figures", 1, NULL, 'f'}, {"help", 0, NULL, 'h'}, {0}};
    const char *file = NULL;
    for (int o; (o = getopt_long(argc, argv, "", names, NULL)) != -1;)
        if (o == 'f')
            file = optarg;
        else
            usage(o == 'h' ? stdout : stderr);
    return file;
}

int main(int argc, char **argv)
{
    char own[] = "bench-store-XXXXXX";
    const char *file = file_of_figures(argc, argv);
    argc -= optind;
    argv += optind;
    uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    const char *dir = argc > 0 ? argv[0] : own;
    struct scratch scratch = {0};
    if (argc > 2 || n < TURN)
        usage(stderr);
    int error = argc > 0 ? (mkdir(dir, 0700) ? errno : 0) : scratch_create(&scratch, own);
    if (error || (error = figures_open(&figures, "store", file)) != 0) {
        fprintf(stderr, "bench_store: %s: %s\n", dir, strerror(error));
        return 1;
    }
    run(dir, n - n % TURN);
    figures_close(figures);
    scratch_remove(&scratch);
    return 0;
}
