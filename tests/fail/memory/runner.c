// Plays every test of the scenarios again and again, and each time another allocation within the
// core is refused.
//
//   scenario ─▶ stage ─▶ core_step() ... the n-th allocation is refused
//                            │
//        effects as without ─┤ the scenario goes on, and all that it asserts still holds
//        an honest refusal ──┤ nothing but 5xx or resource-constraint left, nothing was written;
//                            │ the same core lives on
//        effects.failed ─────┘ a core restored from what was committed is told the same event, and
//                              lives on; every record is a subscription of it
//
// At the door (core_turn_away()) there is nothing to fail: the refusal is not said, and that's all.
//
// No other end is allowed, and in none of them is memory left over (by the linker's seam; of what
// libraries take nobody can tell). The scenarios' programs are linked here whole: their main()
// hands over its tests by cmocka's call, which is ours (--wrap), as are the calls by which the
// stage reaches the core.
//
// Scenarios of very many steps are left out.
//
// Of allocations that are asked for from the same place, by the same callers, the first few are
// refused; all of them with ISTHMUS_FAIL_ALL=1 in the environment.
#include <errno.h>
#include <libxml/xmlerror.h>
#include <libxml/xmlmemory.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blocks.h"
#include "places.h"
#include "seam.h"
#include "stage.h"

enum { STEPS_MAX = 1500, TESTS_MAX = 1024, LIVES_ON_MS = 600000, MISSED_PART = 10 };

int __real__cmocka_run_group_tests(const char *name, const struct CMUnitTest *tests, size_t n,
                                   CMFixtureFunction setup, CMFixtureFunction teardown);
int __wrap__cmocka_run_group_tests(const char *name, const struct CMUnitTest *tests, size_t n,
                                   CMFixtureFunction setup, CMFixtureFunction teardown);
struct stage *__real_stage_open(void);
struct stage *__wrap_stage_open(void);
struct stage *__real_stage_open_with(void (*change)(struct core_config *));
struct stage *__wrap_stage_open_with(void (*change)(struct core_config *));
void __real_stage_close(struct stage *s);
void __wrap_stage_close(struct stage *s);
int __real_core_create(struct core **out, const struct core_config *cfg);
int __wrap_core_create(struct core **out, const struct core_config *cfg);
void __real_core_destroy(struct core *c);
void __wrap_core_destroy(struct core *c);
int __real_core_restore(struct core *c, uint64_t id, struct text record, uint64_t now_ms);
int __wrap_core_restore(struct core *c, uint64_t id, struct text record, uint64_t now_ms);
int __real_core_set_trust(struct core *c, const struct core_trust *t);
int __wrap_core_set_trust(struct core *c, const struct core_trust *t);
void __real_core_step(struct core *c, const struct event *ev, uint64_t now_ms, struct effects *fx);
void __wrap_core_step(struct core *c, const struct event *ev, uint64_t now_ms, struct effects *fx);
enum core_door __real_core_turn_away(struct core *c, struct text bytes, const struct hop *source,
                                     uint64_t now_ms, struct core_refusal *out);
enum core_door __wrap_core_turn_away(struct core *c, struct text bytes, const struct hop *source,
                                     uint64_t now_ms, struct core_refusal *out);
uint64_t __real_core_list(const struct core *c, const struct core_filter *filter, uint64_t cursor,
                          size_t scan_max,
                          bool (*each)(void *, const struct core_subscription_view *), void *arg,
                          uint64_t now_ms);
uint64_t __wrap_core_list(const struct core *c, const struct core_filter *filter, uint64_t cursor,
                          size_t scan_max,
                          bool (*each)(void *, const struct core_subscription_view *), void *arg,
                          uint64_t now_ms);

static struct runner {
    bool playing;         // within a scenario
    unsigned long refuse; // number of the allocation within the scenario; 0: the first time through
    unsigned long asked;  // so far
    bool refused;         // it has come to that
    uint64_t step[STEPS_MAX]; // what came of each step, the first time through
    size_t n_steps, at;
    struct stage *stage[8];
    struct core *stray[8]; // made in a scenario, and not a stage's yet
    jmp_buf over;
    // Of all.
    unsigned long points, missed, refusals, reborn;
} run;

