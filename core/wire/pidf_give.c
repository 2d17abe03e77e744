// From what was read of a PIDF document to the presence of each device.
#include "core/wire/pidf_inner.h"

#include "core/wire/pidf_name.h"

static void give_notes(const struct pidf_reader *r, const struct pidf_notes *from,
                       struct presence *out)
{
    out->n_status = from->n;
    for (size_t i = 0; i < from->n; i++) {
        out->status[i].lang = pidf_text_at(r, from->v[i].lang);
        out->status[i].text = pidf_text_at(r, from->v[i].text);
    }
}

static enum presence_show show_of(const struct pidf_reader *r, const struct pidf_tuple *t)
{
    return t->client.is            ? t->client.show
           : t->extended.is        ? t->extended.show
           : t->activity.is        ? t->activity.show
           : r->person_activity.is ? r->person_activity.show
                                   : SHOW_NONE;
}

// What is said of the tuple, else of its device (RFC 4479 §3.3), else of the person.
static void give_rich(const struct pidf_reader *r, const struct pidf_tuple *t, struct presence *out)
{
    struct pidf_rich rich = t->rich;
    struct text id = pidf_text_at(r, rich.text[PRESENCE_DEVICE_ID]);
    for (size_t i = 0; id.n && i < r->n_devices; i++)
        if (text_eq(pidf_text_at(r, r->device[i].text[PRESENCE_DEVICE_ID]), id))
            pidf_rich_fill(&rich, &r->device[i]);
    if (r->has_person)
        pidf_rich_fill(&rich, &r->person);
    pidf_rich_give(&rich, r->scratch, out);
    if (!out->available)
        presence_leave(out);
}

static void give_tuple(const struct pidf_reader *r, const struct pidf_tuple *t,
                       struct presence *out)
{
    *out = (struct presence){.resource = pidf_text_at(r, t->resource)};
    out->available = t->has_basic ? t->basic.is : t->client.is || t->extended.is;
    if (out->available) {
        out->show = show_of(r, t);
        out->has_priority = t->has_priority;
        out->priority = t->has_priority ? pidf_priority_from_milli(t->priority_milli) : 0;
    }
    give_notes(r, t->notes.n ? &t->notes : r->notes.n ? &r->notes : &r->person_notes, out);
    give_rich(r, t, out);
}

// The last one in `out`, unless it names a device that was named before.
static void merge_last(struct pidf *out)
{
    struct presence *p = &out->tuple[out->n];
    for (size_t i = 0; i < out->n; i++)
        if (text_eq(out->tuple[i].resource, p->resource)) {
            if (p->available && !out->tuple[i].available)
                out->tuple[i] = *p;
            return;
        }
    out->n++;
}

void pidf_give(const struct pidf_reader *r, struct pidf *out)
{
    for (size_t i = 0; i < r->n; i++) {
        give_tuple(r, &r->tuple[i], &out->tuple[out->n]);
        merge_last(out);
    }
}
