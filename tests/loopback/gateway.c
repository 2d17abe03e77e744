// The gateway's shards between a component server and a SIP peer, all in this process on loopback.
#include "gateway.h"

#include <errno.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>

#include "bench/load/free_ports.h"
#include "shards/log.h"

static void write_config(struct gateway *g, const struct gateway_wish *wish)
{
    char tcp[64] = "", tls[64] = "", proxy[128], dns[64] = "";
    FILE *f = fopen(g->file, "w");
    assert_non_null(f);
    if (wish->tcp)
        snprintf(tcp, sizeof tcp, ", \"tcp:127.0.0.1:%u\"", g->listen_port);
    if (wish->tls)
        snprintf(tls, sizeof tls, ", \"tls:127.0.0.1:%u\"", g->tls_port);
    if (wish->dns)
        snprintf(dns, sizeof dns, "dns_servers = [\"127.0.0.1:%u\"]\n", wish->dns);
    snprintf(proxy, sizeof proxy, "sip:127.0.0.1:%u;transport=udp", g->sip->port);
    fprintf(
        f,
        "[gateway]\nshards = %u\nstore = \"%s/store\"\n"
        "[xmpp]\nserver = \"127.0.0.1:%u\"\nconnections = %u\nsecret = \"" COMPONENT_SECRET
        "\"\n"
        "[sip]\nlisten = [\"udp:127.0.0.1:%u\"%s%s]\nshard_port = %u\nadvertise = \"127.0.0.1\"\n"
        "proxy = \"%s\"\nt1_ms = %u\n%s"
        "[trust]\nsip_domains = %s\nxmpp_domains = [\"example.com\"]\n"
        "sip_sources = %s\n%s",
        wish->shards, g->dir, component_server_port(g->server),
        wish->connections ? wish->connections : 1, g->listen_port, tcp, tls, g->shard_port,
        wish->proxy ? wish->proxy : proxy, wish->t1_ms ? wish->t1_ms : 500, dns,
        wish->domains ? wish->domains : "[\"example.net\"]",
        wish->sources ? wish->sources : "[\"127.0.0.0/8\"]", wish->more ? wish->more : "");
    fclose(f);
}

static void load_config(struct gateway *g, const struct gateway_wish *wish)
{
    struct config_error why;
    write_config(g, wish);
    if (config_load(&g->cfg, g->file, &why))
        fail_msg("%s", why.text);
}

// Listeners for streams share their port with those of other shards, and the kernel would let them
// share it with those of another test as well.
static void pick_ports(struct gateway *g)
{
    g->listen_port = free_ports(CORE_SHARDS_MAX + 2);
    assert_int_not_equal(g->listen_port, 0);
    g->shard_port = (uint16_t)(g->listen_port + 1);
    g->tls_port = (uint16_t)(g->listen_port + CORE_SHARDS_MAX + 1);
}

struct gateway *gateway_open(const struct gateway_wish *wish)
{
    struct gateway *g = calloc(1, sizeof *g);
    struct store_error why;
    log_setup(getenv("GATEWAY_LOG") ? LOG_DEBUG : LOG_ERROR, false);
    snprintf(g->dir, sizeof g->dir, "/tmp/isthmus-shards-XXXXXX");
    assert_non_null(mkdtemp(g->dir));
    snprintf(g->file, sizeof g->file, "%s/gateway.toml", g->dir);
    g->server = component_server_start();
    g->sip = sip_peer_open();
    for (int error = EADDRINUSE; error == EADDRINUSE;) {
        pick_ports(g);
        load_config(g, wish);
        assert_int_equal(store_open(&g->store, g->cfg->gateway.store, wish->shards, &why), 0);
        error = shards_create(&g->shards, g->cfg, g->store, &why);
        if (error == EADDRINUSE) {
            store_close(g->store);
            config_free(g->cfg);
        } else if (error) {
            fail_msg("%s", why.text);
        }
    }
    if (!wish->not_started)
        assert_int_equal(shards_start(g->shards), 0);
    return g;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

void gateway_shut(struct gateway *g)
{
    shards_stop(g->shards);
    shards_destroy(g->shards);
    store_close(g->store);
    config_free(g->cfg);
}

void gateway_open_again(struct gateway *g, const struct gateway_wish *wish)
{
    struct store_error why;
    load_config(g, wish);
    if (store_open(&g->store, g->cfg->gateway.store, wish->shards, &why) ||
        shards_create(&g->shards, g->cfg, g->store, &why))
        fail_msg("%s", why.text);
    assert_int_equal(shards_start(g->shards), 0);
}

void gateway_close(struct gateway *g)
{
    gateway_shut(g);
    component_server_stop(g->server);
    sip_peer_close(g->sip);
    nftw(g->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(g);
}

void gateway_reload(struct gateway *g, const struct gateway_wish *wish)
{
    config_free(g->cfg);
    load_config(g, wish);
    assert_int_equal(shards_reload(g->shards, g->cfg), 0);
}

const char *gateway_stream_why(struct gateway *g, const char *domain)
{
    static struct shards_stream stream[2048];
    size_t n = shards_streams(g->shards, stream, 2048);
    for (size_t i = 0; i < n; i++)
        if (strcmp(stream[i].domain, domain) == 0)
            return stream[i].up ? "" : stream[i].why;
    return NULL;
}

bool gateway_wait_stream(struct gateway *g, const char *domain, const char *why, int timeout_ms)
{
    for (int waited = 0; waited <= timeout_ms; waited += 10) {
        const char *now = gateway_stream_why(g, domain);
        if (now && (*why ? strstr(now, why) != NULL : !*now))
            return true;
        usleep(10000);
    }
    return false;
}

struct shard_counters gateway_sum(struct gateway *g)
{
    struct shard_counters sum = {0};
    for (unsigned i = 0; i < shards_count(g->shards); i++) {
        struct shard_counters one;
        struct core_stats core;
        shards_counters(g->shards, i, &one, &core);
        for (size_t j = 0; j < sizeof sum / 8; j++)
            ((uint64_t *)&sum)[j] += ((uint64_t *)&one)[j];
    }
    return sum;
}