// --- what came of a step

static uint64_t hash_bytes(uint64_t h, const void *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        h = (h ^ ((const unsigned char *)p)[i]) * 0x100000001b3;
    return h;
}

static uint64_t effects_hash(const struct effects *fx, size_t from)
{
    uint64_t h = 0xcbf29ce484222325;
    for (size_t i = from; i < fx->n; i++) {
        const struct effect *e = &fx->v[i];
        uint64_t head[] = {e->kind, e->fresh, e->port, e->reopen_port, e->domain, e->id};
        h = hash_bytes(h, head, sizeof head);
        h = hash_bytes(h, &e->to, sizeof e->to);
        h = hash_bytes(h, fx->bytes.p + e->bytes.off, e->bytes.n);
        h = hash_bytes(h, fx->bytes.p + e->server_name.off, e->server_name.n);
    }
    return h;
}

static bool has(struct text t, const char *what)
{
    return t.n && memmem(t.p, t.n, what, strlen(what));
}

static bool is_refusal(const struct effects *fx, size_t from)
{
    for (size_t i = from; i < fx->n; i++) {
        const struct effect *e = &fx->v[i];
        struct text t = effect_text(fx, e);
        bool sip = e->kind == EFFECT_SIP &&
                   (strncmp(t.p, "SIP/2.0 503 ", 12) == 0 || strncmp(t.p, "SIP/2.0 500 ", 12) == 0);
        bool stanza = e->kind == EFFECT_STANZA && has(t, "<resource-constraint");
        if (!sip && !stanza)
            return false;
    }
    return fx->n > from;
}

static void show(const struct effects *fx, size_t from)
{
    for (size_t i = from; i < fx->n; i++)
        fprintf(stderr, "    effect %u: %.*s\n", fx->v[i].kind,
                TEXT_ARG(effect_text(fx, &fx->v[i])));
}

static void complain(const char *what)
{
    fprintf(stderr, "    allocation %lu, step %zu\n", run.refuse, run.at);
    fail_msg("%s", what);
}

// --- the seam, around each call of the core

__attribute__((noinline)) static void enter(void)
{
    blocks_in_core(true);
    blocks_set_floor(__builtin_frame_address(0)); // nearly that of the caller: all of it is below
    seam_begin(run.refuse > run.asked ? run.refuse - run.asked : 0);
}

static void leave(void)
{
    run.asked += seam_end();
    run.refused = run.refused || seam.refused;
    blocks_in_core(false);
}

static bool refused_now(void)
{
    return seam.refused > 0;
}

static void forget(struct core *c)
{
    for (size_t i = 0; i < sizeof run.stray / sizeof *run.stray; i++)
        if (run.stray[i] == c)
            run.stray[i] = NULL;
}

static _Noreturn void abandon(void)
{
    longjmp(run.over, 1);
}

// --- a core lives on after memory ran out

struct life {
    struct core *core;
    struct stage *stage;
    struct effects fx;
    uint64_t now_ms;
};

// Records as the store would have them; the stage's own is not asked to send anything.
static void life_commit(struct life *l)
{
    struct stage *s = l->stage;
    if (l->fx.failed)
        complain("a core with all memory that it wants has failed");
    for (size_t i = 0; i < l->fx.n; i++) {
        const struct effect *e = &l->fx.v[i];
        size_t at = 0;
        if (e->kind != EFFECT_PUT && e->kind != EFFECT_DELETE)
            continue;
        while (at < s->n_records && s->records[at].id != e->id)
            at++;
        if (e->kind == EFFECT_PUT && at == s->n_records)
            s->records[s->n_records++] = (struct stage_record){.id = e->id};
        else if (e->kind == EFFECT_DELETE && at < s->n_records) {
            free(s->records[at].bytes);
            memmove(&s->records[at], &s->records[at + 1],
                    (--s->n_records - at) * sizeof s->records[0]);
        }
    }
    effects_reset(&l->fx);
}

