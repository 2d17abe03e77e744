// A stage for the core: fake time, a store in memory, and words for what each side says and sees.
//
// Every step commits before its effects are seen. What the core sent waits in two queues, in order;
// a test takes each thing with xmpp_sees() or sip_sees() and ends with quiet(): nothing else was
// said.
#ifndef TESTS_STAGE_H
#define TESTS_STAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/core.h"

enum { STAGE_QUEUE = 4096, STAGE_RECORDS = 4096, STAGE_KEPT = 64 };

struct stage_message {
    char *bytes;
    size_t n;
    struct hop to; // SIP
    sip_port port;
    uint16_t reopen_port;
    char *server_name; // NULL: none
    unsigned domain;   // stanza
};

struct stage {
    struct core *core;
    struct core_config cfg;
    uint64_t now_ms;
    struct effects fx;
    struct sip_parser *parser;     // of what comes in to the core
    struct sip_parser *sip_out;    // of what it sent
    const struct sip_message *sip; // what sip_sees() took last
    char check_nonce[16];          // "-0123abcd"
    struct stage_message stanzas[STAGE_QUEUE], sips[STAGE_QUEUE];
    struct stage_message questions[STAGE_QUEUE]; // EFFECT_RESOLVE
    unsigned turned_away;                        // requests that were answered unparsed
    size_t stanza_head, stanza_tail, sip_head, sip_tail, question_head, question_tail;
    struct stage_record {
        uint64_t id;
        char *bytes;
        size_t n;
    } records[STAGE_RECORDS];
    size_t n_records;
    unsigned puts, deletes; // so far
    uint32_t cseq;          // of the SIP peer's requests
    struct sip_message *kept[STAGE_KEPT];
    size_t n_kept;
    // A death at the n-th step from here on that changes a record: before the commit, or behind it
    // and before anything is let out. 0: none.
    unsigned die_in;
    bool die_committed;
    bool died;
};

// The stage's world: XMPP domain example.com, SIP domain example.net, proxy 127.0.0.1:5070, t1 500
// ms, gateway gw.example.net; both streams are up.
struct stage *stage_open(void);
struct stage *stage_open_with(void (*change)(struct core_config *));
void stage_close(struct stage *s);

// The process is killed: all that was not committed is gone. Streams are down until
// stage_streams_up().
void stage_crash(struct stage *s);
void stage_streams_up(struct stage *s);
// The same, but no time passes: what was missed is not said yet.
void stage_streams_connect(struct stage *s);
void stage_streams_down(struct stage *s);
void stage_pass_ms(struct stage *s, uint64_t ms);
// What core_turn_away() has to say leaves without a commit.
void stage_sends_sip(struct stage *s, const struct core_refusal *no, sip_port port);
static inline void stage_pass_s(struct stage *s, uint64_t seconds)
{
    stage_pass_ms(s, seconds * 1000);
}

// Until the core says something, in steps of 100 ms.
void stage_pass_until_said(struct stage *s, uint64_t most_s);

// XMPP: one stanza as text, in and out. The fence of a check has a nonce at the end of its id:
// "serve-check" stands for the id of the one that was said last, either way.
void xmpp_says(struct stage *s, const char *stanza);
// What his devices can do, as their presence says it; test_caps.c looks at it.
#define CAPS_NODE "urn:uuid:f5b6400b-ff63-44bd-8de2-417de52bbdb8"
#define CAPS_VER  "ijDubysOMnxr8YRUI4hg8CQ8kHg="
#define CAPS                                                                                       \
    "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='" CAPS_NODE "' ver='" CAPS_VER  \
    "'/>"
// The next stanza out, compared as it is but for `id` attributes, which may be given as id='*', and
// for CAPS, which may be left out: available presence of a device has to have it just once.
void xmpp_sees(struct stage *s, const char *stanza);
// Takes the gateway's fenced probe of `jid` and returns the fence's id.
const char *xmpp_sees_probe(struct stage *s, const char *jid);
void xmpp_answers_fence(struct stage *s, const char *jid, const char *id);

// SIP: a message as text; lines may end in \n. `from` numeric, default the proxy.
void sip_says(struct stage *s, const char *message);
void sip_says_from(struct stage *s, const char *host, const char *message);
// From "tcp:127.0.0.1:40000".
void sip_says_over(struct stage *s, const char *place, const char *message);
// The next message out: its method or status, and that each of the further strings is in it. NULL
// ends.
void sip_sees(struct stage *s, const char *start, ...) __attribute__((sentinel));
void sip_lacks(struct stage *s, const char *what);
// A response to the request that sip_sees() took last; `headers`: lines.
void sip_answers(struct stage *s, unsigned status, const char *headers);
// The message that sip_sees() took last, for later; the stage frees it.
const struct sip_message *sip_keeps(struct stage *s);
void sip_answers_to(struct stage *s, const struct sip_message *request, unsigned status,
                    const char *headers);
// All that was said and not taken is forgotten, so that many can speak.
void stage_forget(struct stage *s);
// Takes whatever SIP message is next; NULL: none.
const struct sip_message *sip_next(struct stage *s);
// Takes whatever stanza is next; NULL: none.
const char *xmpp_next(struct stage *s);
// A NOTIFY in the dialog of the SUBSCRIBE that was taken last (its tag and Call-ID are remembered).
struct stage_dialog {
    char call_id[256], our_tag[64], peer_tag[64], contact[256], from[256], to[256];
    uint32_t cseq;
};
void sip_dialog_of_subscribe(struct stage *s, struct stage_dialog *d, const char *peer_tag);
void sip_notifies(struct stage *s, struct stage_dialog *d, const char *substate, const char *pidf);
// The same with header lines and body of the caller's; the CSeq is d->cseq as it stands.
void sip_notifies_with(struct stage *s, const struct stage_dialog *d, const char *headers,
                       const char *body);
// The dialog that a 200 to our SUBSCRIBE (taken last) made: for requests of the SIP subscriber.
void sip_dialog_of_answer(struct stage *s, struct stage_dialog *d);
void sip_resubscribes(struct stage *s, struct stage_dialog *d, unsigned expires_s);
void sip_resubscribes_with(struct stage *s, const struct stage_dialog *d, const char *headers);

// The net: the message taken last went to "udp:127.0.0.1:5070".
void sip_went_to(struct stage *s, const char *place);
// And over TLS, where the certificate must name this; NULL: the address.
void sip_demands_name(struct stage *s, const char *name);
// The next question where a URI leads.
void net_is_asked(struct stage *s, const char *uri);
// Places, as many as there are; NULL ends.
void net_answers(struct stage *s, const char *uri, uint32_t ttl_s, ...) __attribute__((sentinel));
void net_refuses(struct stage *s, const char *place);

void quiet(struct stage *s);
// Values of the message taken last.
struct text stage_sip(const struct stage *s, struct span at);

#endif
