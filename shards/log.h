// One line per event to stderr: logfmt or JSON, each value escaped. Any thread.
#ifndef SHARDS_LOG_H
#define SHARDS_LOG_H

#include "core/wire/text.h"

enum {
    LOG_LINE_MAX = 4096,  // bytes; what POSIX lets a pipe take in one piece (PIPE_BUF)
    LOG_VALUE_MAX = 1024, // bytes of one value; a longer one ends in "..."
    LOG_CLOSING_MAX = 24, // bytes that stay free for "cut=true" and the end of the line
};

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_setup(enum log_level level, bool json);
enum log_level log_level_now(void);

// log_info("stream_up", "domain", "example.net", "after_ms", LOG_U64(17), NULL)
// Keys and values alternate and end with NULL; keys are [a-z0-9_]+, values are strings. What
// doesn't fit the line is left out, and "cut=true" says so. errno stays as it was.
void log_write(enum log_level level, const char *event, ...) __attribute__((sentinel));
#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...)                                                                             \
    do {                                                                                           \
        if (log_level_now() >= LOG_DEBUG)                                                          \
            log_write(LOG_DEBUG, __VA_ARGS__);                                                     \
    } while (0)

// A number as a value; the text lives until the end of the full expression's block.
const char *log_u64_text(char buf[24], uint64_t v);
#define LOG_U64(v) log_u64_text((char[24]){0}, (v))

#endif
