// The rich payload of one part of a PIDF document while it is read: of a tuple, the person or a
// device. Used by pidf.c and pidf_give.c only.
#ifndef CORE_WIRE_PIDF_RICH_H
#define CORE_WIRE_PIDF_RICH_H

#include "core/wire/pidf_place.h"
#include "core/wire/presence.h"

// All spans are of the buffer that the document is read into, which moves as it grows. Of two
// statements of one kind the first stays.
struct pidf_rich {
    struct span text[PRESENCE_TEXTS];
    struct span status_icon, device_info_id; // instead of an icon, of a deviceID
    struct presence_facts facts;
    bool has_activities, has_mood; // one such element is over
    struct {
        uint32_t idle_threshold_s;
        int64_t last_ms;
        bool has_last;
    } input; // attributes of the user-input that is open
};

void pidf_rich_device_info(struct pidf_rich *r, struct buffer *b, struct text id);
void pidf_rich_user_input(struct pidf_rich *r, struct text idle_threshold, struct text last_input);
// An element in activities, mood or place-type that is itself the value.
void pidf_rich_word(struct pidf_rich *r, struct buffer *b, enum pidf_place within, enum pidf_ns ns,
                    struct text name);
// The text of an element from AT_RICH_TEXT on, which stands in `b`.
void pidf_rich_text(struct pidf_rich *r, struct buffer *b, struct pidf_element e, struct span at);
void pidf_rich_over(struct pidf_rich *r, enum pidf_place place);

// What `to` does not say itself it takes from `from`.
void pidf_rich_fill(struct pidf_rich *to, const struct pidf_rich *from);
void pidf_rich_give(const struct pidf_rich *r, const struct buffer *b, struct presence *out);

#endif
