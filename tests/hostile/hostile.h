// What the parts of the hostile test share: the field on which attackers meet the daemon, and what
// an attack is.
//
//   hostile.c           the daemon, measuring, verdicts
//   configure.c         its configuration
//   honest.c            honest load
//   attacks.c           the table: every attack with its bounds
//   attacks_udp.c       datagrams        attacks_dialog.c   subscriptions and their dialogs
//   attacks_stream.c    SIP connections  attacks_xmpp.c     component streams and XMPP users
//   attacks_rest.c      the API          attacks_crowd.c    many users, each within his limits
//   front.c             stands between the daemon and its two servers
//   attacker.c          sockets and floods, for all attacks
//   witness.c           honest users of REST and of SIP over TCP
//
// An attack is a function on a thread of its own that goes on until it is told to stop, and then
// leaves nothing behind. It knows of the daemon what its ports say, and nothing of its code.
#ifndef TESTS_HOSTILE_H
#define TESTS_HOSTILE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct front;

enum { FIELD_CALL_IDS = 64 };

struct field {
    uint16_t sip_port, shard_port, tls_port, api_port;
    struct front *front;
    unsigned scale;          // 100: as stated; less: a short run, in percent
    _Atomic bool stop;       // to the attack: it is over
    _Atomic uint64_t said;   // by the attack: how much of it there was
    _Atomic uint64_t heard;  // and what came back, where that is of interest
    _Atomic bool begun;      // by the attack: it has got as far as to be one
    char *_Atomic complaint; // by the attack: what it saw of the daemon that may not be; malloc()ed
    unsigned n_call_ids;     // of honest dialogs, as an eavesdropper would know them
    char call_id[FIELD_CALL_IDS][64];
};

// "That stays within" while it goes on, and afterwards. 0: the usual.
struct bounds {
    double ok_percent;                // of honest events; 0: 99.9
    unsigned p99_ms;                  // of them; 0: 100
    unsigned grows_mb;                // RssAnon, during; 0: 16
    unsigned keeps_mb;                // RssAnon, afterwards; 0: 8
    double rest_percent, tcp_percent; // of the witnesses' questions; 0: 95
    bool leaves; // what it did is to last (subscriptions): the daemon begins anew, with no store
};

struct attack {
    const char *name;
    const char *unit; // of `said`
    void (*run)(struct field *f);
    struct bounds bounds;
    bool is_long; // not in a short run
};

extern const struct attack attacks[];
extern const unsigned n_attacks;

void attack_udp_random(struct field *f);
void attack_udp_random_own(struct field *f);
void attack_udp_zeros(struct field *f);
void attack_udp_truncated(struct field *f);
void attack_udp_big(struct field *f);
void attack_udp_stranger(struct field *f);
void attack_udp_stranger_new(struct field *f);
void attack_udp_same(struct field *f);
void attack_udp_notify(struct field *f);
void attack_udp_notify_tags(struct field *f);
void attack_udp_message(struct field *f);
void attack_udp_options(struct field *f);
void attack_udp_methods(struct field *f);
void attack_udp_responses(struct field *f);
void attack_udp_retransmit(struct field *f);

void attack_subscribe_new(struct field *f);
void attack_subscribe_fetch(struct field *f);
void attack_unanswered(struct field *f);
void attack_deaf_watchers(struct field *f);
void attack_spoofed(struct field *f);
void attack_pidf_bomb(struct field *f);
void attack_pidf_tuples(struct field *f);
void attack_pidf_notes(struct field *f);

void attack_tcp_half_open(struct field *f);
void attack_tcp_flood(struct field *f);
void attack_tcp_drip(struct field *f);
void attack_tcp_deaf(struct field *f);
void attack_tcp_garbage(struct field *f);
void attack_tcp_many(struct field *f);
void attack_tls_half_open(struct field *f);
void attack_tls_drip(struct field *f);
void attack_tls_handshakes(struct field *f);
void attack_tls_deaf(struct field *f);

void attack_xmpp_huge(struct field *f);
void attack_xmpp_nested(struct field *f);
void attack_xmpp_bomb(struct field *f);
void attack_xmpp_newlines(struct field *f);
void attack_xmpp_attributes(struct field *f);
void attack_xmpp_children(struct field *f);
void attack_xmpp_mute(struct field *f);
void attack_xmpp_silent(struct field *f);
void attack_xmpp_deaf(struct field *f);
void attack_xmpp_presence(struct field *f);
void attack_xmpp_subscribe(struct field *f);
void attack_xmpp_flapping(struct field *f);

void attack_dialog_churn(struct field *f);
void attack_route_to_itself(struct field *f);
void attack_xmpp_crowd(struct field *f);

void attack_rest_slowloris(struct field *f);
void attack_rest_connections(struct field *f);
void attack_rest_deaf(struct field *f);
void attack_rest_flood(struct field *f);
void attack_rest_huge(struct field *f);
void attack_rest_paging(struct field *f);

#endif
