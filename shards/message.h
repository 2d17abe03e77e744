// The flat messages that cross the rings: a head, and right behind it the bytes that go with it.
//
// Heads are multiples of eight bytes, so that a block behind one is aligned as in memory.
//
// What becomes of a message that is dropped (fabric_send() says so: its ring and its sender's
// backlog are full, or memory has run out):
//
//     SIP, SIP_OUT           as if the network had lost it: the peer sends again, or (over TCP and
//                            TLS) its transaction times out. Our own requests never cross.
//     STANZA, STANZA_OUT,    nobody sends it again, so the sender owes it (shards/shard_owed.c)
//     STREAM_UP, _DOWN,
//     STREAM_LOST, MISSED
//     STREAM_OPEN            the connector closes the stream and opens another
//     RESOLVE, RESOLVED      the core asks again (NEXT_HOP_ASK_MS); who waits for it tries later
//     ASK, ANSWER            the API says that there was no answer in time; they never wait
//     SETTINGS, WANTED       are not sent at all unless there is room for all of them
#ifndef SHARDS_MESSAGE_H
#define SHARDS_MESSAGE_H

#include "core/event.h"

enum message_kind {
    // between shards
    MESSAGE_SIP,        // a SIP message for the receiver's core; behind: struct sip_message
    MESSAGE_STANZA,     // a stanza for the receiver's core; behind: struct stanza
    MESSAGE_SIP_OUT,    // released bytes for a port of the receiver's; behind: the bytes
    MESSAGE_STANZA_OUT, // released bytes for a stream of the receiver's; behind: the bytes
    MESSAGE_STREAM_UP,  // struct message_stream; the stream's home shard tells all others
    MESSAGE_STREAM_DOWN,
    MESSAGE_MISSED, // struct message; of stanzas for the receiver's core one or more were dropped
    // API and shard
    MESSAGE_ASK,    // struct message_ask; behind: the question
    MESSAGE_ANSWER, // struct message_ask; behind: the answer
    // main to shard and connector
    MESSAGE_SETTINGS, // struct message_pointer to a struct settings, which becomes the receiver's
    MESSAGE_WANTED,   // the wanted streams of the table have changed
    // connector and shard
    MESSAGE_STREAM_OPEN, // struct message_stream with the authenticated descriptor
    MESSAGE_STREAM_LOST, // struct message_stream; back to the connector
    // shard and resolver
    MESSAGE_RESOLVE,  // struct message; behind: a SIP URI
    MESSAGE_RESOLVED, // struct message_resolved; behind: n_hops times struct hop, and the URI
};

struct message {
    uint32_t kind;
    uint32_t unused;
};

struct message_sip {
    uint32_t kind;
    sip_port port;
    uint16_t reopen_port; // MESSAGE_SIP_OUT: see struct effect
    struct hop peer;      // source or destination
    uint32_t unused;
};

struct message_stream {
    uint32_t kind;
    uint32_t stream; // place in the table of streams
    int32_t fd;      // MESSAGE_STREAM_OPEN
    uint32_t unused;
};

struct message_ask {
    uint32_t kind;
    int32_t error; // of the answer
    uint64_t sequence;
};

struct message_resolved {
    uint32_t kind;
    uint32_t n_hops;
    uint32_t ttl_s;
    uint32_t unused;
};

struct message_pointer {
    uint32_t kind;
    uint32_t unused;
    void *p;
};

_Static_assert(sizeof(struct message) % 8 == 0, "blocks behind are aligned");
_Static_assert(sizeof(struct message_sip) % 8 == 0, "blocks behind are aligned");
_Static_assert(sizeof(struct message_stream) % 8 == 0, "blocks behind are aligned");
_Static_assert(sizeof(struct message_ask) % 8 == 0, "blocks behind are aligned");
_Static_assert(sizeof(struct message_pointer) % 8 == 0, "blocks behind are aligned");
_Static_assert(sizeof(struct message_resolved) % 8 == 0, "blocks behind are aligned");

#endif
