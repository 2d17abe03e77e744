// Asks the daemon over REST and looks at its process and its store.
#include "tests/soak/gauge.h"

#include <errno.h>
#include <ftw.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store.h"

static uint64_t sum_of(const json_t *items, const char *key)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < json_array_size(items); i++)
        sum += (uint64_t)json_integer_value(json_object_get(json_array_get(items, i), key));
    return sum;
}

static bool read_shards(struct gauge *g, const struct load *l)
{
    char *body = NULL;
    int status = load_rest(l, "GET", "/v1/shards", &body);
    json_t *all = status == 200 && body ? json_loads(body, 0, NULL) : NULL;
    const json_t *items = json_object_get(all, "items");
    g->subscriptions = sum_of(items, "subscriptions");
    g->dialogs = sum_of(items, "dialogs");
    g->transactions = sum_of(items, "transactions");
    g->users = sum_of(items, "users");
    g->store_bytes = sum_of(items, "store_bytes");
    free(body);
    json_decref(all);
    return all != NULL;
}

// All series of that name together.
static uint64_t metric(const char *page, const char *name)
{
    uint64_t sum = 0;
    size_t n = strlen(name);
    for (const char *at = page; (at = strstr(at, name)); at += n) {
        const char *value = at[n] == '{' ? strchr(at, '}') : NULL;
        if (at[-1] == '\n' && value)
            sum += strtoull(value + 1, NULL, 10);
    }
    return sum;
}

static bool read_metrics(struct gauge *g, const struct load *l)
{
    char *body = NULL;
    int status = load_rest(l, "GET", "/metrics", &body);
    if (status == 200 && body)
        g->timers = metric(body, "isthmus_timers");
    free(body);
    return status == 200;
}

static uint64_t file_sum;

static int add_file(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)path, (void)at;
    if (kind == FTW_F)
        file_sum += (uint64_t)st->st_blocks * 512;
    return 0;
}

bool gauge_read(struct gauge *g, const struct load *l)
{
    char store[300];
    *g = (struct gauge){.memory_bytes = load_memory_bytes(l), .descriptors = load_descriptors(l)};
    snprintf(store, sizeof store, "%s/store", load_dir(l));
    file_sum = 0;
    nftw(store, add_file, 8, FTW_PHYS);
    g->file_bytes = file_sum;
    return read_shards(g, l) && read_metrics(g, l);
}

static int count_one(void *arg, uint64_t id, struct text record)
{
    (void)id, (void)record;
    ++*(long *)arg;
    return 0;
}

static int count_shard(struct store *s, unsigned shard, long *n)
{
    struct store_shard *one;
    struct store_error why;
    int error = store_shard_open(&one, s, shard, &why);
    if (!error) {
        error = store_shard_scan(one, count_one, n);
        store_shard_close(one);
    }
    return error;
}

long gauge_records(const struct load *l, unsigned shards)
{
    char path[300];
    long n = 0;
    struct store *s;
    struct store_error why;
    snprintf(path, sizeof path, "%s/store", load_dir(l));
    if (store_open(&s, path, shards, &why))
        return -1;
    int error = 0;
    for (unsigned i = 0; i < shards && !error; i++)
        error = count_shard(s, i, &n);
    store_close(s);
    return error ? -1 : n;
}

unsigned gauge_errors(const struct load *l, char first[256])
{
    char path[300], line[4096];
    unsigned n = 0;
    snprintf(path, sizeof path, "%s/log", load_dir(l));
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f)) {
        if (strstr(line, " level=error ") && n++ == 0)
            snprintf(first, 256, "%.255s", line);
    }
    if (f)
        fclose(f);
    return n;
}

void gauge_add(struct gauge_points *p, double x, double y)
{
    if (p->n == sizeof p->x / sizeof *p->x)
        return; // more than ten days of minutes
    p->x[p->n] = x;
    p->y[p->n++] = y;
}

int gauge_slope(const struct gauge_points *p, double x_least, double *out)
{
    double n = 0, x = 0, y = 0, xx = 0, xy = 0;
    for (unsigned i = 0; i < p->n; i++) {
        if (p->x[i] < x_least)
            continue;
        n++;
        x += p->x[i];
        y += p->y[i];
        xx += p->x[i] * p->x[i];
        xy += p->x[i] * p->y[i];
    }
    double spread = n * xx - x * x;
    if (n < 3 || spread <= 0)
        return ENODATA;
    *out = (n * xy - x * y) / spread;
    return 0;
}
