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

// The first `listen` port of a transport; 0: none.
static uint16_t listen_port(const struct config *cfg, enum hop_transport transport)
{
    for (size_t i = 0; i < cfg->sip.n_listen_hop; i++)
        if (cfg->sip.listen_hop[i].transport == transport)
            return cfg->sip.listen_hop[i].port;
    return 0;
}

void settings_fill_core(struct core_config *core, struct core_realm realms[CORE_REALMS_MAX],
                        const struct config *cfg, const struct settings *s)
{
    core->gateway_domain = text_of(cfg->gateway.domain);
    core->advertise = text_of(cfg->sip.advertise);
    core->tcp_port = listen_port(cfg, HOP_TCP);
    core->tls_port = listen_port(cfg, HOP_TLS);
    core->proxy = cfg->sip.proxy_hop;
    core->proxy_uri = text_of(core->proxy.family ? "" : cfg->sip.proxy);
    core->proxy_name = text_of(cfg->sip.proxy_name);
    core->realms = realms;
    core->n_realms = cfg->sip.n_realms;
    core->t1_ms = cfg->sip.t1_ms;
    core->settings = s->core;
    core->trust = s->trust;
    for (size_t i = 0; i < cfg->sip.n_realms; i++)
        realms[i] = (struct core_realm){.realm = text_of(cfg->sip.realm[i].name),
                                        .user = text_of(cfg->sip.realm[i].user),
                                        .password = text_of(cfg->sip.realm[i].password)};
}
