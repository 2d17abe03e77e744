// The verification string of XEP-0115 §5.1.
#include "core/wire/stanza_caps.h"

#include <assert.h>
#include <stdlib.h>

#include <openssl/evp.h>

#include "core/wire/memory.h"

enum { SHA1_BYTES = 20, SHA1_BASE64 = 28 };

// "i;octet" (RFC 4790 §9.3).
static int octets(struct text a, struct text b)
{
    int order = memcmp(a.n ? a.p : "", b.n ? b.p : "", a.n < b.n ? a.n : b.n);
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

static int by_identity(const void *a, const void *b)
{
    const struct stanza_identity *x = *(const void *const *)a, *y = *(const void *const *)b;
    int order = octets(x->category, y->category);
    order = order ? order : octets(x->type, y->type);
    return order ? order : octets(x->lang, y->lang);
}

static int by_text(const void *a, const void *b)
{
    const struct text *x = *(const void *const *)a, *y = *(const void *const *)b;
    return octets(*x, *y);
}

static int by_var(const void *a, const void *b)
{
    const struct stanza_caps_field *x = *(const void *const *)a, *y = *(const void *const *)b;
    return octets(x->var, y->var);
}

static int by_form_type(const void *a, const void *b)
{
    const struct stanza_caps_form *x = *(const void *const *)a, *y = *(const void *const *)b;
    return octets(x->type, y->type);
}

// Pointers to `n` things of `size` bytes, in order.
static void sorted(const void *out[CAPS_PARTS_MAX], const void *v, size_t n, size_t size,
                   int (*order)(const void *, const void *))
{
    assert(n <= CAPS_PARTS_MAX);
    for (size_t i = 0; i < n; i++)
        out[i] = (const char *)v + i * size;
    qsort(out, n, sizeof *out, order);
}

static void add_part(struct buffer *b, struct text t)
{
    buffer_text(b, t);
    buffer_char(b, '<');
}

static void add_identity(struct buffer *b, const struct stanza_identity *identity)
{
    buffer_text(b, identity->category);
    buffer_char(b, '/');
    buffer_text(b, identity->type);
    buffer_char(b, '/');
    buffer_text(b, identity->lang);
    buffer_char(b, '/');
    add_part(b, identity->name);
}

static void add_texts(struct buffer *b, const struct text *v, size_t n)
{
    const void *order[CAPS_PARTS_MAX];
    sorted(order, v, n, sizeof *v, by_text);
    for (size_t i = 0; i < n; i++)
        add_part(b, *(const struct text *)order[i]);
}

static void add_form(struct buffer *b, const struct stanza_caps_form *form)
{
    const void *order[CAPS_PARTS_MAX];
    add_part(b, form->type);
    sorted(order, form->fields, form->n, sizeof *form->fields, by_var);
    for (size_t i = 0; i < form->n; i++) {
        const struct stanza_caps_field *field = order[i];
        add_part(b, field->var);
        add_texts(b, field->values, field->n);
    }
}

static void add_all(struct buffer *b, const struct stanza_caps *caps)
{
    const void *order[CAPS_PARTS_MAX];
    sorted(order, caps->identities, caps->n_identities, sizeof *caps->identities, by_identity);
    for (size_t i = 0; i < caps->n_identities; i++)
        add_identity(b, order[i]);
    add_texts(b, caps->features, caps->n_features);
    sorted(order, caps->forms, caps->n_forms, sizeof *caps->forms, by_form_type);
    for (size_t i = 0; i < caps->n_forms; i++)
        add_form(b, order[i]);
}

void stanza_caps_ver(struct buffer *b, const struct stanza_caps *caps)
{
    struct buffer said;
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned char base64[SHA1_BASE64 + 1];
    unsigned n = 0;
    buffer_init(&said, 0);
    add_all(&said, caps);
    memory_lend();
    if (said.failed || !EVP_Digest(said.p, said.n, hash, &n, EVP_sha1(), NULL)) {
        memory_lent(EIO);
        b->failed = true;
    } else {
        assert(n == SHA1_BYTES);
        EVP_EncodeBlock(base64, hash, SHA1_BYTES);
        buffer_add(b, base64, SHA1_BASE64);
    }
    buffer_free(&said);
}

void stanza_caps_write(struct buffer *b, struct text node, struct text ver)
{
    buffer_lit(b, "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='");
    buffer_xml(b, node);
    buffer_lit(b, "' ver='");
    buffer_xml(b, ver);
    buffer_lit(b, "'/>");
}
