/* SPDX-License-Identifier: Apache-2.0 */
/* A set of certificates as a Secret, and the bundle in a webhook configuration. */
#include "certs_internal.h"

#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/secret.h>
#include <ak/base/text.h>

static char *encode(const void *data, size_t len)
{
    char *text = len < AK_CERTS_MAX_PEM ? ak_malloc(len / 3 * 4 + 8) : NULL;

    if (text)
        (void)EVP_EncodeBlock((unsigned char *)text, data, (int)len);
    return text;
}

/* Standard base64 as Kubernetes writes it. -EINVAL: it is something else, or too long. */
static int decode(const char *text, struct ak_buf *out)
{
    size_t len = strlen(text), padding = 0;
    int r = -EINVAL, n;

    if (!len || len % 4 || len > 2 * AK_CERTS_MAX_PEM)
        return -EINVAL;
    while (padding < 2 && text[len - 1 - padding] == '=')
        padding++;
    unsigned char *raw = ak_malloc(len / 4 * 3 + 1);
    if (!raw)
        return -ENOMEM;
    n = EVP_DecodeBlock(raw, (const unsigned char *)text, (int)len);
    if (n > (int)padding)
        r = ak_buf_add(out, raw, (size_t)n - padding);
    ak_wipe(raw, len / 4 * 3 + 1);
    ak_free(raw);
    ERR_clear_error();
    return r;
}

/* A BIO with the decoded value of data.`key`; NULL and an error otherwise. */
static int open_part(const json_t *secret, const char *key, struct ak_buf *buf, BIO **ret,
                     struct ak_error **reterr)
{
    const char *text = ak_json_text(secret, "data", key, NULL);
    int r = text ? decode(text, buf) : -EINVAL;

    if (r == -ENOMEM)
        return ak_error_oom(reterr);
    if (r < 0)
        return ak_error_set(reterr, AK_E_INVALID, "data[%s]: %s", key,
                            text ? "is not base64, or too long" : "is missing");
    *ret = BIO_new_mem_buf(buf->data, (int)buf->len);
    return *ret ? 0 : ak_error_oom(reterr);
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

/* Up to `max` certificates. */
static int read_certs(const json_t *secret, const char *key, X509 **ret, size_t max, size_t *ret_n,
                      struct ak_error **reterr)
{
    AK_AUTO(ak_buf) buf = AK_BUF_INIT(AK_CERTS_MAX_PEM);
    BIO *bio = NULL;
    int r = open_part(secret, key, &buf, &bio, reterr);

    if (r < 0)
        return r;
    while (*ret_n < max) {
        X509 *cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
        if (!cert)
            break;
        ret[(*ret_n)++] = cert;
    }
    BIO_free(bio);
    ERR_clear_error();
    return *ret_n ? 0 : ak_error_set(reterr, AK_E_INVALID, "data[%s]: no certificate in it", key);
}

static int read_key(const json_t *secret, const char *key, EVP_PKEY **ret, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) buf = {.max = AK_CERTS_MAX_PEM, .wipe = true};
    BIO *bio = NULL;
    int r = open_part(secret, key, &buf, &bio, reterr);

    if (r < 0)
        return r;
    *ret = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    ERR_clear_error();
    return *ret ? 0 : ak_error_set(reterr, AK_E_INVALID, "data[%s]: no private key in it", key);
}

int ak_certs_from_secret(const json_t *secret, struct ak_certs **ret, struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_certs) self = ak_new0(struct ak_certs);
    size_t n_leaf = 0;
    int r;

    if (!self)
        return ak_error_oom(reterr);
    ERR_clear_error();
    r = read_certs(secret, "ca.crt", self->cas, AK__CERTS_MAX_CAS, &self->n_cas, reterr);
    if (r >= 0)
        r = read_certs(secret, "tls.crt", &self->leaf, 1, &n_leaf, reterr);
    if (r >= 0)
        r = read_key(secret, "ca.key", &self->ca_key, reterr);
    if (r >= 0)
        r = read_key(secret, "tls.key", &self->key, reterr);
    if (r >= 0)
        r = ak__certs_check(self, reterr);
    if (r >= 0)
        r = ak__certs_write_bundle(self, reterr);
    if (r < 0)
        return r;
    *ret = AK_TAKE(self);
    return 0;
}

