// Keeps a driver off the cores of what it drives.
#include "bench/load/aside.h"

void aside_begin(struct aside *a, unsigned cores)
{
    cpu_set_t rest;
    a->moved = false;
    if (sched_getaffinity(0, sizeof a->before, &a->before))
        return;
    rest = a->before;
    for (int cpu = 0; cores && cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &rest)) {
            CPU_CLR(cpu, &rest);
            cores--;
        }
    a->moved = CPU_COUNT(&rest) > 0 && sched_setaffinity(0, sizeof rest, &rest) == 0;
}

void aside_end(struct aside *a)
{
    if (a->moved)
        sched_setaffinity(0, sizeof a->before, &a->before);
}
