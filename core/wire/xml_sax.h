// What libxml2 hands to SAX2 callbacks, as text. Used by stanza_sax.c and pidf.c only.
//
// Its headers stay in those files: an xmlChar is an unsigned char. All texts are the parser's, and
// good until the callback returns.
#ifndef CORE_WIRE_XML_SAX_H
#define CORE_WIRE_XML_SAX_H

#include "core/wire/text.h"

struct xml_attribute {
    struct text name, value;
    const char *ns; // NULL: none
};

// A name or namespace; NULL gives "".
static inline struct text xml_text(const unsigned char *name)
{
    return text_of((const char *)name);
}

// The i-th attribute of an element: five pointers each, which are name, prefix, namespace, value
// and the value's end.
static inline struct xml_attribute xml_attribute_at(const unsigned char **v, int i)
{
    const unsigned char **a = v + (ptrdiff_t)i * 5;
    return (struct xml_attribute){
        .name = xml_text(a[0]),
        .value = {(const char *)a[3], (size_t)(a[4] - a[3])},
        .ns = (const char *)a[2],
    };
}

static inline bool xml_is_lang(const struct xml_attribute *a)
{
    return a->ns && strcmp(a->ns, "http://www.w3.org/XML/1998/namespace") == 0 &&
           text_eq(a->name, TEXT("lang"));
}

#endif
