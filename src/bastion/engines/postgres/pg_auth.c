/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/postgres/pg_auth.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#define HASH 32
#define SALT 16
#define VERIFIER_ITERATIONS                                                                        \
    4096 /* PostgreSQL's own default, so that a login costs what others cost */

void ak_pg_scram_done(struct ak_pg_scram *self)
{
    ak_buf_done(&self->client_first_bare);
    ak_buf_done(&self->auth_message);
    ak_buf_done(&self->binding);
}

static int add_base64(struct ak_buf *out, const uint8_t *data, size_t len)
{
    char text[4 * ((AK_PG_SCRAM_MAX + 2) / 3) + 1];
    int r;

    if (len > AK_PG_SCRAM_MAX)
        return AK_E_TOO_LARGE;
    r = EVP_EncodeBlock((unsigned char *)text, data, (int)len);
    return ak_buf_add(out, text, (size_t)r);
}

/* Strict base64 of at most `max` bytes; the length, or -1. */
static int from_base64(const char *text, size_t len, uint8_t *ret, size_t max)
{
    uint8_t raw[AK_PG_SCRAM_MAX];
    size_t n, pad = 0;

    if (len == 0 || len % 4 || len / 4 * 3 > sizeof(raw))
        return -1;
    while (pad < 2 && text[len - 1 - pad] == '=')
        pad++;
    n = len / 4 * 3 - pad;
    if (n > max || EVP_DecodeBlock(raw, (const unsigned char *)text, (int)len) < 0)
        return -1;
    memcpy(ret, raw, n);
    return (int)n;
}

static bool hmac(const uint8_t *key, size_t key_len, const void *data, size_t len,
                 uint8_t ret[static HASH])
{
    return HMAC(EVP_sha256(), key, (int)key_len, data, len, ret, NULL) != NULL;
}

static bool sha256(const void *data, size_t len, uint8_t ret[static HASH])
{
    return EVP_Digest(data, len, ret, NULL, EVP_sha256(), NULL) == 1;
}

struct keys {
    uint8_t client[HASH], stored[HASH], server[HASH];
};

/*
 * SASLprep is the identity for ASCII, which is what we mint; like PostgreSQL's own client, a password that
 * cannot be prepared is used as its bytes are.
 */
static int derive(const struct ak_secret *password, const uint8_t *salt, size_t salt_len,
                  int iterations, struct keys *ret, struct ak_error **reterr)
{
    uint8_t salted[HASH];
    size_t len;
    const char *text = ak_secret_peek(password, &len);
    bool good;

    good = PKCS5_PBKDF2_HMAC(text, (int)len, salt, (int)salt_len, iterations, EVP_sha256(), HASH,
                             salted) == 1 &&
           hmac(salted, HASH, "Client Key", 10, ret->client) &&
           sha256(ret->client, HASH, ret->stored) &&
           hmac(salted, HASH, "Server Key", 10, ret->server);
    ak_wipe(salted, sizeof(salted));
    return good ? 0 : ak_error_oom(reterr);
}

int ak_pg_scram_first(struct ak_pg_scram *self, const uint8_t *binding, size_t binding_len,
                      bool over_tls, const char *nonce, struct ak_buf *out,
                      struct ak_error **reterr)
{
    const char *header = binding_len ? "p=tls-server-end-point,," : over_tls ? "y,," : "n,,";
    uint8_t random[18];
    int r;

    *self = (struct ak_pg_scram){.client_first_bare = AK_BUF_INIT(AK_PG_SCRAM_MAX),
                                 .auth_message = AK_BUF_INIT(3 * AK_PG_SCRAM_MAX),
                                 .binding = AK_BUF_INIT(AK_PG_SCRAM_MAX)};
    if (nonce) {
        (void)snprintf(self->nonce, sizeof(self->nonce), "%s", nonce);
    } else {
        if (RAND_bytes(random, sizeof(random)) != 1)
            return ak_error_set(reterr, -EIO, "no random bytes");
        (void)EVP_EncodeBlock((unsigned char *)self->nonce, random, sizeof(random));
    }
    /* The server knows the user from the startup message and ignores the name here. */
    r = ak_buf_addf(&self->client_first_bare, "n=,r=%s", self->nonce);
    if (r >= 0)
        r = ak_buf_adds(&self->binding, header);
    if (r >= 0 && binding_len)
        r = ak_buf_add(&self->binding, binding, binding_len);
    if (r >= 0)
        r = ak_buf_addf(out, "%s%s", header, self->client_first_bare.data);
    return r < 0 ? ak_error_oom(reterr) : 0;
}

