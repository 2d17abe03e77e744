// The seam in the place of malloc itself, for the program and all its libraries. Not for a build
// with a sanitizer, which has that place.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "seam.h"

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);
void __libc_free(void *p);

const bool seam_is_whole = true;

static void *refuse(void)
{
    errno = ENOMEM;
    return NULL;
}

void *malloc(size_t n)
{
    if (seam_refuses())
        return refuse();
    void *p = __libc_malloc(n);
    seam_gave(p);
    return p;
}

void *calloc(size_t n, size_t size)
{
    if (seam_refuses())
        return refuse();
    void *p = __libc_calloc(n, size);
    seam_gave(p);
    return p;
}

void *realloc(void *p, size_t n)
{
    if (seam_refuses())
        return refuse();
    seam_took(p);
    void *moved = __libc_realloc(p, n);
    seam_gave(moved ? moved : p);
    return moved;
}

void *aligned_alloc(size_t align, size_t n)
{
    if (seam_refuses())
        return refuse();
    void *p = __libc_memalign(align, n);
    seam_gave(p);
    return p;
}

void free(void *p)
{
    seam_took(p);
    __libc_free(p);
}

void *seam_real_malloc(size_t n)
{
    return __libc_malloc(n);
}

void seam_real_free(void *p)
{
    __libc_free(p);
}
