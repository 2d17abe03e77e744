// Where one SIP message ends in a stream of bytes (RFC 3261 §18.3): pure, and linear in the bytes
// however they are cut into pieces.
#ifndef SHARDS_SIP_STREAM_FRAME_H
#define SHARDS_SIP_STREAM_FRAME_H

#include "core/wire/text.h"

enum {
    SIP_STREAM_HEAD_MAX = 32768, // bytes of a start line and header fields, the empty line included
};

enum sip_stream_frame_verdict {
    SIP_STREAM_FRAME_MORE,    // not all of it is here
    SIP_STREAM_FRAME_WHOLE,   // `n` bytes are a message
    SIP_STREAM_FRAME_GARBAGE, // this is not SIP
    // From here on nobody can tell where the next message begins: the connection has to end.
    SIP_STREAM_FRAME_UNFRAMED,  // `n` bytes are a head that says no length, or no good one
    SIP_STREAM_FRAME_TOO_LARGE, // longer than message_max
    SIP_STREAM_FRAME_HEAD_TOO_LONG,
};

// What is known of the message that has begun; all zero at its first byte.
struct sip_stream_frame {
    size_t seen;   // bytes in which the head does not end
    size_t head_n; // 0: it has not ended yet
    size_t n;      // of the message, as far as its length is known
    bool started;  // the start line was looked at
};

// `p` is the message from its first byte on (what stands before the start line is the caller's to
// skip, RFC 3261 §7.5), `n` what is there of it: the same bytes as at the last call, and more.
enum sip_stream_frame_verdict sip_stream_frame_look(struct sip_stream_frame *f, const char *p,
                                                    size_t n, size_t message_max);

#endif