struct server_first {
    const char *nonce;
    size_t nonce_len;
    uint8_t salt[AK_PG_SCRAM_MAX];
    int salt_len, iterations;
};

/* "r=NONCE,s=SALT,i=COUNT", then perhaps extensions; "m=" (mandatory ones) is refused. */
static bool parse_first(const char *data, size_t len, struct server_first *ret)
{
    char text[AK_PG_SCRAM_MAX + 1], *s, *i, *end;
    uint64_t n;

    if (len > AK_PG_SCRAM_MAX || memchr(data, 0, len))
        return false;
    memcpy(text, data, len);
    text[len] = '\0';
    if (strncmp(text, "r=", 2) != 0)
        return false;
    s = strstr(text, ",s=");
    i = s ? strstr(s + 1, ",i=") : NULL;
    if (!i || memchr(text, ',', (size_t)(s - text)) || memchr(s + 1, ',', (size_t)(i - s - 1)))
        return false;
    ret->nonce = data + 2;
    ret->nonce_len = (size_t)(s - text) - 2;
    ret->salt_len = from_base64(s + 3, (size_t)(i - s) - 3, ret->salt, sizeof(ret->salt));
    end = strchr(i + 3, ',');
    if (end)
        *end = '\0';
    if (ak_parse_u64(i + 3, &n) < 0 || n == 0 || n > AK_PG_SCRAM_MAX_ITERATIONS)
        return false;
    ret->iterations = (int)n;
    return ret->salt_len > 0;
}

/* Without the proof: "c=BINDING,r=NONCE". */
static int without_proof(struct ak_pg_scram *self, const struct server_first *first,
                         struct ak_buf *out)
{
    int r = ak_buf_adds(out, "c=");

    if (r >= 0)
        r = add_base64(out, (const uint8_t *)self->binding.data, self->binding.len);
    if (r >= 0)
        r = ak_buf_adds(out, ",r=");
    if (r >= 0)
        r = ak_buf_add(out, first->nonce, first->nonce_len);
    return r;
}

static int prove(struct ak_pg_scram *self, const struct keys *keys, struct ak_buf *out,
                 struct ak_error **reterr)
{
    const struct ak_buf *message = &self->auth_message;
    uint8_t signature[HASH], proof[HASH];
    int r;

    if (!hmac(keys->stored, HASH, message->data, message->len, signature) ||
        !hmac(keys->server, HASH, message->data, message->len, self->server_signature))
        return ak_error_oom(reterr);
    for (size_t i = 0; i < HASH; i++)
        proof[i] = keys->client[i] ^ signature[i];
    r = ak_buf_adds(out, ",p=");
    if (r >= 0)
        r = add_base64(out, proof, HASH);
    ak_wipe(proof, sizeof(proof));
    if (r < 0)
        return ak_error_oom(reterr);
    self->is_final = true;
    return 0;
}

int ak_pg_scram_continue(struct ak_pg_scram *self, const struct ak_secret *password,
                         const char *data, size_t len, struct ak_buf *out, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) final = AK_BUF_INIT(AK_PG_SCRAM_MAX);
    struct server_first first;
    struct keys keys;
    int r;

    if (!parse_first(data, len, &first) || first.nonce_len <= strlen(self->nonce) ||
        strncmp(first.nonce, self->nonce, strlen(self->nonce)) != 0)
        return ak_error_set(reterr, AK_E_PROTOCOL, "the server's part of SCRAM is not valid");
    r = without_proof(self, &first, &final);
    if (r >= 0)
        r = ak_buf_addf(&self->auth_message, "%s,%.*s,%s", self->client_first_bare.data, (int)len,
                        data, final.data);
    if (r < 0)
        return ak_error_oom(reterr);
    r = derive(password, first.salt, (size_t)first.salt_len, first.iterations, &keys, reterr);
    if (r >= 0)
        r = prove(self, &keys, &final, reterr);
    ak_wipe(&keys, sizeof(keys));
    if (r < 0)
        return r;
    return ak_buf_add(out, final.data, final.len) < 0 ? ak_error_oom(reterr) : 0;
}

