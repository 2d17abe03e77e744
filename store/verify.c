// Looks through an environment's file before LMDB gets it, and finds structural damage.
//
// LMDB keeps no checksums and trusts what it reads: a lost page makes it abort, a cut file ends in
// SIGBUS, and a wrong list of free pages makes it write over live ones. So every page of both trees
// is visited here first: that it is in the file, is what its parent takes it for, is used once, and
// keeps its nodes inside itself and in order. The bytes of the records are not judged. The
// structures are those of LMDB's data version 1 (mdb.c, 0.9.x), which are fixed.

#include "store/inner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERIFY_MAGIC 0xBEEFC0DEu
#define NO_PAGE      UINT64_MAX

enum {
    DATA_VERSION = 1,
    PAGE_BYTES_MIN = 256,
    PAGE_BYTES_MAX = 65536,
    HEADER_BYTES = 16,
    NODE_BYTES = 8,
    KEY_BYTES = 8,
    DEPTH_MAX = 32,
    // Free pages at the end that were never written: the file may be shorter than its last page.
    // One transaction can leave no more than its dirty pages, 131,071.
    UNWRITTEN_PAGES_MAX = 1 << 20,
    PAGE_BRANCH = 1,
    PAGE_LEAF = 2,
    PAGE_OVERFLOW = 4,
    PAGE_META = 8, // no other flags: above all not the dirty one, which LMDB would believe
    NODE_BIG = 1,  // data on overflow pages
};

struct page {
    uint64_t number;
    uint16_t pad, flags;
    union {
        struct {
            uint16_t lower, upper;
        };
        uint32_t pages; // of overflow
    };
};

struct node {
    uint16_t lo, hi, flags, key_bytes;
};

struct tree {
    uint32_t pad;
    uint16_t flags, depth;
    uint64_t branch_pages, leaf_pages, overflow_pages, entries, root;
};

struct head {
    uint32_t magic, version;
    uint64_t address, map_bytes;
    struct tree tree[2]; // free pages, records
    uint64_t last_page, txn;
};

struct verify {
    const uint8_t *map;
    size_t bytes, page_bytes;
    uint64_t pages;      // that the file has or, free, may have
    uint64_t file_pages; // wholly in the file
    uint8_t *used;       // bit per page
    bool free_tree;
    uint64_t entries, id, floor; // of the tree at hand: so far; the last id; ids must not be below
    const char *damage;          // what was found; NULL: nothing
};

static bool bad(struct verify *v, const char *damage)
{
    if (!v->damage)
        v->damage = damage;
    return false;
}

// Marks pages as used; each may be so once.
static bool claim(struct verify *v, uint64_t first, uint64_t n, uint64_t limit)
{
    if (first < 2 || n > limit || first > limit - n)
        return bad(v, "a page number is beyond its end");
    for (uint64_t i = first; i < first + n; i++) {
        if (v->used[i / 8] >> (i % 8) & 1)
            return bad(v, "a page is used twice");
        v->used[i / 8] |= (uint8_t)(1u << (i % 8));
    }
    return true;
}

static const uint8_t *page_at(const struct verify *v, uint64_t number)
{
    return v->map + number * v->page_bytes;
}

static bool list_of_free(struct verify *v, const uint8_t *data, size_t n)
{
    uint64_t count, number;
    if (n < sizeof count)
        return bad(v, "a list of free pages is cut");
    memcpy(&count, data, sizeof count);
    if (count > n / sizeof count - 1)
        return bad(v, "a list of free pages is cut");
    uint64_t before = NO_PAGE;
    for (uint64_t i = 1; i <= count; i++) {
        memcpy(&number, data + i * sizeof number, sizeof number);
        if (number >= before)
            return bad(v, "a list of free pages is out of order");
        if (!claim(v, number, 1, v->pages))
            return false;
        before = number;
    }
    return true;
}

// Data that has pages of its own; *data is where it begins.
static bool overflow(struct verify *v, uint64_t number, size_t n, const uint8_t **data)
{
    if (number < 2 || number >= v->file_pages)
        return bad(v, "a page number is beyond its end");
    struct page p;
    memcpy(&p, page_at(v, number), sizeof p);
    if (p.number != number || p.flags != PAGE_OVERFLOW)
        return bad(v, "an overflow page is not one");
    if (n + HEADER_BYTES > (uint64_t)p.pages * v->page_bytes)
        return bad(v, "a record is larger than its pages");
    *data = page_at(v, number) + HEADER_BYTES;
    return claim(v, number, p.pages, v->file_pages);
}

static bool key_in_order(struct verify *v, const uint8_t *key, size_t n)
{
    uint64_t id;
    if (n != KEY_BYTES)
        return bad(v, "an id is not of 8 bytes");
    memcpy(&id, key, sizeof id);
    if (id < v->floor || (v->entries > 0 && id <= v->id) || id == UINT64_MAX)
        return bad(v, "ids are out of order");
    v->id = id;
    v->entries++;
    return true;
}

