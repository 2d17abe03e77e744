// Watcher information documents, application/watcherinfo+xml (RFC 3858), written.
#ifndef CORE_WIRE_WINFO_H
#define CORE_WIRE_WINFO_H

#include "core/wire/text.h"

// RFC 3858 §3.3, §3.4 by these names.
enum winfo_status { WINFO_PENDING, WINFO_ACTIVE, WINFO_WAITING, WINFO_TERMINATED };
enum winfo_event {
    WINFO_SUBSCRIBE,
    WINFO_APPROVED,
    WINFO_DEACTIVATED,
    WINFO_PROBATION,
    WINFO_REJECTED,
    WINFO_TIMEOUT,
    WINFO_GIVEUP,
    WINFO_NORESOURCE
};

struct winfo_watcher {
    struct text uri; // of the watcher
    struct text
        id; // a token, unique within the document's dialog and the same from one to the next
    enum winfo_status status;
    enum winfo_event event;
    uint32_t expires_s, since_s; // expiration, duration-subscribed; UINT32_MAX: not said
};

// Full state of `package` "presence" for `resource`. `version` counts up from 0 in each dialog.
void winfo_write(struct buffer *b, struct text resource, uint32_t version,
                 const struct winfo_watcher *watchers, size_t n);

#endif
