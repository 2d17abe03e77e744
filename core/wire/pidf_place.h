// Which elements of a PIDF document are known, and where they may stand. Used by pidf*.c only.
#ifndef CORE_WIRE_PIDF_PLACE_H
#define CORE_WIRE_PIDF_PLACE_H

#include "core/wire/text.h"

enum pidf_ns {
    NS_OTHER,
    NS_PIDF,
    NS_CLIENT,
    NS_BLINK,
    NS_BLINK_CAPS,
    NS_RPID,
    NS_CIPID,
    NS_MODEL,
    NS_CAPS
};

enum pidf_place {
    AT_NOWHERE,
    AT_PRESENCE,
    AT_TUPLE,
    AT_STATUS,
    AT_PERSON,
    AT_DEVICE,
    AT_ACTIVITIES,
    AT_MOOD,
    AT_PLACE_TYPE,
    AT_DEVICE_INFO,
    AT_SERVCAPS,
    AT_BASIC, // from here on: places whose text is collected
    AT_SHOW,
    AT_EXTENDED,
    AT_CONTACT,
    AT_NOTE,
    AT_RICH_TEXT, // from here on: of the rich payload
    AT_RICH_URI,
    AT_STATUS_ICON,
    AT_TIMESTAMP,
    AT_UTC_OFFSET,
    AT_USER_INPUT,
    AT_SERVICE,
};

struct pidf_element {
    enum pidf_place place;
    unsigned field; // AT_RICH_TEXT, AT_RICH_URI: enum presence_text; AT_SERVICE: presence_service
};

enum pidf_ns pidf_ns_of(struct text uri);
// Where an element of that name leads below a place; AT_NOWHERE: it is not known there.
struct pidf_element pidf_element_of(enum pidf_place below, enum pidf_ns ns, struct text name);

#endif
