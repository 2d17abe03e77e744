// The daemon: puts the floors together in order, waits for signals, and takes them apart again.
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "api/api.h"
#include "shards/config.h"
#include "shards/log.h"
#include "shards/privileges.h"
#include "shards/reload.h"
#include "shards/shards.h"
#include "shards/sip_tls.h"
#include "store/store.h"

// Scripts rely on these.
enum { EXIT_GRACEFUL = 0, EXIT_START = 1, EXIT_CONFIG = 2, EXIT_STORE = 3 };

struct daemon {
    const char *path;
    bool only_test;
    struct config *cfg;
    struct store *store;
    struct shards *shards;
    struct api *api;
    sigset_t signals; // what signal_loop waits for
};

static const char usage[] =
    "usage: isthmus [-c FILE] [-t] [-V] [-h] [--config-reference]\n"
    "\n"
    "Joins the presence of an XMPP server's users and a SIP proxy's users. Stays in the\n"
    "foreground and logs to standard error.\n"
    "\n"
    "  -c FILE             the configuration; gateway.toml in the working directory by default\n"
    "  -t                  check the configuration and exit\n"
    "  -V                  print the version and exit\n"
    "  -h                  print this and exit\n"
    "  --config-reference  print all settings with their defaults, as a gateway.toml, and exit\n"
    "\n"
    "SIGHUP: take the configuration again. SIGTERM, SIGINT: end gracefully.\n"
    "Exit status: 0 ended gracefully, 1 could not start, 2 bad configuration, 3 unusable store.\n";

static int flushed(void)
{
    return fflush(stdout) || ferror(stdout) ? EXIT_START : EXIT_GRACEFUL;
}

// Returns -1 to go on, else the exit status.
static int parse_args(struct daemon *d, int argc, char **argv)
{
    static const struct option longs[] = {
        {"config-reference", no_argument, NULL, 'R'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {0},
    };
    d->path = "gateway.toml";
    for (int option; (option = getopt_long(argc, argv, "c:tVh", longs, NULL)) != -1;) {
        switch (option) {
        case 'c': d->path = optarg; break;
        case 't': d->only_test = true; break;
        case 'V': puts("isthmus " ISTHMUS_VERSION); return flushed();
        case 'h': fputs(usage, stdout); return flushed();
        case 'R': config_print_reference(stdout); return flushed();
        default: fputs(usage, stderr); return EXIT_START;
        }
    }
    if (optind == argc)
        return -1;
    fprintf(stderr, "isthmus: what is \"%s\" for?\n\n%s", argv[optind], usage);
    return EXIT_START;
}

// At start only: after it, the user that we are then need not be able to read the key.
static bool certificates_are_good(const struct config *cfg)
{
    struct sip_tls *tls;
    struct sip_tls_files files;
    struct sip_tls_error why;
    sip_tls_files_of(&files, cfg);
    bool good = sip_tls_create(&tls, &files, &why) == 0;
    if (!good)
        fprintf(stderr, "%s:%u:%u: sip.tls.%s: %s\n", cfg->path, cfg->sip.tls_at[why.key].line,
                cfg->sip.tls_at[why.key].column, sip_tls_key_text(why.key), why.text);
    sip_tls_destroy(tls);
    return good;
}

// Returns -1 to go on, else the exit status.
static int load_config(struct daemon *d)
{
    struct config_error why;
    int err = config_load(&d->cfg, d->path, &why);
    if (err) {
        fprintf(stderr, "%s\n", why.text);
        return err == EINVAL ? EXIT_CONFIG : EXIT_START;
    }
    if (!certificates_are_good(d->cfg))
        return EXIT_CONFIG;
    if (d->only_test) {
        printf("%s: ok\n", d->path);
        return flushed();
    }
    log_setup((enum log_level)d->cfg->log.level, d->cfg->log.json);
    return -1;
}

// Everything but faults and what stops a job in a terminal is taken by signal_loop or left lying,
// so no other thread ever runs a handler.
static void block_signals(struct daemon *d)
{
    static const int left[] = {SIGSEGV, SIGBUS,  SIGFPE,  SIGILL,  SIGTRAP, SIGABRT,
                               SIGSYS,  SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU, SIGPROF};
    sigset_t all;
    sigfillset(&all);
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++)
        sigdelset(&all, left[i]);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&d->signals);
    sigaddset(&d->signals, SIGTERM);
    sigaddset(&d->signals, SIGINT);
    sigaddset(&d->signals, SIGHUP);
}

