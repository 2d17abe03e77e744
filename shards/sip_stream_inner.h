// What the files of the stream port share. All of its shard's thread.
//
//   sip_stream.c        the port: listeners, the inner epoll set, times
//   sip_stream_peer.c   a connection: opened, accepted, shaking hands, lost
//   sip_stream_in.c     bytes → messages and keep-alives
//   sip_stream_out.c    messages → the right connection, its queue, the wire
//   sip_stream_table.c  connections by their peer, and how many there are of an address
//   sip_stream_frame.c  where a message ends
#ifndef SHARDS_SIP_STREAM_INNER_H
#define SHARDS_SIP_STREAM_INNER_H

#include <sys/socket.h>

#include "core/hash.h"
#include "shards/sip_stream.h"

enum {
    SIP_STREAM_BUCKETS = 4096,
    SIP_STREAM_ADDRESS_BUCKETS = 1024,
};

enum sip_stream_state {
    SIP_STREAM_CONNECTING,
    SIP_STREAM_HANDSHAKE,
    SIP_STREAM_OPEN,
    SIP_STREAM_ENDING, // nothing is read any more, or thrown away; answers still leave
    SIP_STREAM_GONE,   // to be freed
};

struct sip_stream_peer {
    struct sip_stream_peer *before, *after;  // in the list of all
    struct sip_stream_peer *same;            // in its bucket
    struct sip_stream_peer *next;            // to be flushed, or to be freed
    struct sip_stream_peer *sooner, *later;  // among those that may make place: who was heard so
    struct sip_stream_peer *elder, *younger; // among those within their handshake
    struct hop hop;
    int fd;
    uint32_t mask; // what it is watched for
    uint8_t state;
    bool outgoing, dirty, blocked, spoke;
    bool eof;             // the peer has said its last word
    bool answering;       // an answer is among what waits
    bool begun;           // a part of what waits has gone out
    bool kept;            // `out` holds what was sent since, whole, should nobody have read it
    bool counted;         // in its address's number
    bool stranger;        // and in that of those whom nobody trusts
    bool yields;          // may make place for others
    bool greeting;        // was accepted, and is within its handshake
    uint8_t line_ends;    // bytes of a ping that have come
    uint16_t reopen_port; // of the last answer
    uint32_t owed;        // requests that came, minus answers that went
    uint32_t asked;       // requests that went, minus final answers that came
    char *server_name;    // NULL: none
    struct sip_tls_session *tls;
    struct sip_stream_frame frame;
    struct buffer in;  // the beginning of a message, while it is not whole
    struct buffer out; // bytes [done, n) wait
    size_t done;
    uint32_t n_out;                    // messages in it, about
    uint64_t since_ms;                 // of the state
    uint64_t partial_ms;               // a message began; 0: none has
    uint64_t stalled_ms;               // the kernel takes nothing since; 0: it does
    uint64_t heard_ms;                 // of anything whole
    uint64_t message_ms;               // of the last message, either way
    uint64_t ping_due_ms, pong_due_ms; // 0: none is awaited
};

struct sip_stream_address {
    struct sip_stream_address *next;
    uint8_t ip[16], family;
    size_t n;
};

struct sip_stream_line {
    struct sip_stream_peer *first, *last;
};

struct sip_stream_listener {
    int fd;
    uint8_t transport;
    bool watched; // not, while there are no descriptors left
};

struct sip_stream {
    struct port port;
    int epoll, timer;
    bool ticking;
    size_t message_max;
    struct hop local;
    struct sip_tls *tls;
    bool (*trusts)(const void *arg, const struct hop *peer);
    const void *trusts_arg;
    size_t descriptors, n_strangers;
    size_t n_listeners;
    struct sip_stream_listener listener[SIP_STREAM_LISTEN_MAX];
    struct port_stream_counters *count;
    struct sip_stream_peer *all, *gone;
    struct sip_stream_peer *dirty, **dirty_end;
    // Accepted connections, who was heard last at the end: [0] those of which no message has come.
    struct sip_stream_line yielding[2];
    struct sip_stream_line greeting; // the oldest first
    struct sip_stream_peer *bucket[SIP_STREAM_BUCKETS];
    struct sip_stream_address *address[SIP_STREAM_ADDRESS_BUCKETS];
    uint8_t key[16];
    struct hash_random random;
    struct hop *lost;
    size_t n_lost, lost_cap;
    uint64_t now_ms;
    unsigned lines, unsaid; // of log, since
    uint64_t lines_ms;
    port_receive_cb cb; // of the receive() that runs
    void *arg;
    char *scratch;     // SIP_STREAM_READ_BYTES
    size_t turn_bytes; // read by the receive() that runs
    unsigned first;    // of the events, the one it begins with
};

