// Writes one event as one line with one write(2): nothing in a value can begin another line.
#include "shards/log.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { TIME_TEXT = 48 };

static atomic_int level_now = LOG_INFO;
static atomic_bool as_json = false;

// What is being written. `end` leaves room for what closes the line.
struct log_line {
    char p[LOG_LINE_MAX];
    size_t n, end;
    bool full; // something did not fit
};

void log_setup(enum log_level level, bool json)
{
    atomic_store_explicit(&level_now, (int)level, memory_order_relaxed);
    atomic_store_explicit(&as_json, json, memory_order_relaxed);
}

enum log_level log_level_now(void)
{
    return (enum log_level)atomic_load_explicit(&level_now, memory_order_relaxed);
}

const char *log_u64_text(char buf[24], uint64_t v)
{
    snprintf(buf, 24, "%llu", (unsigned long long)v);
    return buf;
}

static void add(struct log_line *l, const char *p, size_t n)
{
    if (l->full || n > l->end - l->n) {
        l->full = true;
        return;
    }
    memcpy(l->p + l->n, p, n);
    l->n += n;
}

static void add_text(struct log_line *l, const char *z)
{
    add(l, z, strlen(z));
}

// Length of the UTF-8 sequence at `p` with its code point; 0: not UTF-8 (RFC 3629 §4).
static size_t utf8_read(const unsigned char *p, size_t n, uint32_t *code)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = *p < 0x80 ? 1 : *p >= 0xf0 && *p < 0xf5 ? 4 : *p >= 0xe0 ? 3 : 2;
    if ((*p >= 0x80 && *p < 0xc2) || *p >= 0xf5 || len > n)
        return 0;
    *code = len == 1 ? *p : *p & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        *code = *code << 6 | (p[i] & 0x3fu);
    }
    return *code < least[len] || (*code >= 0xd800 && *code < 0xe000) || *code > 0x10ffff ? 0 : len;
}

// Controls, line and paragraph separators, and what turns the direction of text around: a line must
// read as what it is, in an editor and in a terminal.
static bool is_hidden(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x200e || c == 0x200f ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

static void add_escaped(struct log_line *l, uint32_t c)
{
    char esc[16];
    const char *at, *short_form = "\"\\\n\r\t";
    if (c && c < 0x80 && (at = strchr(short_form, (int)c)))
        snprintf(esc, sizeof esc, "\\%c", "\"\\nrt"[at - short_form]);
    else
        snprintf(esc, sizeof esc, "\\u%04x", c);
    add_text(l, esc);
}

// Escapes as JSON has them (RFC 8259 §7), in both formats; bytes that aren't UTF-8 become U+FFFD.
static void add_quoted(struct log_line *l, const char *z)
{
    size_t n = strlen(z), len, cut = n > LOG_VALUE_MAX ? LOG_VALUE_MAX : n;
    add_text(l, "\"");
    for (size_t i = 0; i < cut; i += len) {
        uint32_t c = 0;
        len = utf8_read((const unsigned char *)z + i, n - i, &c);
        if (len == 0) {
            add_text(l, "\\ufffd");
            len = 1;
        } else if (is_hidden(c) || c == '"' || c == '\\')
            add_escaped(l, c);
        else
            add(l, z + i, len);
    }
    add_text(l, cut < n ? "...\"" : "\"");
}

// Without quotes: graphic ASCII that logfmt gives no meaning to.
static bool is_bare(const char *z)
{
    size_t n = strlen(z);
    for (size_t i = 0; i < n; i++)
        if (z[i] <= ' ' || z[i] >= 0x7f || z[i] == '"' || z[i] == '=' || z[i] == '\\')
            return false;
    return n > 0 && n <= LOG_VALUE_MAX;
}

static bool is_key(const char *z)
{
    size_t n = strspn(z, "abcdefghijklmnopqrstuvwxyz0123456789_");
    return n > 0 && z[n] == '\0';
}

// One pair, whole or not at all.
static void add_pair(struct log_line *l, const char *key, const char *value, bool json)
{
    size_t start = l->n;
    assert(is_key(key));
    add_text(l, json ? (l->n == 0 ? "{\"" : ",\"") : l->n == 0 ? "" : " ");
    add_text(l, key);
    add_text(l, json ? "\":" : "=");
    if (!json && is_bare(value))
        add_text(l, value);
    else
        add_quoted(l, value);
    if (l->full)
        l->n = start;
}

// RFC 3339 §5.6, UTC, milliseconds.
static void time_text(char out[TIME_TEXT])
{
    struct timespec now;
    struct tm tm;
    char seconds[24];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out, TIME_TEXT, "%s.%03uZ", seconds, (unsigned)(now.tv_nsec / 1000000) % 1000);
}

static void finish(struct log_line *l, bool json)
{
    l->end = sizeof l->p;
    if (l->full) {
        l->full = false;
        add_pair(l, "cut", "true", json);
    }
    add_text(l, json ? "}\n" : "\n");
}

// Lost when standard error takes no more: a log must not end the daemon.
static void write_line(const struct log_line *l)
{
    while (write(STDERR_FILENO, l->p, l->n) < 0 && errno == EINTR)
        ;
}

void log_write(enum log_level level, const char *event, ...)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    struct log_line l;
    bool json = atomic_load_explicit(&as_json, memory_order_relaxed);
    int saved = errno;
    char now[TIME_TEXT];
    va_list args;

    if (level > log_level_now())
        return;
    l.n = 0;
    l.end = sizeof l.p - LOG_CLOSING_MAX;
    l.full = false;
    time_text(now);
    add_pair(&l, "ts", now, json);
    add_pair(&l, "level", names[level], json);
    add_pair(&l, "event", event, json);
    va_start(args, event);
    for (const char *key, *value; !l.full && (key = va_arg(args, const char *));) {
        value = va_arg(args, const char *);
        add_pair(&l, key, value ? value : "", json);
        if (!value) // may have been the end already
            break;
    }
    va_end(args);
    finish(&l, json);
    write_line(&l);
    errno = saved;
}
