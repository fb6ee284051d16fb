/* SPDX-License-Identifier: Apache-2.0 */
#include "certs_internal.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

/* For TLS 1.2; every suite of 1.3 is good. */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"

int ak__certs_tls_error(struct ak_error **reterr, const char *what)
{
    unsigned long e = ERR_peek_last_error();
    const char *why = e ? ERR_reason_error_string(e) : NULL;

    ERR_clear_error();
    return ak_error_set(reterr, AK_E_INVALID, "%s: %s", what, why ? why : "OpenSSL refuses it");
}

struct ak_certs *ak_certs_free(struct ak_certs *self)
{
    if (!self)
        return NULL;
    for (size_t i = 0; i < self->n_cas; i++)
        X509_free(self->cas[i]);
    X509_free(self->leaf);
    EVP_PKEY_free(self->ca_key);
    EVP_PKEY_free(self->key);
    ak_free(self->bundle);
    ak_free(self);
    return NULL;
}

bool ak__certs_is_ip(const char *name)
{
    unsigned char address[sizeof(struct in6_addr)];

    return inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
}

static ak_msec time_of(const ASN1_TIME *when)
{
    struct tm tm;

    if (ASN1_TIME_to_tm(when, &tm) != 1)
        return 0;
    return AK_SECONDS((ak_msec)timegm(&tm));
}

ak_msec ak__certs_not_before(const X509 *cert)
{
    return time_of(X509_get0_notBefore(cert));
}

ak_msec ak__certs_not_after(const X509 *cert)
{
    return time_of(X509_get0_notAfter(cert));
}

ak_msec ak_certs_leaf_expires(const struct ak_certs *self)
{
    return ak__certs_not_after(self->leaf);
}

ak_msec ak_certs_ca_expires(const struct ak_certs *self)
{
    return ak__certs_not_after(self->cas[0]);
}

size_t ak__certs_signer(const struct ak_certs *self)
{
    size_t i = 0;

    while (i < self->n_cas && X509_verify(self->leaf, X509_get0_pubkey(self->cas[i])) != 1)
        i++;
    ERR_clear_error();
    return i;
}

int ak__certs_check(const struct ak_certs *self, struct ak_error **reterr)
{
    bool leaf, ca;

    if (!self->n_cas || !self->leaf || !self->key || !self->ca_key)
        return ak_error_set(reterr, AK_E_INVALID, "a certificate or key is missing");
    leaf = X509_check_private_key(self->leaf, self->key) == 1;
    ca = X509_check_private_key(self->cas[0], self->ca_key) == 1;
    ERR_clear_error();
    if (!leaf || !ca)
        return ak_error_set(reterr, AK_E_INVALID, "the key does not belong to the %s",
                            leaf ? "authority" : "serving certificate");
    return 0;
}

int ak__certs_write_bundle(struct ak_certs *self, struct ak_error **reterr)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text;
    long len;
    int ok = bio != NULL;

    for (size_t i = 0; i < self->n_cas && ok; i++)
        ok = PEM_write_bio_X509(bio, self->cas[i]) == 1;
    len = ok ? BIO_get_mem_data(bio, &text) : 0;
    ak_free(self->bundle);
    self->bundle = len > 0 ? ak_strndup(text, (size_t)len) : NULL;
    BIO_free(bio);
    ERR_clear_error();
    return self->bundle ? 0 : ak_error_oom(reterr);
}

const char *ak_certs_bundle(const struct ak_certs *self)
{
    return self->bundle;
}

bool ak_certs_equal(const struct ak_certs *a, const struct ak_certs *b)
{
    return a == b || (a && b && ak_streq(a->bundle, b->bundle) && X509_cmp(a->leaf, b->leaf) == 0);
}

static bool has_names(X509 *leaf, const struct ak_certs_options *options)
{
    for (const char *const *name = options->names; *name; name++) {
        bool has =
            ak__certs_is_ip(*name)
                ? X509_check_ip_asc(leaf, *name, 0) == 1
                : X509_check_host(leaf, *name, 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) == 1;
        if (!has)
            return false;
    }
    return true;
}

static const char *const verdict_names[AK_CERTS_VERDICT_MAX] = {
    [AK_CERTS_GOOD] = "good",
    [AK_CERTS_RENEW_LEAF] = "renew the serving certificate",
    [AK_CERTS_RENEW_CA] = "renew the authority",
    [AK_CERTS_SWITCH] = "switch to the new authority",
    [AK_CERTS_UNUSABLE] = "make everything anew",
};

const char *ak_certs_verdict_to_string(enum ak_certs_verdict verdict)
{
    return verdict >= 0 && verdict < AK_CERTS_VERDICT_MAX ? verdict_names[verdict] : "";
}

/* Is the new authority known long enough, or can we wait no longer? */
static bool may_switch(const struct ak_certs *self, const struct ak_certs_options *options,
                       ak_msec now)
{
    ak_msec since = ak__certs_not_before(self->cas[0]) + AK__CERTS_SKEW;
    ak_msec left = ak__certs_not_after(self->leaf) - now;

    return now - since >= options->switch_after || left < ak__certs_leaf_life(options) / 10;
}

/* What cannot be shown goes first, then what takes two steps, then what is merely getting old. */
enum ak_certs_verdict ak_certs_judge(const struct ak_certs *self,
                                     const struct ak_certs_options *options,
                                     const struct ak_clock *clock)
{
    ak_msec now = ak_clock_wall(clock);
    ak_msec leaf_end = ak__certs_not_after(self->leaf);
    ak_msec ca_end = ak__certs_not_after(self->cas[0]);
    size_t signer = ak__certs_signer(self);

    if (now >= ca_end || now < ak__certs_not_before(self->cas[0]))
        return AK_CERTS_UNUSABLE;
    if (signer == self->n_cas || now >= leaf_end || now < ak__certs_not_before(self->leaf) ||
        now >= ak__certs_not_after(self->cas[signer]) || !has_names(self->leaf, options))
        return AK_CERTS_RENEW_LEAF;
    if (ca_end - now < ak__certs_ca_life(options) / 10)
        return AK_CERTS_RENEW_CA;
    if (signer != 0)
        return may_switch(self, options, now) ? AK_CERTS_SWITCH : AK_CERTS_GOOD;
    if (leaf_end - now < ak__certs_leaf_life(options) / 3)
        return AK_CERTS_RENEW_LEAF;
    if (self->n_cas > 1 &&
        now - ak__certs_not_before(self->leaf) > AK__CERTS_SKEW + AK__CERTS_OVERLAP)
        return AK_CERTS_RENEW_LEAF;
    return AK_CERTS_GOOD;
}

static bool set_up(SSL_CTX *ctx, const struct ak_certs *self)
{
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                       SSL_OP_CIPHER_SERVER_PREFERENCE);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    /* Few clients that keep their connections: resumption would only cost. */
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    return SSL_CTX_set_num_tickets(ctx, 0) == 1 &&
           SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(ctx, CIPHERS) == 1 &&
           SSL_CTX_use_certificate(ctx, self->leaf) == 1 &&
           SSL_CTX_use_PrivateKey(ctx, self->key) == 1 && SSL_CTX_check_private_key(ctx) == 1;
}

int ak_certs_tls(const struct ak_certs *self, SSL_CTX **ret, struct ak_error **reterr)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    if (!ctx)
        return ak_error_oom(reterr);
    if (!set_up(ctx, self)) {
        SSL_CTX_free(ctx);
        return ak__certs_tls_error(reterr, "serving certificate");
    }
    *ret = ctx;
    return 0;
}
