// What the kernel alone asks for an event of either direction: the measure for all that we add.
//
//   bench_floor [--events 500000] [--window 256] [--say-every 64] [--figures FILE]
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/load/figures.h"
#include "bench/load/floor.h"
#include "tests/number.h"

static void usage(FILE *to)
{
    fputs("usage: bench_floor [--events N] [--window N] [--say-every N] [--figures FILE]\n", to);
    exit(to == stdout ? 0 : 2);
}

static const char *options(struct floor_setup *s, int argc, char **argv)
{
    static const struct option names[] = {{"events", 1, NULL, 'e'},    {"window", 1, NULL, 'w'},
                                          {"say-every", 1, NULL, 's'}, {"figures", 1, NULL, 'f'},
                                          {"help", 0, NULL, 'h'},      {0}};
    const char *file = NULL;
    bool good = true;
    for (int o; good && (o = getopt_long(argc, argv, "", names, NULL)) != -1;)
        if (o == 'e')
            good = number_u64(optarg, 1, 1000000000, &s->events);
        else if (o == 'w')
            good = number_of(optarg, 1, 4096, &s->window);
        else if (o == 's')
            good = number_of(optarg, 1, 4096, &s->say_every);
        else if (o == 'f')
            file = optarg;
        else if (o == 'h')
            usage(stdout);
        else
            good = false;
    if (!good || optind < argc || s->say_every > s->window)
        usage(stderr);
    return file;
}

static int measure(const char *bench, enum floor_way way, struct floor_setup *s, const char *file)
{
    struct figures *figures;
    struct floor_figure f;
    s->way = way;
    int error = figures_open(&figures, bench, file);
    if (error)
        return error;
    struct floor_setup in_runs = *s;
    in_runs.run = FLOOR_RUN;
    struct floor_figure runs;
    error = floor_measure(&f, s);
    if (!error && floor_measure(&runs, &in_runs) == 0) // not every kernel can
        figures_say(figures,
                    &(struct figure){"floor", "cpu-runs", "us/event", runs.cpu_us, NULL, 0});
    if (!error) {
        figures_say(figures, &(struct figure){"floor", "cpu", "us/event", f.cpu_us, NULL, 0});
        figures_say(figures, &(struct figure){"floor", "peak", "events/s", f.per_s, NULL, 0});
        figures_say(figures,
                    &(struct figure){"floor", "batch", "events/turn", f.per_turn, NULL, 0});
    }
    figures_close(figures);
    return error;
}

int main(int argc, char **argv)
{
    struct floor_setup s = {.events = 500000, .window = 256, .say_every = 64};
    const char *file = options(&s, argc, argv);
    int error = measure("presence-in", FLOOR_PRESENCE_IN, &s, file);
    error = error ? error : measure("notify-in", FLOOR_NOTIFY_IN, &s, file);
    if (error)
        fprintf(stderr, "bench_floor: %s\n", strerror(error));
    return error ? 1 : 0;
}