/* Sets data.`key` to what a memory BIO holds, and wipes that. */
static bool add_part(json_t *data, const char *key, BIO *bio)
{
    char *raw = NULL;
    long len = BIO_get_mem_data(bio, &raw);
    char *text = len > 0 ? encode(raw, (size_t)len) : NULL;
    bool ok = text && json_object_set_new(data, key, json_string(text)) == 0;

    if (len > 0)
        ak_wipe(raw, (size_t)len);
    if (text)
        ak_wipe(text, strlen(text));
    ak_free(text);
    return ok;
}

static bool add_cert(json_t *data, const char *key, X509 *cert)
{
    BIO *bio = BIO_new(BIO_s_mem());
    bool ok = bio && PEM_write_bio_X509(bio, cert) == 1 && add_part(data, key, bio);

    BIO_free(bio);
    return ok;
}

static bool add_key(json_t *data, const char *key, EVP_PKEY *pkey)
{
    BIO *bio = BIO_new(BIO_s_mem());
    bool ok = bio && PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL) == 1 &&
              add_part(data, key, bio);

    BIO_free(bio);
    return ok;
}

static bool add_bundle(json_t *data, const char *bundle)
{
    char *text = encode(bundle, strlen(bundle));
    bool ok = text && json_object_set_new(data, "ca.crt", json_string(text)) == 0;

    ak_free(text);
    return ok;
}

int ak_certs_to_secret(const struct ak_certs *self, const char *ns, const char *name, json_t **ret,
                       struct ak_error **reterr)
{
    AK_AUTO_JSON *data = json_object();
    json_t *secret;

    if (!data || !add_bundle(data, self->bundle) || !add_cert(data, "tls.crt", self->leaf) ||
        !add_key(data, "tls.key", self->key) || !add_key(data, "ca.key", self->ca_key))
        return ak_error_oom(reterr);
    secret = json_pack("{s:s, s:s, s:s, s:{s:s, s:s}, s:O}", "apiVersion", "v1", "kind", "Secret",
                       "type", "kubernetes.io/tls", "metadata", "name", name, "namespace", ns,
                       "data", data);
    if (!secret)
        return ak_error_oom(reterr);
    *ret = secret;
    return 0;
}

/* What a memory BIO holds, NUL-terminated; NULL: nothing, or no memory. Wiped in the BIO. */
static char *take_pem(BIO *bio)
{
    char *raw = NULL;
    long len = BIO_get_mem_data(bio, &raw);
    char *text = len > 0 ? ak_strndup(raw, (size_t)len) : NULL;

    if (len > 0)
        ak_wipe(raw, (size_t)len);
    return text;
}

int ak_certs_to_pem(const struct ak_certs *self, char **ret_cert, struct ak_secret **ret_key,
                    struct ak_error **reterr)
{
    BIO *cert_bio = BIO_new(BIO_s_mem()), *key_bio = BIO_new(BIO_s_mem());
    AK_AUTO_PTR(ak_secret) secret = NULL;
    AK_AUTO_TEXT char *cert = NULL;
    AK_AUTO_TEXT char *key = NULL;

    if (cert_bio && key_bio && PEM_write_bio_X509(cert_bio, self->leaf) == 1 &&
        PEM_write_bio_PrivateKey(key_bio, self->key, NULL, NULL, 0, NULL, NULL) == 1) {
        cert = take_pem(cert_bio);
        key = take_pem(key_bio);
    }
    BIO_free(cert_bio);
    BIO_free(key_bio);
    ERR_clear_error();
    if (key) {
        secret = ak_secret_new(key, strlen(key));
        ak_wipe(key, strlen(key));
    }
    if (!cert || !secret)
        return ak_error_oom(reterr);
    *ret_cert = AK_TAKE(cert);
    *ret_key = AK_TAKE(secret);
    return 0;
}

int ak_certs_put_bundle(json_t *configuration, const char *bundle, struct ak_error **reterr)
{
    const json_t *webhooks = json_object_get(configuration, "webhooks");
    char *text = encode(bundle, strlen(bundle));
    int changed = 0;

    for (size_t i = 0; i < json_array_size(webhooks) && changed >= 0 && text; i++) {
        json_t *client = json_object_get(json_array_get(webhooks, i), "clientConfig");
        if (!json_is_object(client) || ak_streq(ak_json_text(client, "caBundle", NULL), text))
            continue;
        changed = json_object_set_new(client, "caBundle", json_string(text)) < 0 ? -1 : 1;
    }
    if (!text)
        changed = -1;
    ak_free(text);
    return changed < 0 ? ak_error_oom(reterr) : changed;
}
