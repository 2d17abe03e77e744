// tests/CONFORMANCE.md keeps its word: each statement of a specification has its row, each row its
// reason, and each test that a row names exists.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "core/wire/text.h"

enum { ROWS_MAX = 1024, SECTIONS_MAX = 256, FILES_MAX = 256, REASON_MIN = 8, QUOTA_MAX = 64 };

enum cell { CELL_ID, CELL_DEMAND, CELL_DOES, CELL_VERDICT, CELL_TESTS, CELLS };

struct row {
    struct text cell[CELLS];
    struct text document, section, place; // of the id: 6665-4.1.2.2-1
};

// "4.1.2.2 2" of a line "Statements: …": so many statements that section has.
struct quota {
    struct text document, section;
    uint32_t n;
};

static char *table;
static struct row rows[ROWS_MAX];
static size_t n_rows;
static struct quota quotas[SECTIONS_MAX];
static size_t n_quotas;

// Sources that were read already, by path.
static struct {
    char path[512];
    char *source; // NULL: there is no such file
} files[FILES_MAX];
static size_t n_files;

// ---- Reading

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

static const char *source_of(const char *path)
{
    for (size_t i = 0; i < n_files; i++)
        if (strcmp(files[i].path, path) == 0)
            return files[i].source;
    assert_true(n_files < FILES_MAX);
    snprintf(files[n_files].path, sizeof files[n_files].path, "%s", path);
    files[n_files].source = file(path);
    return files[n_files++].source;
}

// What stands before `sep`, which is taken off *rest as well; all of it if there is no `sep`.
static struct text take_until(struct text *rest, char sep)
{
    const char *at = rest->n ? memchr(rest->p, sep, rest->n) : NULL;
    struct text head = {rest->p, at ? (size_t)(at - rest->p) : rest->n};
    size_t taken = head.n + (at ? 1 : 0);
    *rest = (struct text){rest->p + taken, rest->n - taken};
    return head;
}

static void read_row(struct text line)
{
    assert_true(n_rows < ROWS_MAX);
    struct row *r = &rows[n_rows++];
    struct text rest = line;
    take_until(&rest, '|');
    for (unsigned i = 0; i < CELLS; i++)
        r->cell[i] = text_trim(take_until(&rest, '|'));
    if (rest.n || line.p[line.n - 1] != '|')
        fail_msg("not %u cells: %.*s", CELLS, TEXT_ARG(line));
    rest = r->cell[CELL_ID];
    r->document = take_until(&rest, '-');
    r->section = take_until(&rest, '-');
    r->place = rest;
    if (!r->place.n)
        fail_msg("no id: %.*s", TEXT_ARG(line));
}

// "Statements of 6665: 4.1.2.2 2, 4.1.2.4 3."
static void read_statements(struct text line)
{
    take_until(&line, ' ');
    take_until(&line, ' ');
    struct text document = take_until(&line, ':');
    line.n -= line.n && line.p[line.n - 1] == '.';
    while (line.n) {
        struct text item = text_trim(take_until(&line, ','));
        assert_true(n_quotas < SECTIONS_MAX);
        struct quota *q = &quotas[n_quotas++];
        q->document = document;
        q->section = take_until(&item, ' ');
        assert_true(text_to_u32(item, QUOTA_MAX, &q->n));
    }
}

static int begin(void **state)
{
    (void)state;
    table = file(SOURCE_DIR "/tests/CONFORMANCE.md");
    if (!table)
        return 1;
    bool in_table = false;
    struct text rest = text_of(table);
    while (rest.n) {
        struct text line = take_until(&rest, '\n');
        if (text_starts(line, TEXT("|---")))
            in_table = true;
        else if (!text_starts(line, TEXT("|")))
            in_table = false;
        else if (in_table)
            read_row(line);
        if (text_starts(line, TEXT("Statements of ")))
            read_statements(line);
    }
    return 0;
}

static int end(void **state)
{
    (void)state;
    free(table);
    for (size_t i = 0; i < n_files; i++)
        free(files[i].source);
    return 0;
}

// ---- Tests that rows name

