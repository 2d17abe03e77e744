// Reads an XMPP stream as it comes, in pieces of any size, and hands out one stanza after the
// other.
//
// A libxml2 SAX2 push parser with limits on a stanza's bytes and depth. The stream's own header has
// been read by whoever opened the stream; the reader starts between two stanzas. DOCTYPE,
// processing instructions and comments are refused (RFC 6120 §11.1). Belongs to one thread.
#ifndef CORE_WIRE_STANZA_READER_H
#define CORE_WIRE_STANZA_READER_H

#include "core/wire/stanza.h"

struct stanza_reader;

// The stanza lives until the callback returns.
typedef void (*stanza_reader_cb)(void *arg, const struct stanza *s);

// A stanza past a limit, or with a tag of more than 16 KiB or so, is handed out as `too_big`: one
// user's stanza that the server let through must not end the stream of a whole domain. Only one
// past all reason (16 times the bytes, 80,000 levels) does. What is behind the tag or level too
// many is looked through for the stanza's end alone (core/wire/stanza_skip.h), and if it is the
// stanza's own tag that is too long, nothing is handed out.
struct stanza_reader_limits {
    size_t stanza_bytes;   // raw bytes from a stanza's '<' to its end
    unsigned stanza_depth; // below 80,000
};

// The namespace of the stream is jabber:component:accept (XEP-0114). ENOMEM.
int stanza_reader_create(struct stanza_reader **out, const struct stanza_reader_limits *limits,
                         stanza_reader_cb cb, void *arg);
void stanza_reader_destroy(struct stanza_reader *r);

// 0; EBADMSG: not well-formed; EPERM: restricted XML; EMSGSIZE: past all reason; ECONNRESET: the
// peer closed the stream or sent <stream:error/> (its condition: stanza_reader_stream_error). After
// anything but 0 the reader is spent: destroy it.
int stanza_reader_feed(struct stanza_reader *r, const char *p, size_t n);
// E.g. "conflict"; empty if there was none.
struct text stanza_reader_stream_error(const struct stanza_reader *r);

#endif
