// Payloads of the answers to questions that any XMPP entity may be asked.
#ifndef CORE_WIRE_STANZA_IQ_H
#define CORE_WIRE_STANZA_IQ_H

#include "core/wire/text.h"

// XEP-0030 §3.1; `name` and `lang` may be empty.
struct stanza_identity {
    struct text category, type, name, lang;
};

// Begin and end of a disco#info answer; its features stand between them. `node` as it was asked of,
// and may be empty.
void stanza_iq_info_begin(struct buffer *b, struct text node,
                          const struct stanza_identity *identity);
void stanza_iq_feature(struct buffer *b, struct text feature);
void stanza_iq_info_end(struct buffer *b);
// A disco#items answer without items (XEP-0030 §4.1).
void stanza_iq_no_items(struct buffer *b);
// XEP-0092; the operating system is nobody's business.
void stanza_iq_version(struct buffer *b, struct text name, struct text version);
// The same of a device, by its User-Agent: "Blink Pro 2.0.0 (MacOSX)" is Blink Pro, version "2.0.0
// (MacOSX)"; "baresip/1.0" is baresip, "1.0". What has no number has no version.
void stanza_iq_version_of(struct buffer *b, struct text user_agent);
// XEP-0012.
void stanza_iq_last(struct buffer *b, uint64_t seconds);
// XEP-0202; minutes ahead of UTC.
void stanza_iq_time(struct buffer *b, int16_t utc_offset_min, int64_t now_ms);
// XEP-0054: name, page and picture, each of which may be empty. Only what a browser would fetch is
// passed on as an address.
void stanza_iq_vcard(struct buffer *b, struct text name, struct text page, struct text picture);

#endif
