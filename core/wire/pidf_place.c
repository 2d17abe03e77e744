// The elements of a PIDF document that say something to us, as tables.
#include "core/wire/pidf_place.h"

#include "core/wire/presence.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static const struct {
    struct text uri;
    enum pidf_ns ns;
} NAMESPACES[] = {
    {{"urn:ietf:params:xml:ns:pidf", 27}, NS_PIDF},
    {{"urn:ietf:params:xml:ns:cpim-pidf", 32}, NS_PIDF}, // drafts before RFC 3863
    {{"urn:ietf:params:xml:ns:pidf:", 28}, NS_PIDF},     // as RFC 3863 §4.1.1 misspells it
    {{"jabber:client", 13}, NS_CLIENT},
    {{"urn:ag-projects:xml:ns:pidf", 27}, NS_BLINK},
    {{"urn:ag-projects:xml:ns:pidf:caps", 32}, NS_BLINK_CAPS},
    {{"urn:ietf:params:xml:ns:pidf:rpid", 32}, NS_RPID},
    {{"urn:ietf:params:xml:ns:pidf:cipid", 33}, NS_CIPID},
    {{"urn:ietf:params:xml:ns:pidf:data-model", 38}, NS_MODEL},
    {{"urn:ietf:params:xml:ns:pidf:caps", 32}, NS_CAPS},
};

struct row {
    enum pidf_place below;
    enum pidf_ns ns;
    struct text name;
    struct pidf_element to;
};

static const struct row ELEMENTS[] = {
    {AT_NOWHERE, NS_PIDF, {"presence", 8}, {AT_PRESENCE, 0}},
    {AT_PRESENCE, NS_PIDF, {"tuple", 5}, {AT_TUPLE, 0}},
    {AT_PRESENCE, NS_PIDF, {"note", 4}, {AT_NOTE, 0}},
    {AT_PRESENCE, NS_MODEL, {"person", 6}, {AT_PERSON, 0}},
    {AT_PRESENCE, NS_MODEL, {"device", 6}, {AT_DEVICE, 0}},
    {AT_TUPLE, NS_PIDF, {"status", 6}, {AT_STATUS, 0}},
    {AT_TUPLE, NS_PIDF, {"contact", 7}, {AT_CONTACT, 0}},
    {AT_TUPLE, NS_PIDF, {"note", 4}, {AT_NOTE, 0}},
    {AT_TUPLE, NS_PIDF, {"timestamp", 9}, {AT_TIMESTAMP, 0}},
    {AT_TUPLE, NS_CLIENT, {"show", 4}, {AT_SHOW, 0}},
    {AT_TUPLE, NS_BLINK, {"extended", 8}, {AT_EXTENDED, 0}},
    {AT_STATUS, NS_PIDF, {"basic", 5}, {AT_BASIC, 0}},
    {AT_STATUS, NS_CLIENT, {"show", 4}, {AT_SHOW, 0}},
    {AT_STATUS, NS_BLINK, {"extended", 8}, {AT_EXTENDED, 0}},
    {AT_PERSON, NS_MODEL, {"note", 4}, {AT_NOTE, 0}},
    {AT_PERSON, NS_MODEL, {"timestamp", 9}, {AT_TIMESTAMP, 0}},
    {AT_DEVICE, NS_MODEL, {"note", 4}, {AT_RICH_TEXT, PRESENCE_DEVICE}},
    {AT_ACTIVITIES, NS_RPID, {"note", 4}, {AT_RICH_TEXT, PRESENCE_ACTIVITY_NOTE}},
    {AT_ACTIVITIES, NS_RPID, {"other", 5}, {AT_RICH_TEXT, PRESENCE_ACTIVITY_OTHER}},
    {AT_MOOD, NS_RPID, {"note", 4}, {AT_RICH_TEXT, PRESENCE_MOOD_NOTE}},
    {AT_MOOD, NS_RPID, {"other", 5}, {AT_RICH_TEXT, PRESENCE_MOOD_OTHER}},
    {AT_PLACE_TYPE, NS_RPID, {"other", 5}, {AT_RICH_TEXT, PRESENCE_PLACE}},
    {AT_DEVICE_INFO, NS_BLINK, {"description", 11}, {AT_RICH_TEXT, PRESENCE_DEVICE}},
    {AT_DEVICE_INFO, NS_BLINK, {"user-agent", 10}, {AT_RICH_TEXT, PRESENCE_USER_AGENT}},
    {AT_DEVICE_INFO, NS_BLINK, {"time-offset", 11}, {AT_UTC_OFFSET, 0}},
    {AT_SERVCAPS, NS_CAPS, {"audio", 5}, {AT_SERVICE, SERVICE_AUDIO}},
    {AT_SERVCAPS, NS_CAPS, {"application", 11}, {AT_SERVICE, SERVICE_APPLICATION}},
    {AT_SERVCAPS, NS_CAPS, {"data", 4}, {AT_SERVICE, SERVICE_DATA}},
    {AT_SERVCAPS, NS_CAPS, {"control", 7}, {AT_SERVICE, SERVICE_CONTROL}},
    {AT_SERVCAPS, NS_CAPS, {"video", 5}, {AT_SERVICE, SERVICE_VIDEO}},
    {AT_SERVCAPS, NS_CAPS, {"text", 4}, {AT_SERVICE, SERVICE_TEXT}},
    {AT_SERVCAPS, NS_CAPS, {"message", 7}, {AT_SERVICE, SERVICE_MESSAGE}},
    {AT_SERVCAPS, NS_CAPS, {"automata", 8}, {AT_SERVICE, SERVICE_AUTOMATA}},
    {AT_SERVCAPS, NS_CAPS, {"isfocus", 7}, {AT_SERVICE, SERVICE_ISFOCUS}},
    {AT_SERVCAPS, NS_BLINK_CAPS, {"file-transfer", 13}, {AT_SERVICE, SERVICE_FILE_TRANSFER}},
    {AT_SERVCAPS, NS_BLINK_CAPS, {"screen-sharing", 14}, {AT_SERVICE, SERVICE_SCREEN_SHARING}},
};

