// Requests over UDP that wait for their answer (RFC 3261 §17.1.2.2, timers E and F).
//
// All requests of a stage wait equally long, so each stage is a queue in order of time.
#include <stdlib.h>
#include <string.h>

#include "bench/load/load_inner.h"

static uint64_t again_delay_us(unsigned stage)
{
    uint64_t ms = (uint64_t)LOAD_T1_MS << stage;
    return (ms < LOAD_T2_MS ? ms : LOAD_T2_MS) * 1000;
}

static void again_append(struct load *l, struct load_request *r)
{
    r->due_us = l->now_us + again_delay_us(r->stage);
    r->next = NULL;
    r->before = l->stage_last[r->stage];
    *(r->before ? &r->before->next : &l->stage[r->stage]) = r;
    l->stage_last[r->stage] = r;
}

static void again_unlink(struct load *l, struct load_request *r)
{
    *(r->before ? &r->before->next : &l->stage[r->stage]) = r->next;
    *(r->next ? &r->next->before : &l->stage_last[r->stage]) = r->before;
}

struct load_request *load_again_begin(struct load *l, const struct load_request *head,
                                      const char *bytes)
{
    struct load_request *r = malloc(sizeof *r + head->n);
    if (!r)
        abort();
    *r = *head;
    memcpy(r->bytes, bytes, head->n);
    r->stage = 0;
    r->first_us = l->now_us;
    again_append(l, r);
    load_sip_send(l, r->bytes, r->n, r->port);
    return r;
}

void load_again_end(struct load *l, struct load_request *r)
{
    again_unlink(l, r);
    free(r);
}

static void again_one(struct load *l, struct load_request *r)
{
    if (l->now_us - r->first_us >= LOAD_GIVE_UP_MS * 1000ull) {
        (r->kind == LOAD_NOTIFY ? load_notifier_given_up : load_subscriber_given_up)(l, r);
        return;
    }
    again_unlink(l, r);
    r->stage += r->stage < LOAD_STAGES - 1;
    again_append(l, r);
    l->figure[r->kind].said_again++;
    load_sip_send(l, r->bytes, r->n, r->port);
}

void load_again_due(struct load *l)
{
    for (unsigned s = 0; s < LOAD_STAGES; s++)
        while (l->stage[s] && l->stage[s]->due_us <= l->now_us)
            again_one(l, l->stage[s]);
}

uint64_t load_again_next_us(const struct load *l)
{
    uint64_t next_us = UINT64_MAX;
    for (unsigned s = 0; s < LOAD_STAGES; s++)
        if (l->stage[s] && l->stage[s]->due_us < next_us)
            next_us = l->stage[s]->due_us;
    return next_us;
}
