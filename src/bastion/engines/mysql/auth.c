/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/mysql/auth.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#define SHA1_LEN 20
#define SHA256_LEN 32

struct piece {
    const void *data;
    size_t len;
};

/* The hash of several pieces, one behind the other. */
static int digest(const EVP_MD *md, const struct piece *pieces, size_t n, uint8_t *ret,
                  struct ak_error **reterr)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx && EVP_DigestInit_ex(ctx, md, NULL) == 1;

    for (size_t i = 0; ok && i < n; i++)
        ok = EVP_DigestUpdate(ctx, pieces[i].data, pieces[i].len) == 1;
    ok = ok && EVP_DigestFinal_ex(ctx, ret, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    if (!ok)
        return ak_error_set(reterr, -ENOMEM, "a hash cannot be computed");
    return 0;
}

static int sha1(const struct piece *pieces, size_t n, uint8_t *ret, struct ak_error **reterr)
{
    return digest(EVP_sha1(), pieces, n, ret, reterr);
}

static int sha256(const struct piece *pieces, size_t n, uint8_t *ret, struct ak_error **reterr)
{
    return digest(EVP_sha256(), pieces, n, ret, reterr);
}

static struct piece piece_of(const struct ak_secret *password)
{
    size_t len = 0;
    const char *text = password ? ak_secret_peek(password, &len) : "";

    return (struct piece){text, len};
}

/* SHA1(password) XOR SHA1(scramble, SHA1(SHA1(password))) */
static int prove_native(const struct piece *password, const uint8_t *scramble, size_t len,
                        struct ak_buf *out, struct ak_error **reterr)
{
    uint8_t once[SHA1_LEN], twice[SHA1_LEN], mask[SHA1_LEN];
    int r;

    r = sha1(password, 1, once, reterr);
    if (r >= 0)
        r = sha1(&(struct piece){once, sizeof(once)}, 1, twice, reterr);
    if (r >= 0)
        r = sha1((struct piece[]){{scramble, len}, {twice, sizeof(twice)}}, 2, mask, reterr);
    for (size_t i = 0; r >= 0 && i < SHA1_LEN; i++)
        mask[i] ^= once[i];
    if (r >= 0 && ak_buf_add(out, mask, SHA1_LEN) < 0)
        r = ak_error_oom(reterr);
    ak_wipe(once, sizeof(once));
    ak_wipe(twice, sizeof(twice));
    return r;
}

/* SHA256(password) XOR SHA256(SHA256(SHA256(password)), scramble) */
static int prove_sha2(const struct piece *password, const uint8_t *scramble, size_t len,
                      struct ak_buf *out, struct ak_error **reterr)
{
    uint8_t once[SHA256_LEN], twice[SHA256_LEN], mask[SHA256_LEN];
    int r;

    r = sha256(password, 1, once, reterr);
    if (r >= 0)
        r = sha256(&(struct piece){once, sizeof(once)}, 1, twice, reterr);
    if (r >= 0)
        r = sha256((struct piece[]){{twice, sizeof(twice)}, {scramble, len}}, 2, mask, reterr);
    for (size_t i = 0; r >= 0 && i < SHA256_LEN; i++)
        mask[i] ^= once[i];
    if (r >= 0 && ak_buf_add(out, mask, SHA256_LEN) < 0)
        r = ak_error_oom(reterr);
    ak_wipe(once, sizeof(once));
    ak_wipe(twice, sizeof(twice));
    return r;
}

/*
 * MariaDB's plugin signs with a key whose seed is the password itself, of any length. Ed25519 of RFC 8032 has seeds
 * of 32 bytes and hashes them in the same way, so for such passwords OpenSSL does it; for others it has no function.
 */
static int prove_ed25519(const struct piece *password, const uint8_t *scramble, size_t len,
                         struct ak_buf *out, struct ak_error **reterr)
{
    uint8_t signature[64];
    size_t signature_len = sizeof(signature);
    EVP_PKEY *key;
    EVP_MD_CTX *ctx;
    bool ok;

    if (password->len != 32)
        return ak_error_set(
            reterr, AK_E_UNAUTHORIZED,
            "the server wants the plugin ed25519, which works here with passwords "
            "of exactly 32 characters only; use mysql_native_password for this user");
    key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, password->data, password->len);
    ctx = EVP_MD_CTX_new();
    ok = key && ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) == 1 &&
         EVP_DigestSign(ctx, signature, &signature_len, scramble, len) == 1;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    if (!ok || ak_buf_add(out, signature, signature_len) < 0)
        return ak_error_oom(reterr);
    return 0;
}

static int prove_in_clear(const struct piece *password, struct ak_buf *out,
                          struct ak_error **reterr)
{
    if (ak_buf_add(out, password->data, password->len) < 0 || ak_buf_add(out, "", 1) < 0)
        return ak_error_oom(reterr);
    return 0;
}

