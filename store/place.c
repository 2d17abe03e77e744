// Which file an environment has open, and whether its path still names that one: what is written to
// a file that was removed, or moved away, no later start will find.

#include "store/inner.h"

#include <errno.h>
#include <sys/stat.h>

void place_note(struct place *p, MDB_env *env)
{
    int fd;
    struct stat st;
    p->known = mdb_env_get_fd(env, &fd) == 0 && fstat(fd, &st) == 0;
    if (!p->known)
        return;
    p->device = st.st_dev;
    p->inode = st.st_ino;
}

int place_check(const struct place *p, const char *path, struct store_error *why)
{
    struct store_path file;
    store_path(&file, "%s/data.mdb", path);
    struct stat st;
    int rc = stat(file.z, &st) != 0 ? errno : 0;
    if (!p->known || (rc != 0 && rc != ENOENT && rc != ENOTDIR))
        return 0;
    if (rc != 0)
        return store_fail(why, ENOENT, "store: %s was removed, or moved away, while in use",
                          file.z);
    if (st.st_dev == p->device && st.st_ino == p->inode)
        return 0;
    return store_fail(why, ESTALE, "store: %s is another file than the one in use", file.z);
}
