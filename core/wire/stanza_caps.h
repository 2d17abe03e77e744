// Entity capabilities (XEP-0115): what a disco#info answer says, as one short word.
#ifndef CORE_WIRE_STANZA_CAPS_H
#define CORE_WIRE_STANZA_CAPS_H

#include "core/wire/stanza_iq.h"

enum { CAPS_PARTS_MAX = 64 }; // of each kind: identities, features, forms, fields, values

// XEP-0128: a data form with its FORM_TYPE, which is not among the fields.
struct stanza_caps_field {
    struct text var;
    const struct text *values;
    size_t n;
};
struct stanza_caps_form {
    struct text type;
    const struct stanza_caps_field *fields;
    size_t n;
};

struct stanza_caps {
    const struct stanza_identity *identities;
    const struct text *features;
    const struct stanza_caps_form *forms;
    size_t n_identities, n_features, n_forms;
};

// The verification string with sha-1 (§5.1), in any order of its parts: 28 characters of Base64.
void stanza_caps_ver(struct buffer *b, const struct stanza_caps *caps);
// <c/> for a presence.
void stanza_caps_write(struct buffer *b, struct text node, struct text ver);

#endif
