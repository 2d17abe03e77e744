// One authenticated component stream on its shard: reads stanzas, writes them in batches.
//
// Belongs to its shard's thread; non-blocking. After an error it is spent: destroy it.
#ifndef SHARDS_XMPP_STREAM_H
#define SHARDS_XMPP_STREAM_H

#include "core/wire/stanza_reader.h"

enum {
    XMPP_STREAM_BACKLOG_BYTES = 16 << 20, // that wait for the server to read; more ends it
    XMPP_STREAM_READ_BYTES = 64 << 10,    // read at once
    XMPP_STREAM_STALL_MS = 60000,         // a server that reads nothing for so long is given up
    XMPP_STREAM_KEEPALIVE_MS = 60000, // after so long without a word, a blank (RFC 6120 §4.6.1)
    XMPP_STREAM_WHY_MAX = 128,
};

struct xmpp_stream;

// `fd` is taken over, also on error. ENOMEM.
int xmpp_stream_create(struct xmpp_stream **out, int fd, const struct stanza_reader_limits *limits,
                       stanza_reader_cb cb, void *arg, uint64_t now_ms);
void xmpp_stream_destroy(struct xmpp_stream *s);

// Reads once, into `scratch`, and calls back for each whole stanza. *more: there may be more.
int xmpp_stream_read(struct xmpp_stream *s, char scratch[XMPP_STREAM_READ_BYTES], uint64_t now_ms,
                     bool *more);
// How long the bytes that were read last had waited, as far as can be told; 0: nothing waits.
uint32_t xmpp_stream_lag_ms(const struct xmpp_stream *s, uint64_t now_ms);
// Queues. False: it did not fit; the caller ends the stream.
bool xmpp_stream_send(struct xmpp_stream *s, struct text stanza);
// Sends what is queued, as far as the kernel takes it, by one system call.
int xmpp_stream_flush(struct xmpp_stream *s, uint64_t now_ms);
size_t
xmpp_stream_backlog(const struct xmpp_stream *s); // bytes; > 0 after a flush: poll for writing
// Every second or so: the blank, and the end of patience. ETIMEDOUT.
int xmpp_stream_look_after(struct xmpp_stream *s, uint64_t now_ms);
// Queues </stream:stream>, with a stream error of that condition in front unless it is empty.
void xmpp_stream_end(struct xmpp_stream *s, struct text condition);

// What an error that read(), flush() or look_after() returned means.
void xmpp_stream_why(const struct xmpp_stream *s, int error, char why[XMPP_STREAM_WHY_MAX]);
// The condition that the peer is to be told, empty if there is nobody to tell.
struct text xmpp_stream_condition(int error);

#endif
