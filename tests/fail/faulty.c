// Calls out of the product that fail on demand.
#include "faulty.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "api/api.h"
#include "shards/shards.h"

// ---- What is armed -----------------------------------------------------------------------------

static struct {
    _Atomic int call; // -1: nothing
    _Atomic int error;
    _Atomic unsigned nth;
    _Atomic bool for_good;
    _Atomic unsigned strikes;
    _Atomic unsigned count[FAULTY_CALLS];
    _Atomic(void *) panicked; // the environment that says MDB_PANIC until it is closed
} faulty = {.call = -1};

static _Atomic unsigned *points; // by call; shared with children

static _Thread_local unsigned depth;

static __attribute__((constructor)) void make_points(void)
{
    points = mmap(NULL, sizeof *points * FAULTY_CALLS, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (points == MAP_FAILED)
        abort();
}

void faulty_enter(void)
{
    depth++;
}

void faulty_leave(void)
{
    depth--;
}

void faulty_count_anew(void)
{
    for (int i = 0; i < FAULTY_CALLS; i++)
        faulty.count[i] = 0;
}

void faulty_arm(enum faulty_call call, unsigned nth, int error, bool for_good)
{
    faulty_count_anew();
    faulty.error = error;
    faulty.nth = nth;
    faulty.for_good = for_good;
    faulty.strikes = 0;
    faulty.panicked = NULL;
    faulty.call = (int)call;
}

bool faulty_disarm(void)
{
    int call = faulty.call;
    bool struck = faulty_has_struck();
    faulty.call = -1;
    faulty.panicked = NULL;
    if (struck && call >= 0)
        points[call]++;
    return struck;
}

bool faulty_has_struck(void)
{
    return faulty.strikes > 0;
}

unsigned faulty_strikes(void)
{
    return faulty.strikes;
}

unsigned faulty_count(enum faulty_call call)
{
    return faulty.count[call];
}

// 0: it is to be done as always.
static int strike(enum faulty_call call)
{
    if (!depth)
        return 0;
    unsigned n = ++faulty.count[call];
    if (faulty.call != (int)call || n < faulty.nth || (n > faulty.nth && !faulty.for_good))
        return 0;
    faulty.strikes++;
    return faulty.error;
}

// ---- The list ----------------------------------------------------------------------------------

#define FAULTY_CODE(name, type, parameters, arguments, ...)                                        \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        int error = strike(FAULTY_##name);                                                         \
        return error ? error : __real_##name arguments;                                            \
    }
#define FAULTY_ERRNO(name, type, parameters, arguments, ...)                                       \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        int error = strike(FAULTY_##name);                                                         \
        errno = error ? error : errno;                                                             \
        return error ? -1 : __real_##name arguments;                                               \
    }
#define FAULTY_PART(name, type, parameters, arguments, part, ...)                                  \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        int error = strike(FAULTY_##name);                                                         \
        if (error == FAULTY_SHORT)                                                                 \
            return __real_##name part;                                                             \
        errno = error ? error : errno;                                                             \
        return error ? -1 : __real_##name arguments;                                               \
    }
#define FAULTY_OWN(name, ...)
#include "faulty_calls.def"
#undef FAULTY_CODE
#undef FAULTY_ERRNO
#undef FAULTY_PART
#undef FAULTY_OWN

#define ERRORS(...) {__VA_ARGS__, 0},
static const int errors[FAULTY_CALLS][FAULTY_ERRORS_MAX] = {
#define FAULTY_CODE(name, type, parameters, arguments, ...)       ERRORS(__VA_ARGS__)
#define FAULTY_ERRNO(name, type, parameters, arguments, ...)      ERRORS(__VA_ARGS__)
#define FAULTY_PART(name, type, parameters, arguments, part, ...) ERRORS(__VA_ARGS__)
#define FAULTY_OWN(name, ...)                                     ERRORS(__VA_ARGS__)
#include "faulty_calls.def"
#undef FAULTY_CODE
#undef FAULTY_ERRNO
#undef FAULTY_PART
#undef FAULTY_OWN
};

