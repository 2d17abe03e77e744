// Notification dialogs of both roles: identity, CSeq, targets, requests.
//
// A dialog's texts lie in one block: FIELD_COUNT lengths of two bytes each, then the bytes.
#include "core/dialog.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "core/domain.h"
#include "core/hex.h"
#include "core/serve.h"
#include "core/sub.h"
#include "core/transaction.h"
#include "core/watch.h"

static uint64_t dialog_fresh_tag(struct core *c)
{
    uint64_t tag;
    do
        tag = hash_random_u64(&c->random);
    while (tag == 0);
    return tag;
}

uint32_t dialog_create(struct core *c, uint32_t sub, uint32_t owner_hash,
                       enum core_direction direction, uint64_t tag)
{
    uint32_t handle = pool_take(&c->dialogs);
    if (!handle)
        return 0;
    struct dialog *d = core_dialog(c, handle);
    d->tag = tag ? tag : dialog_fresh_tag(c);
    d->owner_hash = owner_hash;
    d->direction = (uint8_t)direction;
    d->next_hop = c->cfg.proxy;
    if (!table_add(&c->dialog_index, (uint32_t)d->tag, handle)) {
        pool_give(&c->dialogs, handle);
        return 0;
    }
    if (sub) {
        struct sub *s = core_sub(c, sub);
        d->sub = sub;
        d->next_of_sub = s->first_dialog;
        s->first_dialog = handle;
        s->n_dialogs++;
    } else {
        c->n_fetches++;
    }
    c->stats.dialogs++;
    return handle;
}

static void dialog_unlink(struct core *c, uint32_t handle)
{
    struct dialog *d = core_dialog(c, handle);
    struct sub *s = core_sub(c, d->sub);
    uint32_t *at = &s->first_dialog;
    while (*at != handle)
        at = &core_dialog(c, *at)->next_of_sub;
    *at = d->next_of_sub;
    s->n_dialogs--;
    sub_touch(c, d->sub);
}

void dialog_free(struct core *c, uint32_t handle)
{
    struct dialog *d = core_dialog(c, handle);
    client_disown(c, &d->client);
    wheel_cancel(&c->wheel, &d->timer);
    wheel_cancel(&c->wheel, &d->notify_timer);
    if (d->sub)
        dialog_unlink(c, handle);
    else
        c->n_fetches--;
    table_remove(&c->dialog_index, (uint32_t)d->tag, handle);
    free(d->text);
    pool_give(&c->dialogs, handle);
    c->stats.dialogs--;
}

void dialog_free_all(struct core *c)
{
    for (uint32_t h = 1; h <= c->dialogs.used; h++)
        free(core_dialog(c, h)->text);
}

struct text dialog_get(const struct dialog *d, enum dialog_field field)
{
    uint16_t n[FIELD_COUNT];
    if (!d->text)
        return (struct text){"", 0};
    memcpy(n, d->text, sizeof n);
    size_t at = sizeof n;
    for (unsigned i = 0; i < field; i++)
        at += n[i];
    return (struct text){d->text + at, n[field]};
}

static void dialog_get_all(const struct dialog *d, struct text fields[FIELD_COUNT])
{
    for (unsigned i = 0; i < FIELD_COUNT; i++)
        fields[i] = dialog_get(d, i);
}

// The first route's host when it is numeric and one that we take SIP from: a user behind the proxy
// may write any Record-Route, and must not choose where our packets go. Else the proxy, which knows
// the way (the Route goes along).
static struct hop dialog_route_hop(const struct core *c, struct text routes)
{
    const char *open = routes.n ? memchr(routes.p, '<', routes.n) : NULL;
    const char *close = open ? memchr(open, '>', routes.n - (size_t)(open - routes.p)) : NULL;
    struct sip_uri uri;
    struct hop hop;
    if (!close || sip_uri_parse(&uri, (struct text){open + 1, (size_t)(close - open) - 1}) != 0 ||
        hop_parse(&hop, uri.host, uri.port ? uri.port : 5060, HOP_UDP) != 0 ||
        !domain_source_trusted(c, &hop))
        return c->cfg.proxy;
    return hop;
}

