// The words of SIP and their numbers: methods, states, reasons, phrases.
#include "core/wire/sip_names.h"

static const struct {
    struct text name;
    enum sip_method method;
} methods[] = {
    {{"SUBSCRIBE", 9}, SIP_SUBSCRIBE},
    {{"NOTIFY", 6}, SIP_NOTIFY},
    {{"OPTIONS", 7}, SIP_OPTIONS},
    {{"MESSAGE", 7}, SIP_MESSAGE},
    {{"PUBLISH", 7}, SIP_PUBLISH},
    {{"INVITE", 6}, SIP_INVITE},
    {{"ACK", 3}, SIP_ACK},
    {{"CANCEL", 6}, SIP_CANCEL},
    {{"BYE", 3}, SIP_BYE},
    {{"REGISTER", 8}, SIP_REGISTER},
};

struct text sip_method_text(enum sip_method m)
{
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (methods[i].method == m)
            return methods[i].name;
    return TEXT("");
}

enum sip_method sip_method_of(struct text name)
{
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (text_eq(name, methods[i].name))
            return methods[i].method;
    return SIP_OTHER;
}

static const struct text reasons[] = {
    [REASON_DEACTIVATED] = {"deactivated", 11},
    [REASON_PROBATION] = {"probation", 9},
    [REASON_REJECTED] = {"rejected", 8},
    [REASON_TIMEOUT] = {"timeout", 7},
    [REASON_GIVEUP] = {"giveup", 6},
    [REASON_NORESOURCE] = {"noresource", 10},
    [REASON_INVARIANT] = {"invariant", 9},
};

struct text sip_reason_text(enum sip_reason r)
{
    return r > REASON_NONE && r <= REASON_INVARIANT ? reasons[r] : TEXT("");
}

enum sip_reason sip_reason_of(struct text name)
{
    for (unsigned r = REASON_DEACTIVATED; name.n && r <= REASON_INVARIANT; r++)
        if (text_eq_nocase(name, reasons[r]))
            return r;
    return REASON_NONE;
}

static const struct text substates[] = {
    [SUBSTATE_ACTIVE] = {"active", 6},
    [SUBSTATE_PENDING] = {"pending", 7},
    [SUBSTATE_TERMINATED] = {"terminated", 10},
};

struct text sip_substate_text(enum sip_substate s)
{
    return s > SUBSTATE_NONE && s <= SUBSTATE_TERMINATED ? substates[s] : TEXT("");
}

enum sip_substate sip_substate_of(struct text name)
{
    for (unsigned s = SUBSTATE_ACTIVE; s <= SUBSTATE_TERMINATED; s++)
        if (text_eq_nocase(name, substates[s]))
            return s;
    return SUBSTATE_NONE;
}

struct text sip_phrase(unsigned status)
{
    static const char *const phrases[] = {
        [100] = "Trying",
        [180] = "Ringing",
        [200] = "OK",
        [202] = "Accepted",
        [204] = "No Notification",
        [301] = "Moved Permanently",
        [302] = "Moved Temporarily",
        [400] = "Bad Request",
        [401] = "Unauthorized",
        [403] = "Forbidden",
        [404] = "Not Found",
        [405] = "Method Not Allowed",
        [406] = "Not Acceptable",
        [407] = "Proxy Authentication Required",
        [408] = "Request Timeout",
        [410] = "Gone",
        [412] = "Conditional Request Failed",
        [413] = "Request Entity Too Large",
        [414] = "Request-URI Too Long",
        [415] = "Unsupported Media Type",
        [416] = "Unsupported URI Scheme",
        [420] = "Bad Extension",
        [421] = "Extension Required",
        [423] = "Interval Too Brief",
        [480] = "Temporarily Unavailable",
        [481] = "Call/Transaction Does Not Exist",
        [482] = "Loop Detected",
        [483] = "Too Many Hops",
        [484] = "Address Incomplete",
        [485] = "Ambiguous",
        [486] = "Busy Here",
        [487] = "Request Terminated",
        [488] = "Not Acceptable Here",
        [489] = "Bad Event",
        [491] = "Request Pending",
        [493] = "Undecipherable",
        [500] = "Server Internal Error",
        [501] = "Not Implemented",
        [502] = "Bad Gateway",
        [503] = "Service Unavailable",
        [504] = "Server Time-out",
        [505] = "Version Not Supported",
        [513] = "Message Too Large",
        [600] = "Busy Everywhere",
        [603] = "Decline",
        [604] = "Does Not Exist Anywhere",
        [606] = "Not Acceptable",
    };
    bool known = status < sizeof phrases / sizeof *phrases && phrases[status];
    return known ? text_of(phrases[status]) : TEXT("Unknown");
}
