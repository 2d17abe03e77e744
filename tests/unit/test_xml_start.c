// What libxml2 says when it goes wrong stays out of the log, in whatever thread.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <libxml/parser.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/wire/xml_start.h"

static void *complain(void *arg)
{
    xmlGenericError(xmlGenericErrorContext, "Memory allocation failed : %s\n", "growing buffer");
    xmlFreeDoc(xmlReadMemory("<a", 2, NULL, NULL, 0));
    return arg;
}

static void test_is_silent(void **state)
{
    (void)state;
    pthread_t thread;
    struct stat said;
    FILE *f = tmpfile();
    assert_non_null(f);
    int own = dup(STDERR_FILENO);
    xml_start();
    assert_int_equal(dup2(fileno(f), STDERR_FILENO), STDERR_FILENO);
    complain(NULL);
    int error = pthread_create(&thread, NULL, complain, NULL);
    if (!error)
        pthread_join(thread, NULL);
    assert_int_equal(dup2(own, STDERR_FILENO), STDERR_FILENO);
    assert_int_equal(error, 0);
    assert_int_equal(fstat(fileno(f), &said), 0);
    assert_int_equal(said.st_size, 0);
    fclose(f);
    close(own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_silent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
