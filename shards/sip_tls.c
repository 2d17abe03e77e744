// TLS for SIP connections, by OpenSSL.
//
// Names are compared here, not by the library while it shakes hands: RFC 5922 §7.1 has SIP URIs in
// certificates, which it does not know, and §7.2 forbids the wildcards that it takes.
#include "shards/sip_tls.h"

#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#include "shards/config.h"

struct sip_tls {
    SSL_CTX *server; // NULL: no certificate
    SSL_CTX *client;
};

struct sip_tls_session {
    SSL *ssl;
    bool is_client, wants_write, failed, parted;
    struct hop to;
    char server_name[SIP_TLS_NAME_MAX + 1];
    char why[SIP_TLS_WHY_MAX];
};

void sip_tls_files_of(struct sip_tls_files *out, const struct config *cfg)
{
    *out = (struct sip_tls_files){.certificate = cfg->sip.certificate,
                                  .private_key = cfg->sip.private_key,
                                  .ca = cfg->sip.ca,
                                  .verify_client = cfg->sip.verify_client};
}

// ---- Certificates ------------------------------------------------------------------------------

static void describe(char *out, size_t n)
{
    unsigned long code = ERR_peek_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    if (code && ERR_GET_LIB(code) == ERR_LIB_SYS)
        snprintf(out, n, "%s", strerror(ERR_GET_REASON(code)));
    else
        snprintf(out, n, "%s", reason ? reason : "unknown error");
    ERR_clear_error();
}

const char *sip_tls_key_text(enum sip_tls_key key)
{
    static const char *const text[] = {"certificate", "private_key", "ca"};
    return text[key];
}

static int blame(struct sip_tls_error *why, enum sip_tls_key key, const char *path)
{
    char reason[96];
    describe(reason, sizeof reason);
    why->key = key;
    snprintf(why->text, sizeof why->text, "can't use \"%.100s\": %s", path, reason);
    return EINVAL;
}

static bool is_set(const char *path)
{
    return path && *path;
}

