// Takes gateway.toml again while the shards run. Any thread; one reload at a time.
#ifndef SHARDS_RELOAD_H
#define SHARDS_RELOAD_H

#include "shards/config.h"
#include "shards/shards.h"

// `running` is the configuration that the daemon was started with; it stays as it is. Trust,
// limits, subscription, probe and log settings of the file take effect; for every other key that
// differs a line in the log says that it needs a restart. EINVAL: the file is bad, `why` says
// where; ENOMEM …; on error nothing has changed.
int reload_run(struct shards *shards, const struct config *running, struct config_error *why);

#endif
