// The daemon from outside: its arguments, exit statuses and signals, as scripts rely on them.
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/load/free_ports.h"

enum { PATIENCE_MS = 20000, OUTPUT_MAX = 32768 };

static char dir[] = "/tmp/isthmus-main-XXXXXX";
static char file[64], store[64];
static unsigned sip_port, api_port, shard_port;

// What a run said on both its outputs.
struct run {
    pid_t pid;
    int fd;
    size_t n;
    char text[OUTPUT_MAX];
};

static int bound_socket(int type, unsigned *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    *port = ntohs(a.sin_port);
    return fd;
}

static int set_up(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(file, sizeof file, "%s/gateway.toml", dir);
    snprintf(store, sizeof store, "%s/store", dir);
    sip_port = free_ports(1);
    shard_port = free_ports(1);
    api_port = free_ports(1);
    assert_true(sip_port && shard_port && api_port);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", dir);
    return system(command);
}

// A good file, with `more` in its last section, which is [log].
static void write_config(const char *more)
{
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    fprintf(f,
            "[gateway]\nshards = 1\nstore = '%s'\n[xmpp]\nserver = '127.0.0.1:9'\nsecret = 'x'\n"
            "[sip]\nlisten = ['udp:127.0.0.1:%u', 'tcp:127.0.0.1:%u']\nshard_port = %u\n"
            "proxy = 'sip:127.0.0.1:9'\n[trust]\nsip_domains = ['example.net']\n"
            "xmpp_domains = ['example.com']\n[api]\nlisten = '127.0.0.1:%u'\n[log]\n%s\n",
            store, sip_port, sip_port, shard_port, api_port, more);
    assert_int_equal(fclose(f), 0);
}

static void run_start(struct run *r, char *const argv[])
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    r->n = 0;
    r->text[0] = '\0';
    r->fd = ends[0];
    r->pid = fork();
    assert_true(r->pid >= 0);
    if (r->pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        execv(ISTHMUS_BINARY, argv);
        _exit(127);
    }
    close(ends[1]);
}

// Reads until `wanted` was said; NULL: until the end. False: the end came first.
static bool run_read(struct run *r, const char *wanted)
{
    struct pollfd p = {.fd = r->fd, .events = POLLIN};
    while (!wanted || !strstr(r->text, wanted)) {
        assert_true(r->n < OUTPUT_MAX - 1);
        if (poll(&p, 1, PATIENCE_MS) != 1) {
            kill(r->pid, SIGKILL);
            fail_msg("silent for too long after: %s", r->text);
        }
        ssize_t got = read(r->fd, r->text + r->n, OUTPUT_MAX - 1 - r->n);
        if (got <= 0)
            return !wanted;
        r->text[r->n += (size_t)got] = '\0';
    }
    return true;
}

static int run_end(struct run *r)
{
    int status;
    run_read(r, NULL);
    close(r->fd);
    assert_int_equal(waitpid(r->pid, &status, 0), r->pid);
    if (!WIFEXITED(status))
        fail_msg("ended by signal %d after: %s", WTERMSIG(status), r->text);
    return WEXITSTATUS(status);
}

// Runs it to its end, which has to be `status`, having said `wanted`.
static void assert_run(char *const argv[], int status, const char *wanted)
{
    static struct run r;
    run_start(&r, argv);
    int got = run_end(&r);
    if (got != status || !strstr(r.text, wanted))
        fail_msg("status %d and \"%s\" wanted, got %d: %s", status, wanted, got, r.text);
}

#define ARGV(...) ((char *[]){"isthmus", __VA_ARGS__, NULL})

static void test_arguments(void **state)
{
    (void)state;
    assert_run(ARGV("-V"), 0, "isthmus " ISTHMUS_VERSION);
    assert_run(ARGV("-h"), 0, "usage: isthmus");
    assert_run(ARGV("--config-reference"), 0, "[trust]");
    assert_run(ARGV("-x"), 1, "usage: isthmus");
    assert_run(ARGV("file"), 1, "usage: isthmus");
}

static void test_bad_config(void **state)
{
    (void)state;
    char wanted[128];
    write_config("level = 'loud'");
    snprintf(wanted, sizeof wanted, "%s:17:9: log.level: \"loud\": one of:", file);
    assert_run(ARGV("-c", file), 2, wanted);
    assert_run(ARGV("-t", "-c", file), 2, wanted);
    assert_run(ARGV("-c", "/nonexistent"), 2, "/nonexistent:1:1: can't read the file");
    write_config("");
    assert_run(ARGV("-t", "-c", file), 0, ": ok\n");
    assert_int_equal(access(store, F_OK), -1); // -t touches nothing
}

