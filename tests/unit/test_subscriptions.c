// Filters of the list of subscriptions when there is no memory to read them: the client is not told
// that it was his mistake. (That he makes some is test_api.c's subject.)
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "api/subscriptions.h"
#include "core/wire/address.h"

static int error;

// At the linker in the place of the real ones, see tests/CMakeLists.txt.
int __wrap_jid_parse(struct jid *out, struct text t, char *scratch, size_t scratch_size);
int __wrap_address_to_jid(struct jid *out, const struct sip_uri *uri, char *scratch,
                          size_t scratch_size);

int __wrap_jid_parse(struct jid *out, struct text t, char *scratch, size_t scratch_size)
{
    (void)out, (void)t, (void)scratch, (void)scratch_size;
    return error;
}

int __wrap_address_to_jid(struct jid *out, const struct sip_uri *uri, char *scratch,
                          size_t scratch_size)
{
    (void)out, (void)uri, (void)scratch, (void)scratch_size;
    return error;
}

static void is_answered(const char *name, struct text value, unsigned status)
{
    struct view v = {.shards = 1};
    struct uri u = {.n = 1, .v = {{text_of(name), value}}};
    struct reply r;
    reply_init(&r);
    subscriptions_show(&v, &u, &r);
    assert_int_equal(r.status, status);
    assert_int_equal(r.retry_after_s, status == 503);
    reply_free(&r);
}

static void a_filter_that_there_is_no_memory_for(void **state)
{
    (void)state;
    static const struct {
        int error;
        unsigned status;
    } table[] = {{EBADMSG, 400}, {ENOMEM, 503}};
    for (int i = 0; i < 2; i++) {
        error = table[i].error;
        is_answered("jid", TEXT("juliet@example.com"), table[i].status);
        is_answered("sip", TEXT("sip:romeo@example.net"), table[i].status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_filter_that_there_is_no_memory_for)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