int dialog_set(struct core *c, struct dialog *d, const struct text fields[FIELD_COUNT])
{
    uint16_t n[FIELD_COUNT];
    size_t total = sizeof n;
    for (unsigned i = 0; i < FIELD_COUNT; i++) {
        if (fields[i].n > CORE_DIALOG_TEXT_MAX)
            return EMSGSIZE;
        n[i] = (uint16_t)fields[i].n;
        total += fields[i].n;
    }
    if (total > CORE_DIALOG_TEXT_MAX)
        return EMSGSIZE;
    char *text = malloc(total), *at = text + sizeof n;
    if (!text)
        return ENOMEM;
    memcpy(text, n, sizeof n);
    for (unsigned i = 0; i < FIELD_COUNT; at += n[i], i++)
        if (n[i])
            memcpy(at, fields[i].p, n[i]);
    free(d->text);
    d->text = text;
    d->next_hop = dialog_route_hop(c, dialog_get(d, FIELD_ROUTES));
    return 0;
}

struct text dialog_tag(const struct dialog *d, char out[CORE_TAG_HEX])
{
    hex_write(out, d->owner_hash, 8);
    hex_write(out + 8, d->tag, 16);
    return (struct text){out, CORE_TAG_HEX};
}

static bool dialog_tag_read(struct text tag, uint32_t *owner_hash, uint64_t *random)
{
    uint64_t hash;
    if (tag.n != CORE_TAG_HEX || !hex_read(tag.p, 8, &hash) || !hex_read(tag.p + 8, 16, random))
        return false;
    *owner_hash = (uint32_t)hash;
    return true;
}

bool dialog_tag_owner(struct text tag, uint32_t *hash)
{
    uint64_t random;
    return dialog_tag_read(tag, hash, &random);
}

uint32_t dialog_find(const struct core *c, const struct sip_message *m)
{
    uint32_t hash, handle;
    uint64_t tag;
    if (!dialog_tag_read(sip_text(m, m->to_tag), &hash, &tag))
        return 0;
    for (uint32_t at = table_first(&c->dialog_index, (uint32_t)tag, &handle); handle;
         at = table_next(&c->dialog_index, (uint32_t)tag, at, &handle)) {
        const struct dialog *d = core_dialog(c, handle);
        if (d->tag == tag && d->owner_hash == hash &&
            text_eq(dialog_get(d, FIELD_CALL_ID), sip_text(m, m->call_id)))
            return handle;
    }
    return 0;
}

int dialog_learn(struct core *c, struct dialog *d, const struct sip_message *m)
{
    struct text fields[FIELD_COUNT];
    dialog_get_all(d, fields);
    bool first = fields[FIELD_REMOTE_TAG].n == 0;
    struct text contact = sip_text(m, m->contact);
    if (!first && (contact.n == 0 || text_eq(contact, fields[FIELD_TARGET])))
        return 0;
    if (contact.n)
        fields[FIELD_TARGET] = contact;
    if (first) {
        fields[FIELD_REMOTE_TAG] = sip_text(m, m->from_tag);
        fields[FIELD_ROUTES] = sip_text(m, m->record_routes);
    }
    int err = dialog_set(c, d, fields);
    if (!err && d->sub)
        sub_touch(c, d->sub);
    return err;
}

enum dialog_order dialog_order(const struct dialog *d, const struct sip_message *m)
{
    if (!(d->flags & DIALOG_HEARD) || m->cseq > d->cseq_remote)
        return ORDER_NEW;
    return m->cseq == d->cseq_remote ? ORDER_SAME : ORDER_OLD;
}

void dialog_took(struct dialog *d, const struct sip_message *m)
{
    d->flags |= DIALOG_HEARD;
    d->cseq_remote = m->cseq;
}

void dialog_wait(struct core *c, uint32_t handle, enum dialog_wait wait, uint64_t due_ms)
{
    struct dialog *d = core_dialog(c, handle);
    wheel_cancel(&c->wheel, &d->timer);
    d->wait = (uint8_t)wait;
    if (wait == WAIT_NONE)
        return;
    d->timer = wheel_add(&c->wheel, due_ms, TIMER_DIALOG, handle);
    if (!d->timer && c->fx)
        c->fx->failed = true;
}

