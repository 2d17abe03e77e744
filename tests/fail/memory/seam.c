// What both forms of the seam have in common: who is refused.
#include "seam.h"

_Thread_local struct seam seam = {.off = true};
const struct seam_watch *seam_watch;

void seam_begin(unsigned long n)
{
    seam = (struct seam){.refuse = n};
}

unsigned long seam_end(void)
{
    seam.off = true;
    return seam.asked;
}

bool seam_refuses(void)
{
    if (seam.off)
        return false;
    seam.asked++;
    if (seam_watch && seam_watch->asked)
        seam_watch->asked();
    bool refused = seam.starved || seam.asked == seam.refuse;
    seam.refused += refused;
    return refused;
}
