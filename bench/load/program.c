// The frame of a scenario program: options, gateway, figures, exit status.
#include "bench/load/program.h"

#include <getopt.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#include "bench/load/drive.h"
#include "tests/number.h"

enum { START_MS = 30000 };

#define WHERE "/var/tmp" // /tmp may be memory

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
            "  --figures FILE      figures as lines of JSON are appended to it\n"
            "  --dir FOLDER        for the store; default a new one in " WHERE
            ", then removed\n"
            "  --subscriptions N   default %u\n",
            p->help, p->setup.binary, p->subscriptions);
    if (p->events)
        fprintf(to, "  --events N          default %llu\n", (unsigned long long)p->events);
    if (p->seconds)
        fprintf(to, "  --seconds N         default %u\n", p->seconds);
    exit(to == stdout ? 0 : 2);
}

static bool program_option(struct program *p, const struct program *defaults, int o,
                           const char **file)
{
    switch (o) {
    case 'g': p->setup.binary = optarg; return true;
    case 'f': *file = optarg; return true;
    case 'd': p->setup.dir = optarg; return true;
    case 's': return number_of(optarg, 1, 10000000, &p->subscriptions);
    case 'e': return defaults->events && number_u64(optarg, 1, 1000000000, &p->events);
    case 't': return defaults->seconds && number_of(optarg, 1, 3600, &p->seconds);
    case 'h': program_usage(defaults, stdout);
    default: return false;
    }
}

static void program_options(struct program *p, int argc, char **argv, const char **file)
{
    static const struct option names[] = {
        {"gateway", 1, NULL, 'g'}, {"figures", 1, NULL, 'f'},
        {"dir", 1, NULL, 'd'},     {"subscriptions", 1, NULL, 's'},
        {"events", 1, NULL, 'e'},  {"seconds", 1, NULL, 't'},
        {"help", 0, NULL, 'h'},    {0}};
    const struct program defaults = *p;
    for (int o; (o = getopt_long(argc, argv, "", names, NULL)) != -1;)
        if (!program_option(p, &defaults, o, file))
            program_usage(&defaults, stderr);
    if (optind < argc)
        program_usage(&defaults, stderr);
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
}

int program_end(struct program *p)
{
    if (figures_close(p->figures)) {
        fprintf(stderr, "%s: not all figures could be written to their file\n", p->name);
        p->faults++;
    }
    return p->faults ? 1 : 0;
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

// It goes with the folder.
static void program_show_log(const struct program *p)
{
    char path[300], line[512];
    snprintf(path, sizeof path, "%s/log", load_dir(p->load));
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        fputs(line, stderr);
    if (f)
        fclose(f);
}

void program_start(struct program *p)
{
    struct load_setup setup = p->setup;
    if (!setup.dir) {
        snprintf(p->dir, sizeof p->dir, WHERE "/isthmus-bench-XXXXXX");
        if (scratch_create(&p->scratch, p->dir))
            program_die(p, "no folder for the store can be made in " WHERE);
        setup.dir = p->dir;
    }
    if (load_create(&p->load, &setup))
        program_die(p, "no ports or no folder to be had");
    if (load_start(p->load, START_MS)) {
        program_show_log(p);
        fprintf(stderr, "%s: %s\n", p->name, setup.binary);
        program_die(p, "the gateway does not start");
    }
    program_say_where(p);
}

void program_check(struct program *p)
{
    char why[256];
    if (!load_alive(p->load, NULL)) {
        program_show_log(p);
        program_die(p, "the gateway died");
    }
    if (load_store_fails(p->load, why))
        program_die(p, why);
}

void program_set_up(struct program *p, enum load_kind direction, unsigned n)
{
    bool all = drive_set_up(p->load, direction, n);
    program_check(p);
    if (!all)
        program_die(p, "the subscriptions are not all there");
}

void program_stop(struct program *p)
{
    char why[256];
    if (load_faults(p->load, why)) {
        fprintf(stderr, "%s: %s\n", p->name, why);
        p->faults++;
    }
    if (load_stop(p->load, START_MS) != 0) {
        program_show_log(p);
        fprintf(stderr, "%s: the gateway did not end well\n", p->name);
        p->faults++;
    }
    load_destroy(p->load);
    p->load = NULL;
    scratch_remove(&p->scratch);
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
