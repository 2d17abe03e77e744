// The names of stanza types and error conditions, and the presence that a stanza carries.
#include "core/wire/stanza.h"

#include <assert.h>

#define NAME(literal)                                                                              \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }

// RFC 6120 §8.3.3: each condition with the error type that it SHOULD have.
static const struct {
    struct text name, type;
} CONDITIONS[CONDITION_COUNT] = {
    [CONDITION_NONE] = {NAME(""), NAME("cancel")},
    [CONDITION_BAD_REQUEST] = {NAME("bad-request"), NAME("modify")},
    [CONDITION_CONFLICT] = {NAME("conflict"), NAME("cancel")},
    [CONDITION_FEATURE_NOT_IMPLEMENTED] = {NAME("feature-not-implemented"), NAME("cancel")},
    [CONDITION_FORBIDDEN] = {NAME("forbidden"), NAME("auth")},
    [CONDITION_GONE] = {NAME("gone"), NAME("cancel")},
    [CONDITION_INTERNAL_SERVER_ERROR] = {NAME("internal-server-error"), NAME("cancel")},
    [CONDITION_ITEM_NOT_FOUND] = {NAME("item-not-found"), NAME("cancel")},
    [CONDITION_JID_MALFORMED] = {NAME("jid-malformed"), NAME("modify")},
    [CONDITION_NOT_ACCEPTABLE] = {NAME("not-acceptable"), NAME("modify")},
    [CONDITION_NOT_ALLOWED] = {NAME("not-allowed"), NAME("cancel")},
    [CONDITION_NOT_AUTHORIZED] = {NAME("not-authorized"), NAME("auth")},
    [CONDITION_POLICY_VIOLATION] = {NAME("policy-violation"), NAME("modify")},
    [CONDITION_RECIPIENT_UNAVAILABLE] = {NAME("recipient-unavailable"), NAME("wait")},
    [CONDITION_REDIRECT] = {NAME("redirect"), NAME("modify")},
    [CONDITION_REGISTRATION_REQUIRED] = {NAME("registration-required"), NAME("auth")},
    [CONDITION_REMOTE_SERVER_NOT_FOUND] = {NAME("remote-server-not-found"), NAME("cancel")},
    [CONDITION_REMOTE_SERVER_TIMEOUT] = {NAME("remote-server-timeout"), NAME("wait")},
    [CONDITION_RESOURCE_CONSTRAINT] = {NAME("resource-constraint"), NAME("wait")},
    [CONDITION_SERVICE_UNAVAILABLE] = {NAME("service-unavailable"), NAME("cancel")},
    [CONDITION_SUBSCRIPTION_REQUIRED] = {NAME("subscription-required"), NAME("auth")},
    [CONDITION_UNDEFINED_CONDITION] = {NAME("undefined-condition"), NAME("cancel")},
    [CONDITION_UNEXPECTED_REQUEST] = {NAME("unexpected-request"), NAME("wait")},
};

static const struct text TYPES[] = {
    [STANZA_NONE] = NAME(""),
    [STANZA_UNAVAILABLE] = NAME("unavailable"),
    [STANZA_SUBSCRIBE] = NAME("subscribe"),
    [STANZA_SUBSCRIBED] = NAME("subscribed"),
    [STANZA_UNSUBSCRIBE] = NAME("unsubscribe"),
    [STANZA_UNSUBSCRIBED] = NAME("unsubscribed"),
    [STANZA_PROBE] = NAME("probe"),
    [STANZA_ERROR] = NAME("error"),
    [STANZA_GET] = NAME("get"),
    [STANZA_SET] = NAME("set"),
    [STANZA_RESULT] = NAME("result"),
    [STANZA_OTHER] = NAME(""),
};

struct text stanza_condition_text(enum stanza_condition c)
{
    assert((unsigned)c < CONDITION_COUNT);
    return CONDITIONS[c].name;
}

struct text stanza_condition_type(enum stanza_condition c)
{
    assert((unsigned)c < CONDITION_COUNT);
    return CONDITIONS[c].type;
}

enum stanza_condition stanza_condition_parse(struct text t)
{
    for (unsigned i = CONDITION_NONE + 1; i < CONDITION_COUNT; i++)
        if (text_eq(t, CONDITIONS[i].name))
            return (enum stanza_condition)i;
    return CONDITION_NONE;
}

struct text stanza_type_text(enum stanza_type t)
{
    assert((unsigned)t <= STANZA_OTHER);
    return TYPES[t];
}

// Whether stanzas of that kind may be of that type (RFC 6121 §4.7.1, RFC 6120 §8.2.3).
static bool type_fits(enum stanza_kind kind, enum stanza_type t)
{
    if (t == STANZA_ERROR)
        return true;
    bool of_iq = t == STANZA_GET || t == STANZA_SET || t == STANZA_RESULT;
    return kind == STANZA_IQ ? of_iq : kind == STANZA_PRESENCE && !of_iq;
}

enum stanza_type stanza_type_parse(enum stanza_kind kind, struct text t)
{
    for (unsigned i = STANZA_UNAVAILABLE; i < STANZA_OTHER; i++)
        if (text_eq(t, TYPES[i]))
            return type_fits(kind, (enum stanza_type)i) ? (enum stanza_type)i : STANZA_OTHER;
    return STANZA_OTHER;
}

// In presence of somebody who is not away it says when he was online before (XEP-0256 §2.1), which
// is over; XEP-0319 says it better.
static void idle_since(const struct stanza *s, uint64_t now_ms, struct presence *p)
{
    struct presence_facts *f = &p->facts;
    bool away = p->show == SHOW_AWAY || p->show == SHOW_XA;
    if (!s->idle_s || !away || f->input != INPUT_UNKNOWN)
        return;
    int64_t then_ms = (f->has_said ? f->said_ms : (int64_t)now_ms) - (int64_t)s->idle_s * 1000;
    f->input = INPUT_IDLE;
    f->has_input = true;
    f->input_ms = then_ms - then_ms % 1000;
}

void stanza_presence(const struct stanza *s, struct text resource, uint64_t now_ms,
                     struct presence *out)
{
    *out = (struct presence){
        .resource = resource,
        .available = s->type == STANZA_NONE,
        .has_priority = s->has_priority,
        .priority = s->priority,
        .show = (enum presence_show)s->show,
        .n_status = s->n_status,
        .facts = s->facts,
    };
    for (size_t i = 0; i < PRESENCE_XMPP_TEXTS; i++)
        out->text[i] = stanza_text(s, s->rich[i]);
    for (size_t i = 0; i < out->n_status; i++) {
        struct text lang = stanza_text(s, s->status[i].lang);
        out->status[i].lang = lang.n ? lang : stanza_text(s, s->lang);
        out->status[i].text = stanza_text(s, s->status[i].text);
    }
    idle_since(s, now_ms, out);
    if (!out->available)
        presence_leave(out);
}
