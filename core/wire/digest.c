// The answer to a Digest challenge (RFC 7616 §3.4), hashed by libcrypto.
#include "core/wire/digest.h"

#include <openssl/evp.h>

#include "core/wire/memory.h"

enum { HEX_MAX = 2 * 32 }; // SHA-256

struct hex {
    char p[HEX_MAX];
    size_t n; // 0: libcrypto refused (a policy without MD5)
};

static const struct text algorithms[] = {
    [DIGEST_MD5] = {"MD5", 3},
    [DIGEST_MD5_SESS] = {"MD5-sess", 8},
    [DIGEST_SHA256] = {"SHA-256", 7},
    [DIGEST_SHA256_SESS] = {"SHA-256-sess", 12},
};

struct text digest_algorithm_text(enum digest_algorithm a)
{
    return a > DIGEST_NONE && a <= DIGEST_SHA256_SESS ? algorithms[a] : TEXT("");
}

enum digest_algorithm digest_algorithm_parse(struct text t)
{
    for (unsigned a = DIGEST_MD5; a <= DIGEST_SHA256_SESS; a++)
        if (text_eq_nocase(t, algorithms[a]))
            return a;
    return DIGEST_NONE;
}

// ---- Hashes ------------------------------------------------------------------------------------

static void to_hex(struct hex *out, const unsigned char *bytes, unsigned n)
{
    static const char digits[] = "0123456789abcdef";
    for (unsigned i = 0; i < n; i++) {
        out->p[2 * i] = digits[bytes[i] >> 4];
        out->p[2 * i + 1] = digits[bytes[i] & 15];
    }
    out->n = 2 * n;
}

// H(): of the parts with colons between them.
static struct hex hash(enum digest_algorithm a, const struct text *parts, size_t n)
{
    const EVP_MD *md = a == DIGEST_MD5 || a == DIGEST_MD5_SESS ? EVP_md5() : EVP_sha256();
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    struct hex out = {.n = 0};
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx && EVP_DigestInit_ex(ctx, md, NULL) == 1;
    for (size_t i = 0; ok && i < n; i++)
        ok = (i == 0 || EVP_DigestUpdate(ctx, ":", 1) == 1) &&
             EVP_DigestUpdate(ctx, parts[i].p, parts[i].n) == 1;
    if (ok && EVP_DigestFinal_ex(ctx, bytes, &size) == 1 && size <= HEX_MAX / 2)
        to_hex(&out, bytes, size);
    EVP_MD_CTX_free(ctx);
    return out;
}

static struct text text_of_hex(const struct hex *h)
{
    return (struct text){h->p, h->n};
}

static bool is_session(enum digest_algorithm a)
{
    return a == DIGEST_MD5_SESS || a == DIGEST_SHA256_SESS;
}

// H(A1), RFC 7616 §3.4.2.
static struct hex hash_secret(const struct digest *d)
{
    struct hex h = hash(d->algorithm, (struct text[]){d->user, d->realm, d->password}, 3);
    if (h.n && is_session(d->algorithm))
        h = hash(d->algorithm, (struct text[]){text_of_hex(&h), d->nonce, d->cnonce}, 3);
    return h;
}

static void count_hex(char out[8], uint32_t nc)
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 8; i-- > 0; nc >>= 4)
        out[i] = digits[nc & 15];
}

// §3.4.1; without qop that of RFC 2069, as RFC 2617 §3.2.2.1 keeps it.
static struct hex answer(const struct digest *d, struct text nc, struct text method,
                         struct text uri)
{
    struct hex secret = hash_secret(d), request;
    request = hash(d->algorithm, (struct text[]){method, uri}, 2);
    struct text a1 = text_of_hex(&secret), a2 = text_of_hex(&request);
    if (!secret.n || !request.n)
        return (struct hex){.n = 0};
    if (!d->qop)
        return hash(d->algorithm, (struct text[]){a1, d->nonce, a2}, 3);
    return hash(d->algorithm, (struct text[]){a1, d->nonce, nc, d->cnonce, TEXT("auth"), a2}, 6);
}

// ---- The header field --------------------------------------------------------------------------

// quoted-string of RFC 3261 §25.1. What would end the line makes the whole fail.
static void quoted(struct buffer *b, struct text name, struct text value)
{
    buffer_text(b, name);
    buffer_lit(b, "=\"");
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];
        if (c == '"' || c == '\\')
            buffer_char(b, '\\');
        b->failed |= c == '\r' || c == '\n' || c == '\0';
        buffer_char(b, c);
    }
    buffer_char(b, '"');
}

static void write_count(struct buffer *b, const struct digest *d, struct text nc)
{
    if (d->qop) {
        buffer_lit(b, ", qop=auth, nc="); // §3.4: these two without quotes
        buffer_text(b, nc);
    }
    // RFC 2617 §3.2.2 forbids a cnonce without qop, but a session key can't be had without one.
    if (d->qop || is_session(d->algorithm))
        quoted(b, TEXT(", cnonce"), d->cnonce);
}

void digest_write(struct buffer *b, const struct digest *d, struct text method, struct text uri)
{
    char count[8];
    count_hex(count, d->nc);
    memory_lend();
    struct text nc = {count, sizeof count};
    struct hex response = answer(d, nc, method, uri);
    if (response.n == 0) {
        memory_lent(EIO);
        b->failed = true;
        return;
    }
    buffer_text(b, d->proxy ? TEXT("Proxy-Authorization: ") : TEXT("Authorization: "));
    quoted(b, TEXT("Digest username"), d->user);
    quoted(b, TEXT(", realm"), d->realm);
    quoted(b, TEXT(", nonce"), d->nonce);
    quoted(b, TEXT(", uri"), uri);
    quoted(b, TEXT(", response"), text_of_hex(&response));
    buffer_lit(b, ", algorithm=");
    buffer_text(b, digest_algorithm_text(d->algorithm));
    write_count(b, d, nc);
    if (d->opaque.n)
        quoted(b, TEXT(", opaque"), d->opaque);
    buffer_lit(b, "\r\n");
}
