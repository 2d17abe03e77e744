// What the gateway says of itself and, in their place, of SIP users: XEP-0030, 0115, 0199, 0092,
// 0012, 0054, 0202.
//
// Servers ask components at start, clients ask those in the roster. Nothing crosses to SIP. All
// names and all their devices say alike what they are, whether they exist or not; what is said of
// the user himself is for those whom he has approved (core/manners_user.h), and all others are
// refused alike.
#include "core/manners.h"

#include <errno.h>

#include "core/manners_user.h"
#include "core/stanza_out.h"
#include "core/wire/stanza_caps.h"

enum entity { ENTITY_GATEWAY = 1, ENTITY_ACCOUNT = 2, ENTITY_DEVICE = 4, ENTITY_ALL = 7 };
enum question {
    ASKS_INFO,
    ASKS_ITEMS,
    ASKS_PING,
    ASKS_VERSION,
    ASKS_LAST,
    ASKS_TIME,
    ASKS_CARD,
    ASKS_COUNT
};

#define NAME(literal)                                                                              \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }

// The namespace is also the name of the feature.
static const struct {
    struct text element, ns;
    uint8_t entities; // that have an answer
    bool node;        // may be asked of a node
} QUESTIONS[ASKS_COUNT] = {
    [ASKS_INFO] = {NAME("query"), NAME("http://jabber.org/protocol/disco#info"), ENTITY_ALL, true},
    [ASKS_ITEMS] = {NAME("query"), NAME("http://jabber.org/protocol/disco#items"), ENTITY_ALL,
                    true},
    [ASKS_PING] = {NAME("ping"), NAME("urn:xmpp:ping"), ENTITY_ALL, false},
    [ASKS_VERSION] = {NAME("query"), NAME("jabber:iq:version"), ENTITY_GATEWAY | ENTITY_DEVICE,
                      false},
    [ASKS_LAST] = {NAME("query"), NAME("jabber:iq:last"), ENTITY_ALL, false},
    [ASKS_TIME] = {NAME("time"), NAME("urn:xmpp:time"), ENTITY_DEVICE, false},
    [ASKS_CARD] = {NAME("vCard"), NAME("vcard-temp"), ENTITY_ACCOUNT, false},
};

// Features of devices that are no questions: their presence has capabilities, and they take events
// of those whom they watch (core/pep.h).
static const struct text DEVICE_FEATURES[] = {
    NAME("http://jabber.org/protocol/caps"),
    NAME("http://jabber.org/protocol/activity+notify"),
    NAME("http://jabber.org/protocol/mood+notify"),
};
enum { DEVICE_FEATURES_COUNT = sizeof DEVICE_FEATURES / sizeof *DEVICE_FEATURES };

static const struct stanza_identity GATEWAY = {NAME("gateway"), NAME("sip"), NAME("Isthmus"),
                                               NAME("")};
static const struct stanza_identity ACCOUNT = {NAME("account"), NAME("registered"), NAME(""),
                                               NAME("")};
static const struct stanza_identity DEVICE = {NAME("client"), NAME("phone"), NAME(""), NAME("")};

// Names this software (XEP-0115 §4); a name that nobody else can own.
#define CAPS_NODE TEXT("urn:uuid:f5b6400b-ff63-44bd-8de2-417de52bbdb8")

// What is in the disco#info answers of `entity`; how many.
static size_t manners_features(enum entity entity,
                               struct text out[ASKS_COUNT + DEVICE_FEATURES_COUNT])
{
    size_t n = 0;
    for (unsigned q = 0; q < ASKS_COUNT; q++)
        if (QUESTIONS[q].entities & entity)
            out[n++] = QUESTIONS[q].ns;
    for (size_t i = 0; i < DEVICE_FEATURES_COUNT && entity == ENTITY_DEVICE; i++)
        out[n++] = DEVICE_FEATURES[i];
    return n;
}

int manners_begin(struct core *c)
{
    struct text features[ASKS_COUNT + DEVICE_FEATURES_COUNT];
    struct stanza_caps caps = {.identities = &DEVICE, .n_identities = 1, .features = features};
    caps.n_features = manners_features(ENTITY_DEVICE, features);
    buffer_init(&c->caps, 0);
    buffer_init(&c->caps_node, 0);
    buffer_text(&c->caps_node, CAPS_NODE);
    buffer_char(&c->caps_node, '#');
    size_t n = c->caps_node.n;
    stanza_caps_ver(&c->caps_node, &caps);
    if (!c->caps_node.failed)
        stanza_caps_write(&c->caps, CAPS_NODE,
                          (struct text){c->caps_node.p + n, c->caps_node.n - n});
    return c->caps_node.failed || c->caps.failed ? ENOMEM : 0;
}

