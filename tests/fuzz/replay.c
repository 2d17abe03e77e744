// Runs a fuzz target over the files given, and over those in the directories given.
//
// More than 2 s for one of them is a failure: under sanitizers, that is 20 times what any of the
// committed inputs takes.
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <time.h>

#include "fuzz.h"

enum { SLOW_MS = 2000 };

static unsigned n_run;

static uint8_t *read_all(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    struct stat st;
    if (!f || fstat(fileno(f), &st) != 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(2);
    }
    *n = (size_t)st.st_size;
    uint8_t *p = malloc(*n ? *n : 1); // exactly, so that one byte too far is seen
    if (!p || fread(p, 1, *n, f) != *n)
        abort();
    fclose(f);
    return p;
}

static uint64_t cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void run_file(const char *path)
{
    size_t n;
    uint8_t *p = read_all(path, &n);
    fprintf(stderr, "%s\n", path);
    uint64_t begin_ms = cpu_ms();
    LLVMFuzzerTestOneInput(p, n);
    fuzz_expect(cpu_ms() - begin_ms <= SLOW_MS, "%s takes too long", path);
    free(p);
    n_run++;
}

static int is_visible(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static void run(const char *path)
{
    struct dirent **v;
    int n = scandir(path, &v, is_visible, alphasort);
    if (n < 0) {
        run_file(path);
        return;
    }
    for (int i = 0; i < n; i++) {
        char *inner;
        if (asprintf(&inner, "%s/%s", path, v[i]->d_name) < 0)
            abort();
        run_file(inner);
        free(inner);
        free(v[i]);
    }
    free(v);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        run(argv[i]);
    fprintf(stderr, "%u inputs\n", n_run);
    return n_run ? 0 : 2;
}
