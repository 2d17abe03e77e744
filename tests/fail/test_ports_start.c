// Starting while one call fails: each that main's thread makes to open the shards and the API, the
// 1st, the 2nd, the 3rd …, with each error that it may give.
//
//     shards_create ─▶ api_listen ─▶ api_start ─▶ shards_start ─▶ all is taken apart again
//
// An error says what part it is of and why, nothing is left over, and the same start succeeds
// afterwards. None takes longer than START_MS.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "api/api.h"
#include "faulty.h"
#include "shards/config.h"
#include "shards/log.h"
#include "shards/shards.h"
#include "store/store.h"
#include "tests/certificates.h"

enum { NTH_MAX = 60, START_MS = 4000 };

static char dir[] = "/dev/shm/isthmus-start-XXXXXX";
static struct config *cfg;
static struct store *store;

static void write_config(const char *file, const char *more)
{
    uint32_t r;
    assert_int_equal(getrandom(&r, sizeof r, 0), sizeof r);
    unsigned port = 10000 + r % 20000; // below the kernel's own choices
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    fprintf(f,
            "[gateway]\nshards = 2\nstore = '%s/store'\n[xmpp]\nserver = '127.0.0.1:9'\n"
            "secret = 'x'\n[sip]\nlisten = ['udp:127.0.0.1:%u', 'tcp:127.0.0.1:%u', "
            "'tls:127.0.0.1:%u']\nshard_port = %u\nadvertise = '127.0.0.1'\n"
            "proxy = 'sip:127.0.0.1:9'\n[sip.tls]\ncertificate = '%s/good.pem'\n"
            "private_key = '%s/good.key'\nca = '%s/ca.pem'\n"
            "[trust]\nsip_domains = ['example.net']\nxmpp_domains = ['example.com']\n"
            "[api]\nlisten = '127.0.0.1:%u'\n%s",
            dir, port, port, port + 1, port + 2, dir, dir, dir, port + 4, more);
    assert_int_equal(fclose(f), 0);
}

static int open_all(bool threads, struct store_error *why)
{
    struct shards *shards;
    struct api *api = NULL;
    int rc = shards_create(&shards, cfg, store, why);
    assert_true((rc == 0) == (shards != NULL));
    if (rc)
        return rc;
    rc = api_listen(&api, cfg, shards, why);
    assert_true((rc == 0) == (api != NULL));
    if (rc == 0)
        rc = api_start(api, why);
    if (rc == 0 && threads) {
        rc = shards_start(shards);
        if (rc)
            snprintf(why->text, sizeof why->text, "starting the threads: %s", strerror(rc));
    }
    api_stop(api);
    if (rc == 0 && threads)
        shards_stop(shards);
    shards_destroy(shards);
    return rc;
}