// ASKS_COUNT: no question that `entity` answers.
static enum question manners_question(const struct stanza *s, enum entity entity)
{
    unsigned q = 0;
    struct text element = stanza_text(s, s->child_name), ns = stanza_text(s, s->child_ns);
    if (s->kind != STANZA_IQ || s->type != STANZA_GET)
        return ASKS_COUNT;
    while (q < ASKS_COUNT &&
           !(text_eq(ns, QUESTIONS[q].ns) && text_eq(element, QUESTIONS[q].element)))
        q++;
    return q < ASKS_COUNT && (QUESTIONS[q].entities & entity) ? (enum question)q : ASKS_COUNT;
}

static void manners_info(struct buffer *b, struct text node, enum entity entity)
{
    struct text features[ASKS_COUNT + DEVICE_FEATURES_COUNT];
    size_t n = manners_features(entity, features);
    stanza_iq_info_begin(b, node,
                         entity == ENTITY_GATEWAY   ? &GATEWAY
                         : entity == ENTITY_ACCOUNT ? &ACCOUNT
                                                    : &DEVICE);
    for (size_t i = 0; i < n; i++)
        stanza_iq_feature(b, features[i]);
    stanza_iq_info_end(b);
}

// What is the same of all of them, and the gateway's own. False: it is of the user.
static bool manners_common(const struct core *c, struct buffer *b, enum question q,
                           enum entity entity, struct text node)
{
    switch (q) {
    case ASKS_INFO: manners_info(b, node, entity); return true;
    case ASKS_ITEMS: stanza_iq_no_items(b); return true;
    case ASKS_PING: return true; // the answer has no payload
    default: break;
    }
    if (entity != ENTITY_GATEWAY)
        return false;
    if (q == ASKS_VERSION)
        stanza_iq_version(b, GATEWAY.name, TEXT(ISTHMUS_VERSION));
    else
        stanza_iq_last(b, (c->now_ms - c->started_ms) / 1000);
    return true;
}

static bool manners_of_user(const struct core *c, struct buffer *b, enum question q,
                            const struct jid *from, const struct jid *to)
{
    switch (q) {
    case ASKS_VERSION: return manners_user(c, from, to, ASKS_VERSION_OF, b);
    case ASKS_LAST: return manners_user(c, from, to, ASKS_LAST_OF, b);
    case ASKS_TIME: return manners_user(c, from, to, ASKS_TIME_OF, b);
    default: return manners_user(c, from, to, ASKS_CARD_OF, b);
    }
}

// The only node there is: what the caps in a device's presence speak of.
static bool manners_has_node(const struct core *c, const struct stanza *s, enum question q,
                             enum entity entity)
{
    struct text node = {c->caps_node.p, c->caps_node.n};
    return q == ASKS_INFO && entity == ENTITY_DEVICE &&
           text_eq(stanza_text(s, s->child_node), node);
}

bool manners(struct core *c, uint16_t domain, const struct jid *from, const struct jid *to,
             const struct stanza *s)
{
    enum entity entity = !to->local.n     ? ENTITY_GATEWAY
                         : to->resource.n ? ENTITY_DEVICE
                                          : ENTITY_ACCOUNT;
    enum question q = manners_question(s, entity);
    if (q == ASKS_COUNT || (entity == ENTITY_GATEWAY && to->resource.n))
        return false;
    if (QUESTIONS[q].node && s->child_has_node && !manners_has_node(c, s, q, entity)) {
        stanza_out_error(c, domain, s, CONDITION_ITEM_NOT_FOUND); // XEP-0030 §7
        return true;
    }
    buffer_reset(&c->line);
    if (!manners_common(c, &c->line, q, entity, stanza_text(s, s->child_node)) &&
        !manners_of_user(c, &c->line, q, from, to))
        return false;
    if (c->line.failed)
        c->fx->failed = true;
    else
        stanza_out_result(c, domain, s, (struct text){c->line.p, c->line.n});
    return true;
}
