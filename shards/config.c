// Loads gateway.toml: reads the file, walks it along the table, and keeps the first fault with its
// place.
#include "shards/config_load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>
#include "shards/config_form.h"

// Peer input never gets here, but a terminal escape in a key should not reach the terminal.
static void blank_controls(char *z)
{
    for (; *z; z++)
        if ((unsigned char)*z < 0x20 || *z == 0x7f)
            *z = '?';
}

void config_load_fault(struct config_load *l, struct config_toml_place at, const char *format, ...)
{
    va_list args;
    if (l->fault_at.line && (at.line > l->fault_at.line ||
                             (at.line == l->fault_at.line && at.column >= l->fault_at.column)))
        return;
    l->fault_at = at;
    va_start(args, format);
    vsnprintf(l->fault, sizeof l->fault, format, args);
    va_end(args);
    blank_controls(l->fault);
}

struct config_toml_place config_load_place(const struct config_load *l, const char *path)
{
    size_t i = (size_t)(config_row_find(path) - config_rows);
    if (l->at[i].line)
        return l->at[i];
    return l->section_at[i].line ? l->section_at[i] : (struct config_toml_place){1, 1};
}

void config_load_string(struct config_load *l, char **slot, struct text t)
{
    char *copy = malloc(t.n + 1);
    if (!copy) {
        l->no_memory = true;
        return;
    }
    if (t.n)
        memcpy(copy, t.p, t.n);
    copy[t.n] = '\0';
    free(*slot);
    *slot = copy;
}

static int read_all(char *p, size_t *n, size_t cap, int fd)
{
    ssize_t got;
    for (*n = 0; *n < cap; *n += (size_t)got) {
        got = read(fd, p + *n, cap - *n);
        if (got < 0 && errno == EINTR)
            got = 0;
        else if (got < 0)
            return errno;
        else if (got == 0)
            return 0;
    }
    return EFBIG; // cap is one more than what is allowed
}

int config_load_file(char **out, size_t *n, const char *path, size_t limit)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    char *p = malloc(limit + 1);
    int err = p ? read_all(p, n, limit + 1, fd) : ENOMEM;
    close(fd);
    if (err) {
        free(p);
        return err;
    }
    p[*n] = '\0';
    *out = p;
    return 0;
}

static const char *type_text(enum config_toml_type type)
{
    static const char *const text[] = {"a string", "a whole number", "true or false",
                                       "a float",  "a date or time", "a list",
                                       "a section"};
    return text[type];
}

static const char *kind_text(const struct config_row *row)
{
    switch (row->kind) {
    case CONFIG_NUMBER: return "a whole number";
    case CONFIG_BOOLEAN: return "true or false";
    case CONFIG_LISTEN:
    case CONFIG_DOMAINS:
    case CONFIG_NETS:
    case CONFIG_SERVERS: return "a list of strings";
    default: return "a string";
    }
}

static enum config_toml_type kind_type(const struct config_row *row)
{
    if (config_row_is_list(row))
        return CONFIG_TOML_ARRAY;
    if (row->kind == CONFIG_NUMBER)
        return CONFIG_TOML_INTEGER;
    return row->kind == CONFIG_BOOLEAN ? CONFIG_TOML_BOOLEAN : CONFIG_TOML_STRING;
}

static void refuse(struct config_load *l, const struct config_toml_value *v, const char *what)
{
    config_load_fault(l, v->at, "%s: %s", v->path, what);
}

static void refuse_text(struct config_load *l, const struct config_toml_value *v, const char *what)
{
    config_load_fault(l, v->at, "%s: \"%.*s\": %s", v->path,
                      v->string.n > 64 ? 64 : (int)v->string.n, v->string.p, what);
}

static void set_number(struct config_load *l, const struct config_row *row,
                       const struct config_toml_value *v)
{
    if (v->integer < (int64_t)row->least)
        config_load_fault(l, v->at, "%s: %lld is below the least, %u", v->path,
                          (long long)v->integer, row->least);
    else if (v->integer > (int64_t)row->most)
        config_load_fault(l, v->at, "%s: %lld is above the most, %u", v->path,
                          (long long)v->integer, row->most);
    else
        *(uint32_t *)config_row_target(row, l->cfg) = (uint32_t)v->integer;
}

