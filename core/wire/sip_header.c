// The names of the header fields that the gateway looks at.
#include "core/wire/sip_header.h"

// `again`: the phrase of the defect when a field stands there twice; NULL: it may.
static const struct {
    struct text name; // as it is nearly always written
    char compact;     // RFC 3261 §7.3.3, RFC 6665 §8.4
    const char *again;
} headers[H_COUNT] = {
    [H_VIA] = {{"Via", 3}, 'v', NULL},
    [H_FROM] = {{"From", 4}, 'f', "Multiple From"},
    [H_TO] = {{"To", 2}, 't', "Multiple To"},
    [H_CALL_ID] = {{"Call-ID", 7}, 'i', "Multiple Call-ID"},
    [H_CSEQ] = {{"CSeq", 4}, 0, "Multiple CSeq"},
    [H_CONTACT] = {{"Contact", 7}, 'm', NULL},
    [H_RECORD_ROUTE] = {{"Record-Route", 12}, 0, NULL},
    [H_MAX_FORWARDS] = {{"Max-Forwards", 12}, 0, "Multiple Max-Forwards"},
    [H_EVENT] = {{"Event", 5}, 'o', "Multiple Event"},
    [H_SUBSTATE] = {{"Subscription-State", 18}, 0, "Multiple Subscription-State"},
    [H_EXPIRES] = {{"Expires", 7}, 0, "Multiple Expires"},
    [H_MIN_EXPIRES] = {{"Min-Expires", 11}, 0, "Multiple Min-Expires"},
    [H_RETRY_AFTER] = {{"Retry-After", 11}, 0, "Multiple Retry-After"},
    [H_ACCEPT] = {{"Accept", 6}, 0, NULL},
    [H_CONTENT_TYPE] = {{"Content-Type", 12}, 'c', "Multiple Content-Type"},
    [H_CONTENT_LENGTH] = {{"Content-Length", 14}, 'l', "Multiple Content-Length"},
    [H_CONTENT_LANGUAGE] = {{"Content-Language", 16}, 0, NULL},
    [H_CONTENT_ENCODING] = {{"Content-Encoding", 16}, 'e', NULL},
    [H_CONTENT_DISPOSITION] = {{"Content-Disposition", 19}, 0, "Multiple Content-Disposition"},
    [H_REQUIRE] = {{"Require", 7}, 0, NULL},
    [H_WWW_AUTHENTICATE] = {{"WWW-Authenticate", 16}, 0, NULL},
    [H_PROXY_AUTHENTICATE] = {{"Proxy-Authenticate", 18}, 0, NULL},
    [H_ETAG] = {{"SIP-ETag", 8}, 0, "Multiple SIP-ETag"},
    [H_SUPPRESS_IF_MATCH] = {{"Suppress-If-Match", 17}, 0, "Multiple Suppress-If-Match"},
};

// No two look alike: so long, with this letter first and that one last. A line is compared with one
// name at most.
enum { HEADER_NAME_MAX = 19 };
#define LETTERS(first, last)         (((unsigned char)(first) ^ ((unsigned char)(last) << 1)) & 63)
#define LOOK(header, n, first, last) [n][LETTERS((first), (last))] = (header) + 1
static const uint8_t by_look[HEADER_NAME_MAX + 1][64] = {
    LOOK(H_VIA, 3, 'v', 'a'),
    LOOK(H_FROM, 4, 'f', 'm'),
    LOOK(H_TO, 2, 't', 'o'),
    LOOK(H_CALL_ID, 7, 'c', 'd'),
    LOOK(H_CSEQ, 4, 'c', 'q'),
    LOOK(H_CONTACT, 7, 'c', 't'),
    LOOK(H_RECORD_ROUTE, 12, 'r', 'e'),
    LOOK(H_MAX_FORWARDS, 12, 'm', 's'),
    LOOK(H_EVENT, 5, 'e', 't'),
    LOOK(H_SUBSTATE, 18, 's', 'e'),
    LOOK(H_EXPIRES, 7, 'e', 's'),
    LOOK(H_MIN_EXPIRES, 11, 'm', 's'),
    LOOK(H_RETRY_AFTER, 11, 'r', 'r'),
    LOOK(H_ACCEPT, 6, 'a', 't'),
    LOOK(H_CONTENT_TYPE, 12, 'c', 'e'),
    LOOK(H_CONTENT_LENGTH, 14, 'c', 'h'),
    LOOK(H_CONTENT_LANGUAGE, 16, 'c', 'e'),
    LOOK(H_CONTENT_ENCODING, 16, 'c', 'g'),
    LOOK(H_CONTENT_DISPOSITION, 19, 'c', 'n'),
    LOOK(H_REQUIRE, 7, 'r', 'e'),
    LOOK(H_WWW_AUTHENTICATE, 16, 'w', 'e'),
    LOOK(H_PROXY_AUTHENTICATE, 18, 'p', 'e'),
    LOOK(H_ETAG, 8, 's', 'g'),
    LOOK(H_SUPPRESS_IF_MATCH, 17, 's', 'h'),
};

static enum sip_header header_of_compact(char c)
{
    for (unsigned h = 0; h < H_COUNT; h++)
        if (headers[h].compact == (c | 0x20))
            return h;
    return H_COUNT;
}

enum sip_header sip_header_of(struct text name)
{
    if (name.n == 1)
        return header_of_compact(name.p[0]);
    if (name.n == 0 || name.n > HEADER_NAME_MAX)
        return H_COUNT;
    unsigned h = by_look[name.n][LETTERS(name.p[0] | 0x20, name.p[name.n - 1] | 0x20)];
    return h && text_eq_nocase(name, headers[h - 1].name) ? h - 1 : H_COUNT;
}

const char *sip_header_again(enum sip_header h)
{
    return headers[h].again;
}
