/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/http/jwt.h"

#include <ctype.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/json/json.h>

#include "bastion/engines/http/encoding.h"

#define MAX_TOKEN (16u << 10)
#define LIFE_SECONDS 3600
#define MIN_BITS 2048

/* Without it OpenSSL would ask on the terminal. */
static int no_passphrase(char *buf, int size, int rwflag, void *user)
{
    (void)buf;
    (void)size;
    (void)rwflag;
    (void)user;
    return -1;
}

int ak_jwt_key_read(const struct ak_secret *pem, EVP_PKEY **ret, struct ak_error **reterr)
{
    size_t len;
    const char *text = ak_secret_peek(pem, &len);
    BIO *bio = len <= INT_MAX ? BIO_new_mem_buf(text, (int)len) : NULL;
    EVP_PKEY *key;

    if (!bio)
        return ak_error_oom(reterr);
    key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    ERR_clear_error();
    if (!key || EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA || EVP_PKEY_get_bits(key) < MIN_BITS) {
        EVP_PKEY_free(key);
        return ak_error_set(reterr, AK_E_INVALID,
                            "the credential is not an RSA private key in PEM form of at least %d "
                            "bits without a passphrase",
                            MIN_BITS);
    }
    *ret = key;
    return 0;
}

int ak_jwt_key_fingerprint(EVP_PKEY *key, struct ak_buf *out, struct ak_error **reterr)
{
    unsigned char *der = NULL, hash[EVP_MAX_MD_SIZE];
    unsigned int hash_len = 0;
    int len = i2d_PUBKEY(key, &der);
    int r = -ENOMEM;

    if (len > 0 && EVP_Digest(der, (size_t)len, hash, &hash_len, EVP_sha256(), NULL) == 1) {
        r = ak_buf_adds(out, "SHA256:");
        if (r >= 0)
            r = ak_base64_add(out, hash, hash_len);
    }
    OPENSSL_free(der);
    return r < 0 ? ak_error_set(reterr, r, "cannot hash the public key") : 0;
}

static int add_part(struct ak_buf *out, const json_t *tree, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(MAX_TOKEN);
    int r = ak_json_write(tree, &text, reterr);

    if (r < 0)
        return r;
    r = ak_base64url_add(out, text.data, text.len);
    return r < 0 ? ak_error_set(reterr, r, "token: %s", ak_code_text(r)) : 0;
}

static int add_signature(EVP_PKEY *key, struct ak_buf *out, size_t from, struct ak_error **reterr)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char *signature = NULL;
    size_t len = 0;
    int r = -ENOMEM;

    if (ctx && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
        EVP_DigestSign(ctx, NULL, &len, (unsigned char *)out->data + from, out->len - from) == 1)
        signature = ak_malloc(len);
    if (signature && EVP_DigestSign(ctx, signature, &len, (unsigned char *)out->data + from,
                                    out->len - from) == 1) {
        r = ak_buf_adds(out, ".");
        if (r >= 0)
            r = ak_base64url_add(out, signature, len);
    }
    ak_free(signature);
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return r < 0 ? ak_error_set(reterr, r, "cannot sign the token") : 0;
}

int ak_jwt_sign(EVP_PKEY *key, const char *key_id, const json_t *claims, struct ak_buf *out,
                struct ak_error **reterr)
{
    AK_AUTO_JSON *header =
        json_pack("{s:s, s:s, s:s*}", "alg", "RS256", "typ", "JWT", "kid", key_id);
    size_t from = out->len;
    int r;

    if (!header)
        return ak_error_oom(reterr);
    r = add_part(out, header, reterr);
    if (r >= 0 && ak_buf_adds(out, ".") < 0)
        r = ak_error_oom(reterr);
    if (r >= 0)
        r = add_part(out, claims, reterr);
    return r < 0 ? r : add_signature(key, out, from, reterr);
}

static int sign_with(const struct ak_secret *pem, const char *key_id, const json_t *claims,
                     struct ak_buf *out, struct ak_error **reterr)
{
    EVP_PKEY *key = NULL;
    int r = ak_jwt_key_read(pem, &key, reterr);

    if (r < 0)
        return r;
    r = ak_jwt_sign(key, key_id, claims, out, reterr);
    EVP_PKEY_free(key);
    return r;
}

