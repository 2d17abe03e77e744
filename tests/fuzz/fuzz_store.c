// A damaged store: its files' bytes are changed as the input says. It is refused, or what it holds
// can be read from end to end; never a crash.
//
// The input is a list of changes: file, place, and bytes or how much is cut off.
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/record.h"
#include "fuzz.h"
#include "store/inner.h"

enum { RECORDS = 60, FILES = 2, CHANGES_MAX = 16 };

static char dir[64];
static struct file {
    char path[128];
    char *bytes;
    size_t n;
} files[FILES];

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static void remove_tree(void)
{
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

// Of many sizes, some larger than a page.
static struct text record_of(uint64_t id)
{
    static char bytes[9000];
    size_t n = id % 16 == 15 ? 5000 : 60 + id * 7;
    memset(bytes, (int)id, n);
    bytes[0] = RECORD_VERSION;
    return (struct text){bytes, n};
}

static void fill(void)
{
    struct store *s;
    struct store_shard *shard;
    struct store_error why;
    if (store_open(&s, dir, 1, &why) || store_shard_open(&shard, s, 0, &why)) {
        fprintf(stderr, "%s\n", why.text);
        abort();
    }
    for (uint64_t id = 1; id <= RECORDS; id++) {
        struct store_change c = {.id = id, .record = record_of(id), .fresh = true};
        if (store_shard_commit(shard, &c, 1, &why))
            abort();
    }
    // Pages that were used and are free.
    for (uint64_t id = 1; id <= RECORDS; id += 3)
        if (store_shard_commit(shard, &(struct store_change){.id = id}, 1, &why))
            abort();
    store_shard_close(shard);
    store_close(s);
}

static void keep(struct file *f, const char *name)
{
    struct stat st;
    snprintf(f->path, sizeof f->path, "%s/%s/data.mdb", dir, name);
    int fd = open(f->path, O_RDONLY);
    if (fd < 0 || fstat(fd, &st) != 0)
        abort();
    f->n = (size_t)st.st_size;
    f->bytes = malloc(f->n);
    if (!f->bytes || read(fd, f->bytes, f->n) != (ssize_t)f->n)
        abort();
    close(fd);
}

static void start(void)
{
    snprintf(dir, sizeof dir, "/dev/shm/isthmus-fuzz-%d", (int)getpid());
    store_tuning.map_start_bytes = (size_t)1 << 20;
    remove_tree();
    atexit(remove_tree);
    fill();
    keep(&files[0], "meta");
    keep(&files[1], "gen-1/shard-0");
}

static void write_back(const struct file *f, const char *bytes, size_t n)
{
    int fd = open(f->path, O_WRONLY | O_TRUNC);
    if (fd < 0 || write(fd, bytes, n) != (ssize_t)n)
        abort();
    close(fd);
}

// LMDB's page and 8-byte words are where its numbers lie: places are said by these.
static void change(struct fuzz_input *in, char *bytes, size_t *n)
{
    enum { PAGE = 4096 };
    uint8_t page = fuzz_byte(in), what = fuzz_byte(in);
    size_t at = (size_t)page * PAGE + fuzz_u16(in) % PAGE;
    if (what == 255) {
        *n = at < *n ? at : *n;
        return;
    }
    struct text with = fuzz_take(in, 1 + what % 16);
    if (at + with.n <= *n)
        memcpy(bytes + at, with.p, with.n);
}

struct seen {
    uint64_t last;
    size_t sum;
};

static int see(void *arg, uint64_t id, struct text record)
{
    struct seen *s = arg;
    fuzz_expect(id > s->last, "ids do not ascend");
    s->last = id;
    for (size_t i = 0; i < record.n; i++)
        s->sum += (uint8_t)record.p[i];
    return 0;
}

static void read_all(struct store *s)
{
    struct store_shard *shard;
    struct store_error why = {""};
    struct seen seen = {0};
    if (store_shard_open(&shard, s, 0, &why)) {
        fuzz_expect(why.text[0], "refused without a word");
        return;
    }
    store_shard_scan(shard, see, &seen);
    struct store_change c = {.id = seen.last + 1, .record = record_of(7)};
    store_shard_commit(shard, &c, 1, &why);
    store_shard_close(shard);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct fuzz_input in = {data, n};
    struct store *s;
    struct store_error why = {""};
    if (!files[0].bytes)
        start();
    struct file *f = &files[fuzz_byte(&in) % 4 != 0];
    char *bytes = fuzz_copy((struct text){f->bytes, f->n});
    size_t left = f->n;
    for (unsigned i = 0; in.n && i < CHANGES_MAX; i++)
        change(&in, bytes, &left);
    for (unsigned i = 0; i < FILES; i++)
        write_back(&files[i], files[i].bytes, files[i].n);
    write_back(f, bytes, left);
    free(bytes);
    int err = store_open(&s, dir, 1, &why);
    fuzz_expect((err == 0) == (s != NULL), "verdict %d", err);
    if (err) {
        fuzz_expect(why.text[0], "refused without a word");
        return 0;
    }
    read_all(s);
    store_close(s);
    return 0;
}
