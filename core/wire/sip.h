// SIP messages: the plain form of one message, read by sofia-sip's parser, and the writers.
//
// A `struct sip_message` is one relocatable block: its spans are offsets into `text`, which begins
// with the datagram as received (so header fields are echoed byte by byte) followed by what the
// parser decoded. It can be copied to another thread with one memcpy of `size` bytes.
#ifndef CORE_WIRE_SIP_H
#define CORE_WIRE_SIP_H

#include "core/wire/text.h"

enum sip_method {
    SIP_OTHER,
    SIP_SUBSCRIBE,
    SIP_NOTIFY,
    SIP_OPTIONS,
    SIP_MESSAGE,
    SIP_PUBLISH,
    SIP_INVITE,
    SIP_ACK,
    SIP_CANCEL,
    SIP_BYE,
    SIP_REGISTER
};

enum sip_event_package {
    SIP_EVENT_NONE,
    SIP_EVENT_PRESENCE,
    SIP_EVENT_WINFO, // presence.winfo, RFC 3857
    SIP_EVENT_UNKNOWN
};

enum sip_substate { SUBSTATE_NONE, SUBSTATE_ACTIVE, SUBSTATE_PENDING, SUBSTATE_TERMINATED };

// RFC 6665 §4.1.3; an unknown or absent reason is REASON_NONE.
enum sip_reason {
    REASON_NONE,
    REASON_DEACTIVATED,
    REASON_PROBATION,
    REASON_REJECTED,
    REASON_TIMEOUT,
    REASON_GIVEUP,
    REASON_NORESOURCE,
    REASON_INVARIANT
};

enum sip_content { SIP_CONTENT_NONE, SIP_CONTENT_PIDF, SIP_CONTENT_OTHER };

#define SIP_ABSENT UINT32_MAX // an integer header field that is not there

enum {
    SIP_ROUTES_MAX = 16,    // Record-Route values; more are a defect
    SIP_VIAS_MAX = 100,     // Via values; more are a defect (Max-Forwards starts at 70)
    SIP_LINES_MAX = 512,    // header field lines read; more are a defect
    SIP_VALUE_MAX = 4096,   // bytes of one structured header field value; more are a defect
    SIP_CHALLENGES_MAX = 4, // WWW-Authenticate and Proxy-Authenticate; what comes behind is ignored
};

// RFC 7616 §3.3, of WWW-Authenticate or Proxy-Authenticate. One that is not Digest, or that asks
// for what core/wire/digest.h can't do, is not listed. Values are without their quotes, unescaped.
struct sip_challenge {
    struct span realm, nonce, opaque;
    uint8_t algorithm; // enum digest_algorithm
    bool proxy;        // answered with Proxy-Authorization
    bool stale;        // the credentials are right and the nonce is old
    bool qop;          // qop=auth is offered; false: no qop at all (RFC 2069)
};

struct sip_message {
    uint32_t size;            // of the block
    uint16_t status;          // 0: a request
    uint8_t method;           // enum sip_method; in a response that of the CSeq
    uint8_t event;            // enum sip_event_package
    uint8_t substate, reason; // Subscription-State
    uint8_t content;          // enum sip_content, of the body: OTHER if it is encoded
    bool accepts_pidf;        // no Accept at all counts (RFC 3856 §6.4), as do wildcards
    bool accepts_winfo;       // likewise (RFC 3857 §4.5)
    bool rport;               // the top Via asks for RFC 3581
    uint8_t n_vias, n_routes;
    // A defect that forbids normal handling, as the status that the request should get (400, 416,
    // 501, 505, 513) with its reason phrase; 0: none. `answerable` is false when there is nowhere
    // to send an error answer (no usable Via), or it is an ACK or a response. What a defective
    // message has not got is left out of its answer (RFC 4475 §3.3.1 wants one even without
    // Call-ID, From and To).
    uint16_t defect;
    bool answerable;
    const char *defect_phrase; // a literal
    uint32_t cseq;
    uint32_t max_forwards, expires, min_expires, retry_after; // SIP_ABSENT
    uint32_t substate_expires, substate_retry_after;          // SIP_ABSENT
    // RFC 6446: Event parameters max-rate and min-rate of a SUBSCRIBE or of a 2xx to NOTIFY, as
    // times between two NOTIFYs.
    uint32_t least_interval_ms, most_interval_ms; // SIP_ABSENT
    struct span method_name;
    struct span ruri;
    struct span from_uri, from_tag; // URIs without angle brackets, parameters of the URI included
    struct span to_uri, to_tag;
    struct span call_id, event_name, event_id;
    struct span branch;  // of the top Via
    struct span sent_by; // host of the top Via; sent_by_port 0: none given
    uint16_t sent_by_port;
    struct span contact;              // URI of the first Contact
    struct span vias;                 // all Via header field values, comma-separated, top first
    struct span from, to, cseq_value; // header field values as received
    struct span record_routes;        // all values, comma-separated; n == 0: none
    struct span route_uri[SIP_ROUTES_MAX]; // URIs of Record-Route, in the order of the message
    struct span content_language;          // first language tag
    struct span require;                   // option tags, comma-separated; n == 0: none
    struct span etag;                      // SIP-ETag (RFC 5839)
    struct span suppress_if_match;         // Suppress-If-Match; "*" matches all
    uint8_t n_challenges;
    struct sip_challenge challenge[SIP_CHALLENGES_MAX];
    struct span body; // empty also if it need not be understood, and is not (RFC 3261 §20.11)
    char text[];
};

