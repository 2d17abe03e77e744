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
    struct text user;      // still percent-encoded, without password; of tel: the number
    struct text host;      // IPv6 literals without their brackets, perhaps with a colon too many
                           // (RFC 5118 §4.10); of tel: its domain, see sip_uri_parse()
    uint16_t port;         // 0: none given
    struct text transport; // "udp", "tcp" …; empty: none given
    struct text gr;        // GRUU, RFC 5627; still percent-encoded; empty: none
    struct text headers;   // behind '?', without it; empty: none
    bool lr;
};

// `uri` is an addr-spec (no angle brackets). EBADMSG: not a URI that we can take apart. A tel: URI
// gets a host when it is a local number whose phone-context is a domain name, and when the two say
// all: neither an extension, a subaddress, nor a mandatory parameter that we don't know (RFC 3966
// §5.2 to §5.4).
int sip_uri_parse(struct sip_uri *out, struct text uri);
// All that most URIs are, each byte of it looked at once: "sip:user@host" and maybe a port, without
// escapes, at the front of `t`. Its length; 0: none is there. If it is all of `t`, sip_uri_parse()
// says the same.
size_t sip_uri_usual(struct sip_uri *out, struct text t);

// Splits and prepares (nodeprep, nameprep to lower-case, resourceprep; RFC 6122 §2) a JID. Text
// that is ASCII and already in its prepared form is borrowed from `t`; else from `scratch`,
// JID_MAX+1 big. An internationalized domain is prepared to U-labels, whichever form it came in.
// EBADMSG: empty or over-long part, forbidden character.
int jid_parse(struct jid *out, struct text t, char *scratch, size_t scratch_size);
// "local@domain/resource"; parts that are empty are left out with their separator.
void jid_write(struct buffer *b, const struct jid *jid);
void jid_write_bare(struct buffer *b, const struct jid *jid);
bool jid_bare_eq(const struct jid *a, const struct jid *b);

// A URI of a scheme that has JIDs: sip, pres, im, and tel with a host.
bool address_is_mapped(const struct sip_uri *uri);
// RFC 7247 §6.4: sip, pres, im → JID. The result's text is in `scratch` (JID_MAX+1 big).
// EPROTONOSUPPORT: not mapped, see above (sips: §8); EBADMSG: no user part, or it has no form as a
// JID.
//
// user=phone changes nothing: RFC 3261 §19.1.4 compares the userinfo as it is written, visual
// separators and all, "including … formatted as telephone-subscribers", and RFC 7247 §6.1 leaves
// telephone numbers out. A tel: number is one whatever its separators (RFC 3966 §4), so these go:
// tel:70-42;phone-context=example.net is 7042@example.net. On the way back it is a SIP URI.
//
// A temporary GRUU (`gr` without a value, RFC 5627 §3.1.2) has no resource (RFC 7247 §6.3); its
// user part is mapped like any other.
int address_to_jid(struct jid *out, const struct sip_uri *uri, char *scratch, size_t scratch_size);
// RFC 7247 §6.5: JID → "sip:user@domain", with ";gr=resource" when the JID has a resource; an
// internationalized domain as A-labels. The parts are prepared ones, else `b` may come out failed.
void address_to_sip(struct buffer *b, const struct jid *jid);
// Only the user part, escaped for a SIP URI (for Contact).
void address_user_to_sip(struct buffer *b, struct text local);
// Only the domain, a prepared one, as A-labels.
void address_domain_to_sip(struct buffer *b, struct text domain);

// XEP-0106, all ten sequences. `escape` keeps a backslash that would read as a sequence (\5c).
void address_escape_local(struct buffer *b, struct text plain);
void address_unescape_local(struct buffer *b, struct text escaped);

#endif
