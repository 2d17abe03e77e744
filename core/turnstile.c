// One after the other through a narrow door: see turnstile.h.
#include "core/turnstile.h"

uint64_t turnstile_take(struct turnstile *t, uint64_t now_ms, uint32_t per_s)
{
    uint64_t now_us = now_ms * 1000, burst_us = (uint64_t)TURNSTILE_BURST_MS * 1000;
    if (t->next_us < now_us)
        t->next_us = now_us;
    uint64_t at_us = t->next_us - now_us <= burst_us ? now_us : t->next_us - burst_us;
    t->next_us += 1000000 / per_s;
    return (at_us + 999) / 1000;
}
