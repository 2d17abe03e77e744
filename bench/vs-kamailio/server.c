// Servers of others: started, watched, ended.
#include "bench/vs-kamailio/server.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void server_redirect(int fd, const char *file, int flags)
{
    int opened = open(file ? file : "/dev/null", flags, 0600);
    if (opened < 0 || dup2(opened, fd) < 0)
        _exit(126);
    close(opened);
}

static void server_exec(const struct server *p, const char *const argv[], pid_t parent)
{
    char path[1024];
    const char *old = getenv("PATH");
    prctl(PR_SET_PDEATHSIG, p->death_signal);
    if (getppid() != parent) // it died before
        _exit(126);
    setpgid(0, 0);
    server_redirect(STDIN_FILENO, p->input, O_RDONLY);
    server_redirect(STDOUT_FILENO, p->log, O_WRONLY | O_CREAT | O_APPEND);
    dup2(STDOUT_FILENO, STDERR_FILENO);
    snprintf(path, sizeof path, "%s:/usr/sbin:/sbin", old ? old : "/usr/bin:/bin");
    setenv("PATH", path, 1);
    if (p->preload)
        setenv("LD_PRELOAD", p->preload, 1);
    execvp(argv[0], (char *const *)argv);
    _exit(127);
}

pid_t server_start(const struct server *p, const char *const argv[])
{
    pid_t own = getpid(), pid = fork();
    if (pid == 0)
        server_exec(p, argv, own);
    if (pid < 0)
        return 0;
    setpgid(pid, pid); // here as well: who comes first
    return pid;
}

int server_run(const struct server *p, const char *const argv[])
{
    int status;
    pid_t pid = server_start(p, argv);
    if (!pid)
        return -1;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool server_runs(pid_t pid)
{
    return waitpid(pid, NULL, WNOHANG) == 0;
}

void server_stop(pid_t pid, unsigned timeout_ms)
{
    const struct timespec step = {.tv_nsec = 10000000};
    kill(pid, SIGTERM);
    for (unsigned ms = 0; ms < timeout_ms; ms += 10) {
        if (!server_runs(pid)) {
            kill(-pid, SIGKILL); // children that it forgot
            return;
        }
        nanosleep(&step, NULL);
    }
    kill(-pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

// ---- What it uses

static uint64_t cpu_ns_of(pid_t pid)
{
    clockid_t clock;
    struct timespec t;
    if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &t))
        return 0;
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

// Pages that n processes share count as a part of each of them.
static uint64_t memory_bytes_of(pid_t pid)
{
    char path[64], line[128];
    unsigned long long kb, sum = 0;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "Pss_Anon: %llu", &kb) == 1 || sscanf(line, "Pss_Shmem: %llu", &kb) == 1)
            sum += kb;
    if (f)
        fclose(f);
    return sum * 1024;
}

static pid_t parent_of(const char *pid)
{
    char path[300], line[512];
    int parent = 0;
    snprintf(path, sizeof path, "/proc/%s/stat", pid);
    FILE *f = fopen(path, "r");
    if (f && fgets(line, sizeof line, f)) {
        const char *name_end = strrchr(line, ')'); // the name may hold anything
        if (!name_end || sscanf(name_end, ") %*c %d", &parent) != 1)
            parent = 0;
    }
    if (f)
        fclose(f);
    return parent;
}

static uint64_t sum_over(pid_t pid, uint64_t (*of)(pid_t))
{
    DIR *d = opendir("/proc");
    uint64_t sum = of(pid);
    for (struct dirent *e; d && (e = readdir(d));)
        if (*e->d_name >= '1' && *e->d_name <= '9' && parent_of(e->d_name) == pid)
            sum += of((pid_t)strtol(e->d_name, NULL, 10));
    if (d)
        closedir(d);
    return sum;
}

uint64_t server_cpu_ns(pid_t pid)
{
    return pid ? sum_over(pid, cpu_ns_of) : 0;
}

uint64_t server_memory_bytes(pid_t pid)
{
    return pid ? sum_over(pid, memory_bytes_of) : 0;
}