static void put_word(struct config *c, const struct config_row *row, uint32_t word)
{
    if (row->size == sizeof(bool))
        *(bool *)config_row_target(row, c) = word != 0;
    else
        *(int *)config_row_target(row, c) = (int)word;
}

static void set_word(struct config_load *l, const struct config_row *row,
                     const struct config_toml_value *v)
{
    char all[128] = "";
    for (uint32_t i = 0; i < CONFIG_WORDS_MAX && row->words[i]; i++) {
        if (text_eq(v->string, text_of(row->words[i]))) {
            put_word(l->cfg, row, i);
            return;
        }
        size_t n = strlen(all);
        snprintf(all + n, sizeof all - n, "%s%s", i ? ", " : "one of: ", row->words[i]);
    }
    refuse_text(l, v, all);
}

static void set_address(struct config_load *l, const struct config_row *row,
                        const struct config_toml_value *v)
{
    char host[CONFIG_HOST_MAX + 1];
    struct hop numeric;
    const char *why;
    uint16_t *port = (uint16_t *)((char *)l->cfg + row->port_at);
    if (config_form_host_port(host, port, v->string, &why))
        refuse_text(l, v, why);
    else if (row->kind == CONFIG_NUMERIC && hop_parse(&numeric, text_of(host), *port, HOP_TCP))
        refuse_text(l, v, "not an IP address before the port");
    else
        config_load_string(l, config_row_target(row, l->cfg), text_of(host));
}

static void set_domain(struct config_load *l, const struct config_row *row,
                       const struct config_toml_value *v)
{
    char domain[CONFIG_DOMAIN_MAX + 1] = "";
    const char *why;
    if (v->string.n && config_form_domain(domain, v->string, &why))
        refuse_text(l, v, why);
    else
        config_load_string(l, config_row_target(row, l->cfg), text_of(domain));
}

static void set_string(struct config_load *l, const struct config_row *row,
                       const struct config_toml_value *v)
{
    void *of = row->of_realm ? (void *)l->realm : l->cfg;
    if (v->string.n < row->least)
        refuse(l, v, "must not be empty");
    else
        config_load_string(l, config_row_target(row, of), v->string);
}

// An item's stored text, and what else its kind keeps. False: refused.
static bool parse_item(struct config_load *l, const struct config_row *row,
                       const struct config_toml_value *v, size_t i, char domain[])
{
    struct config *c = l->cfg;
    const char *why = NULL;
    if (row->kind == CONFIG_LISTEN)
        config_form_listen(&c->sip.listen_hop[i], v->string, &why);
    else if (row->kind == CONFIG_NETS)
        config_form_net(&c->trust.sources[i], v->string, &why);
    else if (row->kind == CONFIG_SERVERS)
        config_form_server(&c->sip.dns_server_hop[i], v->string, &why);
    else
        config_form_domain(domain, v->string, &why);
    if (why)
        refuse_text(l, v, why);
    return !why;
}

static bool same_item(const struct config *c, const struct config_row *row,
                      const struct config_list *list, size_t i, const char *domain)
{
    if (row->kind == CONFIG_LISTEN)
        return hop_eq(&c->sip.listen_hop[i], &c->sip.listen_hop[list->n]);
    if (row->kind == CONFIG_NETS)
        return hop_eq(&c->trust.sources[i].base, &c->trust.sources[list->n].base) &&
               c->trust.sources[i].prefix == c->trust.sources[list->n].prefix;
    if (row->kind == CONFIG_SERVERS)
        return hop_eq(&c->sip.dns_server_hop[i], &c->sip.dns_server_hop[list->n]);
    return strcmp(list->v[i], domain) == 0;
}