static size_t data_bytes_of(const struct node *n)
{
    return n->lo | (size_t)n->hi << 16;
}

static size_t node_bytes(const struct node *n, bool leaf)
{
    size_t data = n->flags & NODE_BIG ? sizeof(uint64_t) : data_bytes_of(n);
    return (NODE_BYTES + (size_t)n->key_bytes + (leaf ? data : 0) + 1) & ~(size_t)1;
}

// The nodes of a page lie one behind the other, without a gap, up to its end. LMDB moves them about
// by their sizes, and would write past the page if that were not so.
static bool nodes_tile(struct verify *v, const uint8_t *at, const struct page *p, size_t n,
                       bool leaf)
{
    uint8_t starts[PAGE_BYTES_MAX / 16]; // bit per two bytes
    memset(starts, 0, v->page_bytes / 16);
    for (size_t i = 0; i < n; i++) {
        uint16_t offset;
        memcpy(&offset, at + HEADER_BYTES + i * sizeof offset, sizeof offset);
        if (offset < p->upper || offset % 2 != 0 || (size_t)offset + NODE_BYTES > v->page_bytes)
            return bad(v, "a node leaves its page");
        starts[offset / 16] |= (uint8_t)(1u << (offset / 2 % 8));
    }
    size_t seen = 0, offset = p->upper;
    for (; offset < v->page_bytes; seen++) {
        struct node node;
        if (offset % 2 != 0 || !(starts[offset / 16] >> (offset / 2 % 8) & 1))
            return bad(v, "the nodes of a page overlap");
        memcpy(&node, at + offset, sizeof node);
        offset += node_bytes(&node, leaf);
    }
    return offset == v->page_bytes && seen == n ? true : bad(v, "the nodes of a page overlap");
}

static bool leaf_node(struct verify *v, const struct node *n, const uint8_t *at)
{
    size_t data_bytes = data_bytes_of(n);
    bool big = n->flags & NODE_BIG;
    if (n->flags & ~NODE_BIG)
        return bad(v, "a node is of an unknown kind");
    const uint8_t *data = at + NODE_BYTES + n->key_bytes;
    uint64_t number;
    if (!key_in_order(v, at + NODE_BYTES, n->key_bytes))
        return false;
    if (big) {
        memcpy(&number, data, sizeof number);
        if (!overflow(v, number, data_bytes, &data))
            return false;
    }
    return !v->free_tree || list_of_free(v, data, data_bytes);
}

static bool visit(struct verify *v, uint64_t number, unsigned depth);

static bool branch_node(struct verify *v, const struct node *n, const uint8_t *at, bool first,
                        unsigned depth)
{
    if (!first) { // the first one's key counts for nothing
        uint64_t least;
        if (n->key_bytes != KEY_BYTES)
            return bad(v, "an id is not of 8 bytes");
        memcpy(&least, at + NODE_BYTES, sizeof least);
        if (least < v->floor || least <= v->id)
            return bad(v, "ids are out of order");
        v->floor = least;
    }
    return visit(v, n->lo | (uint64_t)n->hi << 16 | (uint64_t)n->flags << 32, depth - 1);
}

// One node of a page that is known to be well-formed.
static bool visit_node(struct verify *v, const uint8_t *page, size_t i, unsigned depth)
{
    uint16_t offset;
    struct node node;
    memcpy(&offset, page + HEADER_BYTES + i * sizeof offset, sizeof offset);
    memcpy(&node, page + offset, sizeof node);
    return depth == 1 ? leaf_node(v, &node, page + offset)
                      : branch_node(v, &node, page + offset, i == 0, depth);
}

// `depth` levels are left, this one included.
static bool visit(struct verify *v, uint64_t number, unsigned depth)
{
    if (!claim(v, number, 1, v->file_pages))
        return false;
    const uint8_t *at = page_at(v, number);
    struct page p;
    memcpy(&p, at, sizeof p);
    bool leaf = depth == 1;
    if (p.number != number || p.flags != (leaf ? PAGE_LEAF : PAGE_BRANCH))
        return bad(v, "a page is not what it should be");
    if (p.lower < HEADER_BYTES || p.lower % 2 != 0 || p.lower > p.upper || p.upper > v->page_bytes)
        return bad(v, "a page has impossible bounds");
    size_t n = (p.lower - HEADER_BYTES) / sizeof(uint16_t);
    if (n < (leaf || v->free_tree ? 1 : 2))
        return bad(v, "a page has too few nodes");
    if (!nodes_tile(v, at, &p, n, leaf))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!visit_node(v, at, i, depth))
            return false;
    return true;
}

