// How peers reach us, by transport: what our Via and Contact say.
//
// Over UDP it is the shard's own port, over TCP and TLS that of [sip] listen, which all shards
// share; where there is none, the UDP port stands.
#ifndef CORE_CONTACT_H
#define CORE_CONTACT_H

#include "core/state.h"

uint16_t contact_port(const struct core *c, enum hop_transport transport);
struct text contact_transport(enum hop_transport transport); // as in Via
// "sip:" and "127.0.0.1:5081", between which the user part and its @ go, for a message over
// `transport`.
//
// Over TLS it is "sip:…;transport=tls". RFC 3261 §26.2.2 has deprecated that parameter, but
// transport=tcp would have the peer speak plainly to a TLS port, and a sips URI would demand TLS on
// every hop of the way back, which a peer that was not asked by one must not be held to. Where the
// Request-URI or the first route is a sips one (`sips`), so has the Contact to be (§8.1.1.8).
void contact_write_scheme(const struct core *c, bool sips, struct buffer *b);
// Behind it stands `;gr=` and the user's domain: a self-made GRUU (RFC 5627 §4.3, RFC 6665 §4.5.1).
void contact_write_place(const struct core *c, enum hop_transport transport, bool sips,
                         struct text domain, struct buffer *b);
// A URI that is such a Contact becomes that of its user; others stay as they are.
void contact_dereference(const struct core *c, struct sip_uri *uri);

#endif
