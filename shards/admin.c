// Questions and answers between the API and a shard, as flat little-endian messages.
#include "shards/admin.h"

#include <errno.h>
#include "core/wire/address.h"

enum {
    LIST_N_OFFSET = 1 + 8 + 8, // kind, tag, cursor: where the count of items stands
};

_Static_assert(ADMIN_ITEM_MAX + LIST_N_OFFSET + 4 <= ADMIN_ANSWER_MAX,
               "the longest item fits into an empty answer");
_Static_assert(1 + 8 + 8 + 4 + 2 + 2 * (2 + JID_MAX) <= ADMIN_QUESTION_MAX,
               "the longest filter fits into a question");

// --- writing

static void put_int(struct buffer *b, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        buffer_char(b, (char)(v >> 8 * i & 0xff));
}

static void put_text(struct buffer *b, struct text t, size_t max)
{
    size_t n = t.n < max ? t.n : max;
    put_int(b, n, 2);
    buffer_add(b, t.p, n);
}

static void put_head(struct buffer *b, enum admin_kind kind, uint64_t tag)
{
    put_int(b, kind, 1);
    put_int(b, tag, 8);
}

void admin_write_ping(struct buffer *b, uint64_t tag)
{
    put_head(b, ADMIN_PING, tag);
}

void admin_write_list(struct buffer *b, uint64_t tag, const struct core_filter *filter,
                      uint64_t cursor, uint32_t limit)
{
    put_head(b, ADMIN_LIST, tag);
    put_int(b, cursor, 8);
    put_int(b, limit < ADMIN_ITEMS_MAX ? limit : ADMIN_ITEMS_MAX, 4);
    put_int(b, (uint8_t)filter->direction, 1);
    put_int(b, (uint8_t)filter->state, 1);
    put_text(b, filter->jid, JID_MAX);
    put_text(b, filter->sip_jid, JID_MAX);
}

// --- reading; `bad` is sticky, so that a row of fields is looked at once, at its end

struct reader {
    struct text rest;
    bool bad;
};

static struct text take(struct reader *r, size_t n)
{
    if (r->bad || n > r->rest.n) {
        r->bad = true;
        return TEXT("");
    }
    struct text t = {r->rest.p, n};
    r->rest = (struct text){r->rest.p + n, r->rest.n - n};
    return t;
}

static uint64_t take_int(struct reader *r, unsigned bytes)
{
    struct text t = take(r, bytes);
    uint64_t v = 0;
    for (size_t i = 0; i < t.n; i++)
        v |= (uint64_t)(uint8_t)t.p[i] << 8 * i;
    return v;
}

static struct text take_text(struct reader *r, size_t max)
{
    size_t n = take_int(r, 2);
    if (n > max)
        r->bad = true;
    return take(r, n);
}

// 0 … last, or -1 for "any", which travels as 255.
static int take_choice(struct reader *r, int last)
{
    int v = (int8_t)take_int(r, 1);
    if (v < -1 || v > last)
        r->bad = true;
    return v;
}

// --- the shard's side

struct collector {
    struct buffer *out;
    uint32_t n, limit;
    size_t begin;
};

static void put_item(struct buffer *b, const struct core_subscription_view *s)
{
    size_t shown = s->n_dialogs < CORE_DIALOG_VIEWS_MAX ? s->n_dialogs : CORE_DIALOG_VIEWS_MAX;
    put_int(b, s->id, 8);
    put_int(b, s->direction, 1);
    put_int(b, s->state, 1);
    put_int(b, s->expires_in_s, 4);
    put_int(b, s->created_at_ms, 8);
    put_int(b, s->n_dialogs, 8);
    put_text(b, s->xmpp, ADMIN_ADDRESS_MAX);
    put_text(b, s->sip, ADMIN_ADDRESS_MAX);
    for (size_t i = 0; i < shown; i++) {
        put_int(b, s->dialogs[i].expires_in_s, 4);
        put_text(b, s->dialogs[i].call_id, ADMIN_CALL_ID_MAX);
        put_text(b, s->dialogs[i].remote, ADMIN_REMOTE_MAX);
    }
}

// False when this one has to wait for the next question: core_list() then returns its place.
static bool collect(void *arg, const struct core_subscription_view *s)
{
    struct collector *c = arg;
    if (c->n == c->limit || c->out->n - c->begin + ADMIN_ITEM_MAX > ADMIN_ANSWER_MAX)
        return false;
    put_item(c->out, s);
    c->n++;
    return true;
}

