// How fast a SIP device wants to be told (RFC 6446), and since when it has been asking.
//
// max-rate and min-rate of a SUBSCRIBE, or of a 2xx to a NOTIFY, hold until the next such message
// says otherwise, and they are stored with the dialog. adaptive-min-rate is not done, and not said
// back: "the absence of this parameter indicates to the subscriber that no rate control is
// supported by the notifier" (RFC 6446 §7.2).
#ifndef CORE_SERVE_PACE_H
#define CORE_SERVE_PACE_H

#include "core/state.h"

enum {
    // No device is told the same more often than this, whatever its min-rate (RFC 6446 §6.3).
    SERVE_REPEAT_LEAST_MS = 30000,
    // Between two documents of watcher information (RFC 3857 §4.10), and between two of presence
    // (RFC 3856 §6.10) when one device has been sent so many sooner than that, each five seconds
    // making up for one. Who now and then changes something is told of at once. Who goes on and on
    // is not: a client gone mad; or two gateways back to back, where two changes can chase each
    // other round for ever, each being news behind the other. Slowed down, one overtakes the other
    // (RFC 7247 §8 asks for such).
    SERVE_INTERVAL_MS = 5000,
    SERVE_HURRY_MAX = 200,
};

// In force: what was asked for, within our own bounds. 0: not asked for.
struct serve_pace {
    uint32_t least_ms; // between two NOTIFYs; max-rate
    uint32_t most_ms;  // min-rate
    uint32_t begun_s;  // when the dialog began, wall clock; 0: before that was stored
};

void serve_pace(const struct core *c, const struct dialog *d, struct serve_pace *out);
// Takes the rates of `m`, which has an Event header field. ENOMEM, EMSGSIZE.
int serve_pace_take(struct core *c, struct dialog *d, const struct sip_message *m);
// Before this there is no NOTIFY but one that a SUBSCRIBE or the end demands: [subscription]
// notify_interval_ms and, unless `must`, the device's own max-rate.
uint64_t serve_pace_earliest_ms(const struct core *c, const struct dialog *d, bool must);
// A NOTIFY has left.
void serve_pace_notified(const struct core *c, struct dialog *d);

#endif