static void life_step(struct life *l, const struct event *ev)
{
    blocks_in_core(true);
    __real_core_step(l->core, ev, l->now_ms, &l->fx);
    blocks_in_core(false);
    life_commit(l);
}

static bool count_one(void *arg, const struct core_subscription_view *v)
{
    (void)v;
    ++*(size_t *)arg;
    return true;
}

static void life_is_as_stored(const struct life *l)
{
    struct core_filter all = {.direction = -1, .state = -1};
    size_t n = 0;
    __real_core_list(l->core, &all, 0, SIZE_MAX, count_one, &n, l->now_ms);
    if (n != l->stage->n_records) {
        fprintf(stderr, "    %zu records, %zu subscriptions\n", l->stage->n_records, n);
        complain("what is stored is not what lives");
    }
}

// With nobody on the other sides: every wait comes to its end.
static void life_goes_on(struct life *l, const struct event *ev)
{
    struct event tick = {.kind = EVENT_TICK};
    uint64_t end_ms = l->now_ms + LIVES_ON_MS;
    if (ev)
        life_step(l, ev);
    while (core_next_due(l->core) <= end_ms) {
        l->now_ms = core_next_due(l->core) > l->now_ms ? core_next_due(l->core) : l->now_ms;
        life_step(l, &tick);
    }
    life_is_as_stored(l);
}

static void life_streams_up(struct life *l)
{
    for (unsigned i = 0; core_domain_name(l->core, i).n; i++)
        life_step(l,
                  &(struct event){.kind = EVENT_STREAM_UP, .domain = core_domain_name(l->core, i)});
}

static struct stage *stage_of(const struct core *c)
{
    for (size_t i = 0; i < sizeof run.stage / sizeof *run.stage; i++)
        if (run.stage[i] && run.stage[i]->core == c)
            return run.stage[i];
    return NULL;
}

static void rebirth(struct core *dead, const struct event *ev, uint64_t now_ms)
{
    struct stage *s = stage_of(dead);
    struct life l = {.stage = s, .now_ms = now_ms};
    run.reborn++;
    if (!s)
        return; // of a stage that is not set yet: there is nothing that was promised
    __wrap_core_destroy(s->core);
    s->core = NULL;
    s->cfg.seed += 1000;
    effects_init(&l.fx);
    assert_int_equal(__real_core_create(&s->core, &s->cfg), 0);
    l.core = s->core;
    for (size_t i = 0; i < s->n_records; i++)
        assert_int_equal(__real_core_restore(l.core, s->records[i].id,
                                             (struct text){s->records[i].bytes, s->records[i].n},
                                             now_ms),
                         0);
    life_is_as_stored(&l);
    life_streams_up(&l);
    bool stream = ev && (ev->kind == EVENT_STREAM_UP || ev->kind == EVENT_STREAM_DOWN);
    life_goes_on(&l, stream ? NULL : ev);
    effects_free(&l.fx);
}

static void live_on_refused(struct core *c, uint64_t now_ms)
{
    struct life l = {.core = c, .stage = stage_of(c), .now_ms = now_ms};
    run.refusals++;
    effects_init(&l.fx);
    if (l.stage)
        life_goes_on(&l, NULL);
    effects_free(&l.fx);
}

// --- the calls

void __wrap_core_step(struct core *c, const struct event *ev, uint64_t now_ms, struct effects *fx)
{
    size_t from = fx->n;
    if (!run.playing) {
        __real_core_step(c, ev, now_ms, fx);
        return;
    }
    enter();
    __real_core_step(c, ev, now_ms, fx);
    leave();
    if (run.at == STEPS_MAX) // it is left out
        abandon();
    if (fx->failed) {
        if (!refused_now())
            complain("failed with all memory that it wants");
        effects_free(fx);
        effects_init(fx);
        rebirth(c, ev, now_ms);
        abandon();
    }
    uint64_t hash = effects_hash(fx, from);
    if (!run.refuse) {
        run.step[run.n_steps++] = hash;
    } else if (run.step[run.at] != hash) {
        if (!refused_now() || !is_refusal(fx, from)) {
            show(fx, from);
            complain("neither whole, nor refused, nor failed");
        }
        live_on_refused(c, now_ms);
        abandon();
    }
    run.at++;
}

