// Looks for free ports by binding each, in steps from a place that differs between processes.
#include "bench/load/free_ports.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PORTS_FIRST = 10000, PORTS_LAST = 31000, PORTS_TRIES = 200 };

static bool port_is_free(uint16_t port, int type)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    bool is = fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0;
    close(fd);
    return is;
}

uint16_t free_ports(unsigned n)
{
    static uint16_t next;
    if (!next)
        next = (uint16_t)(PORTS_FIRST + (unsigned)(getpid() * 37) % 18000);
    for (unsigned tries = 0; tries < PORTS_TRIES; tries++) {
        uint16_t first = next;
        bool all = true;
        next = (uint16_t)(next + n > PORTS_LAST ? PORTS_FIRST : next + n);
        for (unsigned i = 0; i < n && all; i++)
            all = port_is_free((uint16_t)(first + i), SOCK_DGRAM) &&
                  port_is_free((uint16_t)(first + i), SOCK_STREAM);
        if (all)
            return first;
    }
    return 0;
}
