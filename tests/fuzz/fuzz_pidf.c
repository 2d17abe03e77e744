// A PIDF document → presence: what is written from it and read again says the same, from then on
// for good.
#include "core/wire/address.h"
#include "core/wire/pidf.h"
#include "fuzz.h"

enum { SCRATCH_MAX = 4 << 20 };

static struct pidf_reader *reader;
static struct buffer scratch, again, document, packed, repacked;

static void packs(const struct presence *p)
{
    struct presence q;
    buffer_reset(&packed);
    fuzz_expect(presence_pack(&packed, p), "not packed");
    char *exact = fuzz_copy(fuzz_text(&packed));
    presence_unpack((struct text){exact, packed.n}, &q);
    buffer_reset(&repacked);
    fuzz_expect(presence_pack(&repacked, &q), "not packed again");
    fuzz_expect(text_eq(fuzz_text(&packed), fuzz_text(&repacked)), "unpacked to something else");
    free(exact);
}

static void is_sound(const struct pidf *d)
{
    fuzz_expect(d->n <= PIDF_TUPLES_MAX, "%zu tuples", d->n);
    for (size_t i = 0; i < d->n; i++) {
        const struct presence *p = &d->tuple[i];
        fuzz_expect(p->n_status <= PRESENCE_STATUS_MAX, "%zu notes", p->n_status);
        fuzz_expect(p->available || (!p->has_priority && p->show == SHOW_NONE),
                    "closed, and with show or priority");
        fuzz_expect(!p->has_priority || p->priority >= 0, "priority %d", p->priority);
        fuzz_expect(p->resource.n <= JID_PART_MAX && text_is_xml(p->resource), "resource");
        for (size_t j = 0; j < i; j++)
            fuzz_expect(!text_eq(p->resource, d->tuple[j].resource), "two of one resource");
        for (unsigned k = 0; k < PRESENCE_TEXTS; k++)
            fuzz_expect(p->text[k].n <= PRESENCE_TEXT_MAX && text_is_xml(p->text[k]), "text %u", k);
        packs(p);
    }
}

static void reads(struct pidf *out, struct buffer *into)
{
    fuzz_expect(!document.failed, "not written");
    int err = pidf_read(reader, out, fuzz_text(&document), TEXT(""), into);
    fuzz_expect(err == 0, "%d to what was written: %.*s", err, (int)document.n, document.p);
    is_sound(out);
}

// What every client looks at.
static void same_device(const struct presence *a, const struct presence *b)
{
    fuzz_expect(text_eq(a->resource, b->resource), "another resource: %.*s", (int)document.n,
                document.p);
    fuzz_expect(a->available == b->available && a->show == b->show, "another show: %.*s",
                (int)document.n, document.p);
    fuzz_expect(a->has_priority == b->has_priority && a->priority == b->priority,
                "another priority: %.*s", (int)document.n, document.p);
}

static void same_document(const struct pidf *a, const struct pidf *b)
{
    fuzz_expect(a->n == b->n, "%zu tuples, %zu: %.*s", a->n, b->n, (int)document.n, document.p);
    for (size_t i = 0; i < a->n; i++) {
        buffer_reset(&packed);
        buffer_reset(&repacked);
        presence_pack(&packed, &a->tuple[i]);
        presence_pack(&repacked, &b->tuple[i]);
        fuzz_expect(presence_packed_same(fuzz_text(&packed), fuzz_text(&repacked)),
                    "tuple %zu says something else: %.*s", i, (int)document.n, document.p);
    }
}

static void write(const struct pidf *d)
{
    buffer_reset(&document);
    pidf_write(&document, TEXT("pres:juliet@example.com"), d->tuple, d->n);
}

static void start(void)
{
    if (reader)
        return;
    if (pidf_reader_create(&reader))
        abort();
    buffer_init(&scratch, SCRATCH_MAX);
    buffer_init(&again, SCRATCH_MAX);
    buffer_init(&document, 0);
    buffer_init(&packed, 0);
    buffer_init(&repacked, 0);
}

// A first byte other than '<' and white space: the Content-Language is the rest of that line.
static struct text take_language(struct fuzz_input *in)
{
    bool has = in->n && *in->p != '<' && *in->p != '\n' && *in->p != ' ' && *in->p < 0x80;
    return has ? fuzz_line(in) : (struct text){0};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct pidf first, second, third;
    struct fuzz_input in = {data, n};
    start();
    struct text language = take_language(&in);
    if (pidf_read(reader, &first, fuzz_take(&in, in.n), language, &scratch) != 0)
        return 0;
    is_sound(&first);
    write(&first);
    reads(&second, &again);
    if (first.n) {
        fuzz_expect(first.n == second.n, "%zu devices and not %zu", second.n, first.n);
        for (size_t i = 0; i < first.n; i++)
            same_device(&first.tuple[i], &second.tuple[i]);
    }
    write(&second);
    reads(&third, &scratch); // `first` is gone with it
    same_document(&second, &third);
    return 0;
}