static const char *const names[FAULTY_CALLS] = {
#define FAULTY_CODE(name, ...)  #name,
#define FAULTY_ERRNO(name, ...) #name,
#define FAULTY_PART(name, ...)  #name,
#define FAULTY_OWN(name, ...)   #name,
#include "faulty_calls.def"
#undef FAULTY_CODE
#undef FAULTY_ERRNO
#undef FAULTY_PART
#undef FAULTY_OWN
};

const char *faulty_name(enum faulty_call call)
{
    return names[call];
}

const int *faulty_errors(enum faulty_call call)
{
    return errors[call];
}

// ---- Those with ways of their own --------------------------------------------------------------

#define OWN(type, name, ...)                                                                       \
    type __real_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__)

// Once it has panicked, an environment says so until it is opened anew.
OWN(int, mdb_txn_begin, MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **out)
{
    int error = strike(FAULTY_mdb_txn_begin);
    if (error == MDB_PANIC)
        faulty.panicked = env;
    if (faulty.panicked == env)
        return MDB_PANIC;
    return error ? error : __real_mdb_txn_begin(env, parent, flags, out);
}

// Whatever it says, the transaction is gone.
OWN(int, mdb_txn_commit, MDB_txn *txn)
{
    int error = strike(FAULTY_mdb_txn_commit);
    if (!error)
        return __real_mdb_txn_commit(txn);
    MDB_env *env = mdb_txn_env(txn);
    if (error == FAULTY_LATE) {
        __real_mdb_txn_commit(txn);
        faulty.panicked = env; // which is how a meta page that may or may not be written ends
        return EIO;
    }
    mdb_txn_abort(txn);
    if (error == MDB_PANIC)
        faulty.panicked = env;
    return error;
}

void __real_mdb_env_close(MDB_env *env);
void __wrap_mdb_env_close(MDB_env *env);
void __wrap_mdb_env_close(MDB_env *env)
{
    if (env && faulty.panicked == env)
        faulty.panicked = NULL;
    __real_mdb_env_close(env);
}

OWN(int, open, const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    int error = strike(FAULTY_open);
    errno = error ? error : errno;
    return error ? -1 : __real_open(path, flags, mode);
}

OWN(int, openat, int fd, const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    int error = strike(FAULTY_openat);
    errno = error ? error : errno;
    return error ? -1 : __real_openat(fd, path, flags, mode);
}

// The descriptor is gone whatever it says: close(2).
OWN(int, close, int fd)
{
    int error = strike(FAULTY_close), done = __real_close(fd);
    errno = error ? error : errno;
    return error ? -1 : done;
}

OWN(DIR *, fdopendir, int fd)
{
    int error = strike(FAULTY_fdopendir);
    errno = error ? error : errno;
    return error ? NULL : __real_fdopendir(fd);
}

OWN(struct dirent *, readdir, DIR *d)
{
    int error = strike(FAULTY_readdir);
    errno = error ? error : errno;
    return error ? NULL : __real_readdir(d);
}

OWN(char *, realpath, const char *path, char *out)
{
    int error = strike(FAULTY_realpath);
    errno = error ? error : errno;
    return error ? NULL : __real_realpath(path, out);
}

OWN(void *, mmap, void *at, size_t n, int protection, int flags, int fd, off_t from)
{
    int error = strike(FAULTY_mmap);
    errno = error ? error : errno;
    return error ? MAP_FAILED : __real_mmap(at, n, protection, flags, fd, from);
}

// Interrupted, it goes on by itself: connect(2).
OWN(int, connect, int fd, const struct sockaddr *to, socklen_t n)
{
    int error = strike(FAULTY_connect);
    if (error && error != EINTR) {
        errno = error;
        return -1;
    }
    int done = __real_connect(fd, to, n);
    errno = error ? error : errno;
    return error ? -1 : done;
}

OWN(int, fcntl, int fd, int what, ...)
{
    va_list args;
    va_start(args, what);
    long value = va_arg(args, long);
    va_end(args);
    int error = strike(FAULTY_fcntl);
    errno = error ? error : errno;
    return error ? -1 : __real_fcntl(fd, what, value);
}

