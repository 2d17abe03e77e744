// Addresses: what is prepared stays so, and the mapping there and back is the identity.
#include "core/wire/address.h"
#include "core/wire/jid_prep.h"
#include "fuzz.h"

static struct buffer out, other;

static bool same(const struct jid *a, const struct jid *b)
{
    return jid_bare_eq(a, b) && text_eq(a->resource, b->resource);
}

static void prepared_once(const struct jid *jid)
{
    char scratch[JID_MAX + 1];
    struct jid again;
    buffer_reset(&out);
    jid_write(&out, jid);
    fuzz_expect(!out.failed && out.n <= JID_MAX, "not written");
    int err = jid_parse(&again, fuzz_text(&out), scratch, sizeof scratch);
    fuzz_expect(err == 0, "what was prepared is refused (%d): %.*s", err, (int)out.n, out.p);
    fuzz_expect(same(jid, &again), "prepared twice: %.*s", (int)out.n, out.p);
}

// XEP-0106 §4.2: a backslash is escaped only before what would read as a sequence, and \20 neither
// begins nor ends a localpart. One that is otherwise has a URI, which leads to another or nobody.
static bool is_escaped_well(struct text local)
{
    struct text blank = TEXT("\\20");
    if (text_starts(local, blank) ||
        (local.n >= blank.n && text_starts((struct text){local.p + local.n - 3, 3}, blank)))
        return false;
    buffer_reset(&out);
    buffer_reset(&other);
    address_unescape_local(&out, local);
    address_escape_local(&other, fuzz_text(&out));
    return text_eq(fuzz_text(&other), local);
}

// JID → URI → JID.
static void there_and_back(const struct jid *jid)
{
    char scratch[JID_MAX + 1];
    struct jid back;
    struct sip_uri uri;
    if (!jid->local.n || !is_escaped_well(jid->local))
        return;
    buffer_reset(&out);
    address_to_sip(&out, jid);
    fuzz_expect(!out.failed && out.n <= SIP_URI_MAX, "no URI for it");
    int err = sip_uri_parse(&uri, fuzz_text(&out));
    fuzz_expect(err == 0 && uri.scheme == SCHEME_SIP, "not a URI: %.*s", (int)out.n, out.p);
    err = address_to_jid(&back, &uri, scratch, sizeof scratch);
    fuzz_expect(err == 0, "no JID (%d): %.*s", err, (int)out.n, out.p);
    buffer_reset(&other);
    jid_write(&other, &back);
    fuzz_expect(same(jid, &back), "%.*s is %.*s", (int)out.n, out.p, (int)other.n, other.p);
}

static void as_jid(struct text t)
{
    char *exact = fuzz_copy(t), scratch[JID_MAX + 1];
    struct jid jid;
    if (jid_parse(&jid, (struct text){exact, t.n}, scratch, sizeof scratch) == 0) {
        fuzz_expect(jid.domain.n > 0, "no domain");
        fuzz_expect(jid.local.n <= JID_PART_MAX && jid.domain.n <= JID_PART_MAX &&
                        jid.resource.n <= JID_PART_MAX,
                    "a part is too long");
        prepared_once(&jid);
        there_and_back(&jid);
    }
    free(exact);
}

static void as_uri(struct text t)
{
    char *exact = fuzz_copy(t), scratch[JID_MAX + 1];
    struct sip_uri uri;
    struct jid jid;
    if (sip_uri_parse(&uri, (struct text){exact, t.n}) == 0 &&
        address_to_jid(&jid, &uri, scratch, sizeof scratch) == 0) {
        fuzz_expect(address_is_mapped(&uri), "mapped, and not");
        prepared_once(&jid);
        there_and_back(&jid);
    }
    free(exact);
}

// XEP-0106 §4.
static void escaped(struct text t)
{
    buffer_reset(&out);
    address_escape_local(&out, t);
    for (size_t i = 0; i < out.n; i++)
        fuzz_expect(!memchr(" \"&'/:<>@", out.p[i], 9), "not escaped: %.*s", (int)out.n, out.p);
    buffer_reset(&other);
    address_unescape_local(&other, fuzz_text(&out));
    fuzz_expect(text_eq(fuzz_text(&other), t), "escaped and unescaped: %.*s", (int)out.n, out.p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct text t = {(const char *)data, n};
    if (!out.p) {
        buffer_init(&out, 0);
        buffer_init(&other, 0);
    }
    as_jid(t);
    as_uri(t);
    escaped(t);
    return 0;
}
