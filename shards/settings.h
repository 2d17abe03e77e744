// What of the configuration a running shard obeys, in one piece of memory that crosses a ring.
//
// Made by main, freed by the shard that it was handed to.
#ifndef SHARDS_SETTINGS_H
#define SHARDS_SETTINGS_H

#include "core/core.h"
#include "shards/config.h"

struct settings {
    struct core_settings core;
    struct core_trust trust; // its lists are in the same piece
};

int settings_create(struct settings **out, const struct config *cfg); // ENOMEM
void settings_destroy(struct settings *s);

// The rest: what a core is made with. Fills in all that comes from `cfg` and `s`; text stays
// theirs, the list of realms is in `realms`.
void settings_fill_core(struct core_config *core, struct core_realm realms[CORE_REALMS_MAX],
                        const struct config *cfg, const struct settings *s);

#endif
