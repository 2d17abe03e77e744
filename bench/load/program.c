// The frame of a scenario program: options, gateway, figures, exit status.
#include "bench/load/program.h"

#include <getopt.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#include "tests/number.h"

enum { START_MS = 30000 };

void program_die(struct program *p, const char *why)
{
    fprintf(stderr, "%s: %s\n", p->name, why);
    load_destroy(p->load);
    exit(1);
}

_Noreturn static void program_usage(const struct program *p, FILE *to)
{
    fprintf(to,
            "%s\n"
            "  --gateway FILE      the daemon; default %s\n"
            "  --figures FILE      the figures as lines of JSON, appended\n"
            "  --dir FOLDER        for its store; default a new one in /tmp, removed afterwards\n"
            "  --subscriptions N   default %u\n"
            "  --events N          of the closed loop; default %llu\n"
            "  --seconds N         of each open loop; default %u\n",
            p->help, p->setup.binary, p->subscriptions, (unsigned long long)p->events, p->seconds);
    exit(to == stdout ? 0 : 2);
}

static void program_options(struct program *p, int argc, char **argv, const char **file)
{
    static const struct option names[] = {
        {"gateway", 1, NULL, 'g'}, {"figures", 1, NULL, 'f'},
        {"dir", 1, NULL, 'd'},     {"subscriptions", 1, NULL, 's'},
        {"events", 1, NULL, 'e'},  {"seconds", 1, NULL, 't'},
        {"help", 0, NULL, 'h'},    {0}};
    const struct program defaults = *p;
    bool good = true;
    for (int o; good && (o = getopt_long(argc, argv, "", names, NULL)) != -1;)
        switch (o) {
        case 'g': p->setup.binary = optarg; break;
        case 'f': *file = optarg; break;
        case 'd': p->setup.dir = optarg; break;
        case 's': good = number_of(optarg, 1, 10000000, &p->subscriptions); break;
        case 'e': good = number_u64(optarg, 1, 1000000000, &p->events); break;
        case 't': good = number_of(optarg, 0, 3600, &p->seconds); break;
        case 'h': program_usage(&defaults, stdout);
        default: good = false;
        }
    if (!good || optind < argc)
        program_usage(&defaults, stderr);
}

// Durable means something only on a disk.
static void program_say_where(const struct program *p)
{
    struct statfs fs;
    bool memory = statfs(load_dir(p->load), &fs) == 0 &&
                  (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
    printf("%s: %u subscriptions, store in %s%s\n", p->name, p->subscriptions, load_dir(p->load),
           memory ? ", which is memory and no disk" : "");
}

void program_begin(struct program *p, int argc, char **argv)
{
    const char *file = NULL;
    if (!p->setup.binary)
        p->setup.binary = "build/release/isthmus";
    program_options(p, argc, argv, &file);
    if (!p->setup.pairs)
        p->setup.pairs = p->subscriptions;
    if (figures_open(&p->figures, p->name, file))
        program_die(p, "the file of figures can't be written");
    if (load_create(&p->load, &p->setup) || load_start(p->load, START_MS))
        program_die(p, "the gateway does not start");
    program_say_where(p);
}

int program_end(struct program *p)
{
    char why[256];
    if (load_faults(p->load, why)) {
        fprintf(stderr, "%s: %s\n", p->name, why);
        p->faults++;
    }
    if (load_stop(p->load, START_MS) != 0) {
        fprintf(stderr, "%s: the gateway did not end well\n", p->name);
        p->faults++;
    }
    load_destroy(p->load);
    figures_close(p->figures);
    return p->faults ? 1 : 0;
}

void program_say(struct program *p, const char *what, const char *unit, double value)
{
    program_say_at(p, what, unit, value, NULL, 0);
}

void program_say_at(struct program *p, const char *what, const char *unit, double value,
                    const char *x, double at)
{
    struct figure one = {.what = what, .unit = unit, .value = value, .x = x, .at = at};
    figures_say(p->figures, &one);
}

void program_lost(struct program *p, uint64_t events)
{
    program_say(p, "lost", "events", (double)events);
    p->faults += events > 0;
}
