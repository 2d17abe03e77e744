// Both worlds around a running daemon, played by one thread: its XMPP server, its SIP proxy with a
// presence server, and the people on both sides, who behave as the RFCs say.
//
//   drive: load_begin(kind, pair) ─▶ bytes ─▶ [daemon] ─▶ bytes ─▶ what it led to ─▶ load_figure
//
// There are `pairs` pairs for each direction, numbered from 0, all independent of each other:
//
//   watch i:  x<i>@example.com (XMPP) watches sip:s<i>@example.net
//   serve i:  sip:r<i>@example.net watches j<i>@example.com (XMPP)
//
// With `per_user` pairs of one XMPP user it is x<i / per_user> and j<i / per_user>, and if `mutual`
// x is watched, too, instead of j: so her sessions are seen. All that is said and counted stays
// that of a pair: a user's change that reaches all her watchers is one event of each of her pairs.
//
// Open loop: an event's latency is counted from when it was meant to begin, not from when the
// driver came to it. What our side says over UDP is said again as RFC 3261 §17.1.2 asks, until it
// is answered or given up after 32 s. Not thread-safe; one thread may have several.
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bench/load/histogram.h"

enum load_kind {
    LOAD_WATCH,    // XMPP subscribe → SUBSCRIBE, 200, NOTIFY active → `subscribed`
    LOAD_SERVE,    // SUBSCRIBE → 200, subscribe, `subscribed` → NOTIFY active with presence
    LOAD_PRESENCE, // serve pair: her presence changes → NOTIFY with it
    LOAD_NOTIFY,   // watch pair: his NOTIFY → presence stanza with it
    LOAD_REFRESH,  // serve pair: SUBSCRIBE within the dialog → 2xx
    LOAD_UNWATCH,  // watch pair: XMPP unsubscribe → SUBSCRIBE Expires 0, 200 → `unsubscribed`
    LOAD_UNSERVE,  // serve pair: SUBSCRIBE Expires 0 within the dialog → 2xx
    LOAD_LOGIN,    // watch pair: her server's probe → SUBSCRIBE, 200, NOTIFY → presence
    LOAD_LOGOUT,   // mutual pair: her `unavailable` → SUBSCRIBE Expires 0 to whom she watches
    LOAD_KINDS,
};
const char *load_kind_name(enum load_kind kind); // "watch", …

// Each event that was begun ends in one of the others, or is still under way.
struct load_figure {
    uint64_t begun, done;
    uint64_t refused;            // an honest no: 503, 480, resource-constraint …
    uint64_t given_up;           // SIP: not answered for 32 s
    uint64_t overtaken;          // a newer one of the same pair was begun before it came through
    uint64_t said_again;         // retransmissions of ours
    struct histogram latency_us; // of those done
};

// What was promised to a pair's watcher, and must outlive any death of the daemon.
struct load_pair {
    bool told;        // watch: she got `subscribed`; serve: he got NOTIFY active
    bool live;        // a dialog is there, as far as the SIP side knows
    bool wanted;      // not unsubscribed
    uint32_t cseq_in; // highest CSeq of the daemon's requests in this dialog
};

// Where a gateway finds the worlds around it, and they find it: ports of 127.0.0.1.
struct load_places {
    uint16_t xmpp_port, proxy_port, sip_port;
};

// Another gateway than Isthmus, of which less is asked: what it says out of order is still counted
// as a fault, but an event is done as soon as what it leads to has arrived.
struct load_subject {
    void *self;
    pid_t (*start)(void *self, const struct load_places *at); // its first process; 0 and errno
    void (*stop)(void *self);
    uint64_t (*cpu_ns)(void *self);       // of all its processes
    uint64_t (*memory_bytes)(void *self); // of them as well
    // Whether a NOTIFY's PIDF tells of presence `round`: <show> is away if that is even, else dnd,
    // and <status> "load <round>".
    bool (*tells)(const char *pidf, unsigned round);
};

struct load_setup {
    const char *binary; // the daemon
    unsigned shards;    // 0: 1
    unsigned pairs;
    unsigned per_user; // pairs; 0: 1
    bool mutual;
    const char *toml;    // further lines of gateway.toml, sections of their own; NULL: none
    const char *sip;     // further lines of its [sip]; NULL: none
    const char *dir;     // folder for store and configuration; NULL: a temporary one, removed
    uint32_t expires_s;  // that the SIP side grants and asks for; 0: 3600
    bool spread;         // its first grants lie between a minute and that, evenly
    const char *address; // the honest SIP side's address on loopback; NULL: 127.0.0.1
    const struct load_subject *subject; // NULL: Isthmus, `binary`
};