int ak_pg_scram_final(const struct ak_pg_scram *self, const char *data, size_t len,
                      struct ak_error **reterr)
{
    uint8_t signature[HASH];
    const char *comma = memchr(data, ',', len);
    const size_t n = comma ? (size_t)(comma - data) : len;

    if (!self->is_final || n < 2 || memcmp(data, "v=", 2) != 0 ||
        from_base64(data + 2, n - 2, signature, sizeof(signature)) != HASH ||
        CRYPTO_memcmp(signature, self->server_signature, HASH) != 0)
        return ak_error_set(reterr, AK_E_UNAUTHORIZED,
                            "the server did not prove that it knows the password");
    return 0;
}

static bool md5_hex(const void *a, size_t a_len, const void *b, size_t b_len, char ret[static 33])
{
    uint8_t digest[16];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = ctx && EVP_DigestInit_ex(ctx, EVP_md5(), NULL) == 1 &&
                EVP_DigestUpdate(ctx, a, a_len) == 1 && EVP_DigestUpdate(ctx, b, b_len) == 1 &&
                EVP_DigestFinal_ex(ctx, digest, NULL) == 1;

    EVP_MD_CTX_free(ctx);
    for (size_t i = 0; good && i < sizeof(digest); i++)
        (void)snprintf(ret + 2 * i, 3, "%02x", digest[i]);
    return good;
}

int ak_pg_md5(const struct ak_secret *password, const char *user, const uint8_t salt[static 4],
              char ret[static AK_PG_MD5_SIZE], struct ak_error **reterr)
{
    char inner[33], outer[33];
    size_t len;
    const char *text = ak_secret_peek(password, &len);
    bool good = md5_hex(text, len, user, strlen(user), inner) && md5_hex(inner, 32, salt, 4, outer);

    ak_wipe(inner, sizeof(inner));
    if (!good)
        return ak_error_set(reterr, -ENOTSUP, "this build of OpenSSL has no MD5");
    (void)snprintf(ret, AK_PG_MD5_SIZE, "md5%s", outer);
    return 0;
}

int ak_pg_md5_stored(const struct ak_secret *password, const char *user,
                     char ret[static AK_PG_MD5_SIZE], struct ak_error **reterr)
{
    char inner[33];
    size_t len;
    const char *text = ak_secret_peek(password, &len);

    if (!md5_hex(text, len, user, strlen(user), inner))
        return ak_error_set(reterr, -ENOTSUP, "this build of OpenSSL has no MD5");
    (void)snprintf(ret, AK_PG_MD5_SIZE, "md5%s", inner);
    ak_wipe(inner, sizeof(inner));
    return 0;
}

int ak_pg_verifier(const struct ak_secret *password, struct ak_buf *out, struct ak_error **reterr)
{
    uint8_t salt[SALT];
    struct keys keys;
    int r;

    if (RAND_bytes(salt, sizeof(salt)) != 1)
        return ak_error_set(reterr, -EIO, "no random bytes");
    r = derive(password, salt, sizeof(salt), VERIFIER_ITERATIONS, &keys, reterr);
    if (r < 0)
        return r;
    r = ak_buf_addf(out, "SCRAM-SHA-256$%d:", VERIFIER_ITERATIONS);
    if (r >= 0)
        r = add_base64(out, salt, sizeof(salt));
    if (r >= 0)
        r = ak_buf_adds(out, "$");
    if (r >= 0)
        r = add_base64(out, keys.stored, HASH);
    if (r >= 0)
        r = ak_buf_adds(out, ":");
    if (r >= 0)
        r = add_base64(out, keys.server, HASH);
    ak_wipe(&keys, sizeof(keys));
    return r < 0 ? ak_error_oom(reterr) : 0;
}
