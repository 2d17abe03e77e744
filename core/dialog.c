// Notification dialogs of both roles: their texts, identity, numbers, turns and ends.
//
// A dialog's texts lie in one block: FIELD_COUNT lengths of one byte each (`wide`: two), the bytes,
// and behind them its next hop, if that is another than the proxy (`has_hop`).
#include "core/dialog.h"

#include <errno.h>

#include "core/credentials.h"
#include "core/hex.h"
#include "core/next_hop.h"
#include "core/serve.h"
#include "core/sub.h"
#include "core/transaction.h"
#include "core/watch.h"
#include "core/wire/sip_route.h"

// ---- The block of texts

static size_t dialog_length(const struct dialog *d, unsigned field)
{
    uint16_t wide;
    if (!d->wide)
        return (uint8_t)d->text[field];
    memcpy(&wide, d->text + sizeof wide * field, sizeof wide);
    return wide;
}

// Where a field begins; FIELD_COUNT: where all of them end.
static size_t dialog_offset(const struct dialog *d, unsigned field)
{
    size_t at = (size_t)FIELD_COUNT << d->wide;
    for (unsigned i = 0; i < field; i++)
        at += dialog_length(d, i);
    return at;
}

static void dialog_drop_texts(struct core *c, struct dialog *d)
{
    if (!d->text)
        return;
    size_t n = dialog_offset(d, FIELD_COUNT) + (d->has_hop ? sizeof(struct hop) : 0);
    shelf_give(&c->shelf, d->text, n);
}

static void dialog_drop(struct core *c, uint32_t handle)
{
    dialog_drop_texts(c, core_dialog(c, handle));
    pool_give(&c->dialogs, handle);
}

// ---- Begin and end

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
    d->direction = (uint8_t)direction;
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
        d->owner_hash = owner_hash;
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
    dialog_drop(c, handle);
    c->stats.dialogs--;
}

void dialog_free_all(struct core *c)
{
    for (uint32_t h = 0; (h = pool_after(&c->dialogs, h));)
        dialog_drop(c, h);
}

struct text dialog_get(const struct dialog *d, enum dialog_field field)
{
    if (!d->text)
        return (struct text){"", 0};
    return (struct text){d->text + dialog_offset(d, field), dialog_length(d, field)};
}

static void dialog_get_all(const struct dialog *d, struct text fields[FIELD_COUNT])
{
    for (unsigned i = 0; i < FIELD_COUNT; i++)
        fields[i] = dialog_get(d, i);
}

// What its texts say of the way, once and for all: what sort of routes there are, and a numeric
// next hop. False: that is the proxy, or goes by name.
static bool dialog_find_way(const struct core *c, struct dialog *d,
                            const struct text fields[FIELD_COUNT], struct hop *hop)
{
    struct text target = fields[FIELD_TARGET], first, rest;
    struct sip_uri uri;
    bool routed = sip_route_first(fields[FIELD_ROUTES], &first, &rest);
    d->route = 0;
    if (routed && sip_uri_parse(&uri, first) == 0)
        d->route = ((uri.scheme == SCHEME_SIPS ? ROUTE_SIPS : 0u) |
                    (uri.lr || !target.n ? 0u : ROUTE_STRICT)) &
                   ROUTE_BITS;
    if (target.n >= 5 && text_eq_nocase((struct text){target.p, 5}, TEXT("sips:")))
        d->route |= ROUTE_SIPS;
    bool by_proxy = next_hop_has_proxy(c) && !routed;
    return !by_proxy && next_hop_numeric(routed ? first : target, hop);
}

void dialog_hop(const struct core *c, const struct dialog *d, struct hop *out)
{
    if (d->has_hop)
        memcpy(out, d->text + dialog_offset(d, FIELD_COUNT), sizeof *out);
    else
        *out = c->cfg.proxy;
}

static bool dialog_write_texts(struct core *c, struct dialog *d,
                               const struct text fields[FIELD_COUNT], const struct hop *hop,
                               size_t n)
{
    char *text = shelf_take(&c->shelf, n), *at = text;
    if (!text)
        return false;
    for (unsigned i = 0; i < FIELD_COUNT; i++, at += 1 + d->wide) {
        uint16_t length = (uint16_t)fields[i].n; // little endian: its first byte is the low one
        memcpy(at, &length, 1 + d->wide);
    }
    for (unsigned i = 0; i < FIELD_COUNT; at += fields[i].n, i++)
        if (fields[i].n)
            memcpy(at, fields[i].p, fields[i].n);
    if (d->has_hop)
        memcpy(at, hop, sizeof *hop);
    d->text = text;
    return true;
}

int dialog_set(struct core *c, struct dialog *d, const struct text fields[FIELD_COUNT])
{
    struct dialog before = *d;
    struct hop hop;
    size_t total = FIELD_COUNT * sizeof(uint16_t), longest = 0;
    for (unsigned i = 0; i < FIELD_COUNT; i++) {
        total += fields[i].n;
        longest = fields[i].n > longest ? fields[i].n : longest;
        if (total > CORE_DIALOG_TEXT_MAX)
            return EMSGSIZE;
    }
    d->wide = longest > UINT8_MAX;
    d->has_hop = dialog_find_way(c, d, fields, &hop);
    if (!d->wide)
        total -= FIELD_COUNT;
    if (!dialog_write_texts(c, d, fields, &hop, total + (d->has_hop ? sizeof hop : 0))) {
        *d = before;
        return ENOMEM;
    }
    dialog_drop_texts(c, &before); // which the new ones may have been a part of
    return 0;
}

