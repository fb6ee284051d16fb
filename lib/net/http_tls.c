/* SPDX-License-Identifier: Apache-2.0 */
#include "http_internal.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <string.h>

/* Encrypted keys are refused; without this OpenSSL would ask on the terminal. */
static int no_passphrase(char *buf, int size, int rwflag, void *user)
{
    (void)buf;
    (void)size;
    (void)rwflag;
    (void)user;
    return -1;
}

static int tls_error(struct ak_error **reterr, const char *what)
{
    unsigned long e = ERR_peek_last_error();
    const char *why = e ? ERR_reason_error_string(e) : NULL;

    ERR_clear_error();
    return ak_error_set(reterr, -EINVAL, "%s: %s", what, why ? why : "not valid PEM");
}

/* Calls add() with each certificate of `pem`; add takes it over when it returns 1. */
static int each_certificate(const char *pem, const char *what,
                            int (*add)(struct ak__http_tls *, X509 *), struct ak__http_tls *self,
                            struct ak_error **reterr)
{
    size_t len = strlen(pem);
    BIO *bio = len <= INT_MAX ? BIO_new_mem_buf(pem, (int)len) : NULL;
    int n = 0, r = 0;
    X509 *cert;

    if (!bio)
        return ak_error_oom(reterr);
    while (r == 0 && (cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL))) {
        n++;
        r = add(self, cert);
        if (r <= 0)
            X509_free(cert);
        r = r < 0 ? ak_error_oom(reterr) : 0;
    }
    BIO_free(bio);
    if (r == 0 && n == 0)
        return tls_error(reterr, what);
    if (r == 0 && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        return tls_error(reterr, what);
    ERR_clear_error();
    return r;
}

static int add_authority(struct ak__http_tls *self, X509 *cert)
{
    return X509_STORE_add_cert(self->store, cert) == 1 ? 0
                                                       : -1; /* the store has its own reference */
}

static int add_own(struct ak__http_tls *self, X509 *cert)
{
    if (!self->cert) {
        self->cert = cert;
        return 1;
    }
    if (!self->chain)
        self->chain = sk_X509_new_null();
    return self->chain && sk_X509_push(self->chain, cert) > 0 ? 1 : -1;
}

/* When two authorities have one name but not one key (a cluster made anew), OpenSSL leaves the failed signature
 * check as the first error, and libcurl would report that instead of the failed verification. */
static int keep_last_error_only(int ok, X509_STORE_CTX *ctx)
{
    (void)ctx;
    if (!ok)
        ERR_clear_error();
    return ok;
}

static int load_store(struct ak__http_tls *self, const struct ak_http_target *target,
                      struct ak_error **reterr)
{
    bool verifies = !target->insecure_skip_verify && !target->pinned_public_key;
    int r = 0;

    self->store = X509_STORE_new();
    if (!self->store)
        return ak_error_oom(reterr);
    /* An intermediate authority in the file is trusted by itself, as Go's clients do. */
    (void)X509_STORE_set_flags(self->store, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
    X509_STORE_set_verify_cb(self->store, keep_last_error_only);
    if (target->extra_ca_pem)
        r = each_certificate(target->extra_ca_pem, "extra certificate authority", add_authority,
                             self, reterr);
    if (r < 0)
        return r;
    if (target->ca_pem)
        return each_certificate(target->ca_pem, "certificate authority", add_authority, self,
                                reterr);
    /* Looked up by hash when needed; but where OPENSSLDIR has a cert.pem, all of it is read, a megabyte for each
     * client, which is not for those that look at no authority. */
    if (verifies)
        (void)X509_STORE_set_default_paths(self->store);
    ERR_clear_error();
    return 0;
}

static int load_key(struct ak__http_tls *self, const struct ak_secret *pem,
                    struct ak_error **reterr)
{
    size_t len;
    const char *text = ak_secret_peek(pem, &len);
    BIO *bio = len <= INT_MAX ? BIO_new_mem_buf(text, (int)len) : NULL;

    if (!bio)
        return ak_error_oom(reterr);
    self->key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    if (!self->key)
        return tls_error(reterr, "client key (encrypted keys are not supported)");
    if (X509_check_private_key(self->cert, self->key) != 1) {
        ERR_clear_error();
        return ak_error_set(reterr, -EINVAL,
                            "client key: does not belong to the client certificate");
    }
    return 0;
}

int ak__http_tls_init(struct ak__http_tls *self, const struct ak_http_target *target,
                      struct ak_error **reterr)
{
    int r;

    ERR_clear_error();
    r = load_store(self, target, reterr);
    if (r < 0)
        return r;
    if (!target->client_cert_pem != !target->client_key_pem)
        return ak_error_set(reterr, -EINVAL, "client certificate and key come only together");
    if (!target->client_cert_pem)
        return 0;
    r = each_certificate(target->client_cert_pem, "client certificate", add_own, self, reterr);
    if (r < 0)
        return r;
    return load_key(self, target->client_key_pem, reterr);
}

void ak__http_tls_done(struct ak__http_tls *self)
{
    X509_STORE_free(self->store);
    X509_free(self->cert);
    sk_X509_pop_free(self->chain, X509_free);
    EVP_PKEY_free(self->key);
}
