// What pools hold free is hidden from everybody, as far as AddressSanitizer is there to see it: to
// it a slab is one allocation, and whatever lies in it would be good.
#ifndef CORE_HIDE_H
#define CORE_HIDE_H

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define hide(p, n) ASAN_POISON_MEMORY_REGION(p, n)
#define show(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#else
#define hide(p, n) ((void)(p), (void)(n))
#define show(p, n) ((void)(p), (void)(n))
#endif

#endif
