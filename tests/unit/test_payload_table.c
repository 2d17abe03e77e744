// tests/PAYLOAD.md keeps its word: each row names a test that there is, and each element of Blink's
// document has a row, and each of its attributes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "core/wire/text.h"
#include "tests/unit/pidf_examples.h"

static char *table;

// The whole file, NUL-terminated; NULL: there is none.
static char *file(const char *path)
{
    struct buffer b;
    char piece[4096];
    FILE *f = fopen(path, "r");
    if (!f)
        return NULL;
    buffer_init(&b, 0);
    for (size_t n; (n = fread(piece, 1, sizeof piece, f)) > 0;)
        buffer_add(&b, piece, n);
    fclose(f);
    buffer_char(&b, '\0');
    return b.p;
}

static int begin(void **state)
{
    (void)state;
    table = file(SOURCE_DIR "/tests/PAYLOAD.md");
    return table ? 0 : 1;
}

static int end(void **state)
{
    (void)state;
    free(table);
    return 0;
}

static bool runs_in(const char *kind, struct text program, struct text test)
{
    char path[512], call[256];
    snprintf(path, sizeof path, SOURCE_DIR "/tests/%s/test_%.*s.c", kind, TEXT_ARG(program));
    snprintf(call, sizeof call, "cmocka_unit_test(%.*s)", TEXT_ARG(test));
    char *source = file(path);
    bool found = source && strstr(source, call);
    free(source);
    return found;
}

// Whether test_<program>.c, of the unit tests or the scenarios, runs that test.
static bool runs(struct text program, struct text test)
{
    return runs_in("unit", program, test) || runs_in("scenario", program, test);
}

// The last cell of a row.
static struct text last_cell(struct text row)
{
    row = text_trim(row);
    assert_true(row.n > 1 && row.p[row.n - 1] == '|');
    const char *from = memrchr(row.p, '|', row.n - 1);
    return text_trim((struct text){from + 1, (size_t)(row.p + row.n - 1 - from - 1)});
}

static void check_row(struct text row)
{
    struct text cell = last_cell(row);
    const char *slash = memchr(cell.p, '/', cell.n);
    if (!slash)
        fail_msg("no test: %.*s", TEXT_ARG(row));
    struct text program = {cell.p, (size_t)(slash - cell.p)};
    struct text test = {slash + 1, cell.n - program.n - 1};
    if (!runs(program, test))
        fail_msg("no such test: %.*s", TEXT_ARG(cell));
}

static void each_row_names_a_test(void **state)
{
    (void)state;
    unsigned rows = 0;
    for (const char *line = strstr(table, "|---"); line; line = strchr(line, '\n')) {
        line += line != table && *line == '\n';
        if (*line != '|' || line[1] == '-')
            continue;
        check_row((struct text){line, strcspn(line, "\n")});
        rows++;
    }
    assert_true(rows > 60);
}

static void each_element_of_blink_has_a_row(void **state)
{
    (void)state;
    for (const char *at = BLINK; (at = strchr(at, '<')) != NULL; at++) {
        char cell[64];
        size_t n = strcspn(at + 1, " />\n");
        if (at[1] == '/' || at[1] == '?')
            continue;
        snprintf(cell, sizeof cell, "\n| `%.*s`", (int)n, at + 1);
        if (!strstr(table, cell))
            fail_msg("no row:%s", cell + 1);
    }
}

// As "| `element attribute`"; declarations of namespaces are none.
static void each_attribute_of_blink_has_a_row(void **state)
{
    (void)state;
    unsigned attributes = 0;
    for (const char *at = BLINK; (at = strchr(at, '<')) != NULL; at++) {
        size_t name = strcspn(at + 1, " />\n"), tag = strcspn(at, ">");
        if (at[1] == '/' || at[1] == '?')
            continue;
        for (const char *a = at; (a = memchr(a, ' ', tag - (size_t)(a - at))) != NULL; a++) {
            char cell[128];
            if (strncmp(a, " xmlns", 6) == 0)
                continue;
            snprintf(cell, sizeof cell, "\n| `%.*s %.*s`", (int)name, at + 1,
                     (int)strcspn(a + 1, "="), a + 1);
            if (!strstr(table, cell))
                fail_msg("no row:%s", cell + 1);
            attributes++;
        }
    }
    assert_int_equal(attributes, 6);
}

static void a_wrong_name_is_seen(void **state)
{
    (void)state;
    assert_true(runs(TEXT("payload_table"), TEXT("a_wrong_name_is_seen")));
    assert_false(runs(TEXT("payload_table"), TEXT("a_wrong_name")));
    assert_false(runs(TEXT("no_such_program"), TEXT("a_wrong_name_is_seen")));
    assert_true(runs(TEXT("rich"), TEXT("blink_sample_end_to_end")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_names_a_test),
        cmocka_unit_test(each_element_of_blink_has_a_row),
        cmocka_unit_test(each_attribute_of_blink_has_a_row),
        cmocka_unit_test(a_wrong_name_is_seen),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
