// Temporary folders of tests and benchmarks: gone with the program, whatever ends it.
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "bench/load/scratch.h"

enum { PATIENCE_MS = 10000 };

// What a program that dies had: its folder, and a child.
struct remains {
    char folder[64];
    pid_t child;
};

static struct remains *remains;

static void fill(const char *folder)
{
    char path[96];
    snprintf(path, sizeof path, "%s/file", folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fclose(f);
}

static bool is_gone_in_time(bool (*is_gone)(void))
{
    for (int ms = 0; ms < PATIENCE_MS; ms += 10) {
        if (is_gone())
            return true;
        usleep(10000);
    }
    return false;
}

static bool folder_is_gone(void)
{
    return access(remains->folder, F_OK) != 0 && errno == ENOENT;
}

// An orphan that has ended is init's to reap, and gone or a zombie then.
static bool child_is_gone(void)
{
    char path[64], state = 'Z';
    snprintf(path, sizeof path, "/proc/%d/stat", (int)remains->child);
    FILE *f = fopen(path, "r");
    if (!f)
        return true;
    int got = fscanf(f, "%*d %*s %c", &state);
    fclose(f);
    return got != 1 || state == 'Z';
}

static void name(void)
{
    snprintf(remains->folder, sizeof remains->folder, "/tmp/isthmus-scratch-XXXXXX");
}

static void is_removed_with_what_is_in_it(void **state)
{
    (void)state;
    struct scratch s;
    name();
    assert_int_equal(scratch_create(&s, remains->folder), 0);
    fill(remains->folder);
    scratch_remove(&s);
    assert_true(folder_is_gone());
    scratch_remove(&s); // nothing
}

static void cannot_be_where_nothing_is(void **state)
{
    (void)state;
    struct scratch s;
    char nowhere[] = "/nowhere/isthmus-XXXXXX";
    assert_int_equal(scratch_create(&s, nowhere), ENOENT);
    scratch_remove(&s);
}

// A program with a folder and a daemon that is killed.
static void program(int signal_number)
{
    struct scratch s;
    pid_t own = getpid();
    name();
    if (scratch_create(&s, remains->folder))
        _exit(1);
    remains->child = fork();
    if (remains->child == 0) {
        scratch_die_with_parent(own);
        for (;;)
            pause();
    }
    usleep(50000); // so that the child has come so far
    raise(signal_number);
}

static void goes_with_who_is_killed(void **state)
{
    (void)state;
    static const int signals[] = {SIGKILL, SIGINT, SIGTERM};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        int status;
        pid_t pid = fork();
        if (pid == 0)
            program(signals[i]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        assert_true(is_gone_in_time(folder_is_gone));
        assert_true(is_gone_in_time(child_is_gone));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_removed_with_what_is_in_it),
        cmocka_unit_test(cannot_be_where_nothing_is),
        cmocka_unit_test(goes_with_who_is_killed),
    };
    remains =
        mmap(NULL, sizeof *remains, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return remains == MAP_FAILED || cmocka_run_group_tests(tests, NULL, NULL);
}