static int set_up(void **state)
{
    (void)state;
    char file[64], path[64];
    struct config_error bad;
    struct store_error why;
    assert_non_null(mkdtemp(dir));
    log_setup(LOG_ERROR, false);
    struct certificate ca = certificate_make(NULL, NULL, 10);
    certificate_write(certificate_make(&ca, "IP:127.0.0.1", 10), dir, "good");
    certificate_write(ca, dir, "ca");
    snprintf(file, sizeof file, "%s/gateway.toml", dir);
    snprintf(path, sizeof path, "%s/store", dir);
    assert_int_equal(store_open(&store, path, 2, &why), 0);
    for (int rc = EADDRINUSE; rc == EADDRINUSE;) {
        config_free(cfg);
        write_config(file, "");
        assert_int_equal(config_load(&cfg, file, &bad), 0);
        rc = open_all(true, &why);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    faulty_print_table();
    store_close(store);
    config_free(cfg);
    snprintf(command, sizeof command, "rm -r '%s'", dir);
    return system(command);
}

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

// False: there are not so many.
static bool fail_point(enum faulty_call call, unsigned n, int error)
{
    struct store_error why = {""};
    bool threads = call == FAULTY_pthread_create;
    unsigned descriptors = faulty_open_descriptors();
    uint64_t began_ms = now_ms();
    faulty_arm(call, n, error, false);
    int rc = open_all(threads, &why);
    bool struck = faulty_disarm();
    if (rc && !struck)
        fail_msg("%d, %s, and nothing has failed", rc, why.text);
    if (rc &&
        (rc < 0 || strlen(why.text) < 12 || !strchr(why.text, ':') || strstr(why.text, "Success")))
        fail_msg("%s number %u says %d: \"%s\" tells nothing", faulty_name(call), n, error,
                 why.text);
    if (now_ms() - began_ms > START_MS)
        fail_msg("%s number %u says %d: it takes too long", faulty_name(call), n, error);
    if (faulty_open_descriptors() != descriptors)
        fail_msg("%s number %u says %d: %u descriptors are open, %u were", faulty_name(call), n,
                 error, faulty_open_descriptors(), descriptors);
    return struck;
}

static void each_call_fails(void **state)
{
    (void)state;
    struct store_error why;
    unsigned points = 0;
    for (int call = 0; call < FAULTY_CALLS; call++)
        for (const int *error = faulty_errors((enum faulty_call)call); *error; error++)
            for (unsigned n = 1; n <= NTH_MAX && fail_point((enum faulty_call)call, n, *error); n++)
                points++;
    assert_true(points > 0);
    if (open_all(true, &why))
        fail_msg("afterwards: %s", why.text);
    assert_false(faulty_has_leaked());
}

// What somebody else has is named by its address.
static void port_in_use_is_named(void **state)
{
    (void)state;
    struct shards *shards;
    struct api *api, *second;
    struct store_error why;
    char port[16];
    assert_int_equal(shards_create(&shards, cfg, store, &why), 0);
    assert_int_equal(api_listen(&api, cfg, shards, &why), 0);
    assert_int_equal(api_listen(&second, cfg, shards, &why), EADDRINUSE);
    assert_null(second);
    snprintf(port, sizeof port, "port %u", cfg->api.listen_port);
    assert_non_null(strstr(why.text, port));
    assert_non_null(strstr(why.text, "in use"));
    api_stop(api);
    shards_destroy(shards);
}

// The HTTP library's own calls: it finds no descriptor for its bell.
static void http_without_descriptors_is_said(void **state)
{
    (void)state;
    struct shards *shards;
    struct api *api;
    struct store_error why = {""};
    struct rlimit before, now;
    assert_int_equal(shards_create(&shards, cfg, store, &why), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    now = before;
    unsigned descriptors = faulty_open_descriptors();
    bool said = false;
    for (rlim_t most = 3; most < before.rlim_cur; most++) { // from none on, until it starts
        now.rlim_cur = most;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
        int rc = api_listen(&api, cfg, shards, &why);
        assert_true((rc == 0) == (api != NULL));
        if (rc == 0)
            rc = api_start(api, &why);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        if (rc == 0)
            break;
        api_stop(api);
        assert_true(strncmp(why.text, "api: ", 5) == 0);
        said = said || strstr(why.text, "the HTTP server does not start");
        assert_int_equal(faulty_open_descriptors(), descriptors);
    }
    assert_true(said);
    api_stop(api);
    shards_destroy(shards);
}

static void token_file_that_cannot_be_read_is_named(void **state)
{
    (void)state;
    static const char *const files[] = {"/nonexistent/token", "/proc/self/mem", "/tmp"};
    char file[64], more[64];
    snprintf(file, sizeof file, "%s/other.toml", dir);
    for (size_t i = 0; i < 3; i++) {
        struct config *other = NULL;
        struct config_error bad = {""};
        snprintf(more, sizeof more, "token_file = '%s'\n", files[i]);
        write_config(file, more);
        assert_int_equal(config_load(&other, file, &bad), EINVAL);
        if (!strstr(bad.text, "token_file") || !strstr(bad.text, files[i]))
            fail_msg("\"%s\" does not name %s", bad.text, files[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_call_fails),
        cmocka_unit_test(port_in_use_is_named),
        cmocka_unit_test(http_without_descriptors_is_said),
        cmocka_unit_test(token_file_that_cannot_be_read_is_named),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
