// The header fields that the gateway looks at: internal to core/wire.
#ifndef CORE_WIRE_SIP_HEADER_H
#define CORE_WIRE_SIP_HEADER_H

#include "core/wire/text.h"

enum sip_header {
    H_VIA,
    H_FROM,
    H_TO,
    H_CALL_ID,
    H_CSEQ,
    H_CONTACT,
    H_RECORD_ROUTE,
    H_MAX_FORWARDS,
    H_EVENT,
    H_SUBSTATE,
    H_EXPIRES,
    H_MIN_EXPIRES,
    H_RETRY_AFTER,
    H_ACCEPT,
    H_CONTENT_TYPE,
    H_CONTENT_LENGTH,
    H_CONTENT_LANGUAGE,
    H_CONTENT_ENCODING,
    H_CONTENT_DISPOSITION,
    H_REQUIRE,
    H_WWW_AUTHENTICATE,
    H_PROXY_AUTHENTICATE,
    H_ETAG,
    H_SUPPRESS_IF_MATCH,
    H_COUNT
};

// By its name, long or compact, whatever its case; H_COUNT: one that the gateway doesn't look at.
enum sip_header sip_header_of(struct text name);
// The phrase of the defect when a message has it twice; NULL: it may.
const char *sip_header_again(enum sip_header h);

#endif
