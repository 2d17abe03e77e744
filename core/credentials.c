// Digest credentials: the realm table, and the memory of challenges (RFC 3261 §22, RFC 7616,
// RFC 8760).
#include "core/credentials.h"

#include <errno.h>
#include <stdlib.h>

#include "core/hash.h"
#include "core/hex.h"
#include "core/wire/memory.h"

struct nonce {
    struct hop hop;
    const struct core_realm *realm;
    uint8_t algorithm; // enum digest_algorithm
    bool proxy, qop;
    uint16_t since; // when it was heard of, as credentials.heard counts
    uint32_t used;  // nc of the last request
    uint64_t turn;  // of last use, as credentials.turn counts
    size_t nonce_n, opaque_n;
    char *text; // the nonce, then the opaque
};

struct credentials {
    struct core_realm *realm;
    size_t n_realms;
    char *text; // of the realms
    struct nonce nonce[CREDENTIALS_NONCES_MAX];
    size_t n;
    uint16_t heard; // challenges so far
    uint64_t turn;
};

static struct text keep(char **at, struct text t)
{
    struct text kept = {*at, t.n};
    if (t.n)
        memcpy(*at, t.p, t.n);
    *at += t.n;
    return kept;
}

static int keep_realms(struct credentials *k, const struct core_realm *realms, size_t n)
{
    size_t total = 1;
    for (size_t i = 0; i < n; i++)
        total += realms[i].realm.n + realms[i].user.n + realms[i].password.n;
    k->realm = memory_take_zeroed(n ? n : 1, sizeof *k->realm);
    k->text = memory_take(total);
    if (!k->realm || !k->text)
        return ENOMEM;
    char *at = k->text;
    for (size_t i = 0; i < n; i++)
        k->realm[i] = (struct core_realm){.realm = keep(&at, realms[i].realm),
                                          .user = keep(&at, realms[i].user),
                                          .password = keep(&at, realms[i].password)};
    k->n_realms = n;
    return 0;
}

int credentials_create(struct credentials **out, const struct core_realm *realms, size_t n)
{
    if (n > CORE_REALMS_MAX)
        return EMSGSIZE;
    struct credentials *k = memory_take_zeroed(1, sizeof *k);
    if (!k)
        return ENOMEM;
    int err = keep_realms(k, realms, n);
    if (err) {
        credentials_destroy(k);
        return err;
    }
    *out = k;
    return 0;
}

void credentials_destroy(struct credentials *k)
{
    if (!k)
        return;
    for (size_t i = 0; i < k->n; i++)
        free(k->nonce[i].text);
    free(k->realm);
    free(k->text);
    free(k);
}

size_t credentials_count(const struct credentials *k)
{
    return k->n_realms;
}

// Realms are compared as they are (RFC 7616 §3.3: an opaque string).
static const struct core_realm *realm_find(const struct credentials *k, struct text name)
{
    for (size_t i = 0; i < k->n_realms; i++)
        if (text_eq(k->realm[i].realm, name))
            return &k->realm[i];
    return NULL;
}

static struct nonce *nonce_find(struct credentials *k, const struct hop *hop,
                                const struct core_realm *realm, bool proxy)
{
    for (size_t i = 0; i < k->n; i++) {
        struct nonce *o = &k->nonce[i];
        if (o->realm == realm && o->proxy == proxy && hop_eq(&o->hop, hop))
            return o;
    }
    return NULL;
}

// A place for one more: at the limit that of the one that was not used for longest.
static struct nonce *nonce_place(struct credentials *k)
{
    if (k->n < CREDENTIALS_NONCES_MAX)
        return &k->nonce[k->n++];
    struct nonce *oldest = &k->nonce[0];
    for (size_t i = 1; i < k->n; i++)
        if (k->nonce[i].turn < oldest->turn)
            oldest = &k->nonce[i];
    free(oldest->text);
    return oldest;
}

// False: no memory, and what was known stays.
static bool nonce_hear(struct credentials *k, struct nonce *o, const struct hop *hop,
                       const struct core_realm *realm, const struct sip_message *m,
                       const struct sip_challenge *ch)
{
    struct text nonce = sip_text(m, ch->nonce), opaque = sip_text(m, ch->opaque);
    char *text = memory_take(nonce.n + opaque.n + 1), *at = text;
    if (!text)
        return false;
    if (o)
        free(o->text);
    else
        o = nonce_place(k);
    keep(&at, nonce);
    keep(&at, opaque);
    *o = (struct nonce){.hop = *hop,
                        .realm = realm,
                        .algorithm = ch->algorithm,
                        .proxy = ch->proxy,
                        .qop = ch->qop,
                        .since = ++k->heard,
                        .turn = ++k->turn,
                        .nonce_n = nonce.n,
                        .opaque_n = opaque.n,
                        .text = text};
    return true;
}