struct birth {
    void *(*run)(void *);
    void *arg;
};

static void *run_inside(void *arg)
{
    struct birth b = *(struct birth *)arg;
    free(arg);
    depth = 1;
    return b.run(b.arg);
}

OWN(int, pthread_create, pthread_t *out, const pthread_attr_t *how, void *(*run)(void *), void *arg)
{
    int error = strike(FAULTY_pthread_create);
    struct birth *b;
    if (error || !depth)
        return error ? error : __real_pthread_create(out, how, run, arg);
    if (!(b = malloc(sizeof *b)))
        return ENOMEM;
    *b = (struct birth){run, arg};
    error = __real_pthread_create(out, how, run_inside, b);
    if (error)
        free(b);
    return error;
}

// ---- Doors -------------------------------------------------------------------------------------

#define DOOR(type, name, parameters, arguments)                                                    \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        depth++;                                                                                   \
        type rc = __real_##name arguments;                                                         \
        depth--;                                                                                   \
        return rc;                                                                                 \
    }
#define DOOR_VOID(name, parameters, arguments)                                                     \
    void __real_##name parameters;                                                                 \
    void __wrap_##name parameters;                                                                 \
    void __wrap_##name parameters                                                                  \
    {                                                                                              \
        depth++;                                                                                   \
        __real_##name arguments;                                                                   \
        depth--;                                                                                   \
    }

DOOR(int, store_open,
     (struct store * *out, const char *dir, unsigned shards, struct store_error *why),
     (out, dir, shards, why))
DOOR_VOID(store_close, (struct store * s), (s))
DOOR(int, store_shard_open,
     (struct store_shard * *out, struct store *s, unsigned shard, struct store_error *why),
     (out, s, shard, why))
DOOR_VOID(store_shard_close, (struct store_shard * s), (s))
DOOR(int, store_shard_scan,
     (struct store_shard * s, int (*each)(void *, uint64_t, struct text), void *arg),
     (s, each, arg))
DOOR(int, store_shard_commit,
     (struct store_shard * s, const struct store_change *v, size_t n, struct store_error *why),
     (s, v, n, why))
DOOR(int, shards_create,
     (struct shards * *out, const struct config *cfg, struct store *store, struct store_error *why),
     (out, cfg, store, why))
DOOR(int, shards_start, (struct shards * s), (s))
DOOR_VOID(shards_stop, (struct shards * s), (s))
DOOR_VOID(shards_destroy, (struct shards * s), (s))
DOOR(int, shards_reload, (struct shards * s, const struct config *cfg), (s, cfg))
DOOR(int, shards_ask,
     (struct shards * s, unsigned shard, const void *question, size_t n, void *answer, size_t cap,
      size_t *answer_n, int timeout_ms),
     (s, shard, question, n, answer, cap, answer_n, timeout_ms))
DOOR(int, api_listen,
     (struct api * *out, const struct config *cfg, struct shards *shards, struct store_error *why),
     (out, cfg, shards, why))
DOOR(int, api_start, (struct api * api, struct store_error *why), (api, why))
DOOR_VOID(api_stop, (struct api * api), (api))

// ---- What may not be left behind ---------------------------------------------------------------

unsigned faulty_open_descriptors(void)
{
    unsigned n = 0;
    DIR *d = __real_fdopendir(__real_open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!d)
        abort();
    while (__real_readdir(d))
        n++;
    closedir(d);
    return n;
}

int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

bool faulty_has_leaked(void)
{
    return __lsan_do_recoverable_leak_check && __lsan_do_recoverable_leak_check();
}

unsigned faulty_points(enum faulty_call call)
{
    return points[call];
}

void faulty_print_table(void)
{
    unsigned sum = 0;
    for (int i = 0; i < FAULTY_CALLS; i++) {
        if (points[i])
            printf("%-20s %6u\n", names[i], points[i]);
        sum += points[i];
    }
    printf("%-20s %6u\n", "points failed", sum);
    fflush(stdout);
}
