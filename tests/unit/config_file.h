// What the tests of gateway.toml share: a file to be read, what it has to hold, and how it is
// refused.
#ifndef TESTS_UNIT_CONFIG_FILE_H
#define TESTS_UNIT_CONFIG_FILE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "shards/config.h"
#include "shards/config_form.h"
#include "shards/config_toml.h"
#include "shards/log.h"

#define HELPER __attribute__((unused)) static

HELPER char dir[] = "/tmp/isthmus-config-XXXXXX";
HELPER char file[64];

HELPER int make_dir(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(file, sizeof file, "%s/gateway.toml", dir);
    return 0;
}

HELPER int remove_dir(void **state)
{
    (void)state;
    unlink(file);
    return rmdir(dir);
}

HELPER void write_file(const char *path, const char *p, size_t n)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

HELPER int load_bytes(struct config **c, const char *p, size_t n, struct config_error *why)
{
    write_file(file, p, n);
    return config_load(c, file, why);
}

HELPER struct config *load_good(const char *text)
{
    struct config *c;
    struct config_error why = {""};
    int err = load_bytes(&c, text, strlen(text), &why);
    if (err)
        fail_msg("refused: %s", why.text);
    return c;
}

// `expected` is what comes after "FILE:"; the text has to begin with it.
HELPER void assert_refused(const char *text, size_t n, const char *expected)
{
    struct config *c = (void *)1;
    struct config_error why = {""};
    int err = load_bytes(&c, text, n, &why);
    if (!err) {
        config_free(c);
        fail_msg("accepted, but wanted \"%s\" of:\n%s", expected, text);
    }
    assert_int_equal(err, EINVAL);
    assert_null(c);
    assert_memory_equal(why.text, file, strlen(file));
    const char *rest = why.text + strlen(file) + 1;
    if (strncmp(rest, expected, strlen(expected)))
        fail_msg("got \"%s\"\nbut wanted \"%s\" of:\n%s", rest, expected, text);
}

// What has no default, and a proxy, in four lines; more goes after it.
#define MUST                                                                                       \
    "xmpp.secret = 'x'\n"                                                                          \
    "sip.proxy = 'sip:127.0.0.1'\n"                                                                \
    "trust.sip_domains = ['example.net']\n"                                                        \
    "trust.xmpp_domains = ['example.com']\n"

HELPER void count_key(void *arg, const char *key)
{
    (void)key;
    ++*(size_t *)arg;
}

HELPER void fail_key(void *arg, const char *key)
{
    (void)arg;
    fail_msg("%s differs", key);
}

#endif
