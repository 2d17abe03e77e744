// XMPP addresses and SIP URIs, and the mapping between them (RFC 7247 §6, XEP-0106).
//
// Pure functions over borrowed text; results are written into the caller's buffer and borrowed
// from it. Any thread.
#ifndef CORE_WIRE_ADDRESS_H
#define CORE_WIRE_ADDRESS_H

#include "core/wire/text.h"

enum {
    JID_PART_MAX = 1023,            // RFC 7622 §3.1, bytes
    JID_MAX = 3 * JID_PART_MAX + 2, // local@domain/resource
    SIP_URI_MAX = 3 * JID_MAX + 64, // each byte escaped, scheme and parameters
};

struct jid {
    struct text local; // empty: a domain's own JID
    struct text domain;
    struct text resource; // empty: bare
};

enum address_scheme { SCHEME_OTHER, SCHEME_SIP, SCHEME_SIPS, SCHEME_PRES, SCHEME_IM, SCHEME_TEL };

// The parts of a URI that routing and mapping need; borrowed from the parsed text.
struct sip_uri {
    enum address_scheme scheme;
    struct text user;      // still percent-encoded, without password
    struct text host;      // IPv6 literals without their brackets
    uint16_t port;         // 0: none given
    struct text transport; // "udp", "tcp" …; empty: none given
    struct text gr;        // GRUU, RFC 5627; still percent-encoded; empty: none
    struct text headers;   // behind '?', without it; empty: none
    bool lr;
};

// `uri` is an addr-spec (no angle brackets). EBADMSG: not a URI that we can take apart.
int sip_uri_parse(struct sip_uri *out, struct text uri);

// Splits and prepares (nodeprep, nameprep to lower-case, resourceprep; RFC 6122 §2) a JID. Text
// that is ASCII and already in its prepared form is borrowed from `t`; else from `scratch`,
// JID_MAX+1 big. An internationalized domain is prepared to U-labels, whichever form it came in.
// EBADMSG: empty or over-long part, forbidden character.
int jid_parse(struct jid *out, struct text t, char *scratch, size_t scratch_size);
// "local@domain/resource"; parts that are empty are left out with their separator.
void jid_write(struct buffer *b, const struct jid *jid);
void jid_write_bare(struct buffer *b, const struct jid *jid);
bool jid_bare_eq(const struct jid *a, const struct jid *b);

// RFC 7247 §6.4: sip, pres, im → JID. The result's text is in `scratch` (JID_MAX+1 big).
// EPROTONOSUPPORT: a scheme that is not mapped (sips: §8; tel: none); EBADMSG: no user part, or it
// has no form as a JID.
int address_to_jid(struct jid *out, const struct sip_uri *uri, char *scratch, size_t scratch_size);
// RFC 7247 §6.5: JID → "sip:user@domain", with ";gr=resource" when the JID has a resource; an
// internationalized domain as A-labels. The parts are prepared ones, else `b` may come out failed.
void address_to_sip(struct buffer *b, const struct jid *jid);
// Only the user part, escaped for a SIP URI (for Contact).
void address_user_to_sip(struct buffer *b, struct text local);

// XEP-0106, all ten sequences. `escape` keeps a backslash that would read as a sequence (\5c).
void address_escape_local(struct buffer *b, struct text plain);
void address_unescape_local(struct buffer *b, struct text escaped);

#endif
