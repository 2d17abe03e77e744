// Which allocations of a scenario are to be refused: the first few of each place.
#include "places.h"

#include <stdlib.h>

#include "blocks.h"
#include "seam.h"

enum { SLOTS = 1 << 18, OF_ONE_PLACE = 2, ASKED_MAX = 1 << 20 };

static struct {
    uint64_t place;
    unsigned seen;
} slot[SLOTS];
static unsigned long asked, number[ASKED_MAX];
static uint32_t looked_at[ASKED_MAX]; // slots, by number
static size_t n_numbers;

static unsigned places_seen(uint64_t place)
{
    size_t i = place & (SLOTS - 1);
    while (slot[i].place && slot[i].place != place)
        i = (i + 1) & (SLOTS - 1);
    slot[i].place = place;
    if (asked <= ASKED_MAX)
        looked_at[asked - 1] = (uint32_t)i;
    return ++slot[i].seen;
}

static void look(void)
{
    static int all = -1;
    if (all < 0)
        all = getenv("ISTHMUS_FAIL_ALL") != NULL;
    asked++;
    if (n_numbers < ASKED_MAX && (all || places_seen(blocks_place()) <= OF_ONE_PLACE))
        number[n_numbers++] = asked;
}

void places_begin(void)
{
    asked = 0;
    n_numbers = 0;
    blocks_begin(look);
}

size_t places_end(void)
{
    return n_numbers;
}

void places_forget(void)
{
    for (unsigned long i = 0; i < asked && i < ASKED_MAX; i++)
        if (slot[looked_at[i]].seen)
            slot[looked_at[i]].seen--;
    n_numbers = 0;
}

unsigned long places_number(size_t i)
{
    return number[i];
}
