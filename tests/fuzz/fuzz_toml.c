// Bytes as gateway.toml: refused with a place in the file, or taken; and what was taken, written
// out again key by key, is taken as the same.
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "shards/config_table.h"

static struct buffer first, second;

static void put_string(struct buffer *b, const char *z)
{
    char escape[8];
    buffer_char(b, '"');
    for (const unsigned char *at = (const unsigned char *)z; *at; at++)
        if (*at < 0x20 || *at == '"' || *at == '\\' || *at == 0x7f) {
            snprintf(escape, sizeof escape, "\\u%04x", *at);
            buffer_text(b, text_of(escape));
        } else {
            buffer_char(b, (char)*at);
        }
    buffer_char(b, '"');
}

static void put_list(struct buffer *b, const struct config_list *l)
{
    buffer_char(b, '[');
    for (size_t i = 0; i < l->n; i++) {
        put_string(b, l->v[i]);
        buffer_char(b, ',');
    }
    buffer_char(b, ']');
}

static void put_address(struct buffer *b, const char *host, uint16_t port)
{
    bool brackets = strchr(host, ':');
    char *whole;
    if (asprintf(&whole, brackets ? "[%s]:%u" : "%s:%u", host, port) < 0)
        abort();
    put_string(b, whole);
    free(whole);
}

static void put_number(struct buffer *b, const struct config_row *row, const void *value)
{
    uint64_t n = 0;
    memcpy(&n, value, row->size);
    if (row->kind == CONFIG_BOOLEAN)
        buffer_text(b, n ? TEXT("true") : TEXT("false"));
    else if (row->kind == CONFIG_WORD)
        put_string(b, row->words[n]);
    else
        buffer_u64(b, n);
}

static void put_value(struct buffer *b, const struct config_row *row, const struct config *c)
{
    const void *value = config_row_value(row, c);
    if (config_row_is_list(row)) {
        put_list(b, value);
    } else if (row->kind == CONFIG_ADDRESS || row->kind == CONFIG_NUMERIC) {
        uint16_t port;
        memcpy(&port, (const char *)c + row->port_at, sizeof port);
        put_address(b, *(char *const *)value, port);
    } else if (row->kind == CONFIG_STRING || row->kind == CONFIG_DOMAIN) {
        put_string(b, *(char *const *)value);
    } else {
        put_number(b, row, value);
    }
}

static void put_realm(struct buffer *b, const struct config_realm *r)
{
    buffer_lit(b, "[" CONFIG_REALMS ".");
    put_string(b, r->name);
    buffer_lit(b, "]\nuser = ");
    put_string(b, r->user);
    buffer_lit(b, "\npassword = ");
    put_string(b, r->password);
    buffer_char(b, '\n');
}

// A secret that came from a file stands here itself.
static void put_config(struct buffer *b, const struct config *c)
{
    for (size_t i = 0; i < config_n_rows; i++) {
        const struct config_row *row = &config_rows[i];
        if (row->of_realm || strcmp(row->key, "secret_file") == 0)
            continue;
        buffer_text(b, text_of(row->section));
        buffer_char(b, '.');
        buffer_text(b, text_of(row->key));
        buffer_lit(b, " = ");
        put_value(b, row, c);
        buffer_char(b, '\n');
    }
    for (size_t i = 0; i < c->sip.n_realms; i++)
        put_realm(b, &c->sip.realm[i]);
}

static int load(struct config **out, struct text t, struct config_error *why)
{
    char path[64];
    int fd = memfd_create("gateway.toml", 0);
    if (fd < 0 || (t.n && write(fd, t.p, t.n) != (ssize_t)t.n))
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    why->text[0] = 0;
    int err = config_load(out, path, why);
    close(fd);
    return err;
}

// "/proc/self/fd/4:12:9: …", a place that the file has, and no line end to fool a reader of logs.
static void has_place(const struct config_error *why, struct text t)
{
    unsigned fd, line = 0, column = 0, lines = 1;
    int n = sscanf(why->text, "/proc/self/fd/%u:%u:%u: ", &fd, &line, &column);
    for (size_t i = 0; i < t.n; i++)
        lines += t.p[i] == '\n';
    fuzz_expect(n == 3 && line >= 1 && column >= 1 && line <= lines, "no place: %s", why->text);
    fuzz_expect(column <= t.n + 1, "no such column: %s", why->text);
    for (const char *at = why->text; *at; at++)
        fuzz_expect((unsigned char)*at >= 0x20 && *at != 0x7f, "not one line: %s", why->text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct text t = {(const char *)data, n};
    struct config *c;
    struct config_error why;
    int err = load(&c, t, &why);
    if (err) {
        fuzz_expect(err == EINVAL && !c, "verdict %d", err);
        has_place(&why, t);
        return 0;
    }
    buffer_init(&first, 0);
    buffer_init(&second, 0);
    put_config(&first, c);
    config_free(c);
    fuzz_expect(load(&c, fuzz_text(&first), &why) == 0, "%s: %.*s", why.text, (int)first.n,
                first.p);
    put_config(&second, c);
    config_free(c);
    fuzz_expect(text_eq(fuzz_text(&first), fuzz_text(&second)), "not the same: %.*s%.*s",
                (int)first.n, first.p, (int)second.n, second.p);
    buffer_free(&first);
    buffer_free(&second);
    return 0;
}
