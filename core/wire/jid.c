// JIDs: splitting, comparing, writing.
#include "core/wire/jid_prep.h"

#include <errno.h>

// RFC 6122 §2.1: the first '/' begins the resourcepart, the first '@' before it ends the localpart.
int jid_parse(struct jid *out, struct text t, char *scratch, size_t scratch_size)
{
    struct room room = {scratch, scratch_size};
    const char *slash = t.n ? memchr(t.p, '/', t.n) : NULL;
    size_t bare = slash ? (size_t)(slash - t.p) : t.n;
    const char *at = bare ? memchr(t.p, '@', bare) : NULL;
    size_t local = at ? (size_t)(at - t.p) : 0, domain = at ? local + 1 : 0;
    int err = 0;
    *out = (struct jid){0};
    if (at)
        err = prep_local((struct text){t.p, local}, &room, &out->local);
    if (!err)
        err = prep_domain((struct text){t.p + domain, bare - domain}, &room, &out->domain);
    if (!err && slash)
        err = prep_resource((struct text){slash + 1, t.n - bare - 1}, &room, &out->resource);
    return err;
}

void jid_write_bare(struct buffer *b, const struct jid *jid)
{
    if (jid->local.n) {
        buffer_text(b, jid->local);
        buffer_char(b, '@');
    }
    buffer_text(b, jid->domain);
}

void jid_write(struct buffer *b, const struct jid *jid)
{
    jid_write_bare(b, jid);
    if (jid->resource.n) {
        buffer_char(b, '/');
        buffer_text(b, jid->resource);
    }
}

bool jid_bare_eq(const struct jid *a, const struct jid *b)
{
    return text_eq(a->local, b->local) && text_eq(a->domain, b->domain);
}