// The other half of our tag: the user's, by which it is seen whose shard the dialog is on.
static uint32_t dialog_owner_hash(const struct core *c, const struct dialog *d)
{
    return d->sub ? core_user(c, core_sub(c, d->sub)->user)->hash : d->owner_hash;
}

struct text dialog_tag(const struct core *c, const struct dialog *d, char out[CORE_TAG_HEX])
{
    hex_write(out, dialog_owner_hash(c, d), 8);
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
        if (d->tag != tag)
            continue;
        if (d->sub) // it is wanted next, and comes while the texts do
            __builtin_prefetch(core_sub(c, d->sub));
        if (text_eq(dialog_get(d, FIELD_CALL_ID), sip_text(m, m->call_id)) &&
            dialog_owner_hash(c, d) == hash)
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
    d->flags &= (uint16_t)~DIALOG_TURN;
    if (wait == WAIT_NONE)
        return;
    d->timer = wheel_add(&c->wheel, due_ms, TIMER_DIALOG, handle);
    if (!d->timer && c->fx)
        c->fx->failed = true;
}

// So many dialogs refreshed every `expires_s` are to have room four times over.
static uint32_t dialog_overdue_per_s(const struct core *c)
{
    uint64_t usual = c->stats.dialogs / (c->cfg.settings.expires_s ? c->cfg.settings.expires_s : 1);
    return 4 * usual > CORE_OVERDUE_PER_S ? (uint32_t)(4 * usual) : CORE_OVERDUE_PER_S;
}

void dialog_wait_turn(struct core *c, uint32_t handle, enum dialog_wait wait, uint64_t from_ms)
{
    dialog_wait(c, handle, wait, turnstile_take(&c->overdue, from_ms, dialog_overdue_per_s(c)));
    core_dialog(c, handle)->flags |= DIALOG_TURN;
}

bool dialog_has_turn(struct core *c, uint32_t handle, enum dialog_wait wait)
{
    struct dialog *d = core_dialog(c, handle);
    bool had = d->flags & DIALOG_TURN;
    d->flags &= (uint16_t)~DIALOG_TURN;
    if (had)
        return true;
    uint64_t turn_ms = turnstile_take(&c->overdue, c->now_ms, dialog_overdue_per_s(c));
    if (turn_ms <= c->now_ms)
        return true;
    dialog_wait(c, handle, wait, turn_ms);
    d->flags |= DIALOG_TURN;
    return false;
}

uint32_t dialog_left_s(const struct core *c, const struct dialog *d)
{
    return d->expires_ms > c->now_ms ? (uint32_t)((d->expires_ms - c->now_ms) / 1000) : 0;
}

// A 2xx to a SUBSCRIBE or NOTIFY within the dialog names the remote target anew (RFC 3261
// §12.2.1.2, RFC 6665 §3.1 and §4.4.1 on target refresh). Before the dialog has formed it is not
// the one to say.
static void dialog_refreshed(struct core *c, struct dialog *d, const struct sip_message *m)
{
    struct text fields[FIELD_COUNT], contact = sip_text(m, m->contact);
    struct text tag = dialog_get(d, FIELD_REMOTE_TAG);
    if (!contact.n || !tag.n || text_eq(contact, dialog_get(d, FIELD_TARGET)) ||
        !text_eq(tag, sip_text(m, m->to_tag)))
        return;
    dialog_get_all(d, fields);
    fields[FIELD_TARGET] = contact;
    if (dialog_set(c, d, fields) == 0 && d->sub)
        sub_touch(c, d->sub);
}

// True: the request has left once more, with credentials.
static bool dialog_challenged(struct core *c, uint32_t handle, const struct hop *from,
                              enum sip_method method, unsigned status, const struct sip_message *m)
{
    struct dialog *d = core_dialog(c, handle);
    bool challenge = m && (status == 401 || status == 407);
    if (!challenge || !credentials_challenged(c->credentials, from, m, &d->tried)) {
        d->tried = (struct credentials_tried){0};
        return false;
    }
    if (method == SIP_SUBSCRIBE)
        return watch_challenged(c, handle);
    serve_challenged(c, handle);
    return true;
}

void dialog_resent(struct core *c, uint32_t handle)
{
    if (core_dialog(c, handle)->wait == WAIT_NOTIFY)
        dialog_wait(c, handle, WAIT_NOTIFY, c->now_ms + 64 * (uint64_t)c->cfg.t1_ms);
}

void dialog_answered(struct core *c, uint32_t handle, const struct hop *from,
                     enum sip_method method, unsigned status, const struct sip_message *m)
{
    if (dialog_challenged(c, handle, from, method, status, m))
        return;
    if (m && status < 300)
        dialog_refreshed(c, core_dialog(c, handle), m);
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
