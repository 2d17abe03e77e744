// What our Via and Contact say.
#include "core/contact.h"

uint16_t contact_port(const struct core *c, enum hop_transport transport)
{
    uint16_t port = transport == HOP_TCP   ? c->cfg.tcp_port
                    : transport == HOP_TLS ? c->cfg.tls_port
                                           : 0;
    return port ? port : c->cfg.shard_port;
}

struct text contact_transport(enum hop_transport transport)
{
    switch (transport) {
    case HOP_TCP: return TEXT("TCP");
    case HOP_TLS: return TEXT("TLS");
    default: return TEXT("UDP");
    }
}

static struct text contact_param(const struct core *c, enum hop_transport transport)
{
    if (transport == HOP_TCP && c->cfg.tcp_port)
        return TEXT(";transport=tcp");
    if (transport == HOP_TLS && c->cfg.tls_port)
        return TEXT(";transport=tls");
    return (struct text){0};
}

static bool contact_is_secure(const struct core *c, bool sips)
{
    return sips && c->cfg.tls_port;
}

void contact_write_scheme(const struct core *c, bool sips, struct buffer *b)
{
    buffer_text(b, contact_is_secure(c, sips) ? TEXT("sips:") : TEXT("sip:"));
}

void contact_write_place(const struct core *c, enum hop_transport transport, bool sips,
                         struct text domain, struct buffer *b)
{
    bool secure = contact_is_secure(c, sips);
    buffer_text(b, text_of(c->advertise));
    buffer_char(b, ':');
    buffer_u64(b, contact_port(c, secure ? HOP_TLS : transport));
    if (!secure)
        buffer_text(b, contact_param(c, transport));
    buffer_lit(b, ";gr=");
    buffer_text(b, domain);
}

void contact_dereference(const struct core *c, struct sip_uri *uri)
{
    struct text own = text_of(c->advertise);
    if (own.n && own.p[0] == '[')
        own = (struct text){own.p + 1, own.n - 2};
    if (!uri->gr.n || !text_eq_nocase(uri->host, own))
        return;
    uri->host = uri->gr;
    uri->gr = (struct text){0};
}
