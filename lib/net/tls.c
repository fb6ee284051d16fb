/* SPDX-License-Identifier: Apache-2.0 */
#include "tls_internal.h"

#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"
#define SELF_SIGNED_LIFE (10L * 365 * 86400) /* s; the key goes with the process, long before */
#define BACKDATED 3600L                      /* s; clocks differ */
#define MAX_NAME 256

static int tls_error(struct ak_error **reterr, const char *what)
{
    unsigned long e = ERR_peek_last_error();
    const char *why = e ? ERR_reason_error_string(e) : NULL;

    ERR_clear_error();
    return ak_error_set(reterr, -EINVAL, "%s: %s", what, why ? why : "not valid PEM");
}

/* Encrypted keys are refused; without this OpenSSL would ask on the terminal. */
static int no_passphrase(char *buf, int size, int rwflag, void *user)
{
    (void)buf;
    (void)size;
    (void)rwflag;
    (void)user;
    return -1;
}

static BIO *bio_of(const char *text, size_t len)
{
    return len <= INT_MAX ? BIO_new_mem_buf(text, (int)len) : NULL;
}

/* --- what the server calls --- */

static struct bufferevent *bev_new(struct ak_tls_context *self, struct event_base *base, int fd)
{
    SSL *ssl = SSL_new(self->ctx);
    struct bufferevent *bev;

    if (!ssl)
        return NULL;
    (void)SSL_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
    (void)SSL_set_app_data(ssl, self->client_name);
    bev = bufferevent_openssl_socket_new(base, fd, ssl, BUFFEREVENT_SSL_ACCEPTING,
                                         BEV_OPT_CLOSE_ON_FREE);
    if (bev)
        bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
    else
        SSL_free(ssl);
    return bev;
}

static void goodbye(struct bufferevent *bev)
{
    SSL *ssl = bufferevent_openssl_get_ssl(bev);

    SSL_set_shutdown(ssl, SSL_RECEIVED_SHUTDOWN);
    (void)SSL_shutdown(ssl);
    ERR_clear_error();
}

/* The common name, NULL if there is none, or one with a NUL in it. */
static char *common_name(X509 *cert)
{
    X509_NAME *subject = X509_get_subject_name(cert);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1), len;
    unsigned char *text = NULL;
    char *name = NULL;

    if (at < 0)
        return NULL;
    len = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    if (len > 0 && len < MAX_NAME && !memchr(text, '\0', (size_t)len))
        name = ak_strndup((const char *)text, (size_t)len);
    OPENSSL_free(text);
    return name;
}

static char *peer_name(struct bufferevent *bev)
{
    SSL *ssl = bufferevent_openssl_get_ssl(bev);
    X509 *cert = SSL_get1_peer_certificate(ssl);
    char *name = NULL;

    if (cert && (SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER) &&
        SSL_get_verify_result(ssl) == X509_V_OK)
        name = common_name(cert);
    X509_free(cert);
    return name;
}

static const struct ak__tls_ops tls_ops = {
    .bev_new = bev_new,
    .goodbye = goodbye,
    .peer_name = peer_name,
    .ref = ak_tls_context_ref,
    .unref = ak_tls_context_unref,
};

/* --- contexts --- */

struct ak_tls_context *ak_tls_context_ref(struct ak_tls_context *self)
{
    if (self)
        (void)atomic_fetch_add_explicit(&self->refs, 1, memory_order_relaxed);
    return self;
}

struct ak_tls_context *ak_tls_context_unref(struct ak_tls_context *self)
{
    if (!self || atomic_fetch_sub_explicit(&self->refs, 1, memory_order_acq_rel) > 1)
        return NULL;
    SSL_CTX_free(self->ctx);
    ak_free(self->client_name);
    ak_free(self);
    return NULL;
}

const char *ak_tls_context_pin(const struct ak_tls_context *self)
{
    return self->pin;
}

static int make_pin(struct ak_tls_context *self, struct ak_error **reterr)
{
    X509 *cert = SSL_CTX_get0_certificate(self->ctx);
    unsigned char *der = NULL, digest[EVP_MAX_MD_SIZE], text[AK__TLS_PIN];
    unsigned int len = 0;
    int n;

    if (!cert)
        return ak_error_set(reterr, -EINVAL, "a server's TLS context needs a certificate");
    n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
    if (n <= 0)
        return ak_error_oom(reterr);
    n = EVP_Digest(der, (size_t)n, digest, &len, EVP_sha256(), NULL);
    OPENSSL_free(der);
    if (n != 1)
        return ak_error_oom(reterr);
    n = EVP_EncodeBlock(text, digest, (int)len);
    memcpy(self->pin, "sha256//", 8);
    memcpy(self->pin + 8, text, (size_t)n + 1);
    return 0;
}

int ak_tls_context_new_from(SSL_CTX *ctx, struct ak_tls_context **ret, struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_tls_context) self = ak_new0(struct ak_tls_context);
    int r;

    if (!self)
        return ak_error_oom(reterr);
    self->ops = &tls_ops;
    atomic_init(&self->refs, 1);
    (void)SSL_CTX_up_ref(ctx);
    self->ctx = ctx;
    r = make_pin(self, reterr);
    if (r < 0)
        return r;
    *ret = AK_TAKE(self);
    return 0;
}

/* --- a certificate of our own --- */

static bool add_extension(X509 *cert, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *ext;
    bool good;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
    ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    good = ext && X509_add_ext(cert, ext, -1) == 1;
    X509_EXTENSION_free(ext);
    return good;
}

