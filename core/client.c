// Non-INVITE client transactions (RFC 3261 §17.1.2), one after the other for as long as a request
// has places left to go to (RFC 3263 §4.3).
//
// Our branch is the magic cookie, two hex digits of the shard, eight of the transaction's handle
// and sixteen random ones, so a response needs no index to find its transaction, and a guessed one
// finds nothing. The state Completed (timer K) is left out on the client side: a late response copy
// names a handle that is free or has another nonce, and is dropped just the same. Each attempt has
// a nonce of its own, so what an earlier place answers late is dropped, too.
#include "core/transaction.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "core/contact.h"
#include "core/dialog.h"
#include "core/domain.h"
#include "core/hex.h"
#include "core/peer.h"
#include "core/trial.h"
#include "core/wire/memory.h"

enum { BRANCH_COOKIE = 7, BRANCH_N = BRANCH_COOKIE + 2 + 8 + 16 };

static const char branch_cookie[] = "z9hG4bK";

static struct client *client_at(const struct core *c, uint32_t handle)
{
    return pool_at(&c->clients, handle);
}

static bool branch_read(struct text branch, uint64_t *shard, uint64_t *handle, uint64_t *nonce)
{
    return branch.n == BRANCH_N && memcmp(branch.p, branch_cookie, BRANCH_COOKIE) == 0 &&
           hex_read(branch.p + BRANCH_COOKIE, 2, shard) &&
           hex_read(branch.p + BRANCH_COOKIE + 2, 8, handle) &&
           hex_read(branch.p + BRANCH_COOKIE + 10, 16, nonce);
}

// Of a new attempt.
static struct text branch_write(struct core *c, uint32_t handle, char out[BRANCH_N])
{
    struct client *t = client_at(c, handle);
    t->nonce = hash_random_u64(&c->random);
    memcpy(out, branch_cookie, BRANCH_COOKIE);
    hex_write(out + BRANCH_COOKIE, c->cfg.shard, 2);
    hex_write(out + BRANCH_COOKIE + 2, handle, 8);
    hex_write(out + BRANCH_COOKIE + 10, t->nonce, 16);
    return (struct text){out, BRANCH_N};
}

bool client_branch_shard(struct text branch, unsigned *shard)
{
    uint64_t s, handle, nonce;
    if (!branch_read(branch, &s, &handle, &nonce))
        return false;
    *shard = (unsigned)s;
    return true;
}

// ---- Bytes

// Whom the certificate must name, as bytes before the effect's own.
static struct span client_put_domain(struct core *c, const struct trial *x, const struct hop *to)
{
    struct text domain = {0};
    if (to->transport != HOP_TLS)
        return (struct span){0};
    if (x && x->name)
        domain = next_hop_domain(c, x->name);
    else if (hop_eq(to, &c->cfg.proxy))
        domain = c->cfg.proxy_name;
    struct span at = {(uint32_t)c->fx->bytes.n, (uint32_t)domain.n};
    buffer_text(&c->fx->bytes, domain);
    return at;
}

// The effect that sends something to `to`; its bytes are still to be written. NULL: no memory.
static struct effect *client_effect(struct core *c, const struct trial *x, const struct hop *to)
{
    struct span domain = client_put_domain(c, x, to);
    struct effect *e = effects_begin(c->fx, EFFECT_SIP);
    if (!e)
        return NULL;
    e->to = *to;
    e->port = SIP_PORT_SHARD(c->cfg.shard);
    e->server_name = domain;
    return e;
}

static void client_effect_end(struct core *c, struct effect *e)
{
    effects_end(c->fx, e);
    c->stats.sip_out++;
}

// The bytes as they were sent before.
static void client_emit(struct core *c, const struct client *t)
{
    struct effect *e = client_effect(c, t->trial, &core_peer(c, t->hop)->hop);
    if (!e)
        return;
    buffer_add(&c->fx->bytes, t->bytes, t->n);
    client_effect_end(c, e);
}

