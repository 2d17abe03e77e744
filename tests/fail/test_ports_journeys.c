// What a gateway does for its peers while one system call fails: each that its threads make on the
// way, the 1st, the 2nd, the 3rd …, with each error that it may give.
//
//     XMPP server ══ stream ══▶ ┌───────────┐ ══ UDP, TCP, TLS ══▶ SIP peer
//                               │ two shards │
//     reload, questions ══════▶ └───────────┘ ◀══ SUBSCRIBE, NOTIFY ══
//
// A fault that loses nothing (an interruption, a part of the work, an error that is an earlier
// datagram's) must not be felt: the way ends within STRICT_MS, though nobody repeats anything.
// Others may take a retransmission, a new connection or a new stream: LENIENT_MS. No way takes more
// than CPU_MS of processor time, the peers' included. Afterwards no memory and no descriptor is
// lost.
//
// Each call has a process of its own, and several run at a time: they wait, mostly.
#include "journey.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "faulty.h"
#include "tests/certificates.h"

enum {
    AT_ONCE = 32,
    NTH_MAX = 8, // of one call on one way
    STRICT_MS = 4000,
    LENIENT_MS = 20000, // a handshake that comes to nothing takes 10 s of them
    CPU_MS = 1500,      // with sanitizers
    CHILD_S = 250,
};

static char dir[] = "/dev/shm/isthmus-journeys-XXXXXX";

static const struct way {
    const char *name;
    enum journey_transport transport;
    bool (*run)(struct journey *j, int bound_ms);
} ways[] = {
    {"UDP", JOURNEY_UDP, journey_both},    {"TCP", JOURNEY_TCP, journey_both},
    {"TLS", JOURNEY_TLS, journey_both},    {"stream", JOURNEY_UDP, journey_stream},
    {"admin", JOURNEY_UDP, journey_admin},
};
enum { WAYS = sizeof ways / sizeof *ways };

static bool loses_nothing(const struct way *w, enum faulty_call call, int error)
{
    bool opens = w->run == journey_stream ||
                 (w->run == journey_admin && (call == FAULTY_recv || call == FAULTY_send));
    if (opens) // a stream; the next attempt is as good
        return false;
    if (call == FAULTY_close)
        return true;
    return error == FAULTY_SHORT || error == EINTR || error == EAGAIN ||
           (error == ECONNREFUSED && (call == FAULTY_recvmmsg || call == FAULTY_sendmmsg));
}

// ---- One call with one error, in its process ---------------------------------------------------

__attribute__((format(printf, 1, 2), noreturn)) static void blame(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    _exit(1);
}

static int64_t cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

// A stream that is lost again soon is waited for longer and longer: each point has its first loss.
static void renew(struct journey *j, const struct way *w)
{
    bool strict = j->strict;
    if (component_server_connects(j->g->server, "example.net") == 1)
        return;
    journey_close(j);
    journey_open(j, w->transport, strict, dir);
}

// False: there are not so many of that call on the way.
static bool fail_point(struct journey *j, const struct way *w, enum faulty_call call, unsigned n,
                       int error)
{
    int64_t cpu = cpu_ms(), began_ms = journey_now_ms();
    int bound_ms = j->strict ? STRICT_MS : LENIENT_MS;
    renew(j, w);
    faulty_arm(call, n, error, false);
    bool well = w->run(j, bound_ms);
    bool struck = faulty_disarm();
    int64_t took_ms = journey_now_ms() - began_ms;
    if (getenv("JOURNEY_TIMES") && took_ms > 500)
        fprintf(stderr, "%s, %s number %u says %d: %lld ms\n", w->name, faulty_name(call), n, error,
                (long long)took_ms);
    if (!well)
        blame("%s, %s number %u says %d (%s): no end within %d ms", w->name, faulty_name(call), n,
              error, struck ? "it did" : "it did not", bound_ms);
    if (cpu_ms() - cpu > CPU_MS)
        blame("%s, %s number %u says %d: %lld ms of CPU", w->name, faulty_name(call), n, error,
              (long long)(cpu_ms() - cpu));
    return struck;
}