int ak_mysql_prove(const char *plugin, const struct ak_secret *password, const uint8_t *scramble,
                   size_t scramble_len, bool is_tls, struct ak_buf *out, struct ak_error **reterr)
{
    const struct piece text = piece_of(password);

    if (ak_streq(plugin, AK_MYSQL_CLEAR)) {
        if (!is_tls)
            return ak_error_set(reterr, AK_E_UNAUTHORIZED,
                                "the server wants the password in clear, without TLS: refused");
        return prove_in_clear(&text, out, reterr);
    }
    if (ak_streq(plugin, AK_MYSQL_ED25519))
        return prove_ed25519(&text, scramble, scramble_len, out, reterr);
    if (ak_streq(plugin, AK_MYSQL_SHA256)) {
        /* Under TLS the password itself; else one byte that asks for the server's key. */
        if (is_tls || !text.len)
            return prove_in_clear(&text, out, reterr);
        return ak_buf_add(out, "\1", 1) < 0 ? ak_error_oom(reterr) : 0;
    }
    if (ak_streq(plugin, AK_MYSQL_CACHING_SHA2)) {
        if (!text.len)
            return ak_buf_add(out, "", 1) < 0 ? ak_error_oom(reterr) : 0;
        return prove_sha2(&text, scramble, AK_MIN(scramble_len, (size_t)20), out, reterr);
    }
    if (ak_streq(plugin, AK_MYSQL_NATIVE))
        return text.len
                   ? prove_native(&text, scramble, AK_MIN(scramble_len, (size_t)20), out, reterr)
                   : 0;
    return ak_error_set(
        reterr, AK_E_UNAUTHORIZED,
        "the server wants the authentication plugin \"%.64s\", which is not supported", plugin);
}

static EVP_PKEY *read_key(const char *pem, size_t len)
{
    BIO *bio = BIO_new_mem_buf(pem, (int)len);
    EVP_PKEY *key = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;

    BIO_free(bio);
    return key;
}

static int rsa_encrypt(EVP_PKEY *key, const struct ak_buf *clear, struct ak_buf *out)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    uint8_t sealed[1024];
    size_t sealed_len = sizeof(sealed);
    bool ok;

    ok = ctx && EVP_PKEY_encrypt_init(ctx) == 1 &&
         EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
         EVP_PKEY_encrypt(ctx, sealed, &sealed_len, (const uint8_t *)clear->data, clear->len) == 1;
    EVP_PKEY_CTX_free(ctx);
    return ok ? ak_buf_add(out, sealed, sealed_len) : AK_E_UNAUTHORIZED;
}

int ak_mysql_encrypt(const struct ak_secret *password, const uint8_t *scramble, size_t scramble_len,
                     const char *pem, size_t pem_len, struct ak_buf *out, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) clear = {.max = 64u << 10, .wipe = true};
    const struct piece text = piece_of(password);
    EVP_PKEY *key;
    int r;

    if (!scramble_len || pem_len > 16u << 10)
        return ak_error_set(reterr, AK_E_PROTOCOL, "the server's RSA key cannot be used");
    if (ak_buf_add(&clear, text.data, text.len) < 0 || ak_buf_add(&clear, "", 1) < 0)
        return ak_error_oom(reterr);
    for (size_t i = 0; i < clear.len; i++)
        clear.data[i] ^= (char)scramble[i % scramble_len];
    key = read_key(pem, pem_len);
    if (!key)
        return ak_error_set(reterr, AK_E_PROTOCOL, "the server's RSA key cannot be read");
    r = EVP_PKEY_get_size(key) > 1024 ? AK_E_UNAUTHORIZED : rsa_encrypt(key, &clear, out);
    EVP_PKEY_free(key);
    if (r < 0)
        return ak_error_set(reterr, r, "the password cannot be encrypted to the server's RSA key");
    return 0;
}

int ak_mysql_native_hash(const struct ak_secret *password,
                         char buf[static AK_MYSQL_NATIVE_HASH_SIZE], struct ak_error **reterr)
{
    const struct piece text = piece_of(password);
    uint8_t once[SHA1_LEN], twice[SHA1_LEN];
    int r;

    r = sha1(&text, 1, once, reterr);
    if (r >= 0)
        r = sha1(&(struct piece){once, sizeof(once)}, 1, twice, reterr);
    ak_wipe(once, sizeof(once));
    if (r < 0)
        return r;
    buf[0] = '*';
    for (size_t i = 0; i < SHA1_LEN; i++)
        snprintf(buf + 1 + 2 * i, 3, "%02X", twice[i]);
    return 0;
}

/* ---- crypt's SHA-256, as it is specified by its author (Drepper, "Unix crypt using SHA-256 and SHA-512") ---- */