static int load_own(SSL_CTX *ctx, const struct sip_tls_files *files, struct sip_tls_error *why)
{
    if (SSL_CTX_use_certificate_chain_file(ctx, files->certificate) != 1)
        return blame(why, SIP_TLS_CERTIFICATE, files->certificate);
    if (SSL_CTX_use_PrivateKey_file(ctx, files->private_key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(ctx) != 1)
        return blame(why, SIP_TLS_PRIVATE_KEY, files->private_key);
    return 0;
}

static int load_authorities(SSL_CTX *ctx, const struct sip_tls_files *files,
                            struct sip_tls_error *why)
{
    if (!is_set(files->ca))
        return SSL_CTX_set_default_verify_paths(ctx) == 1
                   ? 0
                   : blame(why, SIP_TLS_CA, "the system's authorities");
    if (SSL_CTX_load_verify_file(ctx, files->ca) != 1)
        return blame(why, SIP_TLS_CA, files->ca);
    return 0;
}

// A passphrase would be asked for on the terminal.
static int no_passphrase(char *out, int size, int writing, void *arg)
{
    (void)out, (void)size, (void)writing, (void)arg;
    return -1;
}

static int context_create(SSL_CTX **out, const SSL_METHOD *method,
                          const struct sip_tls_files *files, struct sip_tls_error *why)
{
    SSL_CTX *ctx = *out = SSL_CTX_new(method);
    if (!ctx)
        return ENOMEM;
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(ctx, 0);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    // The output queue moves as it grows; what is idle shall hold no buffers.
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    // Else one read goes on for as long as a peer sends key updates.
    SSL_CTX_clear_mode(ctx, SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
    int error = is_set(files->certificate) ? load_own(ctx, files, why) : 0;
    return error ? error : load_authorities(ctx, files, why);
}

static int server_create(struct sip_tls *t, const struct sip_tls_files *files,
                         struct sip_tls_error *why)
{
    int error = context_create(&t->server, TLS_server_method(), files, why);
    if (error || !files->verify_client)
        return error;
    SSL_CTX_set_verify(t->server, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    if (is_set(files->ca)) // for peers that choose their certificate by who is trusted
        SSL_CTX_set_client_CA_list(t->server, SSL_load_client_CA_file(files->ca));
    return 0;
}

int sip_tls_create(struct sip_tls **out, const struct sip_tls_files *files,
                   struct sip_tls_error *why)
{
    struct sip_tls *t = calloc(1, sizeof *t);
    *why = (struct sip_tls_error){.text = "no memory"};
    *out = NULL;
    if (!t)
        return ENOMEM;
    if (is_set(files->certificate) != is_set(files->private_key)) {
        why->key = is_set(files->certificate) ? SIP_TLS_PRIVATE_KEY : SIP_TLS_CERTIFICATE;
        snprintf(why->text, sizeof why->text, "is missing, and the other of the two is there");
        free(t);
        return EINVAL;
    }
    int error = context_create(&t->client, TLS_client_method(), files, why);
    if (!error && is_set(files->certificate))
        error = server_create(t, files, why);
    if (error) {
        sip_tls_destroy(t);
        return error;
    }
    SSL_CTX_set_verify(t->client, SSL_VERIFY_PEER, NULL);
    *out = t;
    return 0;
}

void sip_tls_destroy(struct sip_tls *t)
{
    if (!t)
        return;
    SSL_CTX_free(t->server);
    SSL_CTX_free(t->client);
    free(t);
}

bool sip_tls_can_accept(const struct sip_tls *t)
{
    return t->server != NULL;
}

// ---- Names -------------------------------------------------------------------------------------

// RFC 5922 §7.1: "sip:example.net", without a user.
static bool is_sip_uri_of(const ASN1_IA5STRING *uri, struct text name)
{
    struct text t = {(const char *)ASN1_STRING_get0_data(uri), (size_t)ASN1_STRING_length(uri)};
    if (t.n < 4 || !text_eq_nocase((struct text){t.p, 4}, TEXT("sip:")))
        return false;
    return text_eq_nocase((struct text){t.p + 4, t.n - 4}, name);
}

static bool certificate_has_uri(const X509 *certificate, struct text name)
{
    GENERAL_NAMES *all = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    bool found = false;
    for (int i = 0; !found && i < sk_GENERAL_NAME_num(all); i++) {
        const GENERAL_NAME *one = sk_GENERAL_NAME_value(all, i);
        found = one->type == GEN_URI && is_sip_uri_of(one->d.uniformResourceIdentifier, name);
    }
    GENERAL_NAMES_free(all);
    return found;
}

bool sip_tls_names(const struct sip_tls_session *s, struct text server_name, const struct hop *to)
{
    X509 *certificate = SSL_get0_peer_certificate(s->ssl);
    if (!certificate || SSL_get_verify_result(s->ssl) != X509_V_OK)
        return false;
    if (server_name.n == 0)
        return X509_check_ip(certificate, to->ip, to->family == 4 ? 4 : 16, 0) == 1;
    return X509_check_host(certificate, server_name.p, server_name.n, X509_CHECK_FLAG_NO_WILDCARDS,
                           NULL) == 1 ||
           certificate_has_uri(certificate, server_name);
}

// ---- Sessions ----------------------------------------------------------------------------------

static struct sip_tls_session *session_create(SSL_CTX *ctx, int fd)
{
    struct sip_tls_session *s = ctx ? calloc(1, sizeof *s) : NULL;
    if (!s)
        return NULL;
    s->ssl = SSL_new(ctx);
    if (s->ssl && SSL_set_fd(s->ssl, fd) == 1)
        return s;
    SSL_free(s->ssl);
    free(s);
    ERR_clear_error();
    return NULL;
}

struct sip_tls_session *sip_tls_accept(struct sip_tls *t, int fd)
{
    struct sip_tls_session *s = session_create(t->server, fd);
    if (s)
        SSL_set_accept_state(s->ssl);
    return s;
}

struct sip_tls_session *sip_tls_connect(struct sip_tls *t, int fd, struct text server_name,
                                        const struct hop *to)
{
    struct sip_tls_session *s =
        server_name.n <= SIP_TLS_NAME_MAX ? session_create(t->client, fd) : NULL;
    if (!s)
        return NULL;
    s->is_client = true;
    s->to = *to;
    if (server_name.n) {
        memcpy(s->server_name, server_name.p, server_name.n);
        SSL_set_tlsext_host_name(s->ssl, s->server_name);
    }
    SSL_set_connect_state(s->ssl);
    return s;
}

static void say_why(struct sip_tls_session *s, int error)
{
    long verified = SSL_get_verify_result(s->ssl);
    if (verified != X509_V_OK)
        snprintf(s->why, sizeof s->why, "%s", X509_verify_cert_error_string(verified));
    else if (ERR_peek_error())
        describe(s->why, sizeof s->why);
    else
        snprintf(s->why, sizeof s->why, "%s",
                 error ? strerror(error) : "the peer closed the connection");
}

// After a call that returned `got` ≤ 0: EAGAIN, 0 for the end of the stream, or what it is.
static int session_error(struct sip_tls_session *s, int got)
{
    int system = errno, kind = SSL_get_error(s->ssl, got);
    s->wants_write = kind == SSL_ERROR_WANT_WRITE;
    if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE)
        return EAGAIN;
    if (kind == SSL_ERROR_ZERO_RETURN)
        return 0;
    // Closed without a goodbye: SIP says itself where its messages end.
    bool closed = kind == SSL_ERROR_SSL &&
                  ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
    if (closed)
        ERR_clear_error();
    s->failed = true;
    say_why(s, kind == SSL_ERROR_SYSCALL ? system : 0);
    ERR_clear_error();
    if (closed)
        return 0;
    return kind == SSL_ERROR_SYSCALL && system ? system : EPROTO;
}

int sip_tls_handshake(struct sip_tls_session *s)
{
    ERR_clear_error();
    errno = 0;
    int got = SSL_do_handshake(s->ssl);
    if (got != 1) {
        int error = session_error(s, got);
        return error ? error : ECONNRESET;
    }
    s->wants_write = false;
    if (!s->is_client || sip_tls_names(s, text_of(s->server_name), &s->to))
        return 0;
    snprintf(s->why, sizeof s->why, "the certificate does not name %.100s",
             *s->server_name ? s->server_name : "its address");
    return EPROTO;
}

static ssize_t result(struct sip_tls_session *s, int done, size_t n)
{
    if (done == 1) {
        s->wants_write = false;
        return (ssize_t)n;
    }
    int error = session_error(s, done);
    errno = error;
    return error ? -1 : 0;
}

ssize_t sip_tls_read(struct sip_tls_session *s, void *p, size_t n)
{
    size_t got = 0;
    ERR_clear_error();
    errno = 0;
    int done = SSL_read_ex(s->ssl, p, n, &got);
    return result(s, done, got);
}

ssize_t sip_tls_write(struct sip_tls_session *s, const void *p, size_t n)
{
    size_t got = 0;
    assert(n);
    ERR_clear_error();
    errno = 0;
    int done = SSL_write_ex(s->ssl, p, n, &got);
    ssize_t sent = result(s, done, got);
    if (sent == 0) { // the stream has an end for readers only
        errno = EPIPE;
        return -1;
    }
    return sent;
}

bool sip_tls_wants_write(const struct sip_tls_session *s)
{
    return s->wants_write;
}

const char *sip_tls_why(const struct sip_tls_session *s)
{
    return s->why;
}

void sip_tls_say_goodbye(struct sip_tls_session *s)
{
    if (s->failed || s->parted || !SSL_is_init_finished(s->ssl))
        return;
    s->parted = true;
    SSL_shutdown(s->ssl); // once: nobody waits for the peer's
    ERR_clear_error();
}

void sip_tls_end(struct sip_tls_session *s)
{
    if (!s)
        return;
    sip_tls_say_goodbye(s);
    SSL_free(s->ssl);
    free(s);
}
