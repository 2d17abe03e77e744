// A shard's SIP ports: which there are, how they are bound, and by which of them a message leaves.
//
// In the order of shard.port: its own over UDP; that of all its connections; one of each [sip]
// listen address of UDP; and those of former shards. While the count was larger, dialogs were made
// that name shard_port + k of a shard that is no more. Shard k % shards has that port now, until
// their peers were told of another.
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>

#include "shards/log.h"
#include "shards/shard_inner.h"
#include "shards/sip_stream.h"
#include "shards/sip_udp.h"

_Static_assert((int)CONFIG_LISTEN_MAX <= (int)SIP_STREAM_LISTEN_MAX, "one port takes them all");

static void wire_port(struct shard *s, struct shard_port *place)
{
    uint32_t number = (uint32_t)(place - s->port);
    place->wire = (struct shard_wire){.fd = place->port->ops->fd(place->port),
                                      .tag = shard_tag(SHARD_TAG_PORT, number)};
}

static int open_port(struct shard *s, const struct port_setup *setup, struct shard_port *out)
{
    int error = sip_udp_open(&out->port, setup);
    if (!error)
        wire_port(s, out);
    return error;
}

static void write_hop(char out[80], const struct hop *h)
{
    struct buffer b;
    buffer_init(&b, 0);
    hop_write_host(&b, h);
    snprintf(out, 80, "%.*s port %u%s", (int)b.n, b.p, h->port,
             h->transport == HOP_UDP ? "" : " (TCP)");
    buffer_free(&b);
}

static int fail_port(struct store_error *why, const struct hop *h, int error)
{
    char text[80];
    write_hop(text, h);
    snprintf(why->text, sizeof why->text, "%s: %s", text, strerror(error));
    return error;
}

// "[2001:db8::1]" as it stands in a header field is "2001:db8::1" to a socket.
static struct text without_brackets(struct text host)
{
    bool has = host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
    return has ? (struct text){host.p + 1, host.n - 2} : host;
}

// The shard's own port: on the advertised address if that is numeric and one of this host's, else
// on the first `listen` address (the advertised one may be a name, or that of a NAT before us).
// *at is where it is.
static int open_own(struct shard *s, const struct config *cfg, struct hop *at,
                    struct store_error *why)
{
    uint16_t number = (uint16_t)(cfg->sip.shard_port + s->index);
    struct port_setup setup = {.id = SIP_PORT_SHARD(s->index),
                               .message_max = cfg->limits.sip_message_bytes,
                               .count = &s->port_count};
    struct text host = without_brackets(text_of(cfg->sip.advertise));
    int error = hop_parse(&setup.local, host, number, HOP_UDP);
    if (!error)
        error = open_port(s, &setup, &s->port[0]);
    if ((error == EINVAL || error == EADDRNOTAVAIL) && cfg->sip.n_listen_hop) {
        setup.local = cfg->sip.listen_hop[0];
        setup.local.transport = HOP_UDP;
        setup.local.port = number;
        error = open_port(s, &setup, &s->port[0]);
    }
    s->n_ports = 1;
    *at = setup.local;
    return error ? fail_port(why, &setup.local, error) : 0;
}

// 0: /proc is not to be read.
static size_t descriptors_in_use(void)
{
    size_t n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

// An equal share of what the process may hold, beyond what is open and what this and later shards
// are about to open. Streams, names and REST need theirs too, and must get it whoever connects.
static size_t share_of_descriptors(const struct shard *s, const struct config *cfg)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur == RLIM_INFINITY)
        return 0;
    size_t each = SHARD_DESCRIPTORS_EACH + cfg->sip.n_listen_hop;
    size_t used = descriptors_in_use() + each * (s->shards - s->index);
    size_t left = limit.rlim_cur > used ? limit.rlim_cur - used : 0;
    size_t kept = left / 2 < SHARD_DESCRIPTORS_KEPT ? left / 2 : SHARD_DESCRIPTORS_KEPT;
    size_t share = (left - kept) / s->shards;
    return share ? share : 1;
}

// Cores come and go; without one nobody is known.
static bool trusts(const void *arg, const struct hop *peer)
{
    const struct shard *s = arg;
    return s->core && core_trusts_source(s->core, peer);
}