/* The bytes of a digest repeated to a length. */
static int repeat(struct ak_buf *out, const uint8_t *bytes, size_t len, struct ak_error **reterr)
{
    for (; len > SHA256_LEN; len -= SHA256_LEN)
        if (ak_buf_add(out, bytes, SHA256_LEN) < 0)
            return ak_error_oom(reterr);
    return ak_buf_add(out, bytes, len) < 0 ? ak_error_oom(reterr) : 0;
}

static int crypt_first(const struct piece *p, const struct piece *s, uint8_t *ret,
                       struct ak_error **reterr)
{
    AK_AUTO(ak_buf) in = {.max = 256u << 10, .wipe = true};
    uint8_t b[SHA256_LEN];
    int r = sha256((struct piece[]){*p, *s, *p}, 3, b, reterr);

    if (r >= 0 && (ak_buf_add(&in, p->data, p->len) < 0 || ak_buf_add(&in, s->data, s->len) < 0))
        r = ak_error_oom(reterr);
    if (r >= 0)
        r = repeat(&in, b, p->len, reterr);
    for (size_t bits = p->len; r >= 0 && bits; bits >>= 1)
        if ((bits & 1 ? ak_buf_add(&in, b, sizeof(b)) : ak_buf_add(&in, p->data, p->len)) < 0)
            r = ak_error_oom(reterr);
    if (r >= 0)
        r = sha256(&(struct piece){in.data, in.len}, 1, ret, reterr);
    ak_wipe(b, sizeof(b));
    return r;
}

/* The hash of `what` said `times` times, repeated to the length of `what`. */
static int crypt_sequence(const struct piece *what, size_t times, struct ak_buf *out,
                          struct ak_error **reterr)
{
    AK_AUTO(ak_buf) in = {.max = 16u << 20, .wipe = true};
    uint8_t d[SHA256_LEN];
    int r = 0;

    while (r >= 0 && times--)
        r = ak_buf_add(&in, what->data, what->len) < 0 ? ak_error_oom(reterr) : 0;
    if (r >= 0)
        r = sha256(&(struct piece){in.data, in.len}, 1, d, reterr);
    if (r >= 0)
        r = repeat(out, d, what->len, reterr);
    ak_wipe(d, sizeof(d));
    return r;
}

static int crypt_rounds(uint8_t *a, const struct ak_buf *p, const struct ak_buf *s,
                        struct ak_error **reterr)
{
    int r = 0;

    for (unsigned i = 0; r >= 0 && i < 5000; i++) {
        const struct piece own = {a, SHA256_LEN}, word = {p->data, p->len};
        struct piece parts[4];
        size_t n = 0;

        parts[n++] = i & 1 ? word : own;
        if (i % 3)
            parts[n++] = (struct piece){s->data, s->len};
        if (i % 7)
            parts[n++] = word;
        parts[n++] = i & 1 ? own : word;
        r = sha256(parts, n, a, reterr);
    }
    return r;
}

static char *crypt_digits(char *at, unsigned value, unsigned digits)
{
    static const char alphabet[] =
        "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    for (; digits; digits--, value >>= 6)
        *at++ = alphabet[value & 63];
    return at;
}

int ak_mysql_sha2_hash(const struct ak_secret *password, const char *salt,
                       char buf[static AK_MYSQL_SHA2_HASH_SIZE], struct ak_error **reterr)
{
    AK_AUTO(ak_buf) p = {.max = 64u << 10, .wipe = true};
    AK_AUTO(ak_buf) s = AK_BUF_INIT(64);
    const struct piece text = piece_of(password), salted = {salt, strlen(salt)};
    uint8_t a[SHA256_LEN];
    char *at;
    int r;

    if (text.len > 256 || salted.len > AK_MYSQL_SHA2_SALT)
        return ak_error_set(reterr, -EINVAL, "the password is longer than 256 bytes");
    r = crypt_first(&text, &salted, a, reterr);
    if (r >= 0)
        r = crypt_sequence(&text, text.len, &p, reterr);
    if (r >= 0)
        r = crypt_sequence(&salted, 16u + a[0], &s, reterr);
    if (r >= 0)
        r = crypt_rounds(a, &p, &s, reterr);
    if (r < 0)
        return r;
    at = buf + snprintf(buf, AK_MYSQL_SHA2_HASH_SIZE, "$A$005$%s", salt);
    for (unsigned i = 0, x = 0, y = 10, z = 20; i < 10; i++) {
        unsigned last = z;

        at = crypt_digits(at, (unsigned)a[x] << 16 | (unsigned)a[y] << 8 | a[z], 4);
        z = y + 1; /* the three change places, each one byte further */
        y = x + 1;
        x = last + 1;
    }
    at = crypt_digits(at, (unsigned)a[31] << 8 | a[30], 3);
    *at = '\0';
    ak_wipe(a, sizeof(a));
    return 0;
}
