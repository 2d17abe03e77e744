// What the parts of the load driver share.
//
//   load.c         events and their figures, the turn
//   load_daemon.c  the process under load, and what can be seen of it from outside
//   load_xmpp.c    its XMPP server and the XMPP users
//   load_sip.c     its SIP proxy: datagrams in batches, answers
//   load_message.c     SIP messages taken apart
//   load_text.c        text put together
//   load_notifier.c    the presence server behind it: watch pairs
//   load_subscriber.c  the SIP users who watch: serve pairs
//   load_again.c   requests of ours that are not answered yet, and when to say them again
#ifndef BENCH_LOAD_INNER_H
#define BENCH_LOAD_INNER_H

#include "bench/load/load.h"
#include "bench/load/load_sip.h"
#include "bench/load/scratch.h"

enum {
    LOAD_NAME = 64,
    LOAD_URI = 128,
    LOAD_FILLER = 63,
    LOAD_OUT_BYTES = 1 << 20, // of the stream, written in one piece
    LOAD_IN_BYTES = 4 << 20,
    LOAD_BATCH = 128, // datagrams
    LOAD_BATCHES = 4, // read in one turn
    LOAD_DATAGRAM = 4096,
    LOAD_T1_MS = 500,
    LOAD_T2_MS = 4000,
    LOAD_GIVE_UP_MS = 32000,
    LOAD_STAGES = 4, // 500, 1000, 2000, then 4000 ms for ever
};

// A dialog as our side of it knows it.
struct load_dialog {
    char call_id[LOAD_NAME], their_tag[LOAD_NAME], target[LOAD_URI];
    uint32_t cseq;   // of ours
    unsigned number; // of the pair's dialogs
    uint16_t port;   // of the shard that it belongs to
    uint32_t ends_s; // watch: when it expires, by load_now_us()
};

struct load_request {
    struct load_request *next, *before; // of its stage
    uint64_t first_us, due_us;
    unsigned stage, pair;
    enum load_kind kind; // LOAD_NOTIFY, LOAD_SERVE, LOAD_REFRESH, LOAD_UNSERVE
    bool quiet;          // nobody's event: a NOTIFY that a SUBSCRIBE asked for
    uint32_t cseq;
    uint16_t port;
    size_t n;
    char bytes[];
};

struct load_side {
    struct load_pair pair;
    struct load_dialog dialog;
    struct load_request *request; // unanswered
    uint8_t waits;                // bit per kind: to be said when that one is answered
    unsigned round;               // of the presence that is shown
    bool away;                    // serve: nothing is
    bool named;                   // has subscribed before
    uint8_t name_filler;          // of its names, by length
};

struct load_event {
    uint64_t intended_us; // 0: none under way
    unsigned round;
};

struct load_stream {
    int listener, fd;
    unsigned step; // of the handshake; LOAD_STREAM_UP
    char *in, *out;
    size_t in_n, out_n;
};
enum { LOAD_STREAM_UP = 2 };

struct load {
    struct load_setup setup;
    char dir[256];
    struct scratch scratch; // the folder, if it is a temporary one
    pid_t pid;
    int status;
    uint16_t xmpp_port, proxy_port, sip_port, shard_port, api_port;
    struct load_stream stream;
    int sip;
    struct load_queue *sip_queue;
    uint64_t now_us; // when what is being read has come, at the latest
    struct load_request *stage[LOAD_STAGES], *stage_last[LOAD_STAGES];
    struct load_side *watch, *serve;
    struct load_event *event[LOAD_KINDS];
    struct load_figure figure[LOAD_KINDS];
    uint64_t under_way[LOAD_KINDS];
    uint64_t faults, unsaid;
    unsigned branches;
    char why[256];
    bool mixed;              // lengths
    bool asked_ready, ready; // the stream's answer to a question of ours
};

// load.c
// The number of the XMPP user whose pair it is, and what is before it in the name of who is
// watched.
unsigned load_user(const struct load *l, unsigned i);
const char *load_watched(const struct load *l);
struct load_side *load_side(struct load *l, enum load_kind kind, unsigned i);
// What makes pair `i`'s messages longer, if lengths are mixed; and, half as much, what they are
// known by: a contact's name, a Call-ID, a tag.
const char *load_filler(const struct load *l, unsigned i);
const char *load_name_filler(const struct load_side *side);
enum load_end { LOAD_DONE, LOAD_REFUSED, LOAD_GIVEN_UP };
// Ends what is under way of that kind and pair, if anything is.
void load_end(struct load *l, enum load_kind kind, unsigned i, enum load_end how);
void load_fault(struct load *l, const char *format, ...) __attribute__((format(printf, 2, 3)));

// load_xmpp.c
int load_xmpp_create(struct load *l);
void load_xmpp_destroy(struct load *l);
void load_xmpp_begin(struct load *l, enum load_kind kind, unsigned i);
void load_xmpp_accept(struct load *l);
void load_xmpp_read(struct load *l);
void load_xmpp_flush(struct load *l);
void load_xmpp_ask_ready(struct load *l);

// load_sip.c
int load_sip_create(struct load *l);
void load_sip_destroy(struct load *l);
void load_sip_read(struct load *l);
void load_sip_flush(struct load *l);
void load_sip_send(struct load *l, const char *bytes, size_t n, uint16_t port);
// A request in a buffer of LOAD_DATAGRAM bytes: its start line and what all requests have.
struct load_writer {
    char bytes[LOAD_DATAGRAM];
    size_t n;
};
void load_sip_write(struct load_writer *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void load_sip_write_body(struct load_writer *w, const char *type, const char *body);
void load_sip_answer(struct load *l, const struct load_message *m, const char *status,
                     const char *tag, const char *more);
// Remembers where the dialog's requests go to.
void load_sip_learn_target(struct load_dialog *d, const struct load_message *m);
unsigned load_sip_branch(struct load *l);

// load_notifier.c
void load_notifier_asked(struct load *l, const struct load_message *m);
void load_notifier_answered(struct load *l, unsigned i, unsigned status, uint32_t cseq);
void load_notifier_given_up(struct load *l, struct load_request *r);
void load_notifier_begin(struct load *l, unsigned i);

// load_subscriber.c
void load_subscriber_told(struct load *l, const struct load_message *m);
void load_subscriber_answered(struct load *l, unsigned i, unsigned status,
                              const struct load_message *m);
void load_subscriber_given_up(struct load *l, struct load_request *r);
void load_subscriber_begin(struct load *l, enum load_kind kind, unsigned i);

// load_again.c: takes over `bytes` by copying them; said at once, and again until load_again_end().
struct load_request *load_again_begin(struct load *l, const struct load_request *head,
                                      const char *bytes);
void load_again_end(struct load *l, struct load_request *r);
void load_again_due(struct load *l);
uint64_t load_again_next_us(const struct load *l);

// load_daemon.c
int load_daemon_ports(struct load *l);
int load_daemon_configure(struct load *l);

#endif