// Keeps what was written behind e's beginning.
static bool client_keep(struct core *c, struct client *t, const struct effect *e)
{
    size_t n = c->fx->bytes.n - e->bytes.off;
    char *bytes = c->fx->bytes.failed ? NULL : memory_take(n);
    if (!bytes) {
        c->fx->failed |= c->fx->bytes.failed;
        return false;
    }
    memcpy(bytes, c->fx->bytes.p + e->bytes.off, n);
    free(t->bytes);
    t->bytes = bytes;
    t->n = (uint32_t)n;
    return true;
}

// ---- Begin and end

static void client_unhop(struct core *c, struct client *t)
{
    if (t->hop)
        peer_leave(c, t->hop);
    t->hop = 0;
}

static void client_forget(struct core *c, uint32_t handle)
{
    struct client *t = client_at(c, handle);
    if (t->trial && t->trial->waiting)
        next_hop_unwait(c, t->trial->name, handle);
    if (t->opens_with != DOMAIN_NONE)
        c->domains[t->opens_with].opening--;
    wheel_cancel(&c->wheel, &t->timer);
    client_unhop(c, t);
    trial_free(c, t->trial);
    free(t->bytes);
    pool_give(&c->clients, handle);
    c->stats.client_transactions--;
}

static void client_arm(struct core *c, uint32_t handle, uint64_t due_ms)
{
    struct client *t = client_at(c, handle);
    wheel_cancel(&c->wheel, &t->timer);
    t->timer =
        wheel_add(&c->wheel, due_ms < t->give_up_ms ? due_ms : t->give_up_ms, TIMER_CLIENT, handle);
    if (!t->timer)
        c->fx->failed = true;
}

static bool client_is_reliable(const struct core *c, const struct client *t)
{
    return core_peer(c, t->hop)->hop.transport != HOP_UDP;
}

// When it is to be sent again or given up (RFC 3261 §17.1.2.2: timer E is for UDP only).
static void client_arm_next(struct core *c, uint32_t handle)
{
    struct client *t = client_at(c, handle);
    uint64_t until_ms = t->trial ? t->trial->until_ms : t->give_up_ms;
    uint64_t due_ms = client_is_reliable(c, t) ? until_ms : c->now_ms + t->interval_ms;
    client_arm(c, handle, due_ms < until_ms ? due_ms : until_ms);
}

// Where the request is now; over TCP for its size alone counts as the UDP place that it is.
static struct hop client_place(const struct core *c, const struct client *t)
{
    if (!t->hop)
        return (struct hop){0};
    if (t->trial && t->trial->over_tcp)
        return t->trial->hops[t->trial->at];
    return core_peer(c, t->hop)->hop;
}

// The transaction is over, for good or since no place is left: `status` is that of `m`, or without
// a message 408 or 503.
static void client_end(struct core *c, uint32_t handle, unsigned status,
                       const struct sip_message *m)
{
    struct client *t = client_at(c, handle);
    uint32_t dialog = t->dialog;
    enum sip_method method = t->method;
    struct hop from = client_place(c, t);
    struct sip_message *last = t->trial ? t->trial->last : NULL;
    if (last)
        t->trial->last = NULL;
    client_forget(c, handle);
    if (dialog) {
        core_dialog(c, dialog)->client = 0;
        dialog_answered(c, dialog, &from, method, status, m);
    }
    free(last); // which `m` may be
}

// No final answer: the last one that sent us elsewhere stands, else 408 for silence and 503 for
// places that could not be reached (RFC 3261 §8.1.3.1).
static void client_give_up(struct core *c, uint32_t handle)
{
    struct client *t = client_at(c, handle);
    struct sip_message *last = t->trial ? t->trial->last : NULL;
    if (t->trial && t->hop)
        trial_failed(c, t->trial, PEER_DEAD_MS);
    if (last) {
        client_end(c, handle, last->status, last);
    } else if (t->flags & (CLIENT_OVER | CLIENT_REFUSED)) {
        client_end(c, handle, 503, NULL);
    } else {
        c->stats.timeouts++;
        client_end(c, handle, 408, NULL);
    }
}

// ---- From place to place

// The present place gets an equal share of the time that is left.
static uint64_t client_share_ms(const struct core *c, const struct client *t)
{
    return c->now_ms + (t->give_up_ms - c->now_ms) / (1 + trial_left(t->trial));
}

