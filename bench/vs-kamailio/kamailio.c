// Kamailio: its life as a gateway under load.
#include "bench/vs-kamailio/kamailio.h"

#include <errno.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    KAMAILIO_SHARED_MB = 1024, // and a MB for each so many subscriptions, up to the most
    KAMAILIO_PER_MB = 5,
    KAMAILIO_SHARED_MOST_MB = 8192,
    KAMAILIO_PRIVATE_MB = 64,
    KAMAILIO_TRIES = 100,
    KAMAILIO_STEP_MS = 100,
    KAMAILIO_STOP_MS = 30000, // it writes all it has to the database first
    KAMAILIO_WORDS = 2000,
};

// ---- What it takes

static bool found(const char *pattern)
{
    glob_t g;
    int err = glob(pattern, 0, NULL, &g);
    globfree(&g);
    return err == 0;
}

const char *kamailio_missing(void)
{
    static const char *const wanted[][2] = {
        {"/usr/sbin/kamailio", "kamailio"},
        {"/usr/sbin/kamcmd", "kamailio"},
        {"/usr/lib/*/kamailio/modules/xmpp.so", "kamailio-xmpp-modules"},
        {"/usr/lib/*/kamailio/modules/pua_xmpp.so", "kamailio-presence-modules"},
        {"/usr/lib/*/kamailio/modules/db_mysql.so", "kamailio-mysql-modules"},
        {"/usr/sbin/mariadbd", "mariadb-server"},
        {"/usr/bin/mariadb-install-db", "mariadb-server"},
        {"/usr/bin/mariadb", "mariadb-client"},
        {"/usr/share/kamailio/mysql/presence-create.sql", "kamailio"},
    };
    for (unsigned i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (!found(wanted[i][0]))
            return wanted[i][1];
    return NULL;
}

// ---- Its life

static void kamailio_path(const struct kamailio *k, const char *name, char *out, size_t size)
{
    snprintf(out, size, "%s/%s", k->folder, name);
}

static unsigned shared_mb(const struct kamailio *k)
{
    unsigned mb = KAMAILIO_SHARED_MB + k->subscriptions / KAMAILIO_PER_MB;
    return mb < KAMAILIO_SHARED_MOST_MB ? mb : KAMAILIO_SHARED_MOST_MB;
}

static int kamailio_run(struct kamailio *k, uint16_t xmpp_port, uint16_t sip_port)
{
    static const char *const layouts[KAMAILIO_LAYOUTS] = {
        "LAYOUT=1", "LAYOUT=1234567890123456", "LAYOUT=12345678901234567890123456789012",
        "LAYOUT=123456789012345678901234567890123456789012345678"};
    char log[300], sip[64], xmpp[64], db[64], folder[300], shared[16], private[16];
    const struct server how = {
        .log = log, .preload = VS_KAMAILIO_ELEMENTS, .death_signal = SIGTERM};
    kamailio_path(k, "kamailio.log", log, sizeof log);
    snprintf(sip, sizeof sip, "--substdef=!SIP_PORT!%u!g", sip_port);
    snprintf(xmpp, sizeof xmpp, "--substdef=!XMPP_PORT!%u!g", xmpp_port);
    snprintf(db, sizeof db, "--substdef=!DB_PORT!%u!g", k->database.port);
    snprintf(folder, sizeof folder, "--substdef=!FOLDER!%s!g", k->folder);
    snprintf(shared, sizeof shared, "%u", shared_mb(k));
    snprintf(private, sizeof private, "%d", KAMAILIO_PRIVATE_MB);
    const char *argv[] = {"kamailio",
                          "-DD",
                          "-E",
                          "-f",
                          VS_KAMAILIO_CONFIG,
                          "-m",
                          shared,
                          "-M",
                          private,
                          "-x",
                          "fm",
                          "-X",
                          "fm",
                          "-Y",
                          k->folder,
                          "-w",
                          k->folder,
                          sip,
                          xmpp,
                          db,
                          folder,
                          "-A",
                          k->stateless ? "STATELESS" : "STATEFUL",
                          "-A",
                          layouts[k->layout],
                          NULL};
    k->pid = server_start(&how, argv);
    return k->pid ? 0 : errno;
}

// One command over its control socket. False: it did not take it. Its answer is added to the file.
static bool kamailio_tell(const struct kamailio *k, const char *const words[], unsigned n,
                          const char *answer)
{
    char log[300], control[300];
    const char *argv[16] = {"kamcmd", "-s", control};
    const struct server how = {.log = log, .death_signal = SIGKILL};
    kamailio_path(k, answer, log, sizeof log);
    snprintf(control, sizeof control, "unix:%s/control", k->folder);
    for (unsigned i = 0; i < n; i++)
        argv[3 + i] = words[i];
    return server_run(&how, argv) == 0;
}

#define SECONDS   "86400"
#define PERMANENT "2" // as a flag of its cache

static bool tell_address(const struct kamailio *k)
{
    static const char *const words[] = {"dns.add_a", "host.example.org", SECONDS, "127.0.0.1",
                                        PERMANENT};
    return kamailio_tell(k, words, sizeof words / sizeof *words, "control.log");
}

// As a name server would say it (RFC 3263 §4.2).
static bool tell_service(const struct kamailio *k, const char *name, uint16_t port)
{
    char number[8];
    const char *const words[] = {"dns.add_srv",      name,     SECONDS, "1", "1", number,
                                 "host.example.org", PERMANENT};
    snprintf(number, sizeof number, "%u", port);
    return kamailio_tell(k, words, sizeof words / sizeof *words, "control.log");
}

// Until it listens.
static int tell_places(const struct kamailio *k, uint16_t proxy_port, uint16_t sip_port)
{
    const struct timespec step = {.tv_nsec = KAMAILIO_STEP_MS * 1000000l};
    for (unsigned i = 0; i < KAMAILIO_TRIES && server_runs(k->pid); i++) {
        if (tell_address(k) && tell_service(k, "_sip._udp.example.com", sip_port) &&
            tell_service(k, "_sip._udp.example.net", proxy_port))
            return 0;
        nanosleep(&step, NULL);
    }
    return ETIMEDOUT;
}

static pid_t kamailio_start(void *self, const struct load_places *at)
{
    struct kamailio *k = self;
    int err = kamailio_run(k, at->xmpp_port, at->sip_port);
    err = err ? err : tell_places(k, at->proxy_port, at->sip_port);
    errno = err;
    return err ? 0 : k->pid;
}

static void kamailio_stop(void *self)
{
    struct kamailio *k = self;
    if (k->pid)
        server_stop(k->pid, KAMAILIO_STOP_MS);
    k->pid = 0;
}

static uint64_t kamailio_cpu_ns(void *self)
{
    return server_cpu_ns(((struct kamailio *)self)->pid);
}

static uint64_t kamailio_bytes(void *self)
{
    return server_memory_bytes(((struct kamailio *)self)->pid);
}

// Of her status text it tells nothing: her PIDF has one note, made of what she shows.
static bool kamailio_tells(const char *pidf, unsigned round)
{
    return strstr(pidf, round % 2 ? "<note>Busy (DND)<" : "<note>away<") != NULL;
}

int kamailio_create(struct kamailio *k, unsigned subscriptions, bool stateless)
{
    *k = (struct kamailio){.subscriptions = subscriptions, .stateless = stateless};
    k->subject = (struct load_subject){
        k, kamailio_start, kamailio_stop, kamailio_cpu_ns, kamailio_bytes, kamailio_tells};
    snprintf(k->folder, sizeof k->folder, "/tmp/isthmus-kamailio-XXXXXX");
    int err = scratch_create(&k->scratch, k->folder);
    return err ? err : database_start(&k->database, k->folder);
}

void kamailio_destroy(struct kamailio *k)
{
    kamailio_stop(k);
    database_stop(&k->database);
    scratch_remove(&k->scratch);
}

// ---- What it says

uint64_t kamailio_in_use_bytes(const struct kamailio *k)
{
    static const char *const words[] = {"core.shmmem"};
    char path[300], line[128];
    unsigned long long bytes = 0;
    kamailio_path(k, "memory", path, sizeof path);
    remove(path);
    if (!kamailio_tell(k, words, 1, "memory"))
        return 0;
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, " real_used: %llu", &bytes) == 1)
            break;
    if (f)
        fclose(f);
    return bytes;
}

static void complain_with(const struct kamailio *k, const char *name)
{
    char path[300], words[KAMAILIO_WORDS];
    kamailio_path(k, name, path, sizeof path);
    FILE *f = fopen(path, "r");
    if (!f)
        return;
    if (fseek(f, -(long)sizeof words, SEEK_END))
        rewind(f);
    size_t n = fread(words, 1, sizeof words, f);
    fprintf(stderr, "the end of %s:\n%.*s\n", name, (int)n, words);
    fclose(f);
}

void kamailio_complain(const struct kamailio *k)
{
    complain_with(k, "database.log");
    complain_with(k, "kamailio.log");
}
