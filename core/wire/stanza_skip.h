// Finds the end of a stanza that is not to be read: of one that is too deep, or has a tag so long
// that no parser should see it.
//
// Takes time in proportion to the bytes, whatever they are: libxml2 compares each attribute of an
// element with all others, and looks for a namespace through all levels that are open. Whether
// names of tags match, and characters are allowed, is not looked at; what a stream may not contain
// (RFC 6120 §11.1) is.
#ifndef CORE_WIRE_STANZA_SKIP_H
#define CORE_WIRE_STANZA_SKIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum stanza_skip_at {
    SKIP_TEXT,
    SKIP_OPEN,  // behind '<'
    SKIP_TAG,   // in a start tag
    SKIP_VALUE, // in an attribute of it
    SKIP_END,   // in an end tag
    SKIP_CDATA, // in "<![CDATA[…]]>", its beginning and end included
};

struct stanza_skip {
    uint8_t at;    // enum stanza_skip_at
    char quote;    // SKIP_VALUE
    bool slash;    // SKIP_TAG: it was the last character
    uint8_t n;     // SKIP_CDATA: characters of its beginning, then 8; with brackets at its end
    unsigned open; // elements
};

// Takes bytes until no element is open. 0: that is so, and *used tells after how many; EAGAIN: all
// were taken; EPERM: restricted XML; EBADMSG: no XML.
int stanza_skip_feed(struct stanza_skip *s, const char *p, size_t n, size_t *used);

#endif
