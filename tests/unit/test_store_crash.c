// The store when the disk is full or broken, and when the process is killed between any two of the
// calls that reach the disk. LMDB is a shared library, so the calls defined here are what it gets.

#include "tests/unit/store_fixture.h"

#include <signal.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/uio.h>

enum fault_kind {
    FAULT_NONE,
    FAULT_KILL,  // the process dies before the call
    FAULT_FAIL,  // the call does nothing and fails
    FAULT_SHORT, // half of it is written, and that is said
    FAULT_LATE,  // it is done, and then said to have failed, as do later ones
};

static struct {
    enum fault_kind kind;
    int error;
    bool once; // later calls are well again
    long left; // calls before it strikes
    bool struck;
} fault;

static void arm(enum fault_kind kind, int error, bool once, long left)
{
    fault.error = error;
    fault.once = once;
    fault.left = left;
    fault.struck = false;
    fault.kind = kind;
}

static void disarm(void)
{
    fault.kind = FAULT_NONE;
}

static enum fault_kind next_fault(void)
{
    if (fault.kind == FAULT_NONE || fault.left-- > 0 || (fault.once && fault.struck))
        return FAULT_NONE;
    bool first = !fault.struck;
    fault.struck = true;
    if (fault.kind == FAULT_LATE && !first)
        return FAULT_FAIL;
    if (fault.kind == FAULT_KILL)
        raise(SIGKILL);
    return fault.kind;
}

static bool fails(enum fault_kind kind)
{
    errno = fault.error;
    return kind != FAULT_NONE && kind != FAULT_SHORT;
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    enum fault_kind kind = next_fault();
    if (kind == FAULT_LATE)
        syscall(SYS_pwrite64, fd, p, n, at);
    if (fails(kind))
        return -1;
    return syscall(SYS_pwrite64, fd, p, kind == FAULT_SHORT ? n / 2 : n, at);
}

ssize_t writev(int fd, const struct iovec *v, int n)
{
    enum fault_kind kind = next_fault();
    if (kind == FAULT_LATE)
        syscall(SYS_writev, fd, v, n);
    if (fails(kind))
        return -1;
    return syscall(SYS_writev, fd, v, kind == FAULT_SHORT ? n / 2 : n);
}

static bool sync_fails(void)
{
    return fault.kind != FAULT_SHORT && fails(next_fault()); // nothing about it can be short
}

int fdatasync(int fd)
{
    return sync_fails() ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    return sync_fails() ? -1 : (int)syscall(SYS_fsync, fd);
}

int posix_fallocate(int fd, off_t at, off_t n)
{
    if (fails(next_fault()))
        return fault.error;
    return syscall(SYS_fallocate, fd, 0, at, n) == 0 ? 0 : errno;
}

int mkdir(const char *path, mode_t mode)
{
    return fails(next_fault()) ? -1 : (int)syscall(SYS_mkdir, path, mode);
}

// What needs no room fails only in that the process dies.
static void die_here(void)
{
    if (fault.kind == FAULT_KILL)
        next_fault();
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    die_here();
    return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, 0);
}

int unlinkat(int fd, const char *name, int flags)
{
    die_here();
    return (int)syscall(SYS_unlinkat, fd, name, flags);
}

// Opens the store in a child that dies before the k-th call; false: it came to its end.
static bool open_and_die(unsigned shards, long k)
{
    pid_t child = fork();
    if (child == 0) {
        struct store *s;
        arm(FAULT_KILL, 0, true, k);
        _exit(store_open(&s, STORE, shards, NULL) == 0 ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status))
        assert_int_equal(WTERMSIG(status), SIGKILL);
    else
        assert_int_equal(status, 0);
    return WIFSIGNALED(status);
}

static void first_start_may_die_anywhere(void **state)
{
    (void)state;
    long k = 0;
    for (; open_and_die(2, k); k++) {
        struct store *s = open_store(2);
        fill(s, 2, 1, 50);
        expect_all(s, 2, 50, 50 * 51 / 2);
        store_close(s);
        remove_tree(STORE);
    }
    assert_true(k > 20);
}

enum { MOVED = 1500, MOVED_SUM = MOVED * (MOVED + 1) / 2 };

static void fill_base(unsigned shards)
{
    struct store *s = open_store(shards);
    fill(s, shards, 1, MOVED);
    store_close(s);
    copy_tree(STORE, in_dir("base"));
}

static unsigned generations(void)
{
    unsigned n = 0;
    char name[32];
    for (unsigned i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "store/gen-%u", i);
        n += access(in_dir(name), F_OK) == 0;
    }
    return n;
}

static void re_partition_may_die_anywhere(void **state)
{
    (void)state;
    fill_base(2);
    long k = 0, old = 0;
    for (; open_and_die(5, k); k++) {
        struct meta meta;
        assert_int_equal(meta_read(&meta, STORE, NULL), 0);
        assert_true(meta.shards == 2 || meta.shards == 5);
        old += meta.shards == 2;
        unsigned shards = k % 2 ? 5 : meta.shards; // go on as it was, or try again
        struct store *s = open_store(shards);
        assert_int_equal(generations(), 1);
        assert_int_equal(store_next_id(s), MOVED + 1);
        expect_all(s, shards, MOVED, MOVED_SUM);
        store_close(s);
        copy_tree(in_dir("base"), STORE);
    }
    assert_true(old > 30 && k - old > 5);
    struct store *s = open_store(5);
    expect_all(s, 5, MOVED, MOVED_SUM);
    store_close(s);
}