static void dialog_next_cseq(struct core *c, struct dialog *d)
{
    d->cseq++;
    if (d->cseq <= d->cseq_lease)
        return;
    d->cseq_lease = d->cseq + CORE_CSEQ_LEASE;
    if (d->sub)
        sub_touch(c, d->sub);
}

static void dialog_write_user(const struct core *c, const struct dialog *d, struct buffer *b)
{
    struct text own = dialog_get(d, FIELD_LOCAL_URI);
    struct sip_uri uri;
    if (own.n && sip_uri_parse(&uri, own) == 0)
        buffer_text(b, uri.user);
    else if (d->sub) {
        const struct user *u = core_user(c, core_sub(c, d->sub)->user);
        address_user_to_sip(b, (struct text){u->local, u->local_n});
    }
}

void dialog_write_contact(const struct core *c, const struct dialog *d, struct buffer *b)
{
    buffer_lit(b, "sip:");
    size_t before = b->n;
    dialog_write_user(c, d, b);
    if (b->n > before)
        buffer_char(b, '@');
    buffer_text(b, text_of(c->advertise));
    buffer_char(b, ':');
    buffer_u64(b, c->cfg.shard_port);
}

// The addresses of a request, one after the other in c->addr: the buffer may move while it grows,
// so places are noted first and turned into text at the end.
static bool dialog_addresses(struct core *c, const struct dialog *d, struct sip_request *r)
{
    struct text own = dialog_get(d, FIELD_LOCAL_URI), other = dialog_get(d, FIELD_REMOTE_URI);
    struct buffer *b = &c->addr;
    buffer_reset(b);
    dialog_write_contact(c, d, b);
    size_t contact_n = b->n;
    if (!own.n)
        sub_write_user_sip_uri(c, core_sub(c, d->sub), b);
    size_t own_n = b->n - contact_n;
    if (!other.n)
        sub_write_sip_uri(c, core_sub(c, d->sub), b);
    if (b->failed)
        return false;
    r->contact = (struct text){b->p, contact_n};
    r->from_uri = own.n ? own : (struct text){b->p + contact_n, own_n};
    size_t at = contact_n + own_n;
    r->to_uri = other.n ? other : (struct text){b->p + at, b->n - at};
    return true;
}

int dialog_send(struct core *c, uint32_t handle, struct sip_request *r)
{
    struct dialog *d = core_dialog(c, handle);
    char tag[CORE_TAG_HEX];
    assert(!d->client);
    if (!client_room(c, &d->next_hop))
        return EBUSY;
    if (!dialog_addresses(c, d, r))
        return ENOMEM;
    dialog_next_cseq(c, d);
    struct text target = dialog_get(d, FIELD_TARGET);
    r->ruri = target.n ? target : r->to_uri;
    r->via_host = text_of(c->advertise);
    r->via_port = c->cfg.shard_port;
    r->from_tag = dialog_tag(d, tag);
    r->to_tag = dialog_get(d, FIELD_REMOTE_TAG);
    r->call_id = dialog_get(d, FIELD_CALL_ID);
    r->cseq = d->cseq;
    r->routes = dialog_get(d, FIELD_ROUTES);
    r->event_id = dialog_get(d, FIELD_EVENT_ID);
    uint32_t client = client_start(c, r, &d->next_hop, handle);
    core_dialog(c, handle)->client = client;
    return client ? 0 : ENOMEM;
}

uint32_t dialog_left_s(const struct core *c, const struct dialog *d)
{
    return d->expires_ms > c->now_ms ? (uint32_t)((d->expires_ms - c->now_ms) / 1000) : 0;
}

void dialog_answered(struct core *c, uint32_t handle, enum sip_method method, unsigned status,
                     const struct sip_message *m)
{
    if (method == SIP_SUBSCRIBE)
        watch_answered(c, handle, status, m);
    else
        serve_answered(c, handle, status, m);
}

void dialog_due(struct core *c, uint32_t handle)
{
    struct dialog *d = core_dialog(c, handle);
    d->timer = 0;
    if (d->direction == XMPP_TO_SIP)
        watch_dialog_due(c, handle);
    else
        serve_dialog_due(c, handle);
}