// A new top Via, and a Contact for the transport. A request that goes over TCP for its size alone
// keeps its Contact: nothing says that the peer wants to come back that way.
static void client_rewrite(struct core *c, uint32_t handle, const struct hop *to)
{
    struct client *t = client_at(c, handle);
    struct trial *x = t->trial;
    struct text old = {t->bytes + x->places.contact.off, x->places.contact.n};
    struct sip_uri uri = {0};
    char branch[BRANCH_N];
    sip_uri_parse(&uri, old);
    bool sips = uri.scheme == SCHEME_SIPS;
    buffer_reset(&c->addr);
    contact_write_scheme(c, sips, &c->addr);
    buffer_text(&c->addr, uri.user);
    if (uri.user.n)
        buffer_char(&c->addr, '@');
    contact_write_place(c, x->hops[x->at].transport, sips, uri.gr, &c->addr);
    struct sip_request r = {.via_transport = contact_transport(to->transport),
                            .via_host = text_of(c->advertise),
                            .via_port = contact_port(c, to->transport),
                            .branch = branch_write(c, handle, branch),
                            .contact = {c->addr.p, c->addr.n}};
    sip_rewrite_request(&c->fx->bytes, (struct text){t->bytes, t->n}, &x->places, &r);
}

static void client_try(struct core *c, uint32_t handle, const struct hop *to)
{
    struct client *t = client_at(c, handle);
    struct trial *x = t->trial;
    t->hop = peer_enter(c, to);
    struct effect *e = t->hop ? client_effect(c, x, to) : NULL;
    if (!e) {
        c->fx->failed = true;
        return;
    }
    client_rewrite(c, handle, to);
    if (!client_keep(c, t, e)) {
        c->fx->failed = true;
        return;
    }
    client_effect_end(c, e);
    t->flags = 0;
    t->interval_ms = c->cfg.t1_ms;
    x->until_ms = client_share_ms(c, t);
    client_arm_next(c, handle);
    if (t->dialog)
        dialog_resent(c, t->dialog);
}

// No place is left. If nobody has said a word, they may just be starting anew: all of them once
// more, after a while, and by what their name says then.
static void client_rest(struct core *c, uint32_t handle)
{
    struct client *t = client_at(c, handle);
    struct trial *x = t->trial;
    bool over = x->last || x->n == 0 || c->now_ms + CORE_T2_MS >= t->give_up_ms;
    t->flags = over ? CLIENT_OVER : CLIENT_REFUSED;
    if (!over)
        trial_rewind(x);
    // The end comes by the timer, for the dialog may be the caller's caller.
    client_arm(c, handle, over ? c->now_ms : c->now_ms + CORE_T2_MS);
}

// On to the next place; first of all, if need be, to the resolver.
static void client_go(struct core *c, uint32_t handle)
{
    struct client *t = client_at(c, handle);
    struct trial *x = t->trial;
    struct hop to;
    if (!x->loaded && !next_hop_ready(c, x->name)) {
        next_hop_wait(c, x->name, handle);
        client_arm(c, handle, t->give_up_ms);
        return;
    }
    if (!x->loaded)
        trial_load(c, x);
    if (c->now_ms < t->give_up_ms && trial_next(c, x, t->n, &to))
        client_try(c, handle, &to);
    else
        client_rest(c, handle);
}

void client_resolved(struct core *c, uint32_t handle)
{
    client_go(c, handle);
}

// The present place is of no use. `for_ms`: how long to remember that.
static void client_failed(struct core *c, uint32_t handle, uint64_t for_ms)
{
    struct client *t = client_at(c, handle);
    if (!t->trial) { // there is no other; datagrams are sent again in any case
        t->flags |= CLIENT_REFUSED;
        if (client_is_reliable(c, t))
            client_arm(c, handle, c->now_ms + CORE_T2_MS);
        return;
    }
    if (for_ms)
        trial_failed(c, t->trial, for_ms);
    client_unhop(c, t);
    client_go(c, handle);
}

// As many as are in flight there are looked for, so the walk over all ends early, and those that
// were found have gone elsewhere or wait: the next such event finds none.
void client_unreachable(struct core *c, const struct hop *hop)
{
    uint32_t peer = peer_find(c, hop);
    uint32_t left = peer ? core_peer(c, peer)->in_flight : 0;
    for (uint32_t h = 0; left && (h = pool_after(&c->clients, h));) {
        const struct client *t = client_at(c, h);
        if (t->hop != peer)
            continue;
        left--;
        if (!(t->flags & CLIENT_REFUSED))
            client_failed(c, h, PEER_DEAD_MS);
    }
}

