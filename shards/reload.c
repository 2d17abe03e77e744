// The one way in which a changed gateway.toml reaches running shards.
#include "shards/reload.h"

#include <pthread.h>
#include "shards/log.h"

static void warn_restart(void *arg, const char *key)
{
    (void)arg;
    log_warn("reload_needs_restart", "key", key, NULL);
}

static int apply(struct shards *shards, const struct config *running, const struct config *fresh,
                 struct config_error *why)
{
    int err = shards_reload(shards, fresh);
    if (err) {
        snprintf(why->text, sizeof why->text, "the shards can't take it: %s", strerror(err));
        return err;
    }
    log_setup((enum log_level)fresh->log.level, fresh->log.json);
    config_each_restart_key(running, fresh, warn_restart, NULL);
    return 0;
}

int reload_run(struct shards *shards, const struct config *running, struct config_error *why)
{
    static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
    struct config *fresh;
    pthread_mutex_lock(&one_at_a_time);
    int err = config_load(&fresh, running->path, why);
    if (!err) {
        err = apply(shards, running, fresh, why);
        config_free(fresh);
    }
    pthread_mutex_unlock(&one_at_a_time);
    return err;
}
