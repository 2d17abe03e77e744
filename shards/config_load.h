// What is known while a gateway.toml is being loaded: the result, and where everything stood.
// Internal to config.
#ifndef SHARDS_CONFIG_LOAD_H
#define SHARDS_CONFIG_LOAD_H

#include "shards/config_table.h"
#include "shards/config_toml.h"

struct config_load {
    struct config *cfg;
    struct config_toml_place at[CONFIG_ROWS_MAX]; // of each row's value; line 0: not in the file
    struct config_toml_place *item_at[CONFIG_ROWS_MAX];   // of its items, in their order
    struct config_toml_place section_at[CONFIG_ROWS_MAX]; // of its section
    const struct config_row *list;                        // whose items are being handed out
    struct config_realm *realm;                           // whose section is being handed out,
    char realm_path[CONFIG_TOML_PATH_MAX];                // and its path; NULL: of a refused one
    struct config_toml_place realm_at[CORE_REALMS_MAX], realm_file_at[CORE_REALMS_MAX];
    // The fault that comes first in the file.
    struct config_toml_place fault_at; // line 0: none
    char fault[320];
    bool no_memory;
};

void config_load_fault(struct config_load *l, struct config_toml_place at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// The place of `path`'s value, else of its section, else 1:1.
struct config_toml_place config_load_place(const struct config_load *l, const char *path);
// Replaces *slot with a copy of `t`.
void config_load_string(struct config_load *l, char **slot, struct text t);
// Bytes of a file of `limit` bytes at most, NUL-terminated; free() it. EFBIG, ENOMEM, or open's and
// read's errors.
int config_load_file(char **out, size_t *n, const char *path, size_t limit);

// What concerns more than one key, or files and names beside the configuration. After all values.
void config_check(struct config_load *l);

#endif
