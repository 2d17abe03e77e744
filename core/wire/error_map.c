// The two tables of RFC 7247 §7, and what was chosen where it leaves a choice.
#include "core/wire/error_map.h"

#include <assert.h>

// §7.1. The RFC leaves open:
// - remote-server-not-found: 404 for a server that does not exist, 408 for one whose name cannot be
//   resolved. RFC 6120 §8.3.3.16 doesn't tell them apart; 404 spares the SIP side further attempts.
// - service-unavailable: 403 and 405 are "closest in meaning" (note 5). A 405 has to list the
//   methods that are allowed (RFC 3261 §21.4.6), which nobody knows here.
// - unexpected-request: 491 or 400; 491 because that is what §7.2 makes the condition of.
static const struct {
    uint16_t full_jid, bare_jid;
} TO_SIP[CONDITION_COUNT] = {
    [CONDITION_NONE] = {400, 400},
    [CONDITION_BAD_REQUEST] = {400, 400},
    [CONDITION_CONFLICT] = {400, 400},
    [CONDITION_FEATURE_NOT_IMPLEMENTED] = {405, 501},
    [CONDITION_FORBIDDEN] = {403, 603},
    [CONDITION_GONE] = {410, 410},
    [CONDITION_INTERNAL_SERVER_ERROR] = {500, 500},
    [CONDITION_ITEM_NOT_FOUND] = {404, 604},
    [CONDITION_JID_MALFORMED] = {400, 400},
    [CONDITION_NOT_ACCEPTABLE] = {406, 606},
    [CONDITION_NOT_ALLOWED] = {403, 403},
    [CONDITION_NOT_AUTHORIZED] = {401, 401},
    [CONDITION_POLICY_VIOLATION] = {403, 403},
    [CONDITION_RECIPIENT_UNAVAILABLE] = {480, 600},
    [CONDITION_REDIRECT] = {302, 302},
    [CONDITION_REGISTRATION_REQUIRED] = {407, 407},
    [CONDITION_REMOTE_SERVER_NOT_FOUND] = {404, 404},
    [CONDITION_REMOTE_SERVER_TIMEOUT] = {408, 408},
    [CONDITION_RESOURCE_CONSTRAINT] = {500, 500},
    [CONDITION_SERVICE_UNAVAILABLE] = {403, 403},
    [CONDITION_SUBSCRIPTION_REQUIRED] = {400, 400},
    [CONDITION_UNDEFINED_CONDITION] = {400, 400},
    [CONDITION_UNEXPECTED_REQUEST] = {491, 491},
};

unsigned error_map_to_sip(enum stanza_condition condition, bool full_jid, bool has_new_address)
{
    assert((unsigned)condition < CONDITION_COUNT);
    if (condition == CONDITION_GONE && has_new_address)
        return 301; // note 3
    return full_jid ? TO_SIP[condition].full_jid : TO_SIP[condition].bare_jid;
}

enum { STATUS_FIRST = 300, STATUS_END = 700 };

// §7.2, without the rows that say what their class says.
static const uint8_t TO_XMPP[STATUS_END - STATUS_FIRST] = {
#define ROW(status, condition) [(status)-STATUS_FIRST] = CONDITION_##condition
    ROW(301, GONE),
    ROW(380, NOT_ACCEPTABLE),
    ROW(401, NOT_AUTHORIZED),
    ROW(403, FORBIDDEN),
    ROW(404, ITEM_NOT_FOUND),
    ROW(405, FEATURE_NOT_IMPLEMENTED),
    ROW(406, NOT_ACCEPTABLE),
    ROW(407, REGISTRATION_REQUIRED),
    ROW(408, REMOTE_SERVER_TIMEOUT),
    ROW(410, GONE),
    ROW(413, POLICY_VIOLATION),
    ROW(414, POLICY_VIOLATION),
    ROW(415, NOT_ACCEPTABLE),
    ROW(416, NOT_ACCEPTABLE),
    ROW(420, FEATURE_NOT_IMPLEMENTED),
    ROW(421, NOT_ACCEPTABLE),
    ROW(423, RESOURCE_CONSTRAINT),
    ROW(430, RECIPIENT_UNAVAILABLE),
    ROW(439, FEATURE_NOT_IMPLEMENTED),
    ROW(440, POLICY_VIOLATION),
    ROW(480, RECIPIENT_UNAVAILABLE),
    ROW(481, ITEM_NOT_FOUND),
    ROW(482, NOT_ACCEPTABLE),
    ROW(483, NOT_ACCEPTABLE),
    ROW(484, ITEM_NOT_FOUND),
    ROW(485, ITEM_NOT_FOUND),
    ROW(486, RECIPIENT_UNAVAILABLE),
    ROW(487, RECIPIENT_UNAVAILABLE),
    ROW(488, NOT_ACCEPTABLE),
    ROW(489, POLICY_VIOLATION),
    ROW(491, UNEXPECTED_REQUEST),
    ROW(501, FEATURE_NOT_IMPLEMENTED),
    ROW(502, REMOTE_SERVER_NOT_FOUND),
    ROW(504, REMOTE_SERVER_TIMEOUT),
    ROW(505, NOT_ACCEPTABLE),
    ROW(513, POLICY_VIOLATION),
    ROW(604, ITEM_NOT_FOUND),
    ROW(606, NOT_ACCEPTABLE),
#undef ROW
};

static const enum stanza_condition CLASSES[] = {CONDITION_REDIRECT, CONDITION_BAD_REQUEST,
                                                CONDITION_INTERNAL_SERVER_ERROR,
                                                CONDITION_RECIPIENT_UNAVAILABLE};

enum stanza_condition error_map_to_xmpp(unsigned sip_status)
{
    if (sip_status < STATUS_FIRST || sip_status >= STATUS_END)
        return CONDITION_NONE;
    unsigned listed = TO_XMPP[sip_status - STATUS_FIRST];
    return listed ? (enum stanza_condition)listed : CLASSES[sip_status / 100 - 3];
}