static void add_item(struct config_load *l, const struct config_row *row,
                     const struct config_toml_value *v)
{
    struct config_list *list = config_row_target(row, l->cfg);
    char domain[CONFIG_DOMAIN_MAX + 1] = "";
    if (!parse_item(l, row, v, list->n, domain))
        return;
    for (size_t i = 0; i < list->n; i++) {
        if (same_item(l->cfg, row, list, i, domain)) {
            refuse_text(l, v, "is in the list twice");
            return;
        }
    }
    config_load_string(l, &list->v[list->n], *domain ? text_of(domain) : v->string);
    if (l->no_memory)
        return;
    l->item_at[row - config_rows][list->n++] = v->at;
    if (row->kind == CONFIG_LISTEN)
        l->cfg->sip.n_listen_hop = list->n;
}

static void free_list(struct config_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->v[i]);
    free(list->v);
    *list = (struct config_list){0};
}

// Room for n items, and none in it.
static bool begin_list(struct config_load *l, const struct config_row *row, size_t n)
{
    struct config_list *list = config_row_target(row, l->cfg);
    struct config_toml_place **at = &l->item_at[row - config_rows];
    free_list(list);
    free(*at);
    list->v = calloc(n + 1, sizeof *list->v);
    *at = calloc(n + 1, sizeof **at);
    l->no_memory |= !list->v || !*at;
    if (row->kind == CONFIG_LISTEN)
        l->cfg->sip.n_listen_hop = 0;
    if (row->kind == CONFIG_NETS) {
        free(l->cfg->trust.sources);
        l->cfg->trust.sources = calloc(n + 1, sizeof *l->cfg->trust.sources);
        l->no_memory |= !l->cfg->trust.sources;
    }
    l->list = row;
    return !l->no_memory;
}

static bool set_list(struct config_load *l, const struct config_row *row,
                     const struct config_toml_value *v)
{
    if (v->n < row->least)
        refuse(l, v, "must not be empty");
    else if (v->n > row->most)
        config_load_fault(l, v->at, "%s: %zu items are more than the most, %u", v->path, v->n,
                          row->most);
    else
        return begin_list(l, row, v->n);
    return false;
}

static bool is_fit_text(struct config_load *l, const struct config_toml_value *v)
{
    for (size_t i = 0; i < v->string.n; i++) {
        if ((unsigned char)v->string.p[i] < 0x20 || v->string.p[i] == 0x7f) {
            refuse(l, v, "control characters have no place here");
            return false;
        }
    }
    if (v->string.n > CONFIG_TEXT_MAX)
        config_load_fault(l, v->at, "%s: longer than %d bytes", v->path, CONFIG_TEXT_MAX);
    return v->string.n <= CONFIG_TEXT_MAX;
}

static bool set_value(struct config_load *l, const struct config_row *row,
                      const struct config_toml_value *v)
{
    switch (row->kind) {
    case CONFIG_NUMBER: set_number(l, row, v); break;
    case CONFIG_BOOLEAN: *(bool *)config_row_target(row, l->cfg) = v->boolean; break;
    case CONFIG_WORD: set_word(l, row, v); break;
    case CONFIG_STRING: set_string(l, row, v); break;
    case CONFIG_DOMAIN: set_domain(l, row, v); break;
    case CONFIG_ADDRESS:
    case CONFIG_NUMERIC: set_address(l, row, v); break;
    case CONFIG_LISTEN:
    case CONFIG_DOMAINS:
    case CONFIG_NETS:
    case CONFIG_SERVERS: return set_list(l, row, v);
    }
    return false;
}

static bool visit_item(struct config_load *l, const struct config_toml_value *v)
{
    if (l->no_memory)
        return false;
    if (v->type != CONFIG_TOML_STRING)
        config_load_fault(l, v->at, "%s: a string is wanted, not %s", v->path, type_text(v->type));
    else if (is_fit_text(l, v))
        add_item(l, l->list, v);
    return false;
}

static bool visit_section(struct config_load *l, const struct config_toml_value *v)
{
    if (v->type != CONFIG_TOML_TABLE) {
        config_load_fault(l, v->at, "%s: a section is wanted, not %s", v->path, type_text(v->type));
        return false;
    }
    for (size_t i = 0; i < config_n_rows; i++)
        if (strcmp(config_rows[i].section, v->path) == 0)
            l->section_at[i] = v->at;
    return true;
}

