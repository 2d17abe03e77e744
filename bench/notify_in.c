// What a presence change of a SIP user costs on its way to the XMPP user who watches him:
//
//   NOTIFY ─▶ 200, presence
//
// CPU time is the daemon's, user and system, all threads; the floor's of the same run stands beside
// it. Latency counts from when the NOTIFY was meant to be said until the stanza is there.
#include "bench/load/hot.h"

static const char help[] =
    "usage: bench_notify_in [OPTION…]\n"
    "A SIP user's presence reaches an XMPP user (NOTIFY, 200, presence): CPU time per event beside\n"
    "the floor's, events a second, latency at 50 % and 80 % of that, bytes to the disk, losses.\n";

int main(int argc, char **argv)
{
    struct program p = {
        .name = "notify-in", .help = help, .subscriptions = 10000, .events = 400000, .seconds = 5};
    program_begin(&p, argc, argv);
    program_start(&p);
    hot_measure(&p, &(struct hot){LOAD_WATCH, LOAD_NOTIFY, FLOOR_NOTIFY_IN});
    program_stop(&p);
    return program_end(&p);
}
