// The one table of all keys of gateway.toml, for the loader and the reference. Internal to config.
#ifndef SHARDS_CONFIG_TABLE_H
#define SHARDS_CONFIG_TABLE_H

#include "shards/config.h"

enum config_kind {
    CONFIG_STRING,  // char *
    CONFIG_NUMBER,  // uint32_t or unsigned
    CONFIG_BOOLEAN, // bool
    CONFIG_WORD,    // one of `words`, as its index: int, or bool when there are two
    CONFIG_DOMAIN,  // char *, prepared; may be empty
    CONFIG_ADDRESS, // host:port, into char * and uint16_t
    CONFIG_NUMERIC, // the same, never a name
    CONFIG_LISTEN,  // lists, all into struct config_list
    CONFIG_DOMAINS,
    CONFIG_NETS,
    CONFIG_SERVERS,
};

enum { CONFIG_ROWS_MAX = 64, CONFIG_WORDS_MAX = 4 };

// The keys of the sections that the file gives names of its own to, one struct config_realm each.
#define CONFIG_REALMS "sip.realms"

struct config_row {
    const char *section, *key;
    enum config_kind kind;
    bool of_realm;        // `section` is CONFIG_REALMS, and each of its sections has this key
    size_t at, size;      // the target in struct config, or in struct config_realm
    size_t port_at;       // of CONFIG_ADDRESS and CONFIG_NUMERIC
    uint32_t least, most; // of a number; of a list's items
    uint32_t number;      // default: number, boolean, index of word
    const char *text;     // default: string, or the only item of a list; "": no items
    const char *words[CONFIG_WORDS_MAX];
    const char *required; // not NULL: no default, `text` is a sample, and this is what to say
    bool live;            // a reload puts it into effect
    const char *doc;
};

extern const struct config_row config_rows[];
extern const size_t config_n_rows;

// `c` is the struct config, or the struct config_realm when the row is `of_realm`.
static inline void *config_row_target(const struct config_row *row, void *c)
{
    return (char *)c + row->at;
}
static inline const void *config_row_value(const struct config_row *row, const void *c)
{
    return (const char *)c + row->at;
}

// By "section.key"; NULL: none.
const struct config_row *config_row_find(const char *path);
const struct config_row *config_row_find_of_realm(struct text key);
// Whether `path` names a section, or a table around one.
bool config_row_is_section(const char *path);
bool config_row_is_list(const struct config_row *row);

#endif
