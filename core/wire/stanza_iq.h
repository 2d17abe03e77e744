// Payloads of the answers to questions that any XMPP entity may be asked.
#ifndef CORE_WIRE_STANZA_IQ_H
#define CORE_WIRE_STANZA_IQ_H

#include "core/wire/text.h"

// XEP-0030 §3.1; `name` may be empty.
struct stanza_identity {
    struct text category, type, name;
};

// Begin and end of a disco#info answer; its features stand between them.
void stanza_iq_info_begin(struct buffer *b, const struct stanza_identity *identity);
void stanza_iq_feature(struct buffer *b, struct text feature);
void stanza_iq_info_end(struct buffer *b);
// A disco#items answer without items (XEP-0030 §4.1).
void stanza_iq_no_items(struct buffer *b);
// XEP-0092; the operating system is nobody's business.
void stanza_iq_version(struct buffer *b, struct text name, struct text version);
// XEP-0012.
void stanza_iq_last(struct buffer *b, uint64_t seconds);

#endif