// Connections leave from the own port's address, and are accepted on TCP's and TLS's of `listen`.
static int open_stream(struct shard *s, const struct shard_setup *setup, const struct hop *own,
                       struct store_error *why)
{
    const struct config *cfg = setup->cfg;
    const struct hop *failed;
    struct shard_port *place = &s->port[s->n_ports++];
    struct sip_stream_setup stream = {.port = {.local = *own,
                                               .id = SIP_PORT_SHARD(s->index),
                                               .shared = true,
                                               .message_max = cfg->limits.sip_message_bytes,
                                               .count = &s->port_count},
                                      .listen = cfg->sip.listen_hop,
                                      .n_listen = cfg->sip.n_listen_hop,
                                      .tls = setup->tls,
                                      .descriptors = share_of_descriptors(s, cfg),
                                      .trusts = trusts,
                                      .trusts_arg = s,
                                      .failed = &failed};
    int error = sip_stream_open(&place->port, &stream);
    if (!error)
        wire_port(s, place);
    else if (failed)
        fail_port(why, failed, error);
    else
        snprintf(why->text, sizeof why->text, "SIP over TCP: %s", strerror(error));
    return error;
}

static int open_listen(struct shard *s, const struct config *cfg, struct store_error *why)
{
    s->n_listen = cfg->sip.n_listen_hop;
    for (size_t i = 0; i < s->n_listen; i++) {
        struct shard_port *place = &s->port[s->n_ports++];
        if (cfg->sip.listen_hop[i].transport != HOP_UDP)
            continue;
        struct port_setup setup = {.local = cfg->sip.listen_hop[i],
                                   .id = SIP_PORT_LISTEN(i),
                                   .shared = true,
                                   .message_max = cfg->limits.sip_message_bytes,
                                   .count = &s->port_count};
        int error = open_port(s, &setup, place);
        if (error)
            return fail_port(why, &setup.local, error);
    }
    return 0;
}

// Somebody else may have it by now, which is no reason not to start: what is sent there is lost
// until the dialog is refreshed.
static void open_former(struct shard *s, const struct config *cfg, unsigned k,
                        const struct hop *own)
{
    assert(s->n_ports < SHARD_PORTS_MAX);
    struct shard_port *place = &s->port[s->n_ports++]; // kept even if nothing comes of it
    unsigned number = cfg->sip.shard_port + k;
    if (number > UINT16_MAX)
        return; // shard_port has been changed as well: no dialog names this one
    struct port_setup setup = {.local = *own,
                               .id = SIP_PORT_SHARD(k),
                               .message_max = cfg->limits.sip_message_bytes,
                               .count = &s->port_count};
    setup.local.port = (uint16_t)number;
    int error = open_port(s, &setup, place);
    char text[80];
    write_hop(text, &setup.local);
    if (error)
        log_warn("former_port_not_bound", "port", text, "why", strerror(error), NULL);
    else
        log_info("former_port_kept", "port", text, "shard", LOG_U64(s->index), NULL);
}

int shard_open_ports(struct shard *s, const struct shard_setup *setup, struct store_error *why)
{
    struct hop own;
    int error = open_own(s, setup->cfg, &own, why);
    if (!error)
        error = open_stream(s, setup, &own, why);
    if (!error)
        error = open_listen(s, setup->cfg, why);
    for (unsigned k = s->index + s->shards; !error && k < setup->former_shards; k += s->shards)
        open_former(s, setup->cfg, k, &own);
    return error;
}

// A `listen` port each shard has, of its own; a shard's port, a former one too, only one shard has.
unsigned shard_owner_of_port(const struct shard *s, sip_port id)
{
    return SIP_PORT_IS_LISTEN(id) ? s->index : SIP_PORT_INDEX(id) % s->shards;
}

// NULL: not bound.
static struct port *port_of(const struct shard *s, sip_port id)
{
    size_t i = SIP_PORT_INDEX(id), place;
    if (SIP_PORT_IS_LISTEN(id))
        place = i < s->n_listen ? 2 + i : s->n_ports;
    else // index, index + shards, index + 2 × shards …
        place = i == s->index ? 0 : 1 + s->n_listen + i / s->shards;
    return place < s->n_ports ? s->port[place].port : NULL;
}

// Connections are those of one port, whatever the core calls it by.
void shard_send_to_port(struct shard *s, sip_port id, const struct port_way *way, struct text bytes)
{
    assert(shard_owner_of_port(s, id) == s->index);
    struct port *p = way->to.transport == HOP_UDP ? port_of(s, id) : s->port[1].port;
    if (p)
        p->ops->send(p, way, bytes);
    else
        s->port_count.send_failures++;
}
