// MariaDB: made, started, filled with Kamailio's tables, ended.
#include "bench/vs-kamailio/database.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/load/free_ports.h"
#include "bench/vs-kamailio/server.h"

enum {
    DATABASE_TRIES = 100,
    DATABASE_STEP_MS = 100,
    DATABASE_STOP_MS = 10000,
};

struct places {
    char log[300], data[300], socket[300], port[32], sql[300];
};

static struct places database_places(const struct database *d)
{
    struct places p;
    snprintf(p.log, sizeof p.log, "%s/database.log", d->folder);
    snprintf(p.data, sizeof p.data, "--datadir=%s/database", d->folder);
    snprintf(p.socket, sizeof p.socket, "--socket=%s/database.socket", d->folder);
    snprintf(p.port, sizeof p.port, "--port=%u", d->port);
    snprintf(p.sql, sizeof p.sql, "%s/tables.sql", d->folder);
    return p;
}

static int database_make(const struct places *p)
{
    const struct server how = {.log = p->log, .death_signal = SIGKILL};
    const char *argv[] = {"mariadb-install-db",
                          "--no-defaults",
                          p->data,
                          "--auth-root-authentication-method=normal",
                          "--skip-test-db",
                          geteuid() == 0 ? "--user=root" : NULL,
                          NULL};
    return server_run(&how, argv) ? EIO : 0;
}

// Nothing is left to the disk's speed: it is CPU time that is measured.
static int database_run(struct database *d, const struct places *p)
{
    const struct server how = {.log = p->log, .death_signal = SIGKILL};
    const char *argv[] = {"mariadbd",
                          "--no-defaults",
                          p->data,
                          p->socket,
                          p->port,
                          "--bind-address=127.0.0.1",
                          "--skip-name-resolve",
                          "--skip-log-bin",
                          "--innodb-flush-log-at-trx-commit=2",
                          "--innodb-buffer-pool-size=512M",
                          geteuid() == 0 ? "--user=root" : NULL,
                          NULL};
    d->pid = server_start(&how, argv);
    return d->pid ? 0 : errno;
}

// ---- Kamailio's tables

static int append_file(FILE *to, const char *name)
{
    char path[300], piece[4096];
    size_t n;
    snprintf(path, sizeof path, "/usr/share/kamailio/mysql/%s-create.sql", name);
    FILE *f = fopen(path, "r");
    if (!f)
        return errno;
    while ((n = fread(piece, 1, sizeof piece, f)) > 0)
        fwrite(piece, 1, n, to);
    fclose(f);
    return 0;
}

static int write_tables(const struct places *p)
{
    FILE *f = fopen(p->sql, "w");
    if (!f)
        return errno;
    fputs(
        "CREATE DATABASE kamailio CHARACTER SET latin1;\n"
        "CREATE USER kamailio@'127.0.0.1' IDENTIFIED BY 'load';\n"
        "GRANT ALL ON kamailio.* TO kamailio@'127.0.0.1';\nUSE kamailio;\n",
        f);
    int err = append_file(f, "standard");
    err = err ? err : append_file(f, "presence");
    return fclose(f) && !err ? errno : err;
}

// It takes a moment until it lets anybody in.
static int database_fill(const struct database *d, const struct places *p)
{
    const struct timespec step = {.tv_nsec = DATABASE_STEP_MS * 1000000l};
    const struct server how = {.log = p->log, .input = p->sql, .death_signal = SIGKILL};
    const struct server ask = {.log = p->log, .death_signal = SIGKILL};
    const char *ping[] = {"mariadb", "--no-defaults", p->socket, "--user=root", "-e", "DO 0", NULL};
    const char *fill[] = {"mariadb", "--no-defaults", p->socket, "--user=root", NULL};
    for (unsigned i = 0; i < DATABASE_TRIES && server_runs(d->pid); i++) {
        if (server_run(&ask, ping) == 0)
            return server_run(&how, fill) ? EIO : 0;
        nanosleep(&step, NULL);
    }
    return ETIMEDOUT;
}

int database_start(struct database *d, const char *folder)
{
    *d = (struct database){.port = free_ports(1)};
    snprintf(d->folder, sizeof d->folder, "%s", folder);
    struct places p = database_places(d);
    int err = d->port ? write_tables(&p) : EADDRINUSE;
    err = err ? err : database_make(&p);
    err = err ? err : database_run(d, &p);
    err = err ? err : database_fill(d, &p);
    if (err)
        database_stop(d);
    return err;
}

void database_stop(struct database *d)
{
    if (d->pid)
        server_stop(d->pid, DATABASE_STOP_MS);
    d->pid = 0;
}
