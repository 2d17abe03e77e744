// Lists subscriptions: asks one shard after the other until the page is full.
//
// A cursor is "SSpppppppppppppppp": the shard and core_list()'s place in it, in hexadecimal.
#include "api/subscriptions.h"

#include <assert.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include "core/wire/address.h"
#include "shards/admin.h"

_Static_assert((int)SUBSCRIPTIONS_LIMIT_MAX <= (int)ADMIN_ITEMS_MAX, "one answer can fill a page");
_Static_assert((int)CORE_SHARDS_MAX <= 256, "a shard's number has two hexadecimal digits");

enum { CURSOR_SHARD_DIGITS = 2, CURSOR_PLACE_DIGITS = 16 };

struct page {
    struct core_filter filter;
    struct buffer jid, sip_jid; // what the filter borrows from
    uint32_t limit;
    unsigned shard, shards;
    uint64_t place;
    json_t *items;
};

static const char *const directions[] = {"xmpp-to-sip", "sip-to-xmpp", NULL};
static const char *const states[] = {"pending", "active", "dormant", NULL};

// --- the parameters; each reader returns what is wrong, or NULL

// That is our fault, not the client's.
static const char no_memory[] = "no memory to read it";

static const char *mistake(int error, const char *what)
{
    return error == ENOMEM ? no_memory : what;
}

static const char *read_jid(struct page *p, struct text t)
{
    char scratch[JID_MAX + 1];
    struct jid jid;
    int error = jid_parse(&jid, t, scratch, sizeof scratch);
    if (error)
        return mistake(error, "not a JID");
    jid_write_bare(&p->jid, &jid);
    if (p->jid.failed)
        return no_memory;
    p->filter.jid = (struct text){p->jid.p, p->jid.n};
    return NULL;
}

static bool has_scheme(struct text t)
{
    static const struct text schemes[] = {
        {"sip:", 4}, {"sips:", 5}, {"pres:", 5}, {"im:", 3}, {"tel:", 4}};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (t.n >= schemes[i].n && text_eq_nocase((struct text){t.p, schemes[i].n}, schemes[i]))
            return true;
    return false;
}

static const char *map_sip(struct page *p, struct text whole)
{
    char scratch[JID_MAX + 1];
    struct sip_uri uri;
    struct jid jid;
    if (sip_uri_parse(&uri, whole) != 0)
        return "not a SIP URI";
    int error = address_to_jid(&jid, &uri, scratch, sizeof scratch);
    if (error)
        return mistake(error, "a SIP URI that has no JID");
    jid_write_bare(&p->sip_jid, &jid);
    if (p->sip_jid.failed)
        return no_memory;
    p->filter.sip_jid = (struct text){p->sip_jid.p, p->sip_jid.n};
    return NULL;
}

static const char *read_sip(struct page *p, struct text t)
{
    struct buffer whole;
    buffer_init(&whole, URI_MAX + 4);
    if (!has_scheme(t))
        buffer_lit(&whole, "sip:");
    buffer_text(&whole, t);
    const char *wrong = t.n > URI_MAX  ? "too long"
                        : whole.failed ? no_memory
                                       : map_sip(p, (struct text){whole.p, whole.n});
    buffer_free(&whole);
    return wrong;
}

static bool read_choice(const char *const *choices, struct text t, int *out)
{
    for (int i = 0; choices[i]; i++)
        if (text_eq(t, text_of(choices[i]))) {
            *out = i;
            return true;
        }
    return false;
}

static const char *read_direction(struct page *p, struct text t)
{
    bool known = read_choice(directions, t, &p->filter.direction);
    return known ? NULL : "neither xmpp-to-sip nor sip-to-xmpp";
}

static const char *read_state(struct page *p, struct text t)
{
    bool known = read_choice(states, t, &p->filter.state);
    return known ? NULL : "neither pending nor active nor dormant";
}

static const char *read_limit(struct page *p, struct text t)
{
    bool good = text_to_u32(t, SUBSCRIPTIONS_LIMIT_MAX, &p->limit) && p->limit;
    return good ? NULL : "not a number from 1 to 1000";
}

// Lower-case digits only: the same place has one spelling.
static bool read_hex(const char *p, size_t n, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < n; i++) {
        if (p[i] >= '0' && p[i] <= '9')
            *out = *out << 4 | (uint64_t)(p[i] - '0');
        else if (p[i] >= 'a' && p[i] <= 'f')
            *out = *out << 4 | (uint64_t)(p[i] - 'a' + 10);
        else
            return false;
    }
    return true;
}

static const char *read_cursor(struct page *p, struct text t)
{
    uint64_t shard;
    if (t.n != CURSOR_SHARD_DIGITS + CURSOR_PLACE_DIGITS ||
        !read_hex(t.p, CURSOR_SHARD_DIGITS, &shard) ||
        !read_hex(t.p + CURSOR_SHARD_DIGITS, CURSOR_PLACE_DIGITS, &p->place) || shard >= p->shards)
        return "not a cursor of this list";
    p->shard = (unsigned)shard;
    return NULL;
}

