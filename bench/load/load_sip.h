// Header fields of a SIP message, as text: for the load driver, and for who plays beside it.
#ifndef BENCH_LOAD_SIP_H
#define BENCH_LOAD_SIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The value of the first one by that name, written as the gateway writes it; false: it has none,
// and `out` is empty.
bool load_sip_header(const char *m, const char *name, char *out, size_t size);
uint32_t load_sip_cseq(const char *m);
// Of From or To; "": there is none.
void load_sip_tag(const char *m, const char *name, char *out, size_t size);

#endif
