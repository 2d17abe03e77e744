// What the gateway says of itself and, in their place, of SIP users: XEP-0030, 0199, 0092, 0012.
//
// Servers ask components at start, clients ask those in the roster. Nothing crosses to SIP, and who
// asks learns nothing of a user: all names and all their devices are answered alike, whether they
// exist or not. So a user has no last activity; nor a version, for that of the gateway is not his.
#include "core/manners.h"

#include "core/stanza_out.h"
#include "core/wire/stanza_iq.h"

enum entity { ENTITY_GATEWAY = 1, ENTITY_ACCOUNT = 2, ENTITY_DEVICE = 4, ENTITY_ALL = 7 };
enum question { ASKS_INFO, ASKS_ITEMS, ASKS_PING, ASKS_VERSION, ASKS_LAST, ASKS_COUNT };

#define NAME(literal)                                                                              \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }

// The namespace is also the name of the feature.
static const struct {
    struct text element, ns;
    uint8_t entities; // that have an answer
    bool node;        // may be asked of a node; there is none
} QUESTIONS[ASKS_COUNT] = {
    [ASKS_INFO] = {NAME("query"), NAME("http://jabber.org/protocol/disco#info"), ENTITY_ALL, true},
    [ASKS_ITEMS] = {NAME("query"), NAME("http://jabber.org/protocol/disco#items"), ENTITY_ALL,
                    true},
    [ASKS_PING] = {NAME("ping"), NAME("urn:xmpp:ping"), ENTITY_ALL, false},
    [ASKS_VERSION] = {NAME("query"), NAME("jabber:iq:version"), ENTITY_GATEWAY, false},
    [ASKS_LAST] = {NAME("query"), NAME("jabber:iq:last"), ENTITY_GATEWAY, false},
};

static const struct stanza_identity GATEWAY = {NAME("gateway"), NAME("sip"), NAME("Isthmus")};
static const struct stanza_identity ACCOUNT = {NAME("account"), NAME("registered"), NAME("")};
static const struct stanza_identity DEVICE = {NAME("client"), NAME("phone"), NAME("")};

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

static void manners_info(struct buffer *b, enum entity entity)
{
    stanza_iq_info_begin(b, entity == ENTITY_GATEWAY   ? &GATEWAY
                            : entity == ENTITY_ACCOUNT ? &ACCOUNT
                                                       : &DEVICE);
    for (unsigned q = 0; q < ASKS_COUNT; q++)
        if (QUESTIONS[q].entities & entity)
            stanza_iq_feature(b, QUESTIONS[q].ns);
    stanza_iq_info_end(b);
}

static void manners_payload(const struct core *c, struct buffer *b, enum question q,
                            enum entity entity)
{
    switch (q) {
    case ASKS_INFO: manners_info(b, entity); break;
    case ASKS_ITEMS: stanza_iq_no_items(b); break;
    case ASKS_VERSION: stanza_iq_version(b, GATEWAY.name, TEXT(ISTHMUS_VERSION)); break;
    case ASKS_LAST: stanza_iq_last(b, (c->now_ms - c->started_ms) / 1000); break;
    default: break; // the answer to a ping has none
    }
}

bool manners(struct core *c, uint16_t domain, const struct jid *to, const struct stanza *s)
{
    enum entity entity = !to->local.n     ? ENTITY_GATEWAY
                         : to->resource.n ? ENTITY_DEVICE
                                          : ENTITY_ACCOUNT;
    enum question q = manners_question(s, entity);
    if (q == ASKS_COUNT || (entity == ENTITY_GATEWAY && to->resource.n))
        return false;
    if (QUESTIONS[q].node && s->child_has_node) {
        stanza_out_error(c, domain, s, CONDITION_ITEM_NOT_FOUND); // XEP-0030 §7
        return true;
    }
    buffer_reset(&c->line);
    manners_payload(c, &c->line, q, entity);
    if (c->line.failed)
        c->fx->failed = true;
    else
        stanza_out_result(c, domain, s, (struct text){c->line.p, c->line.n});
    return true;
}
