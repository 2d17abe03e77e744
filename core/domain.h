// Domains: interned names with what we trust them with, and the streams that lead to them.
#ifndef CORE_DOMAIN_H
#define CORE_DOMAIN_H

#include "core/state.h"

#define DOMAIN_NONE UINT16_MAX

// The index of a known domain, else DOMAIN_NONE. Names are compared as they are: prepared JIDs.
uint16_t domain_find(const struct core *c, struct text name);
// Finds or adds. DOMAIN_NONE: no memory or CORE_DOMAINS_MAX * 4 names.
uint16_t domain_intern(struct core *c, struct text name);
void domain_free_all(struct core *c);
struct text domain_name(const struct core *c, uint16_t domain);
// As it stands in a SIP URI: address_domain_to_sip(), done once.
void domain_write_sip(const struct core *c, uint16_t domain, struct buffer *b);
static inline bool domain_is(const struct core *c, uint16_t domain, uint8_t flags)
{
    return domain != DOMAIN_NONE && (c->domains[domain].flags & flags) == flags;
}
// Replaces all trust; streams are only ever added. *regained: somebody is trusted who was known
// before, and not trusted. ENOMEM, E2BIG.
int domain_set_trust(struct core *c, const struct core_trust *t, bool *regained);
// [trust] sip_sources.
bool domain_source_trusted(const struct core *c, const struct hop *source);

#endif