// Its keys' defaults; the name last, which says that it is one.
static void begin_realm(struct config_load *l, const struct config_toml_value *v)
{
    struct config *c = l->cfg;
    l->realm_at[c->sip.n_realms] = v->key_at;
    l->realm = &c->sip.realm[c->sip.n_realms++];
    snprintf(l->realm_path, sizeof l->realm_path, "%s", v->path);
    for (size_t i = 0; i < config_n_rows; i++)
        if (config_rows[i].of_realm)
            config_load_string(l, config_row_target(&config_rows[i], l->realm), TEXT(""));
    config_load_string(l, &l->realm->name, v->key);
}

// A section of CONFIG_REALMS, by whatever name. The bound on that keeps its path whole.
static bool visit_realm(struct config_load *l, const struct config_toml_value *v)
{
    struct config_toml_value name = {.path = CONFIG_REALMS, .at = v->key_at, .string = v->key};
    l->realm = NULL;
    if (v->type != CONFIG_TOML_TABLE)
        config_load_fault(l, v->at, "%s: a section is wanted, not %s", v->path, type_text(v->type));
    else if (v->key.n == 0)
        refuse(l, &name, "a realm's name must not be empty");
    else if (v->key.n > CONFIG_REALM_MAX)
        config_load_fault(l, v->key_at, CONFIG_REALMS ": a realm's name is longer than %d bytes",
                          CONFIG_REALM_MAX);
    else if (l->cfg->sip.n_realms == CORE_REALMS_MAX)
        config_load_fault(l, v->key_at, CONFIG_REALMS ": more than the most, %d", CORE_REALMS_MAX);
    else if (is_fit_text(l, &name))
        begin_realm(l, v);
    return l->realm && !l->no_memory;
}

static const struct config_row *row_of(const struct config_load *l,
                                       const struct config_toml_value *v)
{
    if (l->realm && strcmp(v->table, l->realm_path) == 0)
        return config_row_find_of_realm(v->key);
    return config_row_find(v->path);
}

static void keep_place(struct config_load *l, const struct config_row *row,
                       const struct config_toml_value *v)
{
    if (!row->of_realm)
        l->at[row - config_rows] = v->at;
    else if (row->at == offsetof(struct config_realm, password_file))
        l->realm_file_at[l->realm - l->cfg->sip.realm] = v->at;
}

static bool visit(void *arg, const struct config_toml_value *v)
{
    struct config_load *l = arg;
    if (v->is_item)
        return visit_item(l, v);
    if (strcmp(v->table, CONFIG_REALMS) == 0)
        return visit_realm(l, v);
    if (config_row_is_section(v->path))
        return visit_section(l, v);
    const struct config_row *row = row_of(l, v);
    if (!row) {
        config_load_fault(l, v->key_at, "%s: unknown %s", v->path,
                          v->type == CONFIG_TOML_TABLE ? "section" : "key");
        return false;
    }
    keep_place(l, row, v);
    if (v->type != kind_type(row)) {
        config_load_fault(l, v->at, "%s: %s is wanted, not %s", v->path, kind_text(row),
                          type_text(v->type));
        return false;
    }
    if (v->type == CONFIG_TOML_STRING && !is_fit_text(l, v))
        return false;
    return set_value(l, row, v);
}

// Goes the same way as a value from the file. A required key begins empty.
static void set_default(struct config_load *l, const struct config_row *row)
{
    struct config_toml_value v = {.path = row->key, .at = {1, 1}, .integer = row->number};
    v.boolean = row->number != 0;
    v.string = text_of(row->required || !row->text ? "" : row->text);
    if (row->kind == CONFIG_WORD)
        put_word(l->cfg, row, row->number);
    else if (!config_row_is_list(row)) {
        set_value(l, row, &v);
    } else if (begin_list(l, row, 1) && v.string.n)
        add_item(l, row, &v);
}

