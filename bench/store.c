// What the store costs: CPU per put in turns of a hundred, bytes on disk, opening, scan,
// re-partition.
//
//   bench_store [DIR [RECORDS]]    DIR must not be there yet; it stays, to be looked at. None:
//                                  one is made in the working directory, and removed.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "bench/load/scratch.h"
#include "core/record.h"
#include "store/store.h"

enum { TURN = 100, RECORD_BYTES = 250 };

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

static void end(struct span_of_time t, const char *what, uint64_t n)
{
    double cpu_s = seconds(CLOCK_PROCESS_CPUTIME_ID) - t.cpu_s;
    double wall_s = seconds(CLOCK_MONOTONIC) - t.wall_s;
    printf("%-28s %8.3f us CPU each, %8.3f s CPU, %8.3f s in all\n", what, cpu_s / (double)n * 1e6,
           cpu_s, wall_s);
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

static void print_size(const char *dir, const struct store_shard *s, uint64_t n)
{
    char path[4096];
    struct stat st = {0};
    snprintf(path, sizeof path, "%s/gen-1/shard-0/data.mdb", dir);
    stat(path, &st);
    printf("%-28s %8.1f bytes of pages in use, %.1f of disk\n", "a record takes",
           (double)store_shard_bytes(s) / (double)n, (double)st.st_blocks * 512 / (double)n);
}

static void fill_and_scan(struct store *store, const char *dir, uint64_t n)
{
    struct store_error why;
    struct store_shard *s;
    must(store_shard_open(&s, store, 0, &why), &why);
    struct span_of_time t = begin();
    commit_all(s, n, store_next_id(store), 1, true);
    end(t, "put, fresh", n);
    print_size(dir, s, n);
    uint64_t sum = 0;
    t = begin();
    store_shard_scan(s, count, &sum);
    end(t, "scan", n);
    t = begin();
    commit_all(s, n / 10, 1, 7, false); // every 7th: each on a page of two or so
    end(t, "put, of old ones far apart", n / 10);
    store_shard_close(s);
}

static struct store *open_timed(const char *dir, unsigned shards, const char *what, uint64_t n)
{
    struct store_error why;
    struct store *store;
    struct span_of_time t = begin();
    must(store_open(&store, dir, shards, &why), &why);
    end(t, what, n);
    return store;
}

static void run(const char *dir, uint64_t n)
{
    struct store *store = open_timed(dir, 1, "open, new", 1);
    fill_and_scan(store, dir, n);
    store_close(store);
    store_close(open_timed(dir, 1, "open, as it was", n));
    store_close(open_timed(dir, 2, "open, 1 shard into 2", n));
    store_close(open_timed(dir, 3, "open, 2 shards into 3", n));
}

int main(int argc, char **argv)
{
    char own[] = "bench-store-XXXXXX";
    uint64_t n = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
    const char *dir = argc > 1 ? argv[1] : own;
    struct scratch scratch = {0};
    if (argc > 3 || n < TURN || *dir == '-') {
        fprintf(stderr, "usage: bench_store [DIR [RECORDS]]   (DIR is made)\n");
        return 2;
    }
    int error = argc > 1 ? (mkdir(dir, 0700) ? errno : 0) : scratch_create(&scratch, own);
    if (error) {
        fprintf(stderr, "bench_store: %s: %s\n", dir, strerror(error));
        return 1;
    }
    run(dir, n - n % TURN);
    scratch_remove(&scratch);
    return 0;
}
