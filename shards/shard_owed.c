// What could not be said to another thread is made good once there is room again.
//
// Its ring was full and so was our backlog, or memory had run out: the message was dropped. For
// most of what crosses a ring that is as if the network had lost it (shards/message.h); but of the
// following nobody would ever say or ask it again, so the shard keeps in mind that it owes it:
//
//     dropped                            what is done instead
//     a stanza of our core, to a stream  our core is told that this stream has come up: it says
//                                        anew what its users should know, and asks what it missed
//     a stanza for another core          that shard is told, and tells its core so of all streams
//     that a stream is up, or down       is said again, as it is by then
//     that a stream is lost              is said again
//
// So what is owed is a state and no queue, and can't itself grow too large. It is not paid while
// messages of ours wait, for it would but come to lie behind them; nor more often than once a
// second, for a core that is told asks about each of its users. What is owed anew right after it
// was paid waits for twice as long each time: rings that go on being full have enough to carry.
#include "shards/shard_inner.h"

void shard_owe(struct shard *s, uint32_t stream, enum shard_owed what)
{
    s->owed[stream] |= (uint8_t)what;
    s->owing = true;
}

void shard_owe_core(struct shard *s, unsigned shard)
{
    s->missed[shard] = true;
    s->owing = true;
}

static void pay_core(struct shard *s, unsigned shard)
{
    struct message m = {.kind = MESSAGE_MISSED};
    s->missed[shard] = false;
    if (fabric_send(&s->end, shard, &m, sizeof m, (struct text){0}))
        shard_owe_core(s, shard);
}

// What is down is told as soon as it comes up.
static void pay_stream(struct shard *s, uint32_t stream)
{
    unsigned owed = s->owed[stream];
    s->owed[stream] = 0;
    if (owed & SHARD_OWED_CONNECTOR)
        shard_tell_connector(s, stream);
    if (owed & SHARD_OWED_OTHERS)
        shard_tell_others(s, stream);
    if ((owed & SHARD_OWED_STANZAS) && s->up[stream])
        shard_told_stream(s, stream, true);
}

static void pay_pause(struct shard *s)
{
    bool again = s->now_ms < s->pay_ms + s->pay_pause_ms;
    uint32_t twice_ms = 2 * s->pay_pause_ms;
    if (!again)
        s->pay_pause_ms = SHARD_PAY_MS;
    else
        s->pay_pause_ms = twice_ms < SHARD_PAY_MOST_MS ? twice_ms : SHARD_PAY_MOST_MS;
    s->pay_ms = s->now_ms + s->pay_pause_ms;
}

void shard_pay(struct shard *s)
{
    if (!s->owing || s->now_ms < s->pay_ms || fabric_is_congested(&s->end))
        return;
    s->owing = false;
    pay_pause(s);
    for (unsigned i = 0; i < s->shards; i++)
        if (s->missed[i])
            pay_core(s, i);
    uint32_t end = stream_table_end(s->table);
    for (uint32_t stream = 0; stream < end; stream++)
        if (s->owed[stream])
            pay_stream(s, stream);
}
