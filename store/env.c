// LMDB environments: how they are opened, how large their maps are, and what their errors mean.

#include "store/inner.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static_assert(sizeof(size_t) == sizeof(uint64_t), "MDB_INTEGERKEY holds our ids only at 64 bits");

enum {
    ENV_LOCK_BYTES = 8192,    // of LMDB's lock file with its default of 126 readers
    ENV_FULL_BYTES = 1 << 20, // a disk with less than this left may be taken for full
};

int env_errno(int rc)
{
    switch (rc) {
    case EDQUOT:
    case EFBIG:
    case MDB_MAP_FULL: return ENOSPC;
    case MDB_INVALID:
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND: return EBADMSG;
    case MDB_VERSION_MISMATCH: return ENOTSUP;
    default: return rc >= 0 ? rc : EIO;
    }
}

int env_write_errno(const char *path, int rc)
{
    struct statvfs fs;
    int e = env_errno(rc);
    bool full = e == EIO && statvfs(path, &fs) == 0 &&
                (uint64_t)fs.f_bavail * fs.f_frsize < (uint64_t)ENV_FULL_BYTES;
    return full ? ENOSPC : e;
}

const char *env_text(int rc)
{
    const char *text = rc > 0 ? strerrordesc_np(rc) : mdb_strerror(rc);
    return text ? text : "unknown error";
}

static size_t map_bytes(const char *path)
{
    struct store_path file;
    store_path(&file, "%s/data.mdb", path);
    struct stat st = {0};
    if (stat(file.z, &st) != 0)
        st.st_size = 0;
    size_t bytes = store_tuning.map_start_bytes;
    while (bytes < (size_t)st.st_size)
        bytes *= 2;
    return bytes;
}

// LMDB makes its lock file sparse and writes to it through a map: on a full disk that is SIGBUS. So
// its blocks are taken beforehand, where the lack of them is only an error.
static int reserve_lock(const char *path)
{
    struct store_path file;
    store_path(&file, "%s/lock.mdb", path);
    int fd = open(file.z, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    int rc;
    do
        rc = posix_fallocate(fd, 0, ENV_LOCK_BYTES);
    while (rc == EINTR);
    close(fd);
    return rc == EOPNOTSUPP ? 0 : rc;
}

int env_open(MDB_env **out, const char *path, unsigned flags, struct store_error *why)
{
    *out = NULL;
    MDB_env *env = NULL;
    int rc = flags & MDB_NOLOCK ? 0 : reserve_lock(path);
    if (rc == 0)
        rc = mdb_env_create(&env);
    if (rc == 0)
        rc = mdb_env_set_mapsize(env, map_bytes(path));
    // NOTLS: a reader belongs to its transaction, as a shard may be opened on one thread and run on
    // another.
    if (rc == 0)
        rc = mdb_env_open(env, path, flags | MDB_NOTLS, 0600);
    if (rc != 0) {
        mdb_env_close(env);
        return store_fail(why, env_write_errno(path, rc), "store: %s can't be opened: %s", path,
                          env_text(rc));
    }
    *out = env;
    return 0;
}

int env_grow(MDB_env *env)
{
    // A dead reader (of an mdb_copy that was killed) keeps pages from being used again.
    mdb_reader_check(env, NULL);
    MDB_envinfo info;
    mdb_env_info(env, &info);
    if (info.me_mapsize >= store_tuning.map_max_bytes)
        return ENOSPC;
    return env_errno(mdb_env_set_mapsize(env, info.me_mapsize * 2));
}

uint64_t env_bytes(MDB_env *env)
{
    enum { META_PAGES = 2 };
    MDB_stat st;
    mdb_env_stat(env, &st);
    return (META_PAGES + st.ms_branch_pages + st.ms_leaf_pages + st.ms_overflow_pages) *
           (uint64_t)st.ms_psize;
}

int env_table(MDB_txn *txn, MDB_dbi *out)
{
    return mdb_dbi_open(txn, NULL, MDB_INTEGERKEY, out);
}