// A refusal for which there is no memory is none, and nothing else comes of it.
enum core_door __wrap_core_turn_away(struct core *c, struct text bytes, const struct hop *source,
                                     uint64_t now_ms, struct core_refusal *out)
{
    if (!run.playing)
        return __real_core_turn_away(c, bytes, source, now_ms, out);
    enter();
    enum core_door door = __real_core_turn_away(c, bytes, source, now_ms, out);
    leave();
    if (refused_now()) {
        if (door != CORE_DOOR_SHUT || out->bytes.n)
            complain("a piece of an answer");
        live_on_refused(c, now_ms);
        abandon();
    }
    return door;
}

static struct stage *stage_at(struct core **core)
{
    for (size_t i = 0; i < sizeof run.stage / sizeof *run.stage; i++)
        if (run.stage[i] && &run.stage[i]->core == core)
            return run.stage[i];
    return NULL;
}

static void stray(struct core *c)
{
    size_t i = 0;
    while (run.stray[i])
        i++;
    run.stray[i] = c;
}

int __wrap_core_create(struct core **out, const struct core_config *cfg)
{
    if (!run.playing)
        return __real_core_create(out, cfg);
    struct stage *s = stage_at(out);
    if (s)
        *out = NULL; // it was destroyed before
    enter();
    int err = __real_core_create(out, cfg);
    leave();
    if (err && refused_now()) {
        assert_int_equal(err, ENOMEM);
        if (s)
            rebirth(NULL, NULL, s->now_ms);
        abandon();
    }
    if (!err)
        stray(*out);
    return err;
}

void __wrap_core_destroy(struct core *c)
{
    forget(c);
    __real_core_destroy(c);
}

int __wrap_core_restore(struct core *c, uint64_t id, struct text record, uint64_t now_ms)
{
    if (!run.playing)
        return __real_core_restore(c, id, record, now_ms);
    enter();
    int err = __real_core_restore(c, id, record, now_ms);
    leave();
    if (err && refused_now()) {
        assert_int_equal(err, ENOMEM);
        rebirth(c, NULL, now_ms);
        abandon();
    }
    return err;
}

int __wrap_core_set_trust(struct core *c, const struct core_trust *t)
{
    if (!run.playing)
        return __real_core_set_trust(c, t);
    enter();
    int err = __real_core_set_trust(c, t);
    leave();
    if (err && refused_now()) {
        assert_int_equal(err, ENOMEM);
        rebirth(c, NULL, stage_of(c) ? stage_of(c)->now_ms : 0);
        abandon();
    }
    return err;
}

// A page that ends early says where it goes on.
uint64_t __wrap_core_list(const struct core *c, const struct core_filter *filter, uint64_t cursor,
                          size_t scan_max,
                          bool (*each)(void *, const struct core_subscription_view *), void *arg,
                          uint64_t now_ms)
{
    if (!run.playing)
        return __real_core_list(c, filter, cursor, scan_max, each, arg, now_ms);
    enter();
    uint64_t next = __real_core_list(c, filter, cursor, scan_max, each, arg, now_ms);
    leave();
    if (refused_now()) {
        assert_true(next > 0);
        abandon();
    }
    return next;
}

static struct stage *opened(struct stage *s)
{
    size_t i = 0;
    while (run.stage[i])
        i++;
    forget(s->core);
    return run.stage[i] = s;
}

struct stage *__wrap_stage_open_with(void (*change)(struct core_config *))
{
    return opened(__real_stage_open_with(change));
}

struct stage *__wrap_stage_open(void)
{
    return opened(__real_stage_open());
}

