// After the drop: no capability, no other user, no other program; each case in a process of its
// own.
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "shards/privileges.h"

// In a child, where assertions of the test framework have no place.
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            dprintf(STDOUT_FILENO, "line %d: %s, errno %d\n", __LINE__, #condition, errno);        \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static void in_child(void (*run)(void))
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        run();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

// A line's value of this thread's /proc status.
static void status_line(const char *name, char value[64])
{
    char text[256];
    size_t n = strlen(name);
    FILE *f = fopen("/proc/thread-self/status", "r");
    CHECK(f);
    value[0] = '\0';
    while (fgets(text, sizeof text, f))
        if (strncmp(text, name, n) == 0 && text[n] == ':')
            CHECK(sscanf(text + n + 1, "%63s", value) == 1);
    fclose(f);
}

static uint64_t capability_set(const char *name)
{
    char value[64];
    status_line(name, value);
    CHECK(value[0]);
    return strtoull(value, NULL, 16);
}

static void check_no_capabilities(void)
{
    CHECK(capability_set("CapInh") == 0);
    CHECK(capability_set("CapPrm") == 0);
    CHECK(capability_set("CapEff") == 0);
    CHECK(capability_set("CapAmb") == 0);
}

static void drop(const char *user)
{
    struct privileges_wish wish = {user};
    struct store_error why = {"?"};
    int err = privileges_confine(&wish, &why);
    if (!err)
        err = privileges_drop(&wish, &why);
    if (err)
        dprintf(STDOUT_FILENO, "%s\n", why.text);
    CHECK(err == 0);
}

static void run_drop(void)
{
    uid_t before = geteuid();
    drop("");
    check_no_capabilities();
    CHECK(geteuid() == before);
    CHECK(before != 0 || capability_set("CapBnd") == 0);
    CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
}

static void test_drop(void **state)
{
    (void)state;
    in_child(run_drop);
}

static void run_user(void)
{
    gid_t groups[64], of_root[] = {0, 1};
    struct passwd *nobody = getpwnam("nobody");
    CHECK(nobody);
    uid_t uid = nobody->pw_uid, r, e, s;
    gid_t gid = nobody->pw_gid;
    CHECK(setgroups(2, of_root) == 0);
    drop("nobody");
    CHECK(getresuid(&r, &e, &s) == 0 && r == uid && e == uid && s == uid);
    CHECK(getegid() == gid && getgid() == gid);
    int n = getgroups(64, groups);
    CHECK(n >= 0);
    for (int i = 0; i < n; i++)
        CHECK(groups[i] > 1);
    check_no_capabilities();
    CHECK(capability_set("CapBnd") == 0);
    CHECK(setuid(0) == -1 && errno == EPERM);
    CHECK(access("/etc/shadow", R_OK) == -1 && errno == EACCES);
}

static void test_user(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    in_child(run_user);
}

static void run_unknown_user(void)
{
    struct privileges_wish wish = {"no-such-user-here"};
    struct store_error why = {""};
    CHECK(privileges_confine(&wish, &why) == EINVAL);
    CHECK(strcmp(why.text, "gateway.user: there is no user \"no-such-user-here\"") == 0);
    CHECK(geteuid() == 0 && capability_set("CapEff") != 0); // nothing was given up
}

// The store is made by root and goes on under the user, who has to be able to open it again.
static void give_store(void)
{
    const struct privileges_wish nobody = {.user = "nobody"};
    char dir[] = "/tmp/isthmus-give-XXXXXX", file[64];
    struct store_error why;
    struct stat st;
    const struct passwd *user = getpwnam("nobody");
    CHECK(user && mkdtemp(dir));
    snprintf(file, sizeof file, "%s/data.mdb", dir);
    FILE *f = fopen(file, "w");
    CHECK(f && fclose(f) == 0);
    CHECK(privileges_give(&nobody, dir, &why) == 0);
    CHECK(stat(dir, &st) == 0 && st.st_uid == user->pw_uid && st.st_gid == user->pw_gid);
    CHECK(stat(file, &st) == 0 && st.st_uid == user->pw_uid && st.st_gid == user->pw_gid);
    CHECK(unlink(file) == 0 && rmdir(dir) == 0);
}

static void test_give(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    in_child(give_store);
}

static void test_unknown_user(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    in_child(run_unknown_user);
}

// Someone who isn't root can't become another user, and has no need to.
static void run_twice(void)
{
    drop("nobody");
    drop("nobody");
    check_no_capabilities();
}

static void test_not_root(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    in_child(run_twice);
}

// Between the steps: what is still to be done, and no more.
static void run_between(void)
{
    struct privileges_wish nobody = {"nobody"}, stay = {""};
    struct store_error why;
    CHECK(privileges_confine(&nobody, &why) == 0);
    CHECK(capability_set("CapEff") == (1u << CAP_SETUID | 1u << CAP_SETGID));
    CHECK(capability_set("CapBnd") == 0);
    CHECK(privileges_confine(&stay, &why) == 0);
    check_no_capabilities();
}

static void test_between(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    in_child(run_between);
}

static pthread_barrier_t barrier;

static void *other_thread(void *arg)
{
    (void)arg;
    pthread_barrier_wait(&barrier); // runs while the first step is done
    pthread_barrier_wait(&barrier); // the second is
    check_no_capabilities();
    CHECK(geteuid() != 0);
    return NULL;
}

// A thread that begins between the steps.
static void run_threads(void)
{
    struct privileges_wish wish = {"nobody"};
    struct store_error why;
    pthread_t thread;
    pthread_barrier_init(&barrier, NULL, 2);
    CHECK(privileges_confine(&wish, &why) == 0);
    CHECK(pthread_create(&thread, NULL, other_thread, NULL) == 0);
    pthread_barrier_wait(&barrier);
    CHECK(privileges_drop(&wish, &why) == 0);
    pthread_barrier_wait(&barrier);
    pthread_join(thread, NULL);
}

static void test_threads(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    in_child(run_threads);
}

static void check_no_programs(void)
{
    char *argv[] = {"sh", "-c", "exit 9", NULL},
         *none[] = {NULL}; // a shell that ran would fail the test
    CHECK(execve("/bin/sh", argv, none) == -1 && errno == EPERM);
    CHECK(execve("/nonexistent", argv, none) == -1 && errno == EPERM); // before it is looked for
    CHECK(syscall(SYS_execveat, -100, "/bin/sh", argv, none, 0) == -1 && errno == EPERM);
    CHECK(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == -1 && errno == EPERM);
    CHECK(mount("none", "/nonexistent", "tmpfs", 0, NULL) == -1 && errno == EPERM);
    CHECK(system("true") != 0);
}

// The filter by itself, so that it is tested in builds with sanitizers too.
static void run_filter(void)
{
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(privileges_filter() == 0);
    CHECK(prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == SECCOMP_MODE_FILTER);
    check_no_programs();
}

static void test_filter(void **state)
{
    (void)state;
    in_child(run_filter);
}

static void run_drop_filters(void)
{
    drop("");
    check_no_programs();
}

static void test_drop_filters(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip();
#endif
    in_child(run_drop_filters);
}

static void *do_nothing(void *arg)
{
    return arg;
}

// What a gateway does has to go on working.
static void run_still_works(void)
{
    pthread_t thread;
    char name[] = "/tmp/isthmus-privileges-XXXXXX";
    drop("");
    CHECK(privileges_filter() == 0);
    CHECK(pthread_create(&thread, NULL, do_nothing, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    int fd = mkstemp(name);
    CHECK(fd >= 0 && write(fd, "x", 1) == 1 && ftruncate(fd, 4096) == 0 && fsync(fd) == 0);
    CHECK(unlink(name) == 0 && close(fd) == 0);
}

static void test_still_works(void **state)
{
    (void)state;
    in_child(run_still_works);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drop),         cmocka_unit_test(test_user),
        cmocka_unit_test(test_unknown_user), cmocka_unit_test(test_not_root),
        cmocka_unit_test(test_between),      cmocka_unit_test(test_threads),
        cmocka_unit_test(test_filter),       cmocka_unit_test(test_drop_filters),
        cmocka_unit_test(test_still_works),  cmocka_unit_test(test_give),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