static bool read_params(struct page *p, const struct uri *u, struct reply *r)
{
    static const struct {
        const char *name;
        const char *(*read)(struct page *, struct text);
    } readers[] = {{"jid", read_jid},     {"sip", read_sip},     {"direction", read_direction},
                   {"state", read_state}, {"limit", read_limit}, {"cursor", read_cursor}};
    for (size_t i = 0; i < sizeof readers / sizeof *readers; i++) {
        const struct text *value = uri_get(u, readers[i].name);
        const char *wrong = value ? readers[i].read(p, *value) : NULL;
        if (wrong) {
            bool ours = wrong == no_memory;
            reply_problem(r, ours ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_BAD_REQUEST, "%s: %s",
                          readers[i].name, wrong);
            r->retry_after_s = ours;
            return false;
        }
    }
    return true;
}

// --- the items

static json_t *dialogs(const struct core_subscription_view *s)
{
    json_t *all = json_array();
    for (size_t i = 0; i < s->n_dialogs && i < CORE_DIALOG_VIEWS_MAX; i++) {
        const struct core_dialog_view *d = &s->dialogs[i];
        json_array_append_new(all, json_pack("{s:o, s:o, s:I}", "call_id", reply_string(d->call_id),
                                             "remote", reply_string(d->remote), "expires_in_s",
                                             (json_int_t)d->expires_in_s));
    }
    return all;
}

static json_t *item(const struct core_subscription_view *s, unsigned shard)
{
    char id[24];
    snprintf(id, sizeof id, "%llu", (unsigned long long)s->id);
    return json_pack("{s:s, s:s, s:o, s:o, s:s, s:i, s:I, s:o, s:o}", "id", id, "direction",
                     directions[s->direction], "xmpp", reply_string(s->xmpp), "sip",
                     reply_string(s->sip), "state", states[s->state], "shard", (int)shard,
                     "expires_in_s", (json_int_t)s->expires_in_s, "dialogs", dialogs(s),
                     "created_at", reply_time(s->created_at_ms));
}

static int take_items(struct page *p, struct admin_list *list)
{
    for (uint32_t i = 0; i < list->n; i++) {
        struct core_subscription_view s;
        int rc = admin_read_item(list, &s);
        if (rc)
            return rc;
        if (json_array_append_new(p->items, item(&s, p->shard)) != 0)
            return ENOMEM;
    }
    return list->rest.n ? EBADMSG : 0;
}

// One question to the shard at hand; moves the place on.
static int ask_shard(struct view *v, struct page *p)
{
    struct text answer;
    struct admin_list list;
    uint64_t tag = view_begin_question(v);
    uint32_t want = p->limit - (uint32_t)json_array_size(p->items);
    admin_write_list(&v->question, tag, &p->filter, p->place, want);
    int rc = view_ask(v, p->shard, VIEW_ASK_MS, &answer);
    if (rc == 0)
        rc = admin_read_list(&list, answer.p, answer.n, tag);
    if (rc == 0)
        rc = list.n > want ? EBADMSG : take_items(p, &list);
    if (rc)
        return rc;
    p->place = list.cursor;
    if (!p->place)
        p->shard++;
    return 0;
}

static int fill(struct view *v, struct page *p)
{
    uint64_t until_ms = view_mono_ms() + SUBSCRIPTIONS_PAGE_MS;
    do {
        int rc = ask_shard(v, p);
        if (rc)
            return rc;
    } while (p->shard < p->shards && json_array_size(p->items) < p->limit &&
             view_mono_ms() < until_ms);
    return 0;
}

static json_t *next_cursor(const struct page *p)
{
    char z[CURSOR_SHARD_DIGITS + CURSOR_PLACE_DIGITS + 1];
    if (p->shard == p->shards)
        return json_null();
    snprintf(z, sizeof z, "%02x%016llx", p->shard & 0xff, (unsigned long long)p->place);
    return json_string(z);
}

static void answer_failure(struct reply *r, unsigned shard, int rc)
{
    if (rc == EBADMSG || rc == EMSGSIZE) {
        reply_problem(r, MHD_HTTP_INTERNAL_SERVER_ERROR, "shard %u: the answer makes no sense",
                      shard);
        return;
    }
    reply_problem(r, MHD_HTTP_SERVICE_UNAVAILABLE, "shard %u does not answer in time", shard);
    r->retry_after_s = 1;
}

static void show_page(struct view *v, struct page *p, struct reply *r)
{
    int rc = fill(v, p);
    if (rc) {
        answer_failure(r, p->shard, rc);
        json_decref(p->items);
        return;
    }
    reply_json(r, MHD_HTTP_OK, json_pack("{s:o, s:o}", "items", p->items, "next", next_cursor(p)));
}

void subscriptions_show(struct view *v, const struct uri *u, struct reply *r)
{
    struct page p = {.filter = {.direction = -1, .state = -1},
                     .limit = SUBSCRIPTIONS_LIMIT_USUAL,
                     .shards = v->shards};
    buffer_init(&p.jid, JID_MAX);
    buffer_init(&p.sip_jid, JID_MAX);
    if (read_params(&p, u, r)) {
        p.items = json_array();
        show_page(v, &p, r);
    }
    buffer_free(&p.jid);
    buffer_free(&p.sip_jid);
}