// ---- What the dialogs call

static void client_note(struct core *c, struct client *t, const struct sip_request *r,
                        const struct next_hop *to, uint32_t dialog)
{
    t->dialog = dialog;
    t->opens_with = to->opens_with;
    if (t->opens_with != DOMAIN_NONE)
        c->domains[t->opens_with].opening++;
    t->method = (uint8_t)r->method;
    t->interval_ms = c->cfg.t1_ms;
    t->give_up_ms = c->now_ms + 64 * (uint64_t)c->cfg.t1_ms; // timer F
    c->stats.client_transactions++;
}

// One numeric place, and no question of size: all at once.
static bool client_is_plain(const struct core *c, const struct next_hop *to, size_t n)
{
    return to->hop.family && !to->name &&
           (to->hop.transport != HOP_UDP || n <= TRIAL_DATAGRAM_MAX ||
            peer_is_udp_only(c, &to->hop));
}

// The effect is written: let it out, or take it back to go by way of a trial. ENOMEM.
static int client_begin(struct core *c, uint32_t handle, struct next_hop *to, struct effect *e,
                        const struct sip_places *places)
{
    struct client *t = client_at(c, handle);
    if (client_is_plain(c, to, t->n)) {
        t->hop = to->peer;
        to->peer = 0;
        client_effect_end(c, e);
        client_arm_next(c, handle);
        return 0;
    }
    c->fx->bytes.n = e->bytes.off;
    t->trial = trial_create(c, to);
    if (!t->trial)
        return ENOMEM;
    t->trial->places = *places;
    client_go(c, handle);
    return 0;
}

static int client_write(struct core *c, uint32_t handle, struct sip_request *r, struct next_hop *to)
{
    struct sip_places places;
    char branch[BRANCH_N];
    r->via_transport = contact_transport(to->hop.transport);
    r->via_port = contact_port(c, to->hop.transport);
    r->branch = branch_write(c, handle, branch);
    size_t before = c->fx->bytes.n;
    struct effect *e = client_effect(c, NULL, &to->hop);
    if (!e)
        return ENOMEM;
    sip_write_request_places(&c->fx->bytes, r, &places);
    int err =
        client_keep(c, client_at(c, handle), e) ? client_begin(c, handle, to, e, &places) : ENOMEM;
    if (err && !c->fx->bytes.failed)
        c->fx->bytes.n = before;
    return err;
}

// Dialogs that are there have a part of it to themselves: those that would be new may all wait for
// one domain that answers nothing, behind a proxy that serves the others well.
static uint32_t client_room_most(const struct core *c, bool opens)
{
    uint32_t all = c->cfg.settings.requests_in_flight_per_peer;
    return opens ? all - all / CORE_ROOM_KEPT_PART : all;
}

// Nor are those of that one domain to keep new ones of others out, for as long as somebody asks for
// more: half of the room for the first, half of what is left for a second …, so some is left
// always.
static bool client_leaves_room(const struct core *c, uint16_t domain, uint32_t left)
{
    return domain == DOMAIN_NONE || c->n_sip_domains < 2 || c->domains[domain].opening <= left;
}

bool client_room(struct core *c, struct next_hop *to, bool opens, uint16_t domain)
{
    uint32_t most = client_room_most(c, opens), in_flight;
    to->opens_with = opens ? domain : DOMAIN_NONE;
    if (to->name && next_hop_waiting(c, to->name) >= most)
        return false;
    if (!to->hop.family)
        return true;
    to->peer = peer_enter(c, &to->hop);
    in_flight = to->peer ? core_peer(c, to->peer)->in_flight : UINT32_MAX;
    return in_flight <= most && client_leaves_room(c, to->opens_with, most - in_flight);
}