static void re_partition_without_room_changes_nothing(void **state)
{
    (void)state;
    static const int errors[] = {ENOSPC, EIO};
    for (size_t i = 0; i < 2; i++) {
        remove_tree(STORE);
        fill_base(2);
        struct store *s;
        long k = 0;
        for (;; k++) {
            struct store_error why = {""};
            arm(FAULT_FAIL, errors[i], false, k);
            int rc = store_open(&s, STORE, 5, &why);
            disarm();
            if (rc == 0)
                break;
            assert_int_equal(rc, errors[i]);
            assert_true(why.text[0] != '\0');
            s = open_store(2);
            assert_int_equal(generations(), 1);
            expect_all(s, 2, MOVED, MOVED_SUM);
            store_close(s);
        }
        assert_true(k > 30);
        expect_all(s, 5, MOVED, MOVED_SUM);
        store_close(s);
    }
}

// Which of two states a shard is in: ids 1 … 300, or what one more turn made of them.
enum { BEFORE = 300, TURN = 60, TURN_DELETED = 20 };

static int turn_commit(struct store_shard *s, struct store_error *why)
{
    static char bytes[TURN][RECORD_BYTES_MAX];
    struct store_change v[TURN + TURN_DELETED];
    for (uint64_t i = 0; i < TURN; i++)
        v[i] = (struct store_change){BEFORE + 1 + i, record_of(BEFORE + 1 + i, 0, bytes[i]), true};
    for (uint64_t i = 0; i < TURN_DELETED; i++)
        v[TURN + i] = (struct store_change){.id = 1 + 10 * i};
    return store_shard_commit(s, v, sizeof v / sizeof *v, why);
}

static bool turn_is_there(struct store_shard *s)
{
    struct expect e = {.shards = 1};
    assert_int_equal(store_shard_scan(s, expect_record, &e), 0);
    if (e.count == BEFORE)
        assert_int_equal(e.last, BEFORE);
    else
        assert_int_equal(e.count, BEFORE + TURN - TURN_DELETED);
    return e.count != BEFORE;
}

// One fault at the k-th call of a turn; then the same turn again. False: the fault did not strike.
static bool fail_turn(enum fault_kind kind, int error, bool once, long k, int want)
{
    copy_tree(in_dir("base"), STORE);
    struct store *s = open_store(1);
    struct store_shard *shard = open_shard(s, 0);
    struct store_error why = {""};
    arm(kind, error, once, k);
    int rc = turn_commit(shard, &why);
    disarm();
    if (fault.struck) {
        assert_int_equal(rc, want);
        assert_true(why.text[0] != '\0');
        if (kind != FAULT_LATE) // else the last call had stored it
            assert_false(turn_is_there(shard));
        rc = turn_commit(shard, &why);
    }
    assert_int_equal(rc, 0);
    assert_true(turn_is_there(shard));
    store_shard_close(shard);
    store_close(s);
    s = open_store(1);
    shard = open_shard(s, 0);
    assert_true(turn_is_there(shard));
    store_shard_close(shard);
    store_close(s);
    return fault.struck;
}

static void failed_turn_leaves_nothing_and_may_be_redone(void **state)
{
    (void)state;
    static const struct {
        enum fault_kind kind;
        int error, want;
    } cases[] = {
        {FAULT_FAIL, ENOSPC, ENOSPC}, {FAULT_FAIL, EDQUOT, ENOSPC}, {FAULT_FAIL, EIO, EIO},
        {FAULT_SHORT, 0, EIO},        {FAULT_LATE, EIO, EIO},
    };
    struct store *s = open_store(1);
    fill(s, 1, 1, BEFORE);
    store_close(s);
    copy_tree(STORE, in_dir("base"));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int once = 0; once < 2; once++) {
            long k = 0;
            while (fail_turn(cases[i].kind, cases[i].error, once, k, cases[i].want))
                k++;
            assert_true(k >= 2);
        }
    }
}

static void empty_turn_touches_nothing(void **state)
{
    (void)state;
    struct store *s = open_store(1);
    struct store_shard *shard = open_shard(s, 0);
    uint64_t before = picture();
    arm(FAULT_KILL, 0, true, 0);
    assert_int_equal(store_shard_commit(shard, NULL, 0, NULL), 0);
    disarm();
    assert_true(picture() == before);
    store_shard_close(shard);
    store_close(s);
}

// Turn t of the killed writer: ten fresh records, one of an older turn deleted.
enum { STEP = 10, LAG = 55 };

