// The SIP side's front: who is who, and which message is for whom.
#include "sip_model.h"

#include <stdlib.h>

#include "core/wire/address.h"
#include "core/wire/pidf.h"
#include "net.h"
#include "sip_wire.h"
#include "xmpp_model.h"

const char *sip_jid(const struct world *w, unsigned s)
{
    return w->sip->user[s].jid;
}

bool sip_user_of(const struct world *w, struct text address, unsigned *s)
{
    if (text_starts(address, TEXT("sip:")))
        address = (struct text){address.p + 4, address.n - 4};
    if (!world_number_of(address, TEXT("romeo"), w->opt.sip_users, s))
        return false;
    struct text own = text_of(w->sip->user[*s].jid);
    return address.n >= own.n && text_eq_nocase(own, (struct text){address.p, own.n}) &&
           (address.n == own.n || address.p[own.n] == '/' || address.p[own.n] == ';');
}

void sip_receive(struct world *w, struct text bytes)
{
    const struct sip_message *m;
    if (sip_parse(w->sip->parser, bytes.p, bytes.n, &m) != 0 || m->defect) {
        world_broken(w, "a SIP message can't be read: %.*s", TEXT_ARG(bytes));
        return;
    }
    if (m->status)
        sip_response(w, m);
    else if (sip_answered(w, m))
        return;
    else if (m->method == SIP_SUBSCRIBE)
        sip_server_subscribe(w, m);
    else if (m->method == SIP_NOTIFY)
        sip_device_notify(w, m);
    else
        world_broken(w, "the gateway sent %.*s", TEXT_ARG(sip_text(m, m->method_name)));
}

void sip_stranger(struct world *w, unsigned x, bool trusted_address)
{
    char branch[40], ruri[64];
    struct sip_leg leg = {.cseq = 1};
    struct hop source = {.ip = {10, 0, 0, 1}, .family = 4, .port = GATEWAY_PROXY};
    source.ip[0] = trusted_address ? 127 : 10;
    snprintf(leg.call_id, sizeof leg.call_id, "stranger-%llu", (unsigned long long)sip_number(w));
    snprintf(leg.our_tag, sizeof leg.our_tag, "strange");
    snprintf(ruri, sizeof ruri, "sip:%s", w->xmpp->user[x].jid);
    struct buffer *b = sip_begin(
        w, "SUBSCRIBE", ruri, trusted_address ? "sip:tybalt@foreign.example" : w->sip->user[0].uri,
        ruri, &leg, branch);
    sip_line(b, "Contact: <sip:tybalt@127.0.0.1:%d>", GATEWAY_PROXY);
    sip_line(b, "Expires: 600");
    sip_body(b, (struct text){0});
    net_to_gateway(w, (struct text){b->p, b->n}, &source, GATEWAY_LISTEN);
}

void sip_create(struct world *w)
{
    struct sip *p = w->sip = calloc(1, sizeof *w->sip);
    if (!p || !(p->user = calloc(w->opt.sip_users, sizeof *p->user)) ||
        sip_parser_create(&p->parser, 65536) || pidf_reader_create(&p->reader))
        abort();
    buffer_init(&p->b, 0);
    sip_wire_create(w);
    for (unsigned s = 0; s < w->opt.sip_users; s++) {
        struct sip_user *u = &p->user[s];
        snprintf(u->jid, sizeof u->jid, "romeo%u@example.net", s);
        snprintf(u->uri, sizeof u->uri,
                 s % 2 ? "sip:Romeo%u@example.net" : "sip:romeo%u@example.net", s);
    }
}

void sip_destroy(struct world *w)
{
    struct sip *p = w->sip;
    for (size_t i = 0; i < p->n_notifiers; i++)
        free(p->notifier[i]);
    free(p->notifier);
    free(p->user);
    sip_wire_free(w);
    sip_parser_destroy(p->parser);
    pidf_reader_destroy(p->reader);
    buffer_free(&p->b);
    free(p);
}
