// TLS for SIP connections: certificates read once, sessions on non-blocking sockets, and whom a
// certificate names (RFC 5922). The only door to OpenSSL's libssl.
//
// A `struct sip_tls` is made before the shards run and never changes: all of them use it. A session
// belongs to its connection's thread. No session is resumed and none renegotiated.
#ifndef SHARDS_SIP_TLS_H
#define SHARDS_SIP_TLS_H

#include <sys/types.h>

#include "core/event.h"

enum {
    SIP_TLS_RECORD_BYTES = 16384, // read at least so much at once, and no record is left behind
    SIP_TLS_NAME_MAX = 255,       // bytes of a server name
    SIP_TLS_WHY_MAX = 160,
};

// Paths of PEM files, "" or NULL: none.
struct sip_tls_files {
    const char *certificate, *private_key; // the chain, and its first certificate's key
    const char *ca;                        // "": the system's authorities
    bool verify_client;                    // who connects to us has to show a certificate
};

struct config;
void sip_tls_files_of(struct sip_tls_files *out, const struct config *cfg); // borrowed

enum sip_tls_key { SIP_TLS_CERTIFICATE, SIP_TLS_PRIVATE_KEY, SIP_TLS_CA };

struct sip_tls_error {
    enum sip_tls_key key; // of [sip.tls], that is to blame
    char text[224];
};

struct sip_tls;

const char *sip_tls_key_text(enum sip_tls_key key);

// EINVAL with `why`: a file can't be read or used; ENOMEM. Without a certificate no connection can
// be accepted, and none is shown to servers.
int sip_tls_create(struct sip_tls **out, const struct sip_tls_files *files,
                   struct sip_tls_error *why);
void sip_tls_destroy(struct sip_tls *t);
bool sip_tls_can_accept(const struct sip_tls *t);

struct sip_tls_session;

// The descriptor stays the caller's, and is closed after sip_tls_end(). NULL: no memory, or there
// is no certificate to accept with.
struct sip_tls_session *sip_tls_accept(struct sip_tls *t, int fd);
// `server_name`: whom the certificate must name, and what SNI says; empty: the address of `to`.
// NULL: no memory, or the name is too long.
struct sip_tls_session *sip_tls_connect(struct sip_tls *t, int fd, struct text server_name,
                                        const struct hop *to);

// 0: done, and the server's certificate is its own. EAGAIN; any other value: failed.
int sip_tls_handshake(struct sip_tls_session *s);
// As recv() and send(): 0 is the end of the stream; -1 with errno EAGAIN, or anything else: over.
ssize_t sip_tls_read(struct sip_tls_session *s, void *p, size_t n);
ssize_t sip_tls_write(struct sip_tls_session *s, const void *p, size_t n);
// What the last EAGAIN waits for: writing, else reading.
bool sip_tls_wants_write(const struct sip_tls_session *s);
// The peer has shown a certificate that was verified and names `server_name`; empty: `to`'s
// address.
bool sip_tls_names(const struct sip_tls_session *s, struct text server_name, const struct hop *to);
// What the last failure was.
const char *sip_tls_why(const struct sip_tls_session *s);
// Nothing more will be written.
void sip_tls_say_goodbye(struct sip_tls_session *s);
// Says goodbye, unless that was done or there is nobody to hear it, and frees.
void sip_tls_end(struct sip_tls_session *s);

#endif