static int writer_turn(struct store_shard *s, uint64_t t)
{
    static char bytes[STEP][RECORD_BYTES_MAX];
    struct store_change v[STEP + 1];
    for (uint64_t i = 0; i < STEP; i++) {
        uint64_t id = t * STEP + i + 1;
        v[i] = (struct store_change){id, record_of(id, 0, bytes[i]), true};
    }
    uint64_t gone = t * STEP + 1 > LAG ? t * STEP + 1 - LAG : 0;
    v[STEP] = (struct store_change){.id = gone};
    return store_shard_commit(s, v, gone ? STEP + 1 : STEP, NULL);
}

static void write_until_killed(int ack)
{
    struct store *s = open_store(1);
    struct store_shard *shard = open_shard(s, 0);
    for (uint64_t t = (store_next_id(s) - 1) / STEP;; t++)
        if (writer_turn(shard, t) != 0 || write(ack, &t, sizeof t) != sizeof t)
            _exit(1);
}

// Turns 0 … turns-1 are there, each whole.
static void expect_turns(uint64_t turns)
{
    struct store *s = open_store(1);
    uint64_t count = 0, sum = 0;
    for (uint64_t id = 1; id <= turns * STEP; id++) {
        bool gone = (id + LAG) % STEP == 1 && id + LAG <= turns * STEP;
        count += !gone;
        sum += gone ? 0 : id;
    }
    expect_all(s, 1, count, sum);
    store_close(s);
}

static uint64_t run_writer(unsigned ms)
{
    int ack[2];
    assert_int_equal(pipe(ack), 0);
    pid_t child = fork();
    if (child == 0)
        write_until_killed(ack[1]);
    close(ack[1]);
    usleep(ms * 1000);
    uint64_t t, turns = 0; // a pipe holds few, so the writer must be read from before it is killed
    for (unsigned n = 0; n < 5 + ms && read(ack[0], &t, sizeof t) == sizeof t; n++)
        turns = t + 1;
    kill(child, SIGKILL);
    while (read(ack[0], &t, sizeof t) == sizeof t)
        turns = t + 1;
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    close(ack[0]);
    return turns;
}

static void acknowledged_turns_outlive_kill_nine(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 15; i++) {
        uint64_t acknowledged = run_writer(i * 7 % 20);
        struct store *s = open_store(1);
        uint64_t turns = (store_next_id(s) - 1) / STEP;
        store_close(s);
        // The last one may have been stored and not acknowledged any more.
        assert_true(turns == acknowledged || turns == acknowledged + 1);
        expect_turns(turns);
    }
}

static void write_ballast(const char *path, size_t bytes)
{
    static char zero[4096];
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    for (size_t n = 0; n < bytes && write(fd, zero, sizeof zero) > 0; n += sizeof zero)
        ;
    close(fd);
}

static void live_on_a_full_disk(void)
{
    write_ballast(in_dir("first"), 20 << 20); // as much as there is
    refuse_store(3, ENOSPC, "");
    for (size_t kept = 0; kept < 40; kept++) { // with a page more each time it gets further
        struct store *s;
        assert_int_equal(truncate(in_dir("first"), (1 << 20) - (off_t)kept * 4096), 0);
        int rc = store_open(&s, STORE, 3, NULL);
        assert_true(rc == 0 || rc == ENOSPC);
        store_close(s);
    }
    remove_tree(in_dir("first"));
    write_ballast(in_dir("ballast"), 64 << 10);
    struct store *s = open_store(1);
    struct store_shard *shard = open_shard(s, 0);
    uint64_t turns = 0;
    int rc;
    while ((rc = writer_turn(shard, turns)) == 0)
        turns++;
    assert_int_equal(rc, ENOSPC);
    assert_true(turns > 10);
    assert_int_equal(writer_turn(shard, turns), ENOSPC);
    store_shard_close(shard);
    store_close(s);
    expect_turns(turns);
    s = open_store(1);
    shard = open_shard(s, 0);
    assert_int_equal(writer_turn(shard, turns), ENOSPC);
    assert_int_equal(unlink(in_dir("ballast")), 0);
    assert_int_equal(writer_turn(shard, turns), 0);
    store_shard_close(shard);
    store_close(s);
    expect_turns(turns + 1);
}

static void full_disk_is_an_error_and_no_more(void **state)
{
    (void)state;
    if (mount("none", fixture_dir, "tmpfs", 0, "size=1m,mode=0700") != 0) {
        print_message("no tmpfs can be mounted here\n");
        skip();
    }
    pid_t child = fork(); // so that the mount goes in any case
    if (child == 0) {
        live_on_a_full_disk();
        _exit(0);
    }
    int status;
    pid_t got = waitpid(child, &status, 0);
    assert_int_equal(umount2(fixture_dir, MNT_DETACH), 0);
    assert_int_equal(got, child);
    assert_int_equal(status, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(first_start_may_die_anywhere),
        TEST(re_partition_may_die_anywhere),
        TEST(re_partition_without_room_changes_nothing),
        TEST(failed_turn_leaves_nothing_and_may_be_redone),
        TEST(empty_turn_touches_nothing),
        TEST(acknowledged_turns_outlive_kill_nine),
        TEST(full_disk_is_an_error_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