int client_start(struct core *c, struct sip_request *r, struct next_hop *to, uint32_t dialog,
                 uint32_t *client)
{
    uint32_t handle = pool_take(&c->clients);
    if (!handle)
        return ENOMEM;
    client_note(c, client_at(c, handle), r, to, dialog);
    int err = client_write(c, handle, r, to);
    if (err) {
        client_forget(c, handle);
        return err;
    }
    *client = handle;
    return 0;
}

void client_disown(struct core *c, uint32_t *handle)
{
    if (*handle)
        client_at(c, *handle)->dialog = 0;
    *handle = 0;
}

// ---- Responses and timers

static struct client *client_match(struct core *c, const struct sip_message *m, uint32_t *handle)
{
    uint64_t shard, h, nonce;
    if (!branch_read(sip_text(m, m->branch), &shard, &h, &nonce) || shard != c->cfg.shard)
        return NULL;
    if (!pool_has(&c->clients, h))
        return NULL;
    struct client *t = client_at(c, (uint32_t)h);
    if (t->nonce != nonce || t->method != m->method)
        return NULL;
    *handle = (uint32_t)h;
    return t;
}

static struct sip_message *client_copy(const struct sip_message *m)
{
    struct sip_message *copy = memory_take(m->size);
    if (copy)
        memcpy(copy, m, m->size);
    return copy;
}

// 503: the next place, if there is one (RFC 3263 §4.3). Who says for how long is left alone for
// that time, within bounds (RFC 3261 §21.5.4). False: it is the answer.
static bool client_elsewhere(struct core *c, uint32_t handle, const struct sip_message *m)
{
    struct trial *x = client_at(c, handle)->trial;
    if (m->status != 503 || !x)
        return false;
    uint64_t for_ms = m->retry_after == SIP_ABSENT ? 0 : m->retry_after * (uint64_t)1000;
    x->over_tcp = false; // what it says it would say over UDP as well
    if (for_ms)
        trial_failed(c, x, for_ms < PEER_DEAD_MS ? for_ms : PEER_DEAD_MS);
    if (!trial_left(x))
        return false;
    free(x->last);
    x->last = client_copy(m);
    client_failed(c, handle, 0);
    return true;
}

void client_response(struct core *c, const struct sip_message *m)
{
    uint32_t handle;
    struct client *t = client_match(c, m, &handle);
    if (!t) {
        c->stats.unmatched++;
        return;
    }
    if (t->hop)
        peer_lives(c, t->hop);
    if (m->status < 200) { // Proceeding: go on at T2 (§17.1.2.2), and nowhere else
        t->flags |= CLIENT_PROCEEDING;
        t->interval_ms = CORE_T2_MS;
        if (t->trial)
            t->trial->until_ms = t->give_up_ms;
        return;
    }
    if (!client_elsewhere(c, handle, m))
        client_end(c, handle, m->status, m);
}

static void client_again(struct core *c, uint32_t handle)
{
    struct client *t = client_at(c, handle);
    client_emit(c, t);
    c->stats.retransmits++;
    if ((t->flags & CLIENT_REFUSED) && t->dialog)
        dialog_resent(c, t->dialog); // this one may be the first that arrives
    t->flags &= (uint8_t)~CLIENT_REFUSED;
    bool slow = (t->flags & CLIENT_PROCEEDING) || t->interval_ms * 2 > CORE_T2_MS;
    t->interval_ms = slow ? CORE_T2_MS : t->interval_ms * 2;
    client_arm_next(c, handle);
}

void client_due(struct core *c, uint32_t handle)
{
    struct client *t = client_at(c, handle);
    t->timer = 0;
    if ((t->flags & CLIENT_OVER) || c->now_ms >= t->give_up_ms)
        client_give_up(c, handle);
    else if (!t->hop)
        client_go(c, handle);
    else if (t->trial && c->now_ms >= t->trial->until_ms)
        client_failed(c, handle, PEER_DEAD_MS);
    else if (client_is_reliable(c, t) && !(t->flags & CLIENT_REFUSED))
        client_arm_next(c, handle);
    else
        client_again(c, handle);
}

void client_free_all(struct core *c)
{
    for (uint32_t h = 0; (h = pool_after(&c->clients, h));) {
        struct client *t = client_at(c, h);
        if (t->trial)
            free(t->trial->last);
        free(t->trial);
        free(t->bytes);
    }
}
