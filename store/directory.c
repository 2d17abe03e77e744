// The store's directories: making, locking and removing them, durably.

#include "store/inner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

// The lock is on the directory itself, so that even a store that we refuse keeps every file as it
// was. It goes with the process, however that ends.
static int lock(int fd, const char *dir, struct store_error *why)
{
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno == EWOULDBLOCK)
        return store_fail(why, EBUSY, "store %s: in use by another process", dir);
    return store_fail(why, errno, "store %s: can't be locked: %s", dir, strerror(errno));
}

int directory_sync(const char *path, struct store_error *why)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 || fsync(fd) != 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    if (rc != 0)
        return store_fail(why, rc, "store: %s can't be synced: %s", path, strerror(rc));
    return 0;
}

int directory_make(const char *path, struct store_error *why)
{
    if (mkdir(path, 0700) != 0)
        return store_fail(why, errno, "store: %s can't be made: %s", path, strerror(errno));
    struct store_path parent;
    store_path(&parent, "%s/..", path);
    return directory_sync(parent.z, why);
}

int directory_open(int *fd, const char *dir, struct store_error *why)
{
    struct stat st;
    int rc = stat(dir, &st) != 0 && errno == ENOENT ? directory_make(dir, why) : 0;
    if (rc != 0)
        return rc;
    *fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd < 0)
        return store_fail(why, errno, "store %s: %s", dir, strerror(errno));
    rc = lock(*fd, dir, why);
    if (rc == 0 && faccessat(*fd, ".", W_OK | X_OK, AT_EACCESS) != 0)
        rc = store_fail(why, errno, "store %s: can't be written to: %s", dir, strerror(errno));
    return rc; // the caller closes *fd
}

bool directory_has(int fd, const char *name)
{
    // Whatever is there but can't be looked at is there, too: it must not be taken for a new store.
    struct stat st;
    return fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

// The next name but "." and ".."; NULL with *rc: 0 at the end, else why it can't be known.
static const char *next_name(DIR *d, int *rc)
{
    struct dirent *e;
    do {
        errno = 0;
        e = readdir(d);
    } while (e && (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0));
    *rc = e ? 0 : errno;
    return e ? e->d_name : NULL;
}

static int remove_children(int fd)
{
    DIR *d = fdopendir(fd);
    if (!d) {
        int rc = errno;
        close(fd);
        return rc;
    }
    int rc = 0;
    for (const char *name; rc == 0 && (name = next_name(d, &rc));)
        rc = directory_remove(dirfd(d), name);
    closedir(d);
    return rc;
}

int directory_remove(int fd, const char *name)
{
    int child = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    bool is_dir = child >= 0;
    if (!is_dir && errno != ENOTDIR && errno != ELOOP)
        return errno == ENOENT ? 0 : errno;
    int rc = is_dir ? remove_children(child) : 0;
    if (rc == 0 && unlinkat(fd, name, is_dir ? AT_REMOVEDIR : 0) != 0)
        rc = errno;
    return rc;
}

bool directory_generation(const char *name, uint64_t *generation)
{
    if (strncmp(name, "gen-", 4) != 0)
        return false;
    char *end;
    errno = 0;
    *generation = strtoull(name + 4, &end, 10);
    char again[32]; // the number has one spelling: no blanks, signs, leading zeros
    snprintf(again, sizeof again, "gen-%llu", (unsigned long long)*generation);
    return errno == 0 && *end == '\0' && strcmp(name, again) == 0;
}

// Calls `each` for every name until it returns an error. A list that breaks off is an error, too: a
// store whose shards were not seen must not be taken for a new one.
static int list(int fd, int (*each)(int fd, const char *name, void *arg), void *arg)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
    if (!d) {
        int rc = errno;
        if (copy >= 0)
            close(copy);
        return rc;
    }
    int rc = 0;
    for (const char *name; rc == 0 && (name = next_name(d, &rc));)
        rc = each(fd, name, arg);
    closedir(d);
    return rc;
}

static int note_generation(int fd, const char *name, void *arg)
{
    (void)fd;
    uint64_t generation;
    if (directory_generation(name, &generation))
        *(bool *)arg = true;
    return 0;
}

int directory_any_generation(int fd, bool *any)
{
    *any = false;
    return list(fd, note_generation, any);
}

static int sweep_name(int fd, const char *name, void *arg)
{
    uint64_t generation;
    bool left = directory_generation(name, &generation) && generation != *(uint64_t *)arg;
    if (!left && strcmp(name, "meta.new") != 0)
        return 0;
    return directory_remove(fd, name);
}

int directory_sweep(int fd, uint64_t keep, struct store_error *why)
{
    int rc = list(fd, sweep_name, &keep);
    if (rc != 0)
        return store_fail(why, rc, "store: leftovers of a former start can't be removed: %s",
                          strerror(rc));
    return 0;
}