static bool is_letter(char c)
{
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

// Whether main() runs that test, by whatever macro: its name stands there as a word.
static bool main_runs(const char *source, struct text test)
{
    const char *at = strstr(source, "\nint main(");
    for (; at && (at = memmem(at, strlen(at), test.p, test.n)) != NULL; at++)
        if (!is_letter(at[-1]) && !is_letter(at[test.n]))
            return true;
    return false;
}

// A test of a C program: scenario/watch/pending_is_silent. Without a test: the whole program.
static bool is_c_test(struct text kind, struct text program, struct text test)
{
    char path[512];
    snprintf(path, sizeof path, SOURCE_DIR "/tests/%.*s/test_%.*s.c", TEXT_ARG(kind),
             TEXT_ARG(program));
    const char *source = source_of(path);
    return source && (!test.n || main_runs(source, test));
}

// A method of a class of tests/peers: peers/test_presence.SipDecides.test_rejects.
static bool is_python_test(struct text dotted)
{
    char path[512], head[256], method[256];
    struct text module = take_until(&dotted, '.'), class = take_until(&dotted, '.');
    snprintf(path, sizeof path, SOURCE_DIR "/tests/peers/%.*s.py", TEXT_ARG(module));
    snprintf(head, sizeof head, "\nclass %.*s", TEXT_ARG(class));
    snprintf(method, sizeof method, "def %.*s(", TEXT_ARG(dotted));
    const char *source = source_of(path);
    const char *from = source ? strstr(source, head) : NULL;
    if (!from || !class.n || !dotted.n || !strchr(":(", from[strlen(head)]))
        return false;
    const char *found = strstr(from, method), *next = strstr(from + 1, "\nclass ");
    return found && (!next || found < next);
}

static bool exists(struct text name)
{
    struct text rest = name, kind = take_until(&rest, '/');
    if (text_eq(kind, TEXT("peers")))
        return is_python_test(rest);
    struct text program = take_until(&rest, '/');
    bool whole = text_eq(kind, TEXT("simulation"));
    return program.n && (whole || rest.n) && is_c_test(kind, program, rest);
}

static void each_named_test_exists(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_rows; i++) {
        struct text tests = rows[i].cell[CELL_TESTS];
        while (tests.n) {
            struct text name = text_trim(take_until(&tests, ','));
            if (!exists(name))
                fail_msg("%.*s: no such test: %.*s", TEXT_ARG(rows[i].cell[CELL_ID]),
                         TEXT_ARG(name));
        }
    }
}

// ---- Verdicts

static bool is_verdict(const struct row *r, const char *verdict)
{
    return text_eq(r->cell[CELL_VERDICT], text_of(verdict));
}

static void each_row_is_complete(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_rows; i++) {
        const struct row *r = &rows[i];
        bool does = is_verdict(r, "yes"), otherwise = is_verdict(r, "yes, otherwise");
        bool not = is_verdict(r, "no") || is_verdict(r, "n/a");
        if (!does && !otherwise && !not )
            fail_msg("%.*s: no verdict", TEXT_ARG(r->cell[CELL_ID]));
        if ((does || otherwise) && !r->cell[CELL_TESTS].n)
            fail_msg("%.*s: no test", TEXT_ARG(r->cell[CELL_ID]));
        if (!r->cell[CELL_DEMAND].n || !r->cell[CELL_DOES].n ||
            (!does && r->cell[CELL_DOES].n < REASON_MIN))
            fail_msg("%.*s: no reason", TEXT_ARG(r->cell[CELL_ID]));
    }
    assert_true(n_rows > 250);
}

// ---- Rows and statements

// The statement that a row is about: 1 of "1" and "1b"; 0: none, as of "t1" and "m1", which are
// there besides.
static unsigned statement(const struct row *r)
{
    unsigned n = 0;
    size_t i = 0;
    for (; i < r->place.n && r->place.p[i] >= '0' && r->place.p[i] <= '9'; i++)
        n = n * 10 + (unsigned)(r->place.p[i] - '0');
    bool part = i + 1 == r->place.n && r->place.p[i] >= 'a' && r->place.p[i] <= 'z';
    return i == r->place.n || part ? n : 0;
}

static bool is_besides(const struct row *r)
{
    struct row rest = *r;
    rest.place = (struct text){r->place.p + 1, r->place.n - 1};
    return (r->place.p[0] == 't' || r->place.p[0] == 'm') && statement(&rest);
}

static bool is_of(const struct row *r, const struct quota *q)
{
    return text_eq(r->document, q->document) && text_eq(r->section, q->section);
}