static bool set_name_and_serial(X509 *cert, const char *name)
{
    X509_NAME *subject = X509_get_subject_name(cert);
    unsigned char serial[16];
    BIGNUM *n;
    bool good;

    if (RAND_bytes(serial, sizeof(serial)) != 1)
        return false;
    serial[0] &= 0x7f; /* positive, RFC 5280 section 4.1.2.2 */
    n = BN_bin2bn(serial, sizeof(serial), NULL);
    good = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert));
    BN_free(n);
    return good &&
           X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1,
                                      -1, 0) == 1 &&
           X509_set_issuer_name(cert, subject) == 1;
}

static bool fill_certificate(X509 *cert, EVP_PKEY *key, const char *name)
{
    AK_AUTO_TEXT char *san = ak_asprintf("DNS:%s", name);

    return san && X509_set_version(cert, X509_VERSION_3) == 1 && set_name_and_serial(cert, name) &&
           X509_gmtime_adj(X509_getm_notBefore(cert), -BACKDATED) &&
           X509_gmtime_adj(X509_getm_notAfter(cert), SELF_SIGNED_LIFE) &&
           X509_set_pubkey(cert, key) == 1 &&
           add_extension(cert, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(cert, NID_key_usage, "critical,digitalSignature") &&
           add_extension(cert, NID_ext_key_usage, "serverAuth") &&
           add_extension(cert, NID_subject_alt_name, san) && X509_sign(cert, key, EVP_sha256()) > 0;
}

static int use_self_signed(SSL_CTX *ctx, const char *name, struct ak_error **reterr)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    bool good = key && cert && fill_certificate(cert, key, name) &&
                SSL_CTX_use_certificate(ctx, cert) == 1 && SSL_CTX_use_PrivateKey(ctx, key) == 1;

    X509_free(cert);
    EVP_PKEY_free(key);
    return good ? 0 : tls_error(reterr, "cannot make a certificate");
}

/* --- certificates that were given --- */

static int use_chain(SSL_CTX *ctx, const char *pem, struct ak_error **reterr)
{
    BIO *bio = bio_of(pem, strlen(pem));
    X509 *cert;
    int n = 0;
    bool good = bio != NULL;

    while (good && (cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL))) {
        good = n++ == 0 ? SSL_CTX_use_certificate(ctx, cert) == 1
                        : SSL_CTX_add1_chain_cert(ctx, cert) == 1;
        X509_free(cert);
    }
    BIO_free(bio);
    if (!good || n == 0)
        return tls_error(reterr, "server certificate");
    ERR_clear_error();
    return 0;
}

static int use_key(SSL_CTX *ctx, const struct ak_secret *pem, struct ak_error **reterr)
{
    size_t len;
    const char *text = ak_secret_peek(pem, &len);
    BIO *bio = bio_of(text, len);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    bool good = key && SSL_CTX_use_PrivateKey(ctx, key) == 1 && SSL_CTX_check_private_key(ctx) == 1;

    BIO_free(bio);
    EVP_PKEY_free(key);
    return good ? 0 : tls_error(reterr, "server key");
}

static int trust_clients_of(SSL_CTX *ctx, const char *pem, struct ak_error **reterr)
{
    BIO *bio = bio_of(pem, strlen(pem));
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    X509 *cert;
    int n = 0;
    bool good = bio != NULL;

    while (good && (cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL))) {
        n++;
        good = X509_STORE_add_cert(store, cert) == 1 && SSL_CTX_add_client_CA(ctx, cert) == 1;
        X509_free(cert);
    }
    BIO_free(bio);
    if (!good || n == 0)
        return tls_error(reterr, "authority of client certificates");
    ERR_clear_error();
    return 0;
}

/* Called for each certificate of the client's chain, its own last. */
static int check_client_name(int ok, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    const char *wanted = ssl ? SSL_get_app_data(ssl) : NULL;
    AK_AUTO_TEXT char *name = NULL;

    if (!ok || !wanted || X509_STORE_CTX_get_error_depth(store) > 0)
        return ok;
    name = common_name(X509_STORE_CTX_get_current_cert(store));
    if (name && ak_streq(name, wanted))
        return 1;
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    return 0;
}

static int set_up(SSL_CTX *ctx, const struct ak_tls_server_options *o, struct ak_error **reterr)
{
    int r;

    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                       SSL_OP_CIPHER_SERVER_PREFERENCE);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    if (SSL_CTX_set_num_tickets(ctx, 0) != 1 ||
        SSL_CTX_set_min_proto_version(ctx, o->tls13_only ? TLS1_3_VERSION : TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(ctx, CIPHERS) != 1)
        return tls_error(reterr, "cannot set TLS up");
    if (!o->cert_pem != !o->key_pem)
        return ak_error_set(reterr, -EINVAL, "server certificate and key come only together");
    r = o->cert_pem
            ? use_chain(ctx, o->cert_pem, reterr)
            : use_self_signed(ctx, o->self_signed_name ? o->self_signed_name : "localhost", reterr);
    if (r >= 0 && o->cert_pem)
        r = use_key(ctx, o->key_pem, reterr);
    if (r < 0 || !o->client_ca_pem)
        return r;
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, check_client_name);
    return trust_clients_of(ctx, o->client_ca_pem, reterr);
}

int ak_tls_context_new_server(const struct ak_tls_server_options *options,
                              struct ak_tls_context **ret, struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_tls_context) self = NULL;
    SSL_CTX *ctx;
    int r;

    ERR_clear_error();
    ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx)
        return ak_error_oom(reterr);
    r = set_up(ctx, options, reterr);
    if (r >= 0)
        r = ak_tls_context_new_from(ctx, &self, reterr);
    SSL_CTX_free(ctx);
    if (r < 0)
        return r;
    if (options->client_name) {
        self->client_name = ak_strdup(options->client_name);
        if (!self->client_name)
            return ak_error_oom(reterr);
    }
    *ret = AK_TAKE(self);
    return 0;
}