static void append_config(const char *more)
{
    FILE *f = fopen(file, "a");
    assert_non_null(f);
    fputs(more, f);
    assert_int_equal(fclose(f), 0);
}

// The files are looked at before anything is done, and the one to blame is named.
static void test_bad_certificates(void **state)
{
    (void)state;
    char wanted[256];
    write_config("");
    append_config("[sip.tls]\ncertificate = '/nonexistent'\nprivate_key = '/nonexistent'\n");
    snprintf(wanted, sizeof wanted,
             "%s:19:15: sip.tls.certificate: can't use \"/nonexistent\": No such file or directory",
             file);
    assert_run(ARGV("-c", file), 2, wanted);
    assert_run(ARGV("-t", "-c", file), 2, wanted);
    write_config("");
    append_config("[sip.tls]\nca = '/dev/null'\n");
    assert_run(ARGV("-c", file), 2, "sip.tls.ca: can't use \"/dev/null\": ");
    write_config("");
    append_config("[sip.tls]\nprivate_key = '/dev/null'\n");
    assert_run(ARGV("-c", file), 2, "sip.tls: certificate and private_key go together");
    assert_int_equal(access(store, F_OK), -1);
}

static void test_bad_store(void **state)
{
    (void)state;
    write_config("");
    int fd = open(store, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_run(ARGV("-c", file), 3, "event=start_failed part=store");
    assert_int_equal(unlink(store), 0);
}

static void test_port_in_use(void **state)
{
    (void)state;
    unsigned own_port = sip_port;
    int fd = bound_socket(SOCK_DGRAM, &sip_port);
    write_config("");
    assert_run(ARGV("-c", file), 1, "event=start_failed part=shards");
    close(fd);
    sip_port = own_port;
    own_port = api_port;
    fd = bound_socket(SOCK_STREAM, &api_port);
    assert_int_equal(listen(fd, 1), 0);
    write_config("");
    assert_run(ARGV("-c", file), 1, "event=start_failed part=api");
    close(fd);
    api_port = own_port;
}

static void assert_tcp_is_served(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)sip_port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    close(fd);
}

// Each thread gives up capabilities for itself, or inherits none: also those that libraries begin.
static void assert_no_thread_has_capabilities(pid_t pid)
{
    char path[64], line[128];
    unsigned threads = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    assert_non_null(tasks);
    for (const struct dirent *task; (task = readdir(tasks));) {
        snprintf(path, sizeof path, "/proc/%d/task/%.20s/status", (int)pid, task->d_name);
        FILE *f = task->d_name[0] == '.' ? NULL : fopen(path, "r");
        while (f && fgets(line, sizeof line, f))
            if (strncmp(line, "CapPrm:", 7) == 0 && ++threads)
                assert_int_equal(strtoull(line + 7, NULL, 16), 0);
        if (f)
            fclose(f);
    }
    closedir(tasks);
    assert_true(threads > 1);
}

// One life: it gets ready, serves what it listens on, takes good and bad reloads, and ends well.
static void assert_life(int last_signal)
{
    static struct run r;
    write_config("");
    run_start(&r, ARGV("-c", file));
    assert_true(run_read(&r, "event=ready"));
    assert_tcp_is_served();
    assert_no_thread_has_capabilities(r.pid);
    write_config("level = 3");
    kill(r.pid, SIGHUP);
    assert_true(run_read(&r, ":17:9: log.level: a string is wanted, not a whole number"));
    write_config("format = 'json'");
    kill(r.pid, SIGHUP);
    assert_true(run_read(&r, "\"event\":\"reloaded\""));
    kill(r.pid, SIGPIPE);
    kill(r.pid, SIGUSR1);
    kill(r.pid, last_signal);
    int status = run_end(&r);
    if (status != 0)
        fail_msg("status %d: %s", status, r.text);
    assert_non_null(strstr(r.text, "\"event\":\"stopped\""));
}

static void test_life(void **state)
{
    (void)state;
    assert_life(SIGTERM);
    assert_life(SIGINT);
}

static bool is_free(unsigned port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is = bind(fd, (struct sockaddr *)&a, sizeof a) == 0;
    close(fd);
    return is;
}

// Who may bind a port below 1024 has no such right left once it is bound.
static void test_privileged_port(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    unsigned own_port = api_port;
    for (api_port = 600; !is_free(api_port); api_port++)
        assert_true(api_port < 1023);
    assert_life(SIGTERM);
    api_port = own_port;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arguments),        cmocka_unit_test(test_bad_config),
        cmocka_unit_test(test_bad_certificates), cmocka_unit_test(test_bad_store),
        cmocka_unit_test(test_port_in_use),      cmocka_unit_test(test_life),
        cmocka_unit_test(test_privileged_port),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
