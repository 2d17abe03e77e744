// Buckets of a histogram: the position of the highest bit, and the five bits below it.
#include "bench/load/histogram.h"

static unsigned histogram_bucket(uint64_t value)
{
    if (value < HISTOGRAM_STEPS)
        return (unsigned)value;
    unsigned top = 63 - (unsigned)__builtin_clzll(value);
    unsigned bucket = (top - 4) * HISTOGRAM_STEPS + (unsigned)(value >> (top - 5) & 31);
    unsigned last = HISTOGRAM_STEPS * HISTOGRAM_DOUBLINGS - 1;
    return bucket < last ? bucket : last;
}

// The largest value of a bucket.
static uint64_t histogram_upper(unsigned bucket)
{
    if (bucket < HISTOGRAM_STEPS)
        return bucket;
    unsigned top = bucket / HISTOGRAM_STEPS + 4, step = bucket % HISTOGRAM_STEPS;
    return (1ull << top) + ((uint64_t)(step + 1) << (top - 5)) - 1;
}

void histogram_add(struct histogram *h, uint64_t value)
{
    h->count[histogram_bucket(value)]++;
    h->n++;
    h->max = value > h->max ? value : h->max;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    for (unsigned i = 0; i < HISTOGRAM_STEPS * HISTOGRAM_DOUBLINGS; i++)
        into->count[i] += from->count[i];
    into->n += from->n;
    into->max = from->max > into->max ? from->max : into->max;
}

uint64_t histogram_at(const struct histogram *h, uint32_t of_million)
{
    uint64_t wanted = (h->n * of_million + 999999) / 1000000, seen = 0;
    for (unsigned i = 0; h->n && i < HISTOGRAM_STEPS * HISTOGRAM_DOUBLINGS; i++) {
        seen += h->count[i];
        if (seen >= wanted)
            return histogram_upper(i) < h->max ? histogram_upper(i) : h->max;
    }
    return h->max;
}