static void overwrite_int(struct buffer *b, size_t at, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes && !b->failed; i++)
        b->p[at + i] = (char)(v >> 8 * i & 0xff);
}

static int answer_list(const struct core *core, struct reader *r, uint64_t tag, uint64_t now_ms,
                       struct buffer *out)
{
    uint64_t cursor = take_int(r, 8);
    struct collector c = {.out = out, .begin = out->n, .limit = (uint32_t)take_int(r, 4)};
    struct core_filter filter = {0};
    filter.direction = take_choice(r, SIP_TO_XMPP);
    filter.state = take_choice(r, STATE_DORMANT);
    filter.jid = take_text(r, JID_MAX);
    filter.sip_jid = take_text(r, JID_MAX);
    if (r->bad || r->rest.n || !c.limit || c.limit > ADMIN_ITEMS_MAX)
        return EBADMSG;
    put_head(out, ADMIN_LIST, tag);
    put_int(out, 0, 8);
    put_int(out, 0, 4);
    uint64_t next = core_list(core, &filter, cursor, ADMIN_SCAN_MAX, collect, &c, now_ms);
    overwrite_int(out, c.begin + 9, next, 8);
    overwrite_int(out, c.begin + LIST_N_OFFSET, c.n, 4);
    return out->failed ? ENOMEM : 0;
}

int admin_answer(const struct core *core, const void *question, size_t n, uint64_t now_ms,
                 struct buffer *out)
{
    struct reader r = {.rest = {question, n}};
    enum admin_kind kind = take_int(&r, 1);
    uint64_t tag = take_int(&r, 8);
    if (r.bad)
        return EBADMSG;
    if (kind == ADMIN_LIST)
        return answer_list(core, &r, tag, now_ms, out);
    if (kind != ADMIN_PING || r.rest.n)
        return EBADMSG;
    put_head(out, ADMIN_PING, tag);
    return out->failed ? ENOMEM : 0;
}

// --- the API's side

static bool take_head(struct reader *r, enum admin_kind kind, uint64_t tag)
{
    bool right_kind = take_int(r, 1) == (uint64_t)kind;
    bool right_tag = take_int(r, 8) == tag;
    return right_kind && right_tag && !r->bad;
}

int admin_read_ping(const void *answer, size_t n, uint64_t tag)
{
    struct reader r = {.rest = {answer, n}};
    return take_head(&r, ADMIN_PING, tag) && !r.rest.n ? 0 : EBADMSG;
}

int admin_read_list(struct admin_list *out, const void *answer, size_t n, uint64_t tag)
{
    struct reader r = {.rest = {answer, n}};
    if (!take_head(&r, ADMIN_LIST, tag))
        return EBADMSG;
    out->cursor = take_int(&r, 8);
    out->n = (uint32_t)take_int(&r, 4);
    out->rest = r.rest;
    return r.bad || out->n > ADMIN_ITEMS_MAX ? EBADMSG : 0;
}

int admin_read_item(struct admin_list *list, struct core_subscription_view *out)
{
    struct reader r = {.rest = list->rest};
    *out = (struct core_subscription_view){0};
    out->id = take_int(&r, 8);
    uint64_t direction = take_int(&r, 1), state = take_int(&r, 1);
    out->expires_in_s = (uint32_t)take_int(&r, 4);
    out->created_at_ms = take_int(&r, 8);
    out->n_dialogs = take_int(&r, 8);
    out->xmpp = take_text(&r, ADMIN_ADDRESS_MAX);
    out->sip = take_text(&r, ADMIN_ADDRESS_MAX);
    for (size_t i = 0; i < out->n_dialogs && i < CORE_DIALOG_VIEWS_MAX; i++) {
        out->dialogs[i].expires_in_s = (uint32_t)take_int(&r, 4);
        out->dialogs[i].call_id = take_text(&r, ADMIN_CALL_ID_MAX);
        out->dialogs[i].remote = take_text(&r, ADMIN_REMOTE_MAX);
    }
    if (r.bad || direction > SIP_TO_XMPP || state > STATE_DORMANT)
        return EBADMSG;
    out->direction = (enum core_direction)direction;
    out->state = (enum core_state)state;
    list->rest = r.rest;
    return 0;
}