static void set_defaults(struct config_load *l)
{
    config_load_string(l, &l->cfg->api.token, TEXT(""));
    config_load_string(l, &l->cfg->sip.proxy_name, TEXT(""));
    for (size_t i = 0; i < config_n_rows && !l->no_memory; i++)
        if (!config_rows[i].of_realm)
            set_default(l, &config_rows[i]);
}

static void load_text(struct config_load *l, struct text doc)
{
    struct config_toml_error bad;
    set_defaults(l);
    if (l->no_memory)
        return;
    int err = config_toml_walk(doc, visit, l, &bad);
    if (err == ENOMEM)
        l->no_memory = true;
    else if (err)
        config_load_fault(l, bad.at, "%s", bad.text);
    if (!l->fault_at.line && !l->no_memory)
        config_check(l);
}

static void load_path(struct config_load *l, const char *path)
{
    char *doc;
    size_t n;
    int err = config_load_file(&doc, &n, path, CONFIG_FILE_MAX);
    if (err == EFBIG)
        config_load_fault(l, (struct config_toml_place){1, 1}, "the file is bigger than %d bytes",
                          CONFIG_FILE_MAX);
    else if (err)
        config_load_fault(l, (struct config_toml_place){1, 1}, "can't read the file: %s",
                          strerror(err));
    if (err)
        return;
    load_text(l, (struct text){doc, n});
    explicit_bzero(doc, n); // the secret is in it
    free(doc);
}

static int load_end(struct config_load *l, const char *path, struct config_error *why)
{
    enum { PATH_SHOWN = 160 }; // its tail says more than its head
    size_t n = strlen(path);
    for (size_t i = 0; i < CONFIG_ROWS_MAX; i++)
        free(l->item_at[i]);
    if (l->no_memory)
        snprintf(why->text, sizeof why->text, "%s", "out of memory");
    else if (l->fault_at.line)
        snprintf(why->text, sizeof why->text, "%s%s:%u:%u: %s", n > PATH_SHOWN ? "..." : "",
                 n > PATH_SHOWN ? path + n - PATH_SHOWN : path, l->fault_at.line,
                 l->fault_at.column, l->fault);
    if (!l->no_memory && !l->fault_at.line)
        return 0;
    config_free(l->cfg);
    return l->no_memory ? ENOMEM : EINVAL;
}

int config_load(struct config **out, const char *path, struct config_error *why)
{
    struct config_load l = {.cfg = calloc(1, sizeof *l.cfg)};
    *out = NULL;
    if (l.cfg)
        config_load_string(&l, &l.cfg->path, text_of(path));
    else
        l.no_memory = true;
    if (!l.no_memory)
        load_path(&l, path);
    int err = load_end(&l, path, why);
    if (!err)
        *out = l.cfg;
    return err;
}

static void free_secret(char *z)
{
    if (z)
        explicit_bzero(z, strlen(z));
    free(z);
}

static void free_realms(struct config *c)
{
    for (size_t i = 0; i < c->sip.n_realms; i++) {
        free_secret(c->sip.realm[i].password);
        free(c->sip.realm[i].name);
        free(c->sip.realm[i].user);
        free(c->sip.realm[i].password_file);
    }
}

static void free_row(struct config *c, const struct config_row *row)
{
    void *target = config_row_target(row, c);
    if (config_row_is_list(row))
        free_list(target);
    else if (row->kind != CONFIG_NUMBER && row->kind != CONFIG_BOOLEAN && row->kind != CONFIG_WORD)
        free(*(char **)target);
}

void config_free(struct config *c)
{
    if (!c)
        return;
    free_secret(c->xmpp.secret);
    free_secret(c->api.token);
    c->xmpp.secret = c->api.token = NULL;
    for (size_t i = 0; i < config_n_rows; i++)
        if (!config_rows[i].of_realm)
            free_row(c, &config_rows[i]);
    free_realms(c);
    free(c->sip.proxy_name);
    free(c->trust.sources);
    free(c->path);
    free(c);
}
