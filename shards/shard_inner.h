// What the files of a shard share: its state, and the calls between them. All of its own thread.
//
//   shard.c          making, the thread
//   shard_birth.c    the core: made, restored, and so again when memory has run out
//   shard_ports.c    SIP ports: bound, and found by their id
//   shard_turn.c     the loop: sleep, read, commit, release, publish
//   shard_lag.c      how long input waits
//   shard_route.c    in: wires and rings → the owner's core
//   shard_release.c  commit and out: effects → wires and rings
//   shard_streams.c  streams taken over, lost and given up
//   shard_owed.c     what could not be said to another thread, made good
#ifndef SHARDS_SHARD_INNER_H
#define SHARDS_SHARD_INNER_H

#include <pthread.h>

#include "shards/port.h"
#include "shards/shard.h"
#include "shards/strangers.h"
#include "shards/xmpp_stream.h"

enum {
    SHARD_EVENTS_MAX = 64,  // descriptors handled in one turn
    SHARD_RING_BATCH = 256, // messages taken from one ring in one turn
    // Batches of datagrams read in one turn from a port of its own, and from a shared one. A commit
    // takes its time however little there is in it, so few in a turn would be few in a second; and
    // what is refused must not wait for a slow disk, so of new work there is no more than
    // SHARD_SHARED_US in a turn, however many that are. After each SHARD_SLICE_US of it the other
    // wires are looked at again: a server whose stanzas have filled what the kernel keeps of them
    // would be held up for the rest of the turn, and its lag would be nowhere to be seen. While
    // another wire has more to give than was read, a shared port gets one slice; and a batch
    // though the others have filled the turn, or nobody new would hear anything, not even a no, for
    // as long as they do.
    SHARD_PORT_BATCHES = 16,
    SHARD_SHARED_BATCHES = 64,
    SHARD_SHARED_US = 30000,
    SHARD_SLICE_US = 2000,
    SHARD_STREAM_READS = 4, // of XMPP_STREAM_READ_BYTES
    SHARD_PORTS_MAX = 2 + CONFIG_LISTEN_MAX + CORE_SHARDS_MAX,
    SHARD_DESCRIPTORS_KEPT = 1024, // of those left, for what is no SIP connection; half at most
    SHARD_DESCRIPTORS_EACH = 10,   // that a shard opens at its start, `listen` aside; about
    SHARD_HEARTBEAT_MS = 1000,     // sleeps at most so long; looks after its streams so often
    SHARD_SILENT_MS = 5000,        // without a turn for so long, it is reported as failing
    SHARD_COMMIT_RETRY_MS = 1000,
    SHARD_REBIRTH_RETRY_MS = 1000,
    // Between two attempts to make good what was dropped: at first, and at most.
    SHARD_PAY_MS = 1000,
    SHARD_PAY_MOST_MS = 8000,
    SHARD_FINISH_MS = 200, // at the end: for what is still on the way between shards
    SHARD_FINISH_MOST_MS = 2000,
    SHARD_FAREWELL_MS = 1000, // for the last bytes to the servers
};

// A descriptor in the shard's epoll set. `mask` is what it is registered for; 0: not at all, so
// that a hang-up does not wake a shard that is not listening.
struct shard_wire {
    int fd;
    uint32_t mask;
    uint64_t tag; // of its epoll events
};

struct shard_port {
    struct port *port; // NULL: none of that transport
    struct shard_wire wire;
    uint64_t empty_ms; // when nothing was left in it
};

struct shard_stream {
    uint32_t stream;
    struct xmpp_stream *xmpp;
    struct shard_wire wire;
    bool written;    // this turn, so it is to be flushed
    int error;       // it is lost, and why
    uint64_t end_ms; // not wanted any more, and to be closed then; 0: wanted
};

struct shard {
    unsigned index, shards, connections;
    const struct clock *clock;
    const _Atomic bool *stopping;
    struct stream_table *table;
    struct fabric_end end;
    pthread_t thread;
    bool running;