void __wrap_stage_close(struct stage *s)
{
    for (size_t i = 0; i < sizeof run.stage / sizeof *run.stage; i++)
        if (run.stage[i] == s)
            run.stage[i] = NULL;
    forget(s->core);
    __real_stage_close(s);
}

// --- the tests

static const struct CMUnitTest *test[TESTS_MAX];
static struct CMUnitTest shadow[TESTS_MAX];

static void play(const struct CMUnitTest *t, unsigned long refuse)
{
    void *state = t->initial_state;
    run.refuse = refuse;
    run.asked = run.at = 0;
    run.n_steps = refuse ? run.n_steps : 0;
    run.refused = false;
    memset(run.stage, 0, sizeof run.stage);
    memset(run.stray, 0, sizeof run.stray);
    run.playing = true;
    if (!setjmp(run.over))
        t->test_func(&state);
    run.playing = false;
}

// What a scenario that was abandoned has not come to.
static void clean_up(void)
{
    for (size_t i = 0; i < sizeof run.stage / sizeof *run.stage; i++)
        if (run.stage[i])
            __wrap_stage_close(run.stage[i]);
    for (size_t i = 0; i < sizeof run.stray / sizeof *run.stray; i++)
        __real_core_destroy(run.stray[i]);
    xmlResetLastError(); // the library's last words, one for each thread
}

static void play_refused(const struct CMUnitTest *t, unsigned long refuse)
{
    blocks_begin(NULL);
    play(t, refuse);
    clean_up();
    run.points++;
    size_t leaked = blocks_end();
    if (leaked) {
        fprintf(stderr, "    %zu blocks\n", leaked);
        complain("memory is left over");
    }
    run.missed += !run.refused; // a library had taken something once and for all
}

// The first time through; of one that is too long nothing is kept.
static size_t play_whole(const struct CMUnitTest *t)
{
    places_begin();
    play(t, 0);
    bool whole = run.at < STEPS_MAX;
    if (!whole)
        places_forget();
    size_t n = whole ? places_end() : 0;
    clean_up();
    if (whole)
        blocks_forget();
    else
        blocks_end();
    return n;
}

static void play_all(void **state)
{
    static bool warm;
    const struct CMUnitTest *t = *state;
    if (!warm) {
        play_whole(t); // libraries take some things only once
        places_forget();
    }
    warm = true;
    size_t n = play_whole(t);
    for (size_t i = 0; i < n; i++)
        play_refused(t, places_number(i));
}

int __wrap__cmocka_run_group_tests(const char *name, const struct CMUnitTest *tests, size_t n,
                                   CMFixtureFunction setup, CMFixtureFunction teardown)
{
    static size_t used;
    assert_true(used + n <= TESTS_MAX && !setup && !teardown);
    for (size_t i = 0; i < n; i++) {
        test[used + i] = &tests[i];
        shadow[used + i] = (struct CMUnitTest){.name = tests[i].name,
                                               .test_func = play_all,
                                               .initial_state = (void *)(uintptr_t)&tests[i]};
    }
    used += n;
    return __real__cmocka_run_group_tests(name, &shadow[used - n], n, NULL, NULL);
}

#define SCENARIO(name) int name(void);
#include "scenarios.def"
#undef SCENARIO

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*main)(void);
    } all[] = {
#define SCENARIO(name) {#name, name},
#include "scenarios.def"
#undef SCENARIO
    };
    int failed = 0;
    xmlMemSetup(free, malloc, realloc, strdup); // the library's allocations pass the seam, too
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (argc < 2 || strstr(all[i].name, argv[1]))
            failed += all[i].main();
    printf(
        "%lu allocations refused: %lu times a core was made anew, %lu times a peer refused, "
        "%lu did not come again\n",
        run.points, run.reborn, run.refusals, run.missed);
    // Few do not come again: else hardly anything was refused, and nothing is known.
    return failed != 0 || run.points == 0 || run.missed > run.points / MISSED_PART;
}