// A list of free pages bears the number of the transaction that freed them. LMDB counts these from
// 1, and takes 0 for "no list read yet": it would read that one twice, and give its pages out
// twice.
static bool tree(struct verify *v, const struct tree *t)
{
    v->entries = v->id = 0;
    v->floor = v->free_tree;
    if (t->root == NO_PAGE)
        return t->depth == 0 && t->entries == 0 ? true : bad(v, "a tree has lost its root");
    if (t->depth < 1 || t->depth > DEPTH_MAX)
        return bad(v, "a tree has an impossible depth");
    if (!visit(v, t->root, t->depth))
        return false;
    return v->entries == t->entries ? true : bad(v, "the number of entries is wrong");
}

// One of the two meta pages.
static bool head_at(struct verify *v, size_t at, struct head *out)
{
    struct page p;
    if (at + HEADER_BYTES + sizeof *out > v->bytes)
        return bad(v, "its file is cut");
    memcpy(&p, v->map + at, sizeof p);
    memcpy(out, v->map + at + HEADER_BYTES, sizeof *out);
    if (p.flags != PAGE_META || out->magic != VERIFY_MAGIC)
        return bad(v, "its file is not one of LMDB");
    if (out->version != DATA_VERSION)
        return bad(v, "its file is of another version of LMDB");
    size_t bytes = out->tree[0].pad;
    if (bytes < PAGE_BYTES_MIN || bytes > PAGE_BYTES_MAX || (bytes & (bytes - 1)) != 0)
        return bad(v, "its pages are of an impossible size");
    return true;
}

// Takes the newer one, as LMDB does.
static bool read_head(struct verify *v, struct head *out)
{
    struct head second;
    if (!head_at(v, 0, out))
        return false;
    v->page_bytes = out->tree[0].pad;
    if (!head_at(v, v->page_bytes, &second))
        return false;
    if (second.tree[0].pad != v->page_bytes)
        return bad(v, "its pages are of two sizes");
    if (out->txn % 2 != 0 || (second.txn != 0 && second.txn % 2 != 1))
        return bad(v, "its heads have changed places"); // LMDB writes them in turn
    if (second.txn > out->txn)
        *out = second;
    for (int i = 0; i < 2; i++)
        if (out->tree[i].flags != MDB_INTEGERKEY)
            return bad(v, "its table is of another kind");
    return true;
}

static bool both_trees(struct verify *v, const struct head *h)
{
    v->free_tree = true;
    if (!tree(v, &h->tree[0]))
        return false;
    if (v->id > h->txn)
        return bad(v, "a list of free pages is of a transaction to come");
    v->free_tree = false;
    return tree(v, &h->tree[1]);
}

// 0, or an error of its own; damage is in v->damage.
static int look_through(struct verify *v, uint64_t *id_max)
{
    struct head h;
    if (!read_head(v, &h))
        return 0;
    v->file_pages = v->bytes / v->page_bytes;
    if (h.last_page >= v->file_pages + UNWRITTEN_PAGES_MAX) {
        bad(v, "its file is cut");
        return 0;
    }
    v->pages = h.last_page + 1;
    if (v->file_pages > v->pages)
        v->file_pages = v->pages;
    v->used = calloc(v->pages / 8 + 1, 1);
    if (!v->used)
        return ENOMEM;
    if (both_trees(v, &h))
        *id_max = v->id;
    free(v->used);
    return 0;
}

static int map_file(struct verify *v, const char *file)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    struct stat st;
    int rc = fstat(fd, &st) != 0 ? errno : 0;
    if (rc == 0 && st.st_size > 0) { // an empty file is found cut later on
        v->bytes = (size_t)st.st_size;
        void *map = mmap(NULL, v->bytes, PROT_READ, MAP_SHARED, fd, 0);
        rc = map == MAP_FAILED ? errno : 0;
        v->map = rc == 0 ? map : NULL;
    }
    close(fd);
    return rc;
}

int verify_env(const char *path, uint64_t *id_max, struct store_error *why)
{
    struct store_path file;
    store_path(&file, "%s/data.mdb", path);
    struct verify v = {0};
    *id_max = 0;
    int rc = map_file(&v, file.z);
    if (rc == ENOENT || rc == ENOTDIR)
        return store_fail(why, EBADMSG, "store: damaged: %s is missing; nothing changed", file.z);
    if (rc == 0)
        rc = look_through(&v, id_max);
    if (v.map)
        munmap((void *)(uintptr_t)v.map, v.bytes);
    if (rc != 0)
        return store_fail(why, rc, "store: %s can't be read: %s", file.z, strerror(rc));
    if (v.damage)
        return store_fail(why, EBADMSG, "store: damaged: %s: %s; nothing changed", file.z,
                          v.damage);
    return 0;
}