static void fail_call(const struct way *w, enum faulty_call call, int error)
{
    struct journey j;
    unsigned descriptors = faulty_open_descriptors();
    journey_open(&j, w->transport, loses_nothing(w, call, error), dir);
    for (unsigned n = 1; n <= NTH_MAX && fail_point(&j, w, call, n, error); n++)
        ;
    renew(&j, w);
    if (!w->run(&j, LENIENT_MS))
        blame("%s, after all faults of %s: no end", w->name, faulty_name(call));
    journey_close(&j);
    if (faulty_open_descriptors() != descriptors)
        blame("%s, %s: %u descriptors are open, %u were", w->name, faulty_name(call),
              faulty_open_descriptors(), descriptors);
    if (faulty_has_leaked())
        blame("%s, %s: memory is lost", w->name, faulty_name(call));
}

// ---- All of them -------------------------------------------------------------------------------

// What a way never asks for costs no process; test_ports_start.c fails it.
static bool is_made_by(const struct way *w, enum faulty_call call)
{
    switch (call) {
    case FAULTY_close:
    case FAULTY_epoll_wait:
    case FAULTY_epoll_ctl:
    case FAULTY_recv:
    case FAULTY_send:
    case FAULTY_read:
    case FAULTY_write: return true;
    case FAULTY_recvmmsg:
    case FAULTY_sendmmsg: return w->transport == JOURNEY_UDP && w->run != journey_admin;
    case FAULTY_socket:
    case FAULTY_bind:
    case FAULTY_connect:
    case FAULTY_accept4: return w->transport != JOURNEY_UDP;
    case FAULTY_setsockopt:
    case FAULTY_getsockopt: return w->transport != JOURNEY_UDP || w->run != journey_both;
    case FAULTY_poll:
    case FAULTY_fcntl:
    case FAULTY_dup3:
    case FAULTY_socketpair: return w->run == journey_stream || w->run == journey_admin;
    default: return false;
    }
}

static pid_t start_one(const struct way *w, enum faulty_call call, int error)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        setenv("CMOCKA_TEST_ABORT", "1", 1); // the peers' asserts end this process
        alarm(CHILD_S);
        fail_call(w, call, error);
        _exit(0);
    }
    return child;
}

// A call that was to be failed, and that no way makes any more, would be one that is not tested.
static bool each_has_struck(void)
{
    bool all = true;
    for (int i = 0; i < WAYS * FAULTY_CALLS; i++) {
        enum faulty_call call = (enum faulty_call)(i % FAULTY_CALLS);
        if (!is_made_by(&ways[i / FAULTY_CALLS], call) || faulty_points(call))
            continue;
        fprintf(stderr, "%s was never made\n", faulty_name(call));
        all = false;
    }
    return all;
}

static bool end_one(void)
{
    int status;
    pid_t child = wait(&status);
    if (child > 0 && status != 0)
        fprintf(stderr, "process %d ended with %#x\n", (int)child, (unsigned)status);
    return status == 0;
}

// "way" or "way call": that alone.
int main(int argc, char **argv)
{
    bool well = true;
    unsigned running = 0;
    if (!mkdtemp(dir))
        return 1;
    struct certificate ca = certificate_make(NULL, NULL, 10);
    certificate_write(certificate_make(&ca, "DNS:gw.example.net,IP:127.0.0.1", 10), dir, "good");
    certificate_write(ca, dir, "ca");
    for (int i = 0; i < WAYS * FAULTY_CALLS * FAULTY_ERRORS_MAX; i++) {
        const struct way *w = &ways[i / FAULTY_ERRORS_MAX / FAULTY_CALLS];
        enum faulty_call call = (enum faulty_call)(i / FAULTY_ERRORS_MAX % FAULTY_CALLS);
        int error = faulty_errors(call)[i % FAULTY_ERRORS_MAX];
        if ((argc > 1 && strcmp(argv[1], w->name)) ||
            (argc > 2 && strcmp(argv[2], faulty_name(call))) || !error || !is_made_by(w, call))
            continue;
        if (running == AT_ONCE) {
            well = end_one() && well;
            running--;
        }
        running += start_one(w, call, error) > 0;
    }
    for (; running; running--)
        well = end_one() && well;
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", dir);
    well = system(command) == 0 && well;
    faulty_print_table();
    well = (argc > 1 || each_has_struck()) && well;
    puts(well ? "all ended well" : "FAILED");
    return well ? 0 : 1;
}