static void each_statement_has_its_row(void **state)
{
    (void)state;
    assert_true(n_quotas > 60);
    for (size_t i = 0; i < n_quotas; i++)
        for (uint32_t n = 1; n <= quotas[i].n; n++) {
            bool found = false;
            for (size_t k = 0; k < n_rows && !found; k++)
                found = is_of(&rows[k], &quotas[i]) && statement(&rows[k]) == n;
            if (!found)
                fail_msg("no row: %.*s-%.*s-%u", TEXT_ARG(quotas[i].document),
                         TEXT_ARG(quotas[i].section), n);
        }
}

static void each_row_has_its_statement(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_rows; i++) {
        unsigned n = statement(&rows[i]);
        bool found = !n && is_besides(&rows[i]);
        for (size_t k = 0; k < n_quotas && n && !found; k++)
            found = is_of(&rows[i], &quotas[k]) && n <= quotas[k].n;
        if (!found)
            fail_msg("no statement: %.*s", TEXT_ARG(rows[i].cell[CELL_ID]));
    }
}

static void no_id_is_double(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_rows; i++)
        for (size_t k = 0; k < i; k++)
            if (text_eq(rows[i].cell[CELL_ID], rows[k].cell[CELL_ID]))
                fail_msg("double: %.*s", TEXT_ARG(rows[i].cell[CELL_ID]));
}

// 4.1.2.4 before 4.1.10, and both behind 4.1.
static int section_order(struct text a, struct text b)
{
    while (a.n && b.n) {
        uint32_t x, y;
        assert_true(text_to_u32(take_until(&a, '.'), UINT32_MAX, &x));
        assert_true(text_to_u32(take_until(&b, '.'), UINT32_MAX, &y));
        if (x != y)
            return x < y ? -1 : 1;
    }
    return a.n ? 1 : b.n ? -1 : 0;
}

static void rows_are_in_order(void **state)
{
    (void)state;
    for (size_t i = 1; i < n_rows; i++)
        if (text_eq(rows[i].document, rows[i - 1].document) &&
            section_order(rows[i - 1].section, rows[i].section) > 0)
            fail_msg("out of order: %.*s", TEXT_ARG(rows[i].cell[CELL_ID]));
}

// ---- The check itself

static void wrong_names_are_seen(void **state)
{
    (void)state;
    assert_true(exists(TEXT("unit/conformance_table/wrong_names_are_seen")));
    assert_true(exists(TEXT("simulation/world")));
    assert_true(exists(TEXT("peers/test_presence.SipDecides.test_rejects")));
    static const char *const wrong[] = {
        "",
        "?",
        "unit",
        "unit/conformance_table",
        "unit/conformance_table/",
        "unit/conformance_table/wrong_names",
        "unit/conformance_table/names_are_seen",
        "unit/conformance_table/main_runs", // a function, but no test
        "unit/no_such_program/wrong_names_are_seen",
        "scenario/conformance_table/wrong_names_are_seen",
        "simulation/moon",
        "peers/test_presence.SipDecides.test_two_devices", // of another class
        "peers/test_presence.SipDecides.test_reject",
        "peers/test_presence.Sip.test_rejects",
        "peers/test_presence.SipDecides",
        "peers/test_absence.SipDecides.test_rejects",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (exists(text_of(wrong[i])))
            fail_msg("taken: %s", wrong[i]);
}

static void sections_have_an_order(void **state)
{
    (void)state;
    assert_int_equal(section_order(TEXT("4.1.2"), TEXT("4.1.10")), -1);
    assert_int_equal(section_order(TEXT("4.2"), TEXT("4.1.10")), 1);
    assert_int_equal(section_order(TEXT("4.1"), TEXT("4.1.10")), -1);
    assert_int_equal(section_order(TEXT("4.1"), TEXT("4.1")), 0);
    static const struct {
        const char *place;
        unsigned statement;
        bool besides;
    } places[] = {{"1", 1, false},  {"12", 12, false}, {"3b", 3, false},
                  {"t4", 0, true},  {"m1", 0, true},   {"t", 0, false},
                  {"x1", 0, false}, {"1bc", 0, false}, {"1-2", 0, false}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        struct row r = {.place = text_of(places[i].place)};
        assert_int_equal(statement(&r), places[i].statement);
        assert_int_equal(is_besides(&r), places[i].besides);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_named_test_exists),
        cmocka_unit_test(each_row_is_complete),
        cmocka_unit_test(each_statement_has_its_row),
        cmocka_unit_test(each_row_has_its_statement),
        cmocka_unit_test(no_id_is_double),
        cmocka_unit_test(rows_are_in_order),
        cmocka_unit_test(wrong_names_are_seen),
        cmocka_unit_test(sections_have_an_order),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