    struct core *core; // NULL: memory has run out, and there is not yet enough for a new one
    struct shard_origin *origin;
    struct settings *settings; // in force
    uint64_t id_above;         // all ids that ever were in the store
    struct store_shard *store;
    struct sip_parser *parser;
    struct stanza_reader_limits limits;
    struct strangers strangers;

    // The turn.
    uint64_t now_ms, began_us, heartbeat_ms;
    bool stepped; // there was an event in it
    struct effects fx;
    struct store_change *change; // the changes among the effects
    size_t change_cap, n_changes;
    bool cramped;         // the store's disk is nearly full: no new work is taken
    char store_lost[256]; // why the store's file is not in its place: likewise; "": it is
    bool held;            // a commit failed: the turn's effects wait, and nothing new is taken in
    uint64_t retry_ms;    // when held, or without a core
    uint64_t reborn_ms;   // 0: never
    unsigned ring_first;  // the ring that is read first, in turn
    int epoll;
    bool listening;   // wires are polled for reading
    bool unwatched;   // epoll has refused one of them, and is to be asked again
    uint32_t lag_ms;  // shard_lag.c
    uint64_t dropped; // datagrams, as in_dropped was when it was looked at last
    bool behind;      // in this turn a wire had more to give than was read
    bool shedding;    // as the operator was told
    uint64_t refused_before;
    uint64_t ring_empty_ms[FABRIC_PEERS_MAX]; // when nothing was left in it
    char *scratch;                            // XMPP_STREAM_READ_BYTES

    // Ports: [0] is the shard's own of UDP, [1] holds its connections, [2 + i] is [sip] listen
    // number i if that is UDP, [1 + n_listen + i] is that of the former shard number
    // index + i × shards.
    struct port_counters port_count;
    size_t n_ports, n_listen;
    struct shard_port port[SHARD_PORTS_MAX];

    // Streams.
    size_t n_names;                           // domains of the core
    uint32_t stream_of[CORE_DOMAINS_MAX + 1]; // the stream that this shard sends to, by domain
    size_t n_homed, homed_cap;
    struct shard_stream **homed;    // the streams that live here,
    struct shard_stream **homed_by; // and the same by number
    bool lost;                      // one of them has an error
    bool *up;                       // by number: it is up, as far as this shard was told

    // What was dropped on its way to another thread, and is to be made good.
    bool owing;
    uint64_t pay_ms;              // not before
    uint32_t pay_pause_ms;        // since the last time
    uint8_t *owed;                // by number of the stream: enum shard_owed, or-ed
    bool missed[CORE_SHARDS_MAX]; // stanzas for that shard's core

    // For others to read.
    struct shard_counters count, count_shown;
    struct core_stats core_before; // counters of the cores that were
    struct core_stats core_shown;
    _Atomic uint64_t turn_ms;
    pthread_mutex_t failing_mutex;
    char failing[256];
};

// shard_turn.c
void shard_turn(struct shard *s, bool finishing);
// The counters of `more`, and not its gauges.
void shard_add_counters(struct core_stats *sum, const struct core_stats *more);
// Whether the turn can take one more event at all; and whether it is to, however much there is.
static inline bool shard_is_able(const struct shard *s)
{
    return !s->held && s->core && !s->fx.failed && !fabric_is_crowded(&s->end);
}
static inline bool shard_has_room(const struct shard *s)
{
    return shard_is_able(s) && s->fx.bytes.n < EFFECTS_TURN_BYTES;
}
void shard_watch(struct shard *s, struct shard_wire *w, uint32_t mask);
void shard_watch_port(struct shard *s, struct shard_port *p);
void shard_watch_stream(struct shard *s, struct shard_stream *st);
// What has come meanwhile by other wires than shared ports: in the midst of reading one of these.
void shard_take_urgent(struct shard *s);
// What an epoll event is of: the bell, a port, a stream; and its number.
enum shard_tag { SHARD_TAG_BELL, SHARD_TAG_PORT, SHARD_TAG_STREAM };
static inline uint64_t shard_tag(enum shard_tag kind, uint32_t number)
{
    return (uint64_t)kind << 32 | number;
}

