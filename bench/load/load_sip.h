// SIP messages as text: for the load driver, and for who plays beside it.
//
// Read is only what the daemon writes: one header field a line, no folding, no compact forms.
#ifndef BENCH_LOAD_SIP_H
#define BENCH_LOAD_SIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/load/load_text.h"

// One message, NUL-terminated, and the values of its fields: the first of each name.
struct load_message {
    const char *start;
    struct load_piece via, from, to, call_id, cseq, contact, expires, state;
    const char *body; // "": it has none
    uint32_t number;  // of CSeq
    uint16_t port;    // that it came from
};
void load_message_read(struct load_message *m, const char *start, size_t n, uint16_t port);
// The tag of such a value; none: nothing.
struct load_piece load_message_tag(struct load_piece value);

// The value of the first one by that name, written as the gateway writes it; false: it has none,
// and `out` is empty.
bool load_sip_header(const char *m, const char *name, char *out, size_t size);
uint32_t load_sip_cseq(const char *m);
// Of From or To; "": there is none.
void load_sip_tag(const char *m, const char *name, char *out, size_t size);

#endif