// The rich payload stands in tuples (and there, by older habit, in their status), persons and
// devices alike: RFC 4480 §5 has its schema so, whatever its table 1 says.
static const struct row EVERYWHERE[] = {
    {AT_NOWHERE, NS_RPID, {"activities", 10}, {AT_ACTIVITIES, 0}},
    {AT_NOWHERE, NS_RPID, {"mood", 4}, {AT_MOOD, 0}},
    {AT_NOWHERE, NS_RPID, {"place-type", 10}, {AT_PLACE_TYPE, 0}},
    {AT_NOWHERE, NS_RPID, {"user-input", 10}, {AT_USER_INPUT, 0}},
    {AT_NOWHERE, NS_RPID, {"time-offset", 11}, {AT_UTC_OFFSET, 0}},
    {AT_NOWHERE, NS_RPID, {"status-icon", 11}, {AT_STATUS_ICON, 0}},
    {AT_NOWHERE, NS_CIPID, {"display-name", 12}, {AT_RICH_TEXT, PRESENCE_NICK}},
    {AT_NOWHERE, NS_CIPID, {"homepage", 8}, {AT_RICH_URI, PRESENCE_HOMEPAGE}},
    {AT_NOWHERE, NS_CIPID, {"map", 3}, {AT_RICH_URI, PRESENCE_MAP}},
    {AT_NOWHERE, NS_CIPID, {"icon", 4}, {AT_RICH_URI, PRESENCE_ICON}},
    {AT_NOWHERE, NS_MODEL, {"deviceID", 8}, {AT_RICH_TEXT, PRESENCE_DEVICE_ID}},
    {AT_NOWHERE, NS_BLINK, {"device-info", 11}, {AT_DEVICE_INFO, 0}},
    {AT_NOWHERE, NS_CAPS, {"servcaps", 8}, {AT_SERVCAPS, 0}},
};

enum pidf_ns pidf_ns_of(struct text uri)
{
    for (size_t i = 0; i < COUNT(NAMESPACES); i++)
        if (text_eq(uri, NAMESPACES[i].uri))
            return NAMESPACES[i].ns;
    return NS_OTHER;
}

static struct pidf_element look_up(const struct row *rows, size_t n, enum pidf_place below,
                                   enum pidf_ns ns, struct text name)
{
    for (size_t i = 0; i < n; i++)
        if (rows[i].below == below && rows[i].ns == ns && text_eq(name, rows[i].name))
            return rows[i].to;
    return (struct pidf_element){AT_NOWHERE, 0};
}

struct pidf_element pidf_element_of(enum pidf_place below, enum pidf_ns ns, struct text name)
{
    struct pidf_element e = look_up(ELEMENTS, COUNT(ELEMENTS), below, ns, name);
    bool owner =
        below == AT_TUPLE || below == AT_STATUS || below == AT_PERSON || below == AT_DEVICE;
    return e.place != AT_NOWHERE || !owner
               ? e
               : look_up(EVERYWHERE, COUNT(EVERYWHERE), AT_NOWHERE, ns, name);
}
