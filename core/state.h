// All that one shard's core holds in memory: the objects, how they hang together, and who may touch
// what.
//
//   user (bare XMPP JID) ──< sub (one direction of one pair) ──< dialog ── client transaction
//                                   │
//                                   └── known (presence of each of the presentity's resources)
//
// Objects live in pools and are named by handles (core/pool.h). Only files of core/ include this.
#ifndef CORE_STATE_H
#define CORE_STATE_H

#include "core/core.h"
#include "core/hash.h"
#include "core/overload.h"
#include "core/pool.h"
#include "core/shelf.h"
#include "core/table.h"
#include "core/turnstile.h"
#include "core/wheel.h"
#include "core/wire/address.h"

enum {
    CORE_T2_MS = 4000,         // RFC 3261 §17.1.2.1
    CORE_TAG_HEX = 24,         // our tags: 8 digits owner hash, 16 digits random
    CORE_CSEQ_LEASE = 1000,    // numbers that a dialog may use before its record is written again
    CORE_DIALOGS_PER_SUB = 64, // SIP devices of one user watching one contact
    CORE_DIALOG_TEXT_MAX = 8192,
    CORE_FETCHES_MAX = 20000,     // dialogs of a shard that have no subscription
    CORE_IDLE_USERS_MAX = 100000, // users of a shard that have none, and are about to be forgotten
    CORE_RETRY_FIRST_S = 30,
    CORE_RETRY_MAX_S = 3600,
    CORE_RETRY_AFTER_MAX_S = 86400, // the longest that a peer's Retry-After is obeyed
    CORE_RETRY_AFTER_S = 30,        // what we ask of peers in a 503
    CORE_RESYNC_STEP = 200, // subscriptions looked at per CORE_RESYNC_MS after a stream came up
    CORE_RESYNC_MS = 100,
    CORE_RESTORE_SPREAD_MS = 30000, // watcher information is told anew after a start within this
    CORE_RESTORE_WAIT_MS = 1000,    // at start the streams get a moment to come up
    // What is due all at once (refreshes and expiries that the process was not there for) is begun
    // at this rate: 100,000 of them in 50 s. See core/dialog.h.
    CORE_OVERDUE_PER_S = 2000,
    CORE_BUSY_PER_S = 5000, // dialogs that look again whether requests_in_flight_per_peer has room
    CORE_HANDED_ON = 1 << 16, // marks: those of more than a second at 50,000 a second
    CORE_ATTEMPT_GAP_S = 10,  // between two dialogs opened for one pair at the user's wish
    CORE_NOTIFY_RETRY_MS = 5000,
    CORE_REFRESH_FLOOR_MS = 5000, // no refresh sooner, however little a notifier grants
    // Refreshes that fall due within so long begin together: one turn and one commit for many. Less
    // than the turnstile lets through at once of what is four times the usual pace.
    CORE_REFRESH_TOGETHER_MS = 250,
    CORE_GONE_MS = 600000,        // a device that left is remembered so long, to be told of again
    CORE_SESSION_GRACE_MS = 5000, // from her last `unavailable` to the end of her session
    CORE_SESSION_STEP = 20,       // dialogs closed or opened per CORE_SESSION_MS, of one user
    CORE_SESSION_MS = 100,
    CORE_CHECK_MS = 2000,    // ejabberd: presence may come so much later than the fence's answer
    CORE_PEER_BUSY_MS = 500, // wait when requests_in_flight_per_peer is reached
    CORE_ROOM_KEPT_PART = 4, // of requests_in_flight_per_peer, for dialogs that are there
};

enum timer_kind {
    TIMER_CLIENT,  // client transaction: retransmit or give up
    TIMER_SERVER,  // the oldest server transaction: forget
    TIMER_DIALOG,  // dialog: see enum dialog_wait
    TIMER_NOTIFY,  // serve dialog: a NOTIFY that had to wait, or is to say the same once more
    TIMER_SUB,     // watch: try again; serve: the same, or what was doubted goes
    TIMER_PROBE,   // user: the answers are due
    TIMER_USER,    // user: forget
    TIMER_SESSION, // user: her session has ended or begun (core/watch_session.c)
    TIMER_RESYNC,  // go on with telling a new stream what it missed
    TIMER_PEER,    // peer: what is remembered of it is out of date
    TIMER_NAME,    // name: its answer is out of date, or has not come
};

