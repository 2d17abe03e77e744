// Figures of benchmarks, as text and as lines of JSON.
#include "bench/load/figures.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct figures {
    const char *bench;
    FILE *file;
};

int figures_open(struct figures **out, const char *bench, const char *file)
{
    struct figures *f = calloc(1, sizeof *f);
    if (!f)
        return ENOMEM;
    f->bench = bench;
    if (file && !(f->file = fopen(file, "a"))) {
        int error = errno;
        free(f);
        return error;
    }
    *out = f;
    return 0;
}

int figures_close(struct figures *f)
{
    if (!f)
        return 0;
    int error = f->file && ferror(f->file) ? EIO : 0;
    if (f->file && fclose(f->file))
        error = EIO;
    free(f);
    return error;
}

// Names are ours: there is nothing in them that JSON wants to be escaped.
void figures_say(struct figures *f, const struct figure *one)
{
    const char *who = one->who ? one->who : "isthmus";
    char place[96] = "";
    if (one->x)
        snprintf(place, sizeof place, "%s %.10g", one->x, one->at);
    printf("%-14s %-9s %-16s %12.5g %-16s %s\n", f->bench, who, one->what, one->value, one->unit,
           place);
    fflush(stdout);
    if (!f->file)
        return;
    fprintf(f->file,
            "{\"bench\":\"%s\",\"who\":\"%s\",\"what\":\"%s\",\"unit\":\"%s\",\"value\":%.10g",
            f->bench, who, one->what, one->unit, one->value);
    if (one->x)
        fprintf(f->file, ",\"x\":\"%s\",\"at\":%.10g", one->x, one->at);
    fputs("}\n", f->file);
    fflush(f->file);
}