static void raise_open_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit))
        log_warn("open_files_limit", "why", strerror(errno), NULL);
}

static int start_failed(const char *part, const struct store_error *why, int status)
{
    log_error("start_failed", "part", part, "why", why->text, NULL);
    return status;
}

// What of shards_create's errors are the store's.
static int shards_status(int err)
{
    switch (err) {
    case EBADMSG:
    case ENOTSUP:
    case ENOSPC:
    case EIO: return EXIT_STORE;
    default: return EXIT_START;
    }
}

// Whether or not anybody asks for memory then: jemalloc has a thread for that. It would begin it
// before main(), and capabilities are given up by each thread for itself; so it has to wait until
// there are none to inherit. Without jemalloc (a build with sanitizers) there is nothing to ask.
extern int mallctl(const char *name, void *old, size_t *old_n, void *new, size_t new_n)
    __attribute__((weak));

static void give_memory_back(void)
{
    bool on = true;
    if (mallctl)
        mallctl("background_thread", NULL, NULL, &on, sizeof on);
}

// Returns -1 when all runs, else the exit status; what has been started is in `d`.
static int start(struct daemon *d)
{
    struct store_error why = {""};
    const struct config *cfg = d->cfg;
    const struct privileges_wish wish = {cfg->gateway.user};
    int err;
    if (store_open(&d->store, cfg->gateway.store, cfg->gateway.shards, &why))
        return start_failed("store", &why, EXIT_STORE);
    if ((err = shards_create(&d->shards, cfg, d->store, &why)))
        return start_failed("shards", &why, shards_status(err));
    if (api_listen(&d->api, cfg, d->shards, &why))
        return start_failed("api", &why, EXIT_START);
    // All ports are bound, and no thread runs yet: none will ever have more than is left now.
    if (privileges_give(&wish, cfg->gateway.store, &why) || privileges_confine(&wish, &why) ||
        privileges_drop(&wish, &why))
        return start_failed("privileges", &why, EXIT_START);
    give_memory_back();
    if (api_start(d->api, &why))
        return start_failed("api", &why, EXIT_START);
    if ((err = shards_start(d->shards))) {
        snprintf(why.text, sizeof why.text, "starting the threads: %s", strerror(err));
        return start_failed("shards", &why, EXIT_START);
    }
    return -1;
}

static void stop(struct daemon *d, bool running)
{
    if (d->api)
        api_stop(d->api);
    if (running)
        shards_stop(d->shards);
    if (d->shards)
        shards_destroy(d->shards);
    if (d->store)
        store_close(d->store);
}

static void log_ready(const struct config *cfg)
{
    char api[300];
    snprintf(api, sizeof api, strchr(cfg->api.listen_host, ':') ? "[%s]:%u" : "%s:%u",
             cfg->api.listen_host, cfg->api.listen_port);
    log_info("ready", "version", ISTHMUS_VERSION, "shards", LOG_U64(cfg->gateway.shards), "store",
             cfg->gateway.store, "proxy", cfg->sip.proxy, "api", api, "pid",
             LOG_U64((uint64_t)getpid()), NULL);
}

static void reload(struct daemon *d)
{
    struct config_error why;
    if (reload_run(d->shards, d->cfg, &why))
        log_error("reload_failed", "why", why.text, NULL);
    else
        log_info("reloaded", "file", d->cfg->path, NULL);
}

// Until a signal asks for the end.
static void signal_loop(struct daemon *d)
{
    for (int got;;) {
        if (sigwait(&d->signals, &got))
            continue;
        if (got != SIGHUP) {
            log_info("stopping", "signal", got == SIGTERM ? "SIGTERM" : "SIGINT", NULL);
            return;
        }
        reload(d);
    }
}

static int run(struct daemon *d)
{
    block_signals(d);
    raise_open_files();
    int status = start(d);
    bool running = status < 0;
    if (running) {
        log_ready(d->cfg);
        signal_loop(d);
    }
    stop(d, running);
    if (running)
        log_info("stopped", NULL);
    return running ? EXIT_GRACEFUL : status;
}

// Read by jemalloc: what a burst has needed goes back to the system soon after.
extern const char *malloc_conf;
const char *malloc_conf = "dirty_decay_ms:1000,muzzy_decay_ms:0";

int main(int argc, char **argv)
{
    struct daemon d = {0};
    int status = parse_args(&d, argc, argv);
    if (status < 0)
        status = load_config(&d);
    if (status < 0)
        status = run(&d);
    config_free(d.cfg);
    return status;
}