enum domain_flag {
    DOMAIN_XMPP = 1,   // its users may pass
    DOMAIN_SIP = 2,    // shown to XMPP
    DOMAIN_EXEMPT = 4, // no probe before refresh
    DOMAIN_STREAM = 8, // has a component stream, now or formerly
    DOMAIN_UP = 16,    // and it is up
    DOMAIN_WAITS = 32, // came up: its subscriptions are to be looked at (core/resync.c)
    DOMAIN_PASS = 64,  // they are being looked at
};

struct domain {
    char *name; // and behind it as it stands in a SIP URI
    uint16_t n, sip_n;
    uint8_t flags;
    uint16_t stream;  // index as core_domain_name() counts, when DOMAIN_STREAM
    uint32_t opening; // requests in flight that would begin dialogs with its SIP users
};

// What has come back so far of asking a user whether she is there.
enum probe_seen {
    SEEN_AVAILABLE = 1,
    SEEN_UNAVAILABLE = 2,
    SEEN_UNSUBSCRIBED = 4,
    SEEN_FENCE = 8,
    SEEN_GONE = 16,
    SEEN_UNREACHABLE = 32,
};

// Of her presence session, as far as the gateway can know it.
enum user_session {
    SESSION_UNKNOWN, // she may be there
    SESSION_LEAVING, // nobody sees her any more: over, unless she is back soon
    SESSION_OVER,    // her dialogs are closed, or are not refreshed
    SESSION_BACK,    // and are being opened again
};
enum { USER_DEVICES = 4 };

struct user {
    uint32_t hash; // keyed, of the bare JID: the shard's owner hash
    uint32_t first_sub;
    uint32_t n_subs : 24;
    uint32_t probe_seen : 6; // enum probe_seen
    uint32_t session : 2;    // enum user_session
    uint32_t probe_timer;    // 0: not being asked
    uint32_t probe_nonce;
    uint32_t forget_timer;
    uint32_t session_timer;
    uint32_t new_window;     // minute in which new_count counts
    uint32_t new_count : 20; // at most a million: [limits] new_subscriptions_per_user_per_min
    uint32_t local_n : 12;
    uint16_t probe_epoch; // core.streams_up when she was asked
    uint16_t domain;
    uint64_t alive_ms; // when a probe was last answered well; 0: never
    char *local;
    uint16_t devices[USER_DEVICES]; // hashes of those heard of, the latest first; 0: none
};

enum sub_flag {
    SUB_STORED = 1,  // has a record
    SUB_UNSAVED = 2, // in core->unsaved
    SUB_ENDED = 4,   // authorization is gone; lives until its dialogs are
    // watch
    SUB_WANTS = 8,         // waits for a probe's answer to open or refresh
    SUB_TOLD = 16,         // `subscribed` was sent in this life of the process
    SUB_ANSWER_LATE = 32,  // `unsubscribed` is due once the SIP side has answered
    SUB_OFFLINE = 64,      // she has no session: no dialog is opened or refreshed
    SUB_BOUNCED = 128,     // her server could not be reached with what we said
    SUB_UNSURE = 256,      // she may see what an earlier life of the process has shown
    SUB_SAID_NOBODY = 512, // that was mended, and no refresh has gone through since
    SUB_SILENT = 8192,     // her server was not to be reached when she was asked last
    SUB_SAID_MOOD = 16384, // she was told how he feels, and nothing has taken it back
    SUB_SAID_ACTIVITY = 32768,
    // serve
    SUB_FENCED = 1024,   // the fence behind the first probe is not answered yet
    SUB_STALE = 2048,    // what is known may be of before the stream was lost
    SUB_CHECKING = 4096, // and she is being asked
};

// Watch: to him who may not watch her she shows herself by directed presence (RFC 6121 §4.6).
enum sub_directed { DIRECTED_NOT, DIRECTED_SHOWN, DIRECTED_LEFT };

struct known; // core/known.h

struct sub {
    uint64_t id, created_ms;
    struct known *known;
    char *text; // the SIP user's localpart as a JID (peer_n), then his URI in his own spelling
                // (sip_n)
    uint32_t user, next_of_user;
    uint32_t first_dialog;
    uint32_t retry_timer;
    uint32_t tried_s;        // when a dialog was last opened, wall clock
    uint32_t backoff_s : 12; // at most CORE_RETRY_MAX_S
    uint32_t n_dialogs : 13;
    uint32_t direction : 1; // enum core_direction
    uint32_t state : 2;     // enum core_state
    uint32_t directed : 2;  // enum sub_directed
    uint16_t peer_domain, peer_n, sip_n;
    uint16_t flags; // enum sub_flag
};

