// The seam at the linker: --wrap for each of these.
#include <errno.h>
#include <string.h>

#include "seam.h"

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__real_aligned_alloc(size_t align, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t n);
char *__wrap_strdup(const char *z);
void __wrap_free(void *p);

const bool seam_is_whole = false;

static void *refuse(void)
{
    errno = ENOMEM;
    return NULL;
}

void *__wrap_malloc(size_t n)
{
    if (seam_refuses())
        return refuse();
    void *p = __real_malloc(n);
    seam_gave(p);
    return p;
}

void *__wrap_calloc(size_t n, size_t size)
{
    if (seam_refuses())
        return refuse();
    void *p = __real_calloc(n, size);
    seam_gave(p);
    return p;
}

void *__wrap_realloc(void *p, size_t n)
{
    if (seam_refuses())
        return refuse();
    seam_took(p);
    void *moved = __real_realloc(p, n);
    seam_gave(moved ? moved : p);
    return moved;
}

void *__wrap_aligned_alloc(size_t align, size_t n)
{
    if (seam_refuses())
        return refuse();
    void *p = __real_aligned_alloc(align, n);
    seam_gave(p);
    return p;
}

char *__wrap_strdup(const char *z)
{
    size_t n = strlen(z) + 1;
    char *p = __wrap_malloc(n);
    return p ? memcpy(p, z, n) : NULL;
}

void __wrap_free(void *p)
{
    seam_took(p);
    __real_free(p);
}

void *seam_real_malloc(size_t n)
{
    return __real_malloc(n);
}

void seam_real_free(void *p)
{
    __real_free(p);
}
