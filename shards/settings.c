// What of the configuration a running shard obeys, in one piece of memory that crosses a ring.
#include "shards/settings.h"

#include <errno.h>
#include <stdlib.h>

static size_t list_bytes(const struct config_list *l)
{
    size_t n = l->n * sizeof(struct text);
    for (size_t i = 0; i < l->n; i++)
        n += strlen(l->v[i]);
    return n;
}

// Copies the list's texts to *bytes and their places to *texts, and moves both on.
static const struct text *list_copy(struct text **texts, char **bytes, const struct config_list *l)
{
    struct text *first = *texts;
    for (size_t i = 0; i < l->n; i++) {
        size_t n = strlen(l->v[i]);
        memcpy(*bytes, l->v[i], n);
        *(*texts)++ = (struct text){*bytes, n};
        *bytes += n;
    }
    return first;
}

// [struct settings][core_net …][struct text …][bytes …]
int settings_create(struct settings **out, const struct config *cfg)
{
    const struct config_list *sip = &cfg->trust.sip_domains, *xmpp = &cfg->trust.xmpp_domains,
                             *exempt = &cfg->probe_exempt_domains;
    size_t n_nets = cfg->trust.sip_sources.n;
    struct settings *s = malloc(sizeof *s + n_nets * sizeof(struct core_net) + sizeof(void *) +
                                list_bytes(sip) + list_bytes(xmpp) + list_bytes(exempt));
    *out = s;
    if (!s)
        return ENOMEM;
    struct core_net *nets = (struct core_net *)(s + 1);
    uintptr_t after = (uintptr_t)(nets + n_nets);
    struct text *texts = (struct text *)((after + sizeof(void *) - 1) & ~(sizeof(void *) - 1));
    char *bytes = (char *)(texts + sip->n + xmpp->n + exempt->n);
    if (n_nets)
        memcpy(nets, cfg->trust.sources, n_nets * sizeof *nets);
    *s = (struct settings){.core = cfg->core,
                           .trust = {.n_sip_domains = sip->n,
                                     .n_xmpp_domains = xmpp->n,
                                     .n_probe_exempt_domains = exempt->n,
                                     .sip_sources = nets,
                                     .n_sip_sources = n_nets}};
    s->trust.sip_domains = list_copy(&texts, &bytes, sip);
    s->trust.xmpp_domains = list_copy(&texts, &bytes, xmpp);
    s->trust.probe_exempt_domains = list_copy(&texts, &bytes, exempt);
    return 0;
}

void settings_destroy(struct settings *s)
{
    free(s);
}