enum dialog_state {
    DIALOG_EARLY, // watch: SUBSCRIBE sent, no NOTIFY yet
    DIALOG_LIVE,
    DIALOG_ENDING, // watch: Expires 0 sent; serve: the last NOTIFY is due or in flight
    DIALOG_ENDED   // serve: kept only to answer retransmissions
};

enum dialog_wait { WAIT_NONE, WAIT_NOTIFY, WAIT_REFRESH, WAIT_EXPIRY, WAIT_LINGER };

enum dialog_flag {
    DIALOG_DIRTY = 1,  // serve: there may be news that the last NOTIFY did not carry
    DIALOG_FETCH = 2,  // Expires 0 outside of any dialog: one NOTIFY and over
    DIALOG_CLOSED = 4, // serve: the last NOTIFY says closed
    DIALOG_HEARD = 8,  // has had a request from the peer: cseq_remote counts
    // All serve:
    DIALOG_WINFO = 16,    // of watcher information, not presence (core/serve_winfo.h)
    DIALOG_QUENCHED = 32, // Suppress-If-Match: *
    DIALOG_WAITED = 64,   // began while she had not decided
    DIALOG_MATCHED = 128, // Suppress-If-Match was `entity`, and nothing else was said since
    DIALOG_MUST = 256,    // a NOTIFY is due whether or not there is news
    // Both:
    DIALOG_TURN = 512, // waits for its turn among those that are overdue, and has it then

    DIALOG_STORED = DIALOG_HEARD | DIALOG_WINFO | DIALOG_QUENCHED | DIALOG_WAITED,
};

// What follows from the texts.
enum dialog_route {
    ROUTE_SIPS = 1,   // the first route or the target is a sips URI
    ROUTE_STRICT = 2, // the first route is a strict one (RFC 3261 §12.2.1.1)
    ROUTE_BITS = ROUTE_SIPS | ROUTE_STRICT,
};

enum dialog_field {
    FIELD_CALL_ID,
    FIELD_REMOTE_TAG,
    FIELD_TARGET,     // remote target
    FIELD_ROUTES,     // value of Route
    FIELD_LOCAL_URI,  // empty: as mapped from the XMPP user's bare JID
    FIELD_REMOTE_URI, // empty: as mapped from the pair
    FIELD_EVENT_ID,
    FIELD_REPLY_TO, // watch, fetch: the JID that asked
    FIELD_PACE,     // serve, not text: see core/serve_pace.c
    FIELD_COUNT
};

// What one request in flight has tried to prove who we are (core/credentials.h).
struct credentials_tried {
    uint16_t until; // all nonces that had been heard of until then went along
    uint8_t times;  // challenges answered
    bool stale;     // one of them because the nonce was old
};

struct dialog {
    uint32_t sub; // 0: a fetch without a subscription
    union {
        uint32_t next_of_sub;
        uint32_t owner_hash; // of a fetch: see dialog_owner_hash()
    };
    uint64_t tag; // the random half of our tag: the key of dialog_index
    uint32_t timer, notify_timer;
    uint32_t client;           // transaction in flight
    uint32_t cseq, cseq_lease; // last used; not above what the record says
    uint32_t cseq_remote;
    uint32_t granted_s;
    struct credentials_tried tried;
    uint64_t expires_ms;
    uint64_t notified_ms;
    uint16_t flags; // enum dialog_flag
    uint8_t direction, state, wait, failures;
    uint8_t reason : 4;         // enum sip_reason of the last NOTIFY
    uint8_t route : 2;          // enum dialog_route
    bool wide : 1, has_hop : 1; // of `text`
    uint8_t hurry;              // serve: NOTIFYs that came too soon, see core/serve_pace.h
    char *text;                 // see core/dialog.c
    uint64_t entity; // serve: what the peer has, as core/serve_notify.c hashes it; 0: who knows
};

enum client_flag {
    CLIENT_PROCEEDING = 1, // a provisional response has come
    CLIENT_REFUSED = 2,    // nothing could be sent there: the timer's end is the next attempt
    CLIENT_OVER = 4,       // no place is left: the timer's end is the end
};