struct load;

// Binds its ports and writes the configuration; no daemon runs yet. An errno.
int load_create(struct load **out, const struct load_setup *setup);
// Kills a daemon that still runs, removes a temporary folder.
void load_destroy(struct load *l);

// For the next start. An errno.
int load_set_shards(struct load *l, unsigned shards);
// Shards with a core each; of another subject: 0.
unsigned load_shards(const struct load *l);
// Starts the daemon and plays until it is connected and has been asked something over the stream.
// 0; ETIMEDOUT; ECHILD: it ended by itself. What has been begun before goes on after a restart.
int load_start(struct load *l, unsigned timeout_ms);
void load_kill(struct load *l);                     // SIGKILL, and reaped
int load_stop(struct load *l, unsigned timeout_ms); // SIGTERM; its exit status; -1: killed
// Sees whether it is alive without blocking. *status as by waitpid(), once it has ended.
bool load_alive(struct load *l, int *status);

// Breaks the component stream, as a server does that restarts. The daemon comes back by itself.
void load_xmpp_drop(struct load *l);
// The daemon is so far behind in reading the stream that more might be left unsaid: play first.
bool load_is_full(const struct load *l);
// Stanzas that were left unsaid because the daemon did not read; their events stay under way.
uint64_t load_unsaid(const struct load *l);

pid_t load_pid(const struct load *l);
const char *load_dir(const struct load *l);
uint16_t load_sip_port(const struct load *l);   // [sip] listen, UDP and TCP
uint16_t load_shard_port(const struct load *l); // of shard 0
uint16_t load_api_port(const struct load *l);

// Mixed: what is said from now on is up to 63 bytes longer, and no two events of neighbouring pairs
// are alike in that: status texts, so the daemon's NOTIFYs; branches, so its answers; and of pairs
// that subscribe for the first time Call-IDs and tags, or the contact's name, so its SUBSCRIBEs.
// Else messages of one kind are nearly all of one length, as it is nowhere else.
void load_mix_lengths(struct load *l, bool mixed);
// One event of pair `i`, meant for `intended_us` (load_now_us(); 0: now). Said at once, but bytes
// leave by the next load_play().
void load_begin(struct load *l, enum load_kind kind, unsigned i, uint64_t intended_us);
// Reads, answers, retransmits, writes; returns after `wait_us` at the latest, or as soon as
// something came.
void load_play(struct load *l, uint64_t wait_us);
void load_play_until(struct load *l, uint64_t end_us);
// Plays until `n` events of the kind are no longer under way, in all. False: too late.
bool load_play_until_over(struct load *l, enum load_kind kind, uint64_t n, unsigned timeout_ms);

const struct load_figure *load_figure(const struct load *l, enum load_kind kind);
void load_figures_reset(struct load *l); // what is under way is forgotten, pairs are not
uint64_t load_under_way(const struct load *l, enum load_kind kind);
bool load_is_under_way(const struct load *l, enum load_kind kind, unsigned i);
// direction: LOAD_WATCH or LOAD_SERVE.
const struct load_pair *load_pair(const struct load *l, enum load_kind direction, unsigned i);
// What no daemon may do, with the first such in `why` (NULL: not wanted): a CSeq that went back, a
// request for who is not wanted, a stanza that can't be read …
uint64_t load_faults(const struct load *l, char why[256]);

uint64_t load_now_us(void); // monotonic
// Of the whole daemon: CPU time, resident memory of its own ("RssAnon") and mapped from files
// ("RssFile"), open descriptors.
uint64_t load_cpu_ns(const struct load *l);
uint64_t load_memory_bytes(const struct load *l);
uint64_t load_mapped_bytes(const struct load *l);
unsigned load_descriptors(const struct load *l);
// By what /readyz says of its store: full, gone …; `why` (NULL: not wanted) in its own words.
bool load_store_fails(const struct load *l, char why[256]);
// One REST request. The status, or -1; the body NUL-terminated in *body (to be freed) if not NULL.
int load_rest(const struct load *l, const char *method, const char *path, char **body);

#endif
