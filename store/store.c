// The store as a whole: opened in an order that changes nothing before everything is known to be
// well.

#include "store/inner.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct store_tuning store_tuning = {
    .map_start_bytes = (size_t)64 << 20,
    .map_max_bytes = (size_t)1 << 40, // of address space, not of disk or memory
};

int store_fail(struct store_error *why, int rc, const char *format, ...)
{
    if (why) {
        va_list args;
        va_start(args, format);
        vsnprintf(why->text, sizeof why->text, format, args);
        va_end(args);
    }
    return rc;
}

void store_path(struct store_path *out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(out->z, sizeof out->z, format, args);
    va_end(args);
    assert(n > 0 && n < STORE_PATH_MAX); // STORE_DIR_MAX leaves room for our names
}

void store_shard_path(struct store_path *out, const char *dir, uint64_t generation, unsigned shard)
{
    store_path(out, "%s/gen-%llu/shard-%u", dir, (unsigned long long)generation, shard);
}

uint64_t store_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    uint64_t now_ms = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
    return store_tuning.now_ms ? store_tuning.now_ms : now_ms;
}

// A directory without `meta` is new, unless generations show that one is lost.
static int make_meta(struct store *s, struct store_error *why)
{
    if (directory_has(s->fd, "meta"))
        return 0;
    bool any;
    int rc = directory_any_generation(s->fd, &any);
    if (rc != 0)
        return store_fail(why, rc, "store %s: can't be listed: %s", s->dir, strerror(rc));
    if (any)
        return store_fail(why, EBADMSG, "store %s: damaged: it has shards, but no meta", s->dir);
    return meta_create(s->fd, s->dir, why);
}

static int verify_shards(struct store *s, struct store_error *why)
{
    uint64_t id_max = 0;
    for (unsigned i = 0; i < s->shards; i++) {
        struct store_path path;
        store_shard_path(&path, s->dir, s->generation, i);
        uint64_t id;
        int rc = verify_env(path.z, &id, why);
        if (rc != 0)
            return rc;
        if (id > id_max)
            id_max = id;
    }
    s->next_id = id_max + 1;
    return 0;
}

static int open_in(struct store *s, unsigned shards, struct store_error *why)
{
    struct meta meta;
    int rc = make_meta(s, why);
    if (rc == 0)
        rc = meta_read(&meta, s->dir, why);
    if (rc != 0)
        return rc;
    memcpy(s->key, meta.key, sizeof s->key);
    s->generation = meta.generation;
    s->shards = meta.shards;
    s->former = meta.former;
    rc = verify_shards(s, why);
    if (rc == 0)
        rc = directory_sweep(s->fd, s->generation, why);
    if (rc == 0 && s->shards != shards)
        rc = partition_run(s, shards, why);
    return rc;
}

int store_open(struct store **out, const char *dir, unsigned shards, struct store_error *why)
{
    *out = NULL;
    if (shards < 1 || shards > STORE_SHARDS_MAX)
        return store_fail(why, EINVAL, "store %s: %u shards: from 1 to %d are possible", dir,
                          shards, STORE_SHARDS_MAX);
    if (strlen(dir) > STORE_DIR_MAX)
        return store_fail(why, ENAMETOOLONG, "store: its path is above %d bytes", STORE_DIR_MAX);
    struct store *s = calloc(1, sizeof *s);
    if (!s)
        return store_fail(why, ENOMEM, "store %s: out of memory", dir);
    s->fd = -1;
    int rc = directory_open(&s->fd, dir, why);
    if (rc == 0 && !(s->dir = realpath(dir, NULL)))
        rc = store_fail(why, errno, "store %s: %s", dir, strerror(errno));
    if (rc == 0 && strlen(s->dir) > STORE_DIR_MAX)
        rc = store_fail(why, ENAMETOOLONG, "store: its path is above %d bytes", STORE_DIR_MAX);
    if (rc == 0)
        rc = open_in(s, shards, why);
    if (rc != 0) {
        store_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    assert(atomic_load(&s->open) == 0);
    if (s->fd >= 0)
        close(s->fd);
    free(s->dir);
    free(s);
}

const uint8_t *store_key(const struct store *s)
{
    return s->key;
}

uint64_t store_next_id(const struct store *s)
{
    return s->next_id;
}

unsigned store_former_shards(const struct store *s, uint64_t now_ms)
{
    bool more = s->former.shards > s->shards;
    return more && meta_former_is_needed(&s->former, now_ms) ? s->former.shards : 0;
}