// shard_lag.c
void shard_lag_tell(struct shard *s); // tells the core, at a turn's begin
// What a wire has just shown: how long the first of what was read had waited.
void shard_lag_is(struct shard *s, uint64_t lag_ms);
// The same when it can only be told whether there is more: *empty_ms is the wire's.
void shard_lag_since(struct shard *s, uint64_t *empty_ms, bool more);
void shard_lag_of_port(struct shard *s, struct shard_port *p, bool more);
void shard_lag_of_stream(struct shard *s, const struct shard_stream *st, bool more);

// shard_route.c
void shard_step(struct shard *s, const struct event *ev);
void shard_route_stanza(void *shard, const struct stanza *stanza); // a stanza_reader_cb
void shard_read_port(struct shard *s, struct shard_port *p);
void shard_read_stream(struct shard *s, struct shard_stream *st);
void shard_read_rings(struct shard *s);
void shard_read_main(struct shard *s);      // main's ring alone
void shard_read_questions(struct shard *s); // the API's ring alone

// shard_ports.c
int shard_open_ports(struct shard *s, const struct shard_setup *setup, struct store_error *why);
unsigned shard_owner_of_port(const struct shard *s, sip_port port);
void shard_send_to_port(struct shard *s, sip_port port, const struct port_way *way,
                        struct text bytes);

// shard_birth.c
int shard_conceive(struct shard *s, const struct shard_setup *setup); // what bear() needs; ENOMEM
// The core, from the store. On error there may be a part of one.
int shard_bear(struct shard *s, struct store_error *why);
// The turn and the core are thrown away, and a new core made. False: there is none, to be tried
// again.
bool shard_rebear(struct shard *s);

// shard_release.c
bool shard_collect(struct shard *s); // the turn's changes; false: memory ran out within the turn
bool shard_commit(struct shard *s);  // false: failed, to be tried again
void shard_release(struct shard *s);
void shard_flush(struct shard *s);
void shard_flush_port(struct shard *s, struct shard_port *p);
void shard_set_failing(struct shard *s, const char *why);
void shard_set_working(struct shard *s); // but for what is known of its store's disk and file
// Whether it takes no new work, as what it would promise could not be kept.
static inline bool shard_is_closed(const struct shard *s)
{
    return s->cramped || s->store_lost[0];
}
void shard_look_after_store(struct shard *s);
void shard_send_to_stream(struct shard *s, uint32_t stream, struct text bytes);

// shard_streams.c
void shard_map_streams(struct shard *s); // from the core's domains
void shard_take_stream(struct shard *s, const struct message_stream *m);
void shard_told_stream(struct shard *s, uint32_t stream, bool up);
void shard_tell_streams(struct shard *s);                    // the core, of all that are up
void shard_tell_others(struct shard *s, uint32_t stream);    // that it is up, or down
void shard_tell_connector(struct shard *s, uint32_t stream); // that it is lost
void shard_lose_stream(struct shard *s, struct shard_stream *st, int error); // to be buried
void shard_bury_streams(struct shard *s);
void shard_look_after_streams(struct shard *s);
void shard_apply_settings(struct shard *s, struct settings *settings);
void shard_farewell(struct shard *s);

// shard_owed.c
enum shard_owed {
    SHARD_OWED_STANZAS = 1,   // of this core's, to the stream
    SHARD_OWED_OTHERS = 2,    // that the stream is up, or down
    SHARD_OWED_CONNECTOR = 4, // that the stream is lost
};
void shard_owe(struct shard *s, uint32_t stream, enum shard_owed what);
void shard_owe_core(struct shard *s, unsigned shard);
void shard_pay(struct shard *s);

#endif