static inline struct sip_stream *sip_stream_of(struct port *p)
{
    return (struct sip_stream *)p; // the port is its first member
}

// sip_stream.c
// Rate-limited.
void sip_stream_say(struct sip_stream *s, const char *event, const struct hop *hop,
                    const char *why);
// receive() is to be called soon, whatever the wires do; and then again each tick.
void sip_stream_wake(struct sip_stream *s);
void sip_stream_tick_on(struct sip_stream *s);

// sip_stream_peer.c
// A new outgoing connection, connecting. NULL: no room, which is counted, or it failed at once;
// then its hop is unreachable, if it was for a request.
struct sip_stream_peer *sip_stream_connect(struct sip_stream *s, const struct hop *to,
                                           struct text server_name, bool is_request);
void sip_stream_accept(struct sip_stream *s, struct sip_stream_listener *l);
// Looks after it when epoll says so.
void sip_stream_step(struct sip_stream *s, struct sip_stream_peer *c, uint32_t events);
void sip_stream_watch(struct sip_stream *s, struct sip_stream_peer *c);
// It is over, without or with an error. Its hop is unreachable if somebody waits for an answer.
void sip_stream_drop(struct sip_stream *s, struct sip_stream_peer *c);
void sip_stream_break(struct sip_stream *s, struct sip_stream_peer *c, const char *why);
void sip_stream_lose(struct sip_stream *s, const struct hop *hop); // it is unreachable
// No more is read; answers that are owed get a while.
void sip_stream_end(struct sip_stream *s, struct sip_stream_peer *c);
// What its times ask for.
void sip_stream_look_after(struct sip_stream *s, struct sip_stream_peer *c);
void sip_stream_bury(struct sip_stream *s); // frees what is gone
socklen_t sip_stream_to_sockaddr(struct sockaddr_storage *a, const struct hop *h, uint16_t port);

// sip_stream_in.c
// `end_is_near`: the end of the stream is there too.
void sip_stream_read(struct sip_stream *s, struct sip_stream_peer *c, bool end_is_near);

// sip_stream_out.c
void sip_stream_send(struct port *p, const struct port_way *way, struct text message);
// Queues. False: it does not fit: counted.
bool sip_stream_queue(struct sip_stream *s, struct sip_stream_peer *c, struct text bytes);
void sip_stream_write(struct sip_stream *s, struct sip_stream_peer *c);
void sip_stream_make_dirty(struct sip_stream *s, struct sip_stream_peer *c);
static inline size_t sip_stream_waiting(const struct sip_stream_peer *c)
{
    return c->out.n - c->done;
}
static inline size_t sip_stream_queue_max(const struct sip_stream_peer *c)
{
    const struct sip_stream_tuning *t = &sip_stream_tuning;
    return c->stranger ? t->stranger_queue_bytes_max : t->queue_bytes_max;
}
// What was said after the peer's last word, and nobody heard, is said again to its other port.
void sip_stream_say_again(struct sip_stream *s, struct sip_stream_peer *c);

// sip_stream_table.c
void sip_stream_enter(struct sip_stream *s, struct sip_stream_peer *c);
void sip_stream_leave(struct sip_stream *s, struct sip_stream_peer *c);
// All connections with that peer have its bucket.
struct sip_stream_peer *sip_stream_bucket(const struct sip_stream *s, const struct hop *hop);
// A place for one more connection. Those that a peer brings about, by connecting or by leaving
// before its answer, leave the reserve to those that we need for ourselves.
bool sip_stream_has_place(const struct sip_stream *s, bool of_ours);
// Ends one that was accepted, for one that comes from `for_whom`: of an address that has more of
// them than that one, and not heard for a while. False: there is none.
bool sip_stream_make_place(struct sip_stream *s, const struct hop *for_whom);
// It was accepted, or a message of it has come.
void sip_stream_heard_of(struct sip_stream *s, struct sip_stream_peer *c);
// A place for one more handshake of an accepted connection. False: there is none, which is counted.
bool sip_stream_may_greet(struct sip_stream *s);
void sip_stream_greets(struct sip_stream *s, struct sip_stream_peer *c);  // the handshake begins
void sip_stream_greeted(struct sip_stream *s, struct sip_stream_peer *c); // it is over, if it began
// Counts one that its peer has brought about. NULL, or why there are too many of its kind.
const char *sip_stream_count_peer(struct sip_stream *s, struct sip_stream_peer *c);
void sip_stream_forget_peer(struct sip_stream *s, struct sip_stream_peer *c);
void sip_stream_free_tables(struct sip_stream *s);

#endif
