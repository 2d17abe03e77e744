// What all fuzz targets share: the entry point, a word for what must hold, a cursor over the input.
//
// A target is one file, fuzz_NAME.c. With clang it is linked to libFuzzer (`./dev fuzz NAME`); with
// any compiler to replay.c, which runs it over files (ctest fuzz/NAME).
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stdio.h>
#include <stdlib.h>

#include "core/wire/text.h"

// libFuzzer's, hence the name. Returns 0.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define fuzz_expect(condition, ...)                                                                \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                                        \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fputc('\n', stderr);                                                                   \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

// What is left of the input; all that is taken from its end on is zero.
struct fuzz_input {
    const uint8_t *p;
    size_t n;
};

static inline uint8_t fuzz_byte(struct fuzz_input *in)
{
    if (!in->n)
        return 0;
    in->n--;
    return *in->p++;
}

static inline uint32_t fuzz_u16(struct fuzz_input *in)
{
    uint32_t low = fuzz_byte(in);
    return low | (uint32_t)fuzz_byte(in) << 8;
}

static inline struct text fuzz_take(struct fuzz_input *in, size_t n)
{
    n = n < in->n ? n : in->n;
    struct text t = {(const char *)in->p, n};
    in->p += n;
    in->n -= n;
    return t;
}

// Up to the next line feed, which is passed over.
static inline struct text fuzz_line(struct fuzz_input *in)
{
    const uint8_t *end = in->n ? memchr(in->p, '\n', in->n) : NULL;
    struct text t = fuzz_take(in, end ? (size_t)(end - in->p) : in->n);
    fuzz_byte(in);
    return t;
}

static inline struct text fuzz_text(const struct buffer *b)
{
    return (struct text){b->p, b->n};
}

// NUL-terminated and of its own, so that one byte too far is seen.
static inline char *fuzz_copy(struct text t)
{
    char *p = malloc(t.n + 1);
    if (!p)
        abort();
    if (t.n)
        memcpy(p, t.p, t.n);
    p[t.n] = 0;
    return p;
}

#endif
