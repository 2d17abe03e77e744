// The value of <show/>, and the packed form of a presence that the core compares and keeps.
#include "core/wire/presence.h"

#include <assert.h>

static const struct text SHOW_NAMES[] = {
    [SHOW_NONE] = {"", 0}, [SHOW_CHAT] = {"chat", 4}, [SHOW_AWAY] = {"away", 4},
    [SHOW_XA] = {"xa", 2}, [SHOW_DND] = {"dnd", 3},
};
enum { SHOW_COUNT = sizeof SHOW_NAMES / sizeof *SHOW_NAMES };

struct text presence_show_text(enum presence_show show)
{
    assert((unsigned)show < SHOW_COUNT);
    return SHOW_NAMES[show];
}

bool presence_show_parse(struct text t, enum presence_show *out)
{
    *out = SHOW_NONE;
    for (unsigned i = SHOW_CHAT; i < SHOW_COUNT; i++)
        if (text_eq(t, SHOW_NAMES[i])) {
            *out = (enum presence_show)i;
            return true;
        }
    return false;
}

// Packed: this head, the resource, then language and text of each status. Each text is its length
// (four bytes) and its bytes.
struct packed_head {
    uint8_t available, show, n_status, has_priority;
    int8_t priority;
};

static void pack_text(struct buffer *out, struct text t)
{
    assert(t.n <= UINT32_MAX);
    uint32_t n = (uint32_t)t.n;
    buffer_add(out, &n, sizeof n);
    buffer_text(out, t);
}

bool presence_pack(struct buffer *out, const struct presence *p)
{
    assert(p->n_status <= PRESENCE_STATUS_MAX);
    struct packed_head head = {
        .available = p->available,
        .show = (uint8_t)p->show,
        .n_status = (uint8_t)p->n_status,
        .has_priority = p->has_priority,
        .priority = p->has_priority ? p->priority : 0, // an unset one must not look like a change
    };
    buffer_add(out, &head, sizeof head);
    pack_text(out, p->resource);
    for (size_t i = 0; i < p->n_status; i++) {
        pack_text(out, p->status[i].lang);
        pack_text(out, p->status[i].text);
    }
    return !out->failed;
}

static struct text unpack_text(struct text *rest)
{
    uint32_t n;
    assert(rest->n >= sizeof n);
    memcpy(&n, rest->p, sizeof n);
    assert(rest->n - sizeof n >= n);
    struct text t = {rest->p + sizeof n, n};
    rest->p += sizeof n + n;
    rest->n -= sizeof n + n;
    return t;
}

void presence_unpack(struct text packed, struct presence *out)
{
    struct packed_head head;
    assert(packed.n >= sizeof head);
    memcpy(&head, packed.p, sizeof head);
    assert(head.n_status <= PRESENCE_STATUS_MAX && head.show < SHOW_COUNT);
    struct text rest = {packed.p + sizeof head, packed.n - sizeof head};
    *out = (struct presence){
        .available = head.available,
        .has_priority = head.has_priority,
        .priority = head.priority,
        .show = (enum presence_show)head.show,
        .n_status = head.n_status,
    };
    out->resource = unpack_text(&rest);
    for (size_t i = 0; i < out->n_status; i++) {
        out->status[i].lang = unpack_text(&rest);
        out->status[i].text = unpack_text(&rest);
    }
    assert(rest.n == 0);
}
