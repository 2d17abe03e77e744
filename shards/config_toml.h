// A TOML 1.0 document as a walk over its values, each with its place in the text.
//
// The only door to the TOML library, which is C++: no exception comes through. Any thread.
#ifndef SHARDS_CONFIG_TOML_H
#define SHARDS_CONFIG_TOML_H

#include "core/wire/text.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    // Dots outside of strings and comments. Each one may open a table in a table, and the library
    // gives tables back by recursion: 50,000 of them end its stack.
    CONFIG_TOML_DOTS_MAX = 4096,
};

enum config_toml_type {
    CONFIG_TOML_STRING,
    CONFIG_TOML_INTEGER,
    CONFIG_TOML_BOOLEAN,
    CONFIG_TOML_FLOAT,
    CONFIG_TOML_DATE, // date, time, or both
    CONFIG_TOML_ARRAY,
    CONFIG_TOML_TABLE,
};

struct config_toml_place {
    unsigned line, column; // both from 1
};

// One value. An array comes before its items, a table before what is in it.
struct config_toml_value {
    const char *path;  // "sip.tls.ca"; a key that is not bare stands there in quotes
    const char *table; // "sip.tls"; "": the document
    struct text key;   // "ca", as it is; an array's item has none
    enum config_toml_type type;
    bool is_item; // of the array that has just been handed out
    struct text string;
    int64_t integer;
    bool boolean;
    size_t n; // items of an array
    struct config_toml_place at, key_at;
};

enum { CONFIG_TOML_PATH_MAX = 256 }; // a longer path is cut, with "..." at its end

struct config_toml_error {
    char text[256];
    struct config_toml_place at;
};

// `visit` says whether to look into the table or array that it was given. Values come in no
// particular order, save the items of an array. All text lives until `visit` returns.
// EINVAL: not TOML, or not UTF-8; ENOMEM.
int config_toml_walk(struct text doc, bool (*visit)(void *, const struct config_toml_value *),
                     void *arg, struct config_toml_error *why);

#ifdef __cplusplus
}
#endif

#endif