static inline struct text sip_text(const struct sip_message *m, struct span at)
{
    return (struct text){m->text + at.off, at.n};
}

// The parser and its memory. One per thread; not shared.
struct sip_parser;
int sip_parser_create(struct sip_parser **out, size_t message_max);
void sip_parser_destroy(struct sip_parser *p);

// Parses one datagram (or one framed message). *out stays valid until the next call.
// EBADMSG: not SIP at all, a keep-alive, or cut within the start line: drop it. ENOMEM. A message
// that is SIP but defective is 0 with `defect` set. Multi-valued Via keeps all values. Of more than
// `message_max` bytes the first that many are read and the defect is 513.
int sip_parse(struct sip_parser *p, const char *data, size_t n, const struct sip_message **out);

// Where a request came from, for the top Via (RFC 3261 §18.2.1, RFC 3581 §4).
struct sip_seen {
    struct text host; // source address, numeric
    uint16_t port;
};

// What an answer repeats of its request, as received. Borrowed.
enum { SIP_ECHO_VIAS_MAX = 8 };
struct sip_echo {
    struct text via[SIP_ECHO_VIAS_MAX]; // of each Via field, top first; each may be a list
    uint8_t n_vias;                     // fields
    bool alone;                         // there is no more than one value in all of them
    bool rport;                         // of the top value, as is what follows
    uint16_t sent_by_port;
    struct text sent_by;
    struct text from, to, call_id, cseq;
    bool tagged; // To has a tag
};
void sip_echo_of(struct sip_echo *out, const struct sip_message *req);

// A response: Via as received with received= and rport= put in, From, To (with `to_tag` appended
// when the request has none and `to_tag` is not empty), Call-ID, CSeq, then `headers` (whole lines,
// each ending in CRLF, may be empty), then Content-Length: 0. An empty `phrase` is the standard
// one.
void sip_write_answer(struct buffer *b, const struct sip_echo *req, const struct sip_seen *seen,
                      unsigned status, struct text phrase, struct text to_tag, struct text headers);
void sip_write_response(struct buffer *b, const struct sip_message *req,
                        const struct sip_seen *seen, unsigned status, struct text phrase,
                        struct text to_tag, struct text headers);
// The standard phrase of a status, "OK", "Bad Event" …; "Unknown" for others.
struct text sip_phrase(unsigned status);

// A request of ours, SUBSCRIBE or NOTIFY. Absent: empty text, SIP_ABSENT, SUBSTATE_NONE.
struct sip_request {
    enum sip_method method;
    struct text ruri;
    struct text via_transport; // "UDP" when empty
    struct text via_host; // numeric or name, as in [sip] advertise; IPv6 with or without brackets
    uint16_t via_port;
    struct text branch; // whole, with the magic cookie
    struct text from_uri, from_tag;
    struct text to_uri, to_tag;
    struct text call_id;
    uint32_t cseq;
    struct text contact;  // URI
    struct text routes;   // value of Route, whole, may be empty
    struct text event_id; // "" : Event: presence
    uint32_t expires;     // Expires header field
    enum sip_substate substate;
    enum sip_reason reason;
    uint32_t substate_expires;
    uint32_t substate_retry_after; // of a terminated one; 0: not said
    // RFC 6446 §4.2: said back in Subscription-State, as they are obeyed; 0 or SIP_ABSENT: not
    // said. What no rate stands for (less than 11 ms) isn't either.
    uint32_t least_interval_ms, most_interval_ms;
    enum sip_event_package package; // SIP_EVENT_NONE is presence
    struct text etag;               // SIP-ETag of a NOTIFY
    struct text suppress_if_match;  // of a SUBSCRIBE
    struct text authorization;      // whole header lines, see digest_write()
    struct text content_language;
    struct text pidf; // body, of the package's type; empty: none
};

// Where the parts lie that differ when the same request goes to another place. Offsets from the
// start of the request.
struct sip_places {
    struct span via;     // the whole field, CRLF included
    struct span contact; // the URI, without angle brackets
};

void sip_write_request(struct buffer *b, const struct sip_request *r);
// The same, and where its parts are.
void sip_write_request_places(struct buffer *b, const struct sip_request *r,
                              struct sip_places *places);
// The request `bytes` for another place: a new top Via and Contact, of `r` only via_transport,
// via_host, via_port, branch and contact are looked at (RFC 3263 §4.3: each try is a transaction of
// its own). *places is brought up to date. `bytes` lies outside of `b`.
void sip_rewrite_request(struct buffer *b, struct text bytes, struct sip_places *places,
                         const struct sip_request *r);
// One of the Via values names `host` (IPv6 with or without brackets) and a port within [first,
// last]: the request has been here before (RFC 3261 §16.3 item 4, RFC 7332).
bool sip_passed(const struct sip_echo *req, struct text host, uint16_t first, uint16_t last);

struct text sip_reason_text(enum sip_reason r);
struct text sip_method_text(enum sip_method m);

#endif
