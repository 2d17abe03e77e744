// From a start to readiness, and what a gateway counts of itself.
#include "bench/load/ready.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { READY_STEP_US = 1000 };

int ready_start(struct load *l, unsigned timeout_ms, struct ready *out)
{
    uint64_t begin_us = load_now_us(), end_us = begin_us + timeout_ms * 1000ull;
    int err = load_start(l, timeout_ms);
    while (!err && load_rest(l, "GET", "/readyz", NULL) != 200) {
        err = load_now_us() > end_us ? ETIMEDOUT : load_alive(l, NULL) ? 0 : ECHILD;
        load_play(l, READY_STEP_US);
    }
    *out = (struct ready){.wall_s = (double)(load_now_us() - begin_us) / 1e6,
                          .cpu_s = (double)load_cpu_ns(l) / 1e9};
    return err;
}

double ready_metric(const struct load *l, const char *name)
{
    char *body = NULL, key[128];
    double value = -1;
    snprintf(key, sizeof key, "\n%s ", name);
    if (load_rest(l, "GET", "/metrics", &body) == 200) {
        const char *at = strstr(body, key);
        value = at ? strtod(at + strlen(key), NULL) : -1;
    }
    free(body);
    return value;
}
