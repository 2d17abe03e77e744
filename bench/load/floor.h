// What the kernel alone asks for an event: the same bytes through the same system calls in the same
// batches as in the gateway, and no thought in between.
//
//   presence-in:  TCP ─▶ its share of one read, a datagram out (NOTIFY), a datagram in (200)
//   notify-in:    a datagram in (NOTIFY), a datagram out (200), its share of one write ─▶ TCP
//
// A child process stands in the gateway's place: its sockets have the gateway's options and
// buffers, and a turn of its is one of the gateway's: epoll_wait, then recvmmsg as long as batches
// are full, recv, sendmmsg, send. It counts bytes and reads none of them. The caller plays the
// generator, with as many events under way as in the real benchmark, and says as many together as
// the gateway was seen to take in one turn: small batches would make the floor look high.
//
// Where many datagrams of one size go to one peer, a gateway may hand them to the kernel in one
// piece. The floor does so only when it is told to: then it is the floor of such a gateway in a
// world in which all messages are of one size.
#ifndef BENCH_LOAD_FLOOR_H
#define BENCH_LOAD_FLOOR_H

#include <stdint.h>

enum { FLOOR_RUN = 48 }; // SIP_UDP_RUN_MAX in shards/sip_udp.h

enum floor_way { FLOOR_PRESENCE_IN, FLOOR_NOTIFY_IN };

struct floor_setup {
    enum floor_way way;
    uint64_t events;    // a few more may be taken
    unsigned window;    // events under way at a time
    unsigned run;       // datagrams that the child sends in one piece (UDP_SEGMENT); 0, 1: none
    unsigned say_every; // so many are said together; at most the window
};

struct floor_figure {
    double cpu_us;   // the child's, user and system, for each event
    double per_s;    // events that went through, in real time
    double per_turn; // events in one turn of the child
};

// Takes as long as the events take. EIO: a datagram was lost, or the child died; other errnos.
int floor_measure(struct floor_figure *out, const struct floor_setup *setup);

#endif
