// Writes watcher information, always the full state: a gateway's lists are short.
#include "core/wire/winfo.h"

#include <assert.h>

static const struct text statuses[] = {
    [WINFO_PENDING] = {"pending", 7},
    [WINFO_ACTIVE] = {"active", 6},
    [WINFO_WAITING] = {"waiting", 7},
    [WINFO_TERMINATED] = {"terminated", 10},
};

static const struct text events[] = {
    [WINFO_SUBSCRIBE] = {"subscribe", 9},
    [WINFO_APPROVED] = {"approved", 8},
    [WINFO_DEACTIVATED] = {"deactivated", 11},
    [WINFO_PROBATION] = {"probation", 9},
    [WINFO_REJECTED] = {"rejected", 8},
    [WINFO_TIMEOUT] = {"timeout", 7},
    [WINFO_GIVEUP] = {"giveup", 6},
    [WINFO_NORESOURCE] = {"noresource", 10},
};

static void write_attribute(struct buffer *b, struct text begin, struct text value)
{
    buffer_text(b, begin);
    buffer_xml(b, value);
    buffer_char(b, '\'');
}

static void write_seconds(struct buffer *b, struct text begin, uint32_t s)
{
    if (s == UINT32_MAX)
        return;
    buffer_text(b, begin);
    buffer_u64(b, s);
    buffer_char(b, '\'');
}

static void write_watcher(struct buffer *b, const struct winfo_watcher *w)
{
    assert(w->status <= WINFO_TERMINATED && w->event <= WINFO_NORESOURCE);
    write_attribute(b, TEXT("<watcher id='"), w->id);
    write_attribute(b, TEXT(" status='"), statuses[w->status]);
    write_attribute(b, TEXT(" event='"), events[w->event]);
    write_seconds(b, TEXT(" expiration='"), w->expires_s);
    write_seconds(b, TEXT(" duration-subscribed='"), w->since_s);
    buffer_char(b, '>');
    buffer_xml(b, w->uri);
    buffer_lit(b, "</watcher>");
}

void winfo_write(struct buffer *b, struct text resource, uint32_t version,
                 const struct winfo_watcher *watchers, size_t n)
{
    buffer_lit(b,
               "<?xml version='1.0' encoding='UTF-8'?>"
               "<watcherinfo xmlns='urn:ietf:params:xml:ns:watcherinfo' version='");
    buffer_u64(b, version);
    write_attribute(b, TEXT("' state='full'><watcher-list package='presence' resource='"),
                    resource);
    buffer_char(b, '>');
    for (size_t i = 0; i < n; i++)
        write_watcher(b, &watchers[i]);
    buffer_lit(b, "</watcher-list></watcherinfo>");
}