struct trial; // core/trial.h

// A request of ours that waits for its final answer. `dialog` is told of the end; 0: nobody.
struct client {
    uint32_t dialog, timer;
    uint32_t hop; // handle in core.peers; 0: on its way to none just now
    uint32_t interval_ms;
    uint64_t nonce, give_up_ms;
    uint8_t method, flags; // enum client_flag
    uint16_t opens_with;   // the domain in whose `opening` it counts, or DOMAIN_NONE
    uint32_t n;
    char *bytes;
    struct trial *trial; // NULL: there is no other place than `hop`
};

// An answer of ours, for when its request is sent again.
struct server {
    uint32_t next, n; // the one that is forgotten next
    uint64_t key, over_ms;
    struct hop to;
    sip_port port;
    uint16_t reopen_port; // of the effect
    char *bytes;
};

// An address that requests go to: core/peer.c.
struct peer {
    uint32_t hash, in_flight;
    struct hop hop;
    uint32_t timer; // 0: nothing of the following is remembered
    uint64_t dead_until_ms, udp_only_until_ms;
};

// A SIP URI with a host name, and where it leads: core/next_hop.c.
struct name {
    uint32_t hash, timer;
    uint32_t users;                       // requests that go by it, and the configuration
    uint32_t first_waiting, last_waiting; // clients, by trial.next_waiting
    uint32_t n_waiting;
    uint64_t used_ms;
    uint8_t state, n_hops; // enum name_state
    bool sips;
    uint16_t host, host_n, uri_n; // the host is a part of the URI
    char *uri;
    struct hop *hops;
};

struct pidf_reader;
struct credentials;

struct core {
    struct core_config cfg;
    char *advertise; // with brackets when it is IPv6
    char *gateway_name, *proxy_name;
    uint32_t proxy; // handle in `names`; 0: the proxy is numeric, or there is none
    struct core_net *sip_sources;
    size_t n_sip_sources;
    uint64_t now_ms, started_ms;
    struct effects *fx; // of the step under way
    struct wheel wheel;
    struct hash_random random;
    uint32_t check_nonce; // of this life: in what the serve machine asks (core/serve_ask.c)
    struct pool users, subs, dialogs, clients, servers, peers, names;
    struct shelf shelf; // of users' and subscriptions' addresses, dialogs' texts, known presence
    struct table user_index, sub_index, dialog_index, server_index, peer_index, name_index;
    struct table sip_user_index; // see core/sip_user.c
    struct domain *domains;
    struct table domain_index; // handles are index + 1
    uint16_t n_domains;
    uint16_t streams[CORE_DOMAINS_MAX]; // domain of each stream
    uint16_t n_sip_domains;             // trusted
    uint16_t n_streams;
    uint16_t gateway; // domain; UINT16_MAX: the SIP domain concerned
    uint32_t *unsaved;
    size_t n_unsaved, unsaved_cap;
    uint64_t next_id;
    uint32_t streams_up;              // how often a stream has come up
    uint32_t resync_at, resync_timer; // subscription that was looked at last
    uint64_t resync_below;            // id of the first that has come since the pass began
    uint32_t n_fetches;               // dialogs without subscription
    uint32_t n_remembered;            // peers with a timer
    uint32_t first_server, last_server, server_timer;
    uint32_t last_peer; // that was asked for; 0: none was
    struct turnstile overdue, busy;
    struct overload overload;
    uint64_t last_source; // hash of the address that was judged last; 0: none was
    uint8_t last_source_ip[16];
    uint32_t *handed_on; // marks of new SUBSCRIBEs that other shards own; NULL: there are none
    struct buffer body, line, addr, uri; // scratch: PIDF, header lines, addresses, next hop
    struct buffer caps, caps_node; // <c/> of SIP users' devices, and the node that it speaks of
    struct pidf_reader *pidf;
    struct credentials *credentials;
    struct core_stats stats;
};

// Time is told; it never goes back.
void core_at(struct core *c, uint64_t now_ms);

static inline struct user *core_user(const struct core *c, uint32_t h)
{
    return pool_at(&c->users, h);
}
static inline struct sub *core_sub(const struct core *c, uint32_t h)
{
    return pool_at(&c->subs, h);
}
static inline struct dialog *core_dialog(const struct core *c, uint32_t h)
{
    return pool_at(&c->dialogs, h);
}

#endif