static int add_upper(struct ak_buf *out, const char *text, size_t len)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < len; i++) {
        char c = (char)toupper((unsigned char)text[i]);

        r = ak_buf_add(out, &c, 1);
    }
    return r;
}

int ak_jwt_snowflake(const struct ak_secret *pem, const char *account, const char *user,
                     ak_msec wall, struct ak_buf *out, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) subject = AK_BUF_INIT(1024);
    AK_AUTO(ak_buf) issuer = AK_BUF_INIT(2048);
    AK_AUTO_JSON *claims = NULL;
    EVP_PKEY *key = NULL;
    const json_int_t now = wall / 1000, end = now + LIFE_SECONDS;
    int r = ak_jwt_key_read(pem, &key, reterr);

    if (r < 0)
        return r;
    if (add_upper(&subject, account, strcspn(account, ".")) < 0 || ak_buf_adds(&subject, ".") < 0 ||
        add_upper(&subject, user, strlen(user)) < 0 ||
        ak_buf_addf(&issuer, "%s.", ak_buf_text(&subject)) < 0)
        r = ak_error_oom(reterr);
    if (r >= 0)
        r = ak_jwt_key_fingerprint(key, &issuer, reterr);
    if (r >= 0) {
        claims = json_pack("{s:s, s:s, s:I, s:I}", "iss", ak_buf_text(&issuer), "sub",
                           ak_buf_text(&subject), "iat", now, "exp", end);
        r = claims ? ak_jwt_sign(key, NULL, claims, out, reterr) : ak_error_oom(reterr);
    }
    EVP_PKEY_free(key);
    return r;
}

/* --- Google --- */

void ak_service_account_done(struct ak_service_account *self)
{
    ak_free(self->email);
    ak_free(self->key_id);
    ak_free(self->project);
    ak_free(self->token_uri);
    (void)ak_secret_free(self->private_key);
    *self = (struct ak_service_account){0};
}

static int take(const json_t *root, const char *field, bool required, char **ret,
                struct ak_error **reterr)
{
    const char *text = ak_json_text(root, field, NULL);

    if (ak_is_empty(text))
        return required ? ak_error_set(reterr, AK_E_INVALID, "service account file: no %s", field)
                        : 0;
    *ret = ak_strdup(text);
    return *ret ? 0 : ak_error_oom(reterr);
}

int ak_service_account_parse(const char *text, size_t len, struct ak_service_account *ret,
                             struct ak_error **reterr)
{
    AK_AUTO(ak_service_account) out = {0};
    AK_AUTO_JSON *root = NULL;
    const char *key;
    int r = ak_json_parse(text, len, &root, reterr);

    if (r == -ENOMEM)
        return r;
    if (r < 0 || !ak_streq(ak_json_text(root, "type", NULL), "service_account"))
        return ak_error_set(reterr, AK_E_INVALID,
                            "the credential is not the JSON file of a service account");
    r = take(root, "client_email", true, &out.email, reterr);
    if (r >= 0)
        r = take(root, "private_key_id", false, &out.key_id, reterr);
    if (r >= 0)
        r = take(root, "project_id", false, &out.project, reterr);
    if (r >= 0)
        r = take(root, "token_uri", true, &out.token_uri, reterr);
    if (r < 0)
        return r;
    if (!ak_has_prefix(out.token_uri, "https://"))
        return ak_error_set(reterr, AK_E_INVALID, "service account file: token_uri is not https");
    key = ak_json_text(root, "private_key", NULL);
    if (ak_is_empty(key))
        return ak_error_set(reterr, AK_E_INVALID, "service account file: no private_key");
    out.private_key = ak_secret_new(key, strlen(key));
    if (!out.private_key)
        return ak_error_oom(reterr);
    *ret = out;
    out = (struct ak_service_account){0};
    return 0;
}

int ak_jwt_service_account(const struct ak_service_account *account, const char *scope,
                           ak_msec wall, struct ak_buf *out, struct ak_error **reterr)
{
    const json_int_t now = wall / 1000, end = now + LIFE_SECONDS;
    AK_AUTO_JSON *claims = json_pack("{s:s, s:s, s:s, s:I, s:I}", "iss", account->email, "scope",
                                     scope, "aud", account->token_uri, "iat", now, "exp", end);

    if (!claims)
        return ak_error_oom(reterr);
    return sign_with(account->private_key, account->key_id, claims, out, reterr);
}
