// What a presence change of an XMPP user costs on its way to the SIP user who watches her:
//
//   presence ─▶ NOTIFY ─▶ 200
//
// CPU time is the daemon's, user and system, all threads; the floor's of the same run stands beside
// it. Latency counts from when the change was meant to be said until the NOTIFY is there. The loops
// are cut short before a watcher has been told so often that the gateway slows down on purpose.
#include "bench/load/hot.h"

static const char help[] =
    "usage: bench_presence_in [OPTION…]\n"
    "An XMPP user's presence reaches a SIP user (presence, NOTIFY, 200): CPU time per event beside\n"
    "the floor's, events a second, latency at 50 % and 80 % of that, bytes to the disk, losses.\n";

int main(int argc, char **argv)
{
    struct program p = {.name = "presence-in",
                        .help = help,
                        .subscriptions = 10000,
                        .events = 400000,
                        .seconds = 5};
    program_begin(&p, argc, argv);
    program_start(&p);
    hot_measure(&p, &(struct hot){LOAD_SERVE, LOAD_PRESENCE, FLOOR_PRESENCE_IN});
    program_stop(&p);
    return program_end(&p);
}
