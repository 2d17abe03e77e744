// Temporary folders, and who removes them: see scratch.h.
#include "bench/load/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

// Once more after a while: who was writing there when the program died may just have made a file.
static const char script[] = "rm -rf \"$0\" && exit; sleep 0.3; rm -rf \"$0\"";

// In a session of its own, where no Ctrl-C reaches it; with no descriptor of others' kept open.
static void remover_run(int pipe, const char *folder)
{
    char byte;
    setsid();
    if (dup2(pipe, STDIN_FILENO) < 0)
        _exit(1);
    close_range(STDERR_FILENO + 1, ~0u, 0);
    while (read(STDIN_FILENO, &byte, 1) < 0 && errno == EINTR)
        ;
    execl("/bin/sh", "sh", "-c", script, folder, (char *)NULL);
    _exit(1);
}

int scratch_create(struct scratch *s, char *name)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC))
        return errno;
    int error = mkdtemp(name) ? 0 : errno;
    s->remover = error ? 0 : fork();
    if (!error && s->remover == 0) {
        close(ends[1]);
        remover_run(ends[0], name);
    }
    close(ends[0]);
    s->pipe = ends[1];
    if (!error && s->remover > 0)
        return 0;
    error = error ? error : errno;
    s->remover = 0;
    close(ends[1]);
    return error;
}

void scratch_remove(struct scratch *s)
{
    if (!s->remover)
        return;
    close(s->pipe);
    while (waitpid(s->remover, NULL, 0) < 0 && errno == EINTR)
        ;
    s->remover = 0;
}

void scratch_die_with_parent(pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) // it ended before
        _exit(1);
}
