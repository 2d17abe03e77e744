// The daemon's configuration, as the load driver wrote it, made fit for hostile company.
#include "configure.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "front.h"

void hostile_die(const char *what, const char *why)
{
    fprintf(stderr, "hostile: %s: %s\n", what, why);
    exit(2);
}

char *hostile_read_file(const char *path)
{
    FILE *f = fopen(path, "r");
    char *text = calloc(1, 1 << 20);
    if (!f || !text)
        hostile_die(path, "can't be read");
    text[fread(text, 1, (1 << 20) - 1, f)] = '\0';
    fclose(f);
    return text;
}

static uint16_t port_behind(const char *config, const char *key)
{
    const char *at = strstr(config, key);
    unsigned port;
    if (!at || sscanf(at + strlen(key), "%u", &port) != 1)
        hostile_die("the configuration lacks", key);
    return (uint16_t)port;
}

// Writes what comes up to `key`, then `text`, and goes on behind the end of that line.
static const char *replace_line(FILE *f, const char *config, const char *key, const char *text)
{
    const char *at = strstr(config, key);
    if (!at)
        hostile_die("the configuration lacks", key);
    fprintf(f, "%.*s%s", (int)(at - config), config, text);
    return strchr(at, '\n');
}

// The daemon is to meet its servers by way of the front, to know the hostile domains, and to speak
// TLS.
struct front *hostile_configure(const struct load *load, const struct field *field)
{
    char path[300], line[2048];
    const char *dir = load_dir(load);
    snprintf(path, sizeof path, "%s/gateway.toml", dir);
    char *config = hostile_read_file(path);
    const char *rest = config;
    struct front_setup setup = {
        .xmpp_port = port_behind(config, "server = \"127.0.0.1:"),
        .proxy_port = port_behind(config, "proxy = \"sip:127.0.0.1:"),
        .shard_port = load_shard_port(load),
    };
    struct front *front = front_start(&setup);
    FILE *f = fopen(path, "w");
    if (!f)
        hostile_die(path, strerror(errno));
    snprintf(line, sizeof line, "server = \"127.0.0.1:%u\"", front_xmpp_port(front));
    rest = replace_line(f, rest, "server = ", line);
    snprintf(line, sizeof line,
             "listen = [\"udp:127.0.0.1:%u\", \"tcp:127.0.0.1:%u\", \"tls:127.0.0.1:%u\"]",
             field->sip_port, field->sip_port, field->tls_port);
    rest = replace_line(f, rest, "listen = ", line);
    snprintf(line, sizeof line, "proxy = \"sip:127.0.0.1:%u;transport=udp\"\n",
             front_sip_port(front));
    rest = replace_line(f, rest, "proxy = ", line);
    fprintf(f, "[sip.tls]\ncertificate = \"%s/server.pem\"\nprivate_key = \"%s/server.key\"\n", dir,
            dir);
    size_t n = (size_t)snprintf(line, sizeof line, "sip_domains = [\"example.net\"");
    for (unsigned i = 0; i < n_front_domains; i++)
        n += (size_t)snprintf(line + n, sizeof line - n, ", \"%s\"", front_domains[i]);
    snprintf(line + n, sizeof line - n, "]");
    rest = replace_line(f, rest, "sip_domains = ", line);
    fputs(rest, f);
    if (fclose(f))
        hostile_die(path, strerror(errno));
    free(config);
    return front;
}