// Local policy goes before the order of the header fields (RFC 8760 §2.4, RFC 7616 §3.7): who can
// change that order must not be able to have the weaker one used.
static unsigned strength(const struct sip_challenge *ch)
{
    return ch->algorithm >= DIGEST_SHA256 ? 2 : ch->algorithm != DIGEST_NONE;
}

static bool same_realm(const struct sip_message *m, const struct sip_challenge *a,
                       const struct sip_challenge *b)
{
    return a->proxy == b->proxy && text_eq(sip_text(m, a->realm), sip_text(m, b->realm));
}

// Of several challenges of one realm the strongest counts, of equal ones the first.
static bool is_the_one(const struct sip_message *m, unsigned i)
{
    const struct sip_challenge *ch = &m->challenge[i];
    if (!strength(ch) || !ch->nonce.n || ch->nonce.n > DIGEST_NONCE_MAX ||
        ch->opaque.n > DIGEST_NONCE_MAX)
        return false;
    for (unsigned k = 0; k < m->n_challenges; k++) {
        const struct sip_challenge *other = &m->challenge[k];
        if (k != i && same_realm(m, ch, other) &&
            (strength(other) > strength(ch) || (strength(other) == strength(ch) && k < i)))
            return false;
    }
    return true;
}

enum outcome { OUTCOME_NOTHING, OUTCOME_AGAIN, OUTCOME_STALE, OUTCOME_WRONG };

static enum outcome challenge_take(struct credentials *k, const struct hop *from,
                                   const struct sip_message *m, const struct sip_challenge *ch,
                                   const struct credentials_tried *tried)
{
    const struct core_realm *realm = realm_find(k, sip_text(m, ch->realm));
    if (!realm)
        return OUTCOME_NOTHING;
    struct nonce *o = nonce_find(k, from, realm, ch->proxy);
    // Else another request has learnt a newer nonce meanwhile. The difference, because it wraps.
    bool carried = o && (int16_t)(o->since - tried->until) <= 0;
    if (!nonce_hear(k, o, from, realm, m, ch))
        return OUTCOME_NOTHING;
    // RFC 3261 §22.2: not again with what has just been rejected, unless the nonce was stale.
    return !carried ? OUTCOME_AGAIN : ch->stale ? OUTCOME_STALE : OUTCOME_WRONG;
}

bool credentials_challenged(struct credentials *k, const struct hop *from,
                            const struct sip_message *m, struct credentials_tried *tried)
{
    bool again = false, stale = false, wrong = false;
    for (unsigned i = 0; i < m->n_challenges; i++) {
        if (!is_the_one(m, i))
            continue;
        enum outcome outcome = challenge_take(k, from, m, &m->challenge[i], tried);
        again |= outcome == OUTCOME_AGAIN || outcome == OUTCOME_STALE;
        stale |= outcome == OUTCOME_STALE;
        wrong |= outcome == OUTCOME_WRONG;
    }
    bool worth =
        again && !wrong && !(stale && tried->stale) && tried->times < CREDENTIALS_TRIES_MAX;
    tried->stale |= stale;
    tried->times += worth;
    return worth;
}

static void nonce_write(struct credentials *k, struct hash_random *random, struct nonce *o,
                        struct text method, struct text uri, struct buffer *b)
{
    char cnonce[DIGEST_CNONCE];
    hex_write(cnonce, hash_random_u64(random), DIGEST_CNONCE);
    o->turn = ++k->turn;
    struct digest d = {.algorithm = (enum digest_algorithm)o->algorithm,
                       .proxy = o->proxy,
                       .qop = o->qop,
                       .realm = o->realm->realm,
                       .nonce = {o->text, o->nonce_n},
                       .opaque = {o->text + o->nonce_n, o->opaque_n},
                       .user = o->realm->user,
                       .password = o->realm->password,
                       .cnonce = {cnonce, sizeof cnonce},
                       .nc = ++o->used};
    digest_write(b, &d, method, uri);
}

void credentials_write(struct credentials *k, struct hash_random *random, const struct hop *to,
                       struct text method, struct text uri, struct credentials_tried *tried,
                       struct buffer *b)
{
    tried->until = k->heard;
    for (size_t i = 0; i < k->n; i++)
        if (hop_eq(&k->nonce[i].hop, to))
            nonce_write(k, random, &k->nonce[i], method, uri, b);
}
