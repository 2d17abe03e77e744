// Certificates for tests, made on the spot: an authority, and what it signs.
#ifndef TESTS_CERTIFICATES_H
#define TESTS_CERTIFICATES_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

enum { CERTIFICATE_DAY_S = 86400 };

struct certificate {
    EVP_PKEY *key;
    X509 *x509;
};

static inline void certificate_must(int good)
{
    if (!good)
        abort();
}

static inline void certificate_extend(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    certificate_must(e && X509_add_ext(x, e, -1));
    X509_EXTENSION_free(e);
}

// `names` as in "DNS:example.net,IP:127.0.0.1"; NULL: an authority. `by` NULL: its own. Valid until
// `days` from now.
static inline struct certificate certificate_make(const struct certificate *by, const char *names,
                                                  int days)
{
    static long serial;
    struct certificate c = {EVP_EC_gen("P-256"), X509_new()};
    X509 *issuer = by ? by->x509 : c.x509;
    certificate_must(c.key && c.x509);
    X509_set_version(c.x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(c.x509), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(c.x509), -10 * CERTIFICATE_DAY_S);
    X509_gmtime_adj(X509_getm_notAfter(c.x509), (long)days * CERTIFICATE_DAY_S);
    X509_set_pubkey(c.x509, c.key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(c.x509), "O", MBSTRING_ASC,
                               (const unsigned char *)(names ? "peer" : "authority"), -1, -1, 0);
    X509_set_issuer_name(c.x509, X509_get_subject_name(issuer));
    if (names)
        certificate_extend(c.x509, issuer, NID_subject_alt_name, names);
    else
        certificate_extend(c.x509, issuer, NID_basic_constraints, "critical,CA:TRUE");
    certificate_must(X509_sign(c.x509, by ? by->key : c.key, EVP_sha256()) > 0);
    return c;
}

// Writes DIR/NAME.pem and DIR/NAME.key, and frees.
static inline void certificate_write(struct certificate c, const char *dir, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s.pem", dir, name);
    FILE *f = fopen(path, "w");
    certificate_must(f && PEM_write_X509(f, c.x509) && fclose(f) == 0);
    snprintf(path, sizeof path, "%s/%s.key", dir, name);
    f = fopen(path, "w");
    certificate_must(f && PEM_write_PrivateKey(f, c.key, NULL, NULL, 0, NULL, NULL) &&
                     fclose(f) == 0);
    EVP_PKEY_free(c.key);
    X509_free(c.x509);
}

#endif
