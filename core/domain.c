// Interned domain names and what we trust them with.
#include "core/domain.h"

#include <errno.h>
#include <stdlib.h>

#include "core/wire/memory.h"

enum { DOMAIN_NAMES_MAX = CORE_DOMAINS_MAX * 4 };

// Without a key: only names that we trust, or did, are in the index, so nobody outside can crowd
// it.
static uint32_t domain_hash(struct text name)
{
    return (uint32_t)hash_plain(name.p, name.n);
}

static uint16_t domain_seek(const struct core *c, struct text name, uint32_t hash)
{
    uint32_t handle;
    for (uint32_t at = table_first(&c->domain_index, hash, &handle); handle;
         at = table_next(&c->domain_index, hash, at, &handle))
        if (text_eq(domain_name(c, (uint16_t)(handle - 1)), name))
            return (uint16_t)(handle - 1);
    return DOMAIN_NONE;
}

uint16_t domain_find(const struct core *c, struct text name)
{
    return domain_seek(c, name, domain_hash(name));
}

// Both spellings, one behind the other; of the second nothing if there is none.
static char *domain_spell(struct text name, size_t *sip_n)
{
    struct buffer b;
    buffer_init(&b, 0);
    buffer_text(&b, name);
    address_domain_to_sip(&b, name);
    *sip_n = b.failed ? 0 : b.n - name.n;
    return b.p;
}

static bool domain_add(struct core *c, struct text name, uint32_t hash)
{
    size_t sip_n;
    struct domain *v = memory_grow(c->domains, (c->n_domains + 1u) * sizeof *v);
    if (!v)
        return false;
    c->domains = v;
    char *copy = domain_spell(name, &sip_n);
    if (!copy || !table_add(&c->domain_index, hash, c->n_domains + 1u)) {
        free(copy);
        return false;
    }
    v[c->n_domains++] =
        (struct domain){.name = copy, .n = (uint16_t)name.n, .sip_n = (uint16_t)sip_n};
    return true;
}

uint16_t domain_intern(struct core *c, struct text name)
{
    uint32_t hash = domain_hash(name);
    uint16_t at = domain_seek(c, name, hash);
    if (at != DOMAIN_NONE)
        return at;
    if (c->n_domains == DOMAIN_NAMES_MAX || name.n == 0 || name.n > JID_PART_MAX)
        return DOMAIN_NONE;
    return domain_add(c, name, hash) ? c->n_domains - 1 : DOMAIN_NONE;
}

void domain_free_all(struct core *c)
{
    for (uint16_t i = 0; i < c->n_domains; i++)
        free(c->domains[i].name);
    free(c->domains);
    table_free(&c->domain_index);
    free(c->sip_sources);
}

struct text domain_name(const struct core *c, uint16_t domain)
{
    return (struct text){c->domains[domain].name, c->domains[domain].n};
}

void domain_write_sip(const struct core *c, uint16_t domain, struct buffer *b)
{
    const struct domain *d = &c->domains[domain];
    b->failed |= !d->sip_n;
    buffer_add(b, d->name + d->n, d->sip_n);
}

// Streams are numbered in the order in which they came; the number stays when trust is taken away.
static int domain_add_stream(struct core *c, uint16_t at)
{
    if (c->domains[at].flags & DOMAIN_STREAM)
        return 0;
    if (c->n_streams == CORE_DOMAINS_MAX)
        return E2BIG;
    c->domains[at].flags |= DOMAIN_STREAM;
    c->domains[at].stream = c->n_streams;
    c->streams[c->n_streams++] = at;
    return 0;
}

static int domain_flag(struct core *c, struct text name, uint8_t flags)
{
    uint16_t at = domain_intern(c, name);
    if (at == DOMAIN_NONE)
        return ENOMEM;
    int err = flags & DOMAIN_STREAM ? domain_add_stream(c, at) : 0;
    if (!err)
        c->domains[at].flags |= flags;
    return err;
}

static int domain_flag_all(struct core *c, const struct text *v, size_t n, uint8_t flags)
{
    int err = 0;
    for (size_t i = 0; i < n && !err; i++)
        err = domain_flag(c, v[i], flags);
    return err;
}

// `before`: the flags that they had. A process that began while somebody was not trusted knows him
// from its records.
static bool domain_any_regained(const struct core *c, const uint8_t *before, uint16_t n)
{
    for (uint16_t i = 0; i < n; i++)
        if (c->domains[i].flags & ~before[i] & (DOMAIN_SIP | DOMAIN_XMPP))
            return true;
    return false;
}

int domain_set_trust(struct core *c, const struct core_trust *t, bool *regained)
{
    uint8_t before[DOMAIN_NAMES_MAX];
    uint16_t n_before = c->n_domains;
    struct core_net *nets = NULL;
    *regained = false;
    if (t->n_sip_sources) {
        nets = memory_take(t->n_sip_sources * sizeof *nets);
        if (!nets)
            return ENOMEM;
        memcpy(nets, t->sip_sources, t->n_sip_sources * sizeof *nets);
    }
    free(c->sip_sources);
    c->sip_sources = nets;
    c->n_sip_sources = t->n_sip_sources;
    for (uint16_t i = 0; i < n_before; i++) {
        before[i] = c->domains[i].flags;
        c->domains[i].flags &= (uint8_t) ~(DOMAIN_SIP | DOMAIN_XMPP | DOMAIN_EXEMPT);
    }
    int err = domain_flag_all(c, t->sip_domains, t->n_sip_domains, DOMAIN_SIP | DOMAIN_STREAM);
    if (!err && c->cfg.gateway_domain.n) {
        err = domain_flag(c, c->cfg.gateway_domain, DOMAIN_STREAM);
        c->gateway = domain_find(c, c->cfg.gateway_domain);
    }
    if (!err)
        err = domain_flag_all(c, t->xmpp_domains, t->n_xmpp_domains, DOMAIN_XMPP);
    if (!err)
        err = domain_flag_all(c, t->probe_exempt_domains, t->n_probe_exempt_domains, DOMAIN_EXEMPT);
    c->n_sip_domains = 0;
    for (uint16_t i = 0; i < c->n_domains; i++)
        c->n_sip_domains += (c->domains[i].flags & DOMAIN_SIP) != 0;
    *regained = domain_any_regained(c, before, n_before);
    return err;
}

static bool net_contains(const struct core_net *net, const struct hop *h)
{
    if (net->base.family != h->family)
        return false;
    unsigned bytes = net->prefix / 8, bits = net->prefix % 8;
    if (memcmp(net->base.ip, h->ip, bytes) != 0)
        return false;
    return bits == 0 || ((net->base.ip[bytes] ^ h->ip[bytes]) >> (8 - bits)) == 0;
}

bool domain_source_trusted(const struct core *c, const struct hop *source)
{
    for (size_t i = 0; i < c->n_sip_sources; i++)
        if (net_contains(&c->sip_sources[i], source))
            return true;
    return false;
}
