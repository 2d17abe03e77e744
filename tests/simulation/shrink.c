// The search for a shorter failing run.
#include "shrink.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "acts.h"
#include "options.h"

enum { KIND_WORDS = 200 };

struct shrink {
    struct run_wish wish;
    struct options drawn, now; // as the seed has it, and as far as it could be made smaller
    struct act_set off;
    size_t n_acts;
    char kind[KIND_WORDS]; // of the failure
    time_t end;
    unsigned runs;
};

// Options that may be made smaller, and to what; what comes first in a row is tried first.
static const struct smaller {
    const char *name;
    size_t at;
    unsigned to[4]; // ends with what is not below the one before it
} smaller[] = {
#define SMALLER(name, ...)                                                                         \
    {                                                                                              \
#name, offsetof(struct options, name),                                                     \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
    SMALLER(xmpp_users, 1, 2, 3, 5),
    SMALLER(sip_users, 1, 2, 3, 5),
    SMALLER(shards, 1, 2, 3),
    SMALLER(minutes, 5, 15),
    SMALLER(crash, 0),
    SMALLER(commit_fails, 0),
    SMALLER(partition, 0),
    SMALLER(unreachable, 0),
    SMALLER(stream_break, 0),
    SMALLER(server_restart, 0),
    SMALLER(sip_errors, 0),
    SMALLER(memory, 0),
    SMALLER(rings, 0),
    SMALLER(overload, 0),
    SMALLER(draining, 0),
    SMALLER(trust, 0),
    SMALLER(absurd, 0),
    SMALLER(forked, 0),
    SMALLER(other_client, 0),
    SMALLER(deleted, 0),
    SMALLER(loss, 0, 10),
    SMALLER(dup, 0),
    SMALLER(slow, 0),
    SMALLER(batch, 1),
    SMALLER(notify_interval_ms, 0),
#undef SMALLER
};
enum { SMALLER = sizeof smaller / sizeof *smaller };

static unsigned *option_of(struct options *o, size_t i)
{
    return (unsigned *)(void *)((char *)o + smaller[i].at);
}

int shrink_set(struct options *o, const char *list)
{
    while (*list) {
        size_t name = strcspn(list, "="), i = 0;
        char *end;
        while (i < SMALLER &&
               (strlen(smaller[i].name) != name || memcmp(smaller[i].name, list, name) != 0))
            i++;
        if (i == SMALLER || !list[name])
            return EINVAL;
        *option_of(o, i) = (unsigned)strtoul(list + name + 1, &end, 10);
        if (end == list + name + 1 || (*end && *end != ','))
            return EINVAL;
        list = *end ? end + 1 : end;
    }
    return 0;
}

// The words of a failure without names, numbers and what was seen: two with the same ones are of
// one kind.
static void kind_of(const char *why, char kind[KIND_WORDS])
{
    size_t n = 0, end = strcspn(why, "{'<");
    for (size_t i = 0; i < end;) {
        size_t len = strcspn(why + i, " "), k = i;
        while (k < i + len && k < end && (isalpha((unsigned char)why[k]) || why[k] == ':'))
            k++;
        if (k == i + len && n + len + 2 < KIND_WORDS) {
            memcpy(kind + n, why + i, len);
            n += len;
            kind[n++] = ' ';
        }
        i += len + (why[i + len] == ' ');
    }
    kind[n] = 0;
}

// In a process of its own. How it ends comes back by a pipe, unless it dies; what it prints goes to
// `say`, if there is one.
static void run_apart(const struct run_wish *wish, struct run_outcome *out, FILE *say)
{
    int ends[2], status;
    *out = (struct run_outcome){.failed = true};
    fflush(stdout);
    if (pipe(ends) != 0)
        abort();
    pid_t child = fork();
    if (child == 0) {
        if (say)
            dup2(fileno(say), STDOUT_FILENO);
        struct run_outcome o = run(wish);
        fflush(stdout);
        _exit(write(ends[1], &o, sizeof o) != sizeof o);
    }
    close(ends[1]);
    bool told = child > 0 && read(ends[0], out, sizeof *out) == sizeof *out;
    close(ends[0]);
    if (child < 0 || waitpid(child, &status, 0) != child)
        abort();
    if (!told)
        snprintf(out->why, sizeof out->why, "the process died by signal %d",
                 WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

// Does it still fail, and in the same way?
static bool fails(struct shrink *s, const struct options *o, const struct act_set *off)
{
    struct run_outcome out;
    struct run_wish wish = s->wish;
    char kind[KIND_WORDS];
    wish.options = o;
    wish.acts_off = off->has;
    wish.n_acts = off->n;
    s->runs++;
    run_apart(&wish, &out, NULL);
    kind_of(out.why, kind);
    return out.failed && strcmp(kind, s->kind) == 0;
}

static bool in_time(const struct shrink *s)
{
    return time(NULL) < s->end;
}

// ---- Options

static bool shrink_option(struct shrink *s, size_t i)
{
    unsigned before = *option_of(&s->now, i);
    for (size_t k = 0; k < 4 && smaller[i].to[k] < before && in_time(s); k++) {
        struct options o = s->now;
        if (k && smaller[i].to[k] <= smaller[i].to[k - 1])
            break;
        *option_of(&o, i) = smaller[i].to[k];
        if (fails(s, &o, &s->off)) {
            s->now = o;
            return true;
        }
    }
    return false;
}

static bool shrink_options(struct shrink *s)
{
    bool any = false;
    for (size_t i = 0; i < SMALLER; i++)
        any |= shrink_option(s, i);
    return any;
}

// ---- Acts

static size_t acts_left(const struct shrink *s, uint64_t *v)
{
    size_t n = 0;
    for (uint64_t i = 0; i < s->n_acts; i++)
        if (!act_set_has(&s->off, i)) {
            if (v)
                v[n] = i;
            n++;
        }
    return n;
}

// Without the acts v[from] … v[to-1].
static bool shrink_part(struct shrink *s, const uint64_t *v, size_t from, size_t to)
{
    struct act_set off = {0};
    for (size_t i = 0; i < s->n_acts; i++)
        if (act_set_has(&s->off, i))
            act_set_add(&off, i);
    for (size_t i = from; i < to; i++)
        act_set_add(&off, v[i]);
    bool so = fails(s, &s->now, &off);
    if (so) {
        act_set_free(&s->off);
        s->off = off;
    } else {
        act_set_free(&off);
    }
    return so;
}

// One pass over all acts in parts of `size`.
static bool shrink_parts(struct shrink *s, uint64_t *v, size_t size)
{
    bool any = false;
    size_t n = acts_left(s, v);
    for (size_t at = 0; at < n && in_time(s); at += size)
        any |= shrink_part(s, v, at, at + size < n ? at + size : n);
    return any;
}

// Until no act can be left out.
static bool shrink_acts(struct shrink *s)
{
    bool any = false, again;
    uint64_t *v = calloc(s->n_acts + 1, sizeof *v);
    if (!v)
        abort();
    size_t size = (acts_left(s, NULL) + 1) / 2;
    while (size && in_time(s)) {
        again = shrink_parts(s, v, size);
        any |= again;
        size = size > 1 ? size / 2 : again;
    }
    free(v);
    return any;
}

// ---- Report

static void print_again(const struct shrink *s)
{
    const char *comma = " --set ";
    printf("again: ./dev simulate --seed %llu", (unsigned long long)s->wish.seed);
    if (s->wish.users)
        printf(" --users %u", s->wish.users);
    for (size_t i = 0; i < SMALLER; i++) {
        struct options o = s->now, drawn = s->drawn;
        if (*option_of(&o, i) == *option_of(&drawn, i))
            continue;
        printf("%s%s=%u", comma, smaller[i].name, *option_of(&o, i));
        comma = ",";
    }
    if (acts_left(s, NULL) < s->n_acts)
        fputs(" --without ", stdout);
    act_set_print(&s->off, stdout);
    puts(" --verbose");
}

// The run from its begin, but for its middle if it is long, and the report at its end.
static void print_ladder(FILE *ladder)
{
    char line[WORLD_LINE + 100];
    unsigned n = 0;
    rewind(ladder);
    while (fgets(line, sizeof line, ladder) && strncmp(line, "seed ", 5) != 0)
        if (n++ < WORLD_LADDER)
            fputs(line, stdout);
    if (n > WORLD_LADDER)
        printf("... %u lines, the last of them below ...\n", n - WORLD_LADDER);
    do
        fputs(line, stdout);
    while (fgets(line, sizeof line, ladder) && strncmp(line, "again:", 6) != 0);
}

static void print_shrunk(struct shrink *s)
{
    struct run_outcome out;
    struct run_wish wish = s->wish;
    FILE *ladder = tmpfile();
    if (!ladder)
        abort();
    wish.options = &s->now;
    wish.acts_off = s->off.has;
    wish.n_acts = s->off.n;
    printf("%zu of %zu acts are left after %u runs%s:\n", acts_left(s, NULL), s->n_acts, s->runs,
           in_time(s) ? ", each of them needed" : "; there was no time for more");
    acts_words = stdout;
    run_apart(&wish, &out, NULL);
    acts_words = NULL;
    putchar('\n');
    wish.quiet = false;
    wish.verbose = true;
    run_apart(&wish, &out, ladder);
    print_ladder(ladder);
    print_again(s);
    fclose(ladder);
}

static void draw_options(struct shrink *s, uint64_t seed, unsigned users)
{
    struct world *w = world_create(seed, false);
    options_draw(w, users);
    s->drawn = s->now = w->opt;
    s->n_acts = 2 * (size_t)w->opt.acts;
    world_destroy(w);
}

int shrink(uint64_t seed, unsigned users, unsigned limit_s)
{
    struct shrink s = {.wish = {.seed = seed, .users = users, .quiet = true},
                       .end = time(NULL) + limit_s};
    struct run_outcome out;
    draw_options(&s, seed, users);
    run_apart(&s.wish, &out, NULL);
    if (!out.failed) {
        printf("seed %llu does not fail\n", (unsigned long long)seed);
        return 1;
    }
    printf("seed %llu: %s\n", (unsigned long long)seed, out.why);
    kind_of(out.why, s.kind);
    bool any = true;
    while (any && in_time(&s)) {
        any = shrink_options(&s);
        any |= shrink_acts(&s);
    }
    print_shrunk(&s);
    act_set_free(&s.off);
    return 0;
}
