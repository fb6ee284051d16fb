/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/json/json.h>

#include "bastion/engines/http/encoding.h"
#include "bastion/engines/http/jwt.h"

#define NOW (INT64_C(1700000000) * 1000) /* of the wall clock, in milliseconds */

static EVP_PKEY *key;
static char pem[8192];

static int make_key(void **state)
{
    BIO *bio = BIO_new(BIO_s_mem());
    int n;

    (void)state;
    key = EVP_RSA_gen(2048);
    if (!key || !bio || PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1)
        return -1;
    n = BIO_read(bio, pem, sizeof(pem) - 1);
    BIO_free(bio);
    return n > 0 ? 0 : -1;
}

static int free_key(void **state)
{
    (void)state;
    EVP_PKEY_free(key);
    return 0;
}

/* Base64 of RFC 4648 section 5 to bytes. */
static void decode(const char *text, size_t len, struct ak_buf *out)
{
    AK_AUTO(ak_buf) plain = AK_BUF_INIT(1u << 16);

    for (size_t i = 0; i < len; i++) {
        char c = text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i];

        assert_true(c != '+' || text[i] == '-');
        assert_int_equal(ak_buf_add(&plain, &c, 1), 0);
    }
    while (plain.len % 4)
        assert_int_equal(ak_buf_adds(&plain, "="), 0);
    assert_int_equal(ak_base64_read(out, ak_buf_text(&plain), plain.len), 0);
}

static json_t *part(const char *text, size_t len)
{
    AK_AUTO(ak_buf) bytes = AK_BUF_INIT(1u << 16);
    json_t *tree = NULL;

    decode(text, len, &bytes);
    assert_int_equal(ak_json_parse(ak_buf_text(&bytes), bytes.len, &tree, NULL), 0);
    return tree;
}

/* Header and claims of a token whose signature is good. */
static void open_token(const char *token, json_t **ret_header, json_t **ret_claims)
{
    const char *first = strchr(token, '.'), *second = first ? strchr(first + 1, '.') : NULL;
    AK_AUTO(ak_buf) signature = AK_BUF_INIT(4096);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    assert_non_null(second);
    assert_null(strpbrk(token, "=+/ \n"));
    decode(second + 1, strlen(second + 1), &signature);
    assert_int_equal(EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
    assert_int_equal(EVP_DigestVerify(ctx, (const unsigned char *)signature.data, signature.len,
                                      (const unsigned char *)token, (size_t)(second - token)),
                     1);
    EVP_MD_CTX_free(ctx);
    *ret_header = part(token, (size_t)(first - token));
    *ret_claims = part(first + 1, (size_t)(second - first - 1));
}

static void a_token_of_snowflake_names_account_user_and_key(void **state)
{
    static const struct {
        const char *account, *user, *subject;
    } cases[] = {
        {"myorg-acct", "agent", "MYORG-ACCT.AGENT"},
        {"xy12345.eu-central-1", "Agent@Example", "XY12345.AGENT@EXAMPLE"},
        {"a.b.c", "ü", "A.ü"},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO_PTR(ak_secret) secret = ak_secret_new(pem, strlen(pem));
        AK_AUTO(ak_buf) token = AK_BUF_INIT(1u << 16);
        AK_AUTO(ak_buf) issuer = AK_BUF_INIT(1024);
        AK_AUTO_JSON *header = NULL, *claims = NULL;

        assert_int_equal(
            ak_jwt_snowflake(secret, cases[i].account, cases[i].user, NOW, &token, NULL), 0);
        open_token(ak_buf_text(&token), &header, &claims);
        assert_string_equal(ak_json_text(header, "alg", NULL), "RS256");
        assert_null(json_object_get(header, "kid"));
        assert_string_equal(ak_json_text(claims, "sub", NULL), cases[i].subject);
        assert_int_equal(ak_buf_addf(&issuer, "%s.", cases[i].subject), 0);
        assert_int_equal(ak_jwt_key_fingerprint(key, &issuer, NULL), 0);
        assert_string_equal(ak_json_text(claims, "iss", NULL), ak_buf_text(&issuer));
        assert_int_equal(json_integer_value(json_object_get(claims, "iat")), NOW / 1000);
        assert_int_equal(json_integer_value(json_object_get(claims, "exp")), NOW / 1000 + 3600);
    }
}

static void a_fingerprint_is_the_hash_of_the_public_key(void **state)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(128);
    AK_AUTO(ak_buf) raw = AK_BUF_INIT(128);
    unsigned char *der = NULL, hash[32];
    int len = i2d_PUBKEY(key, &der);
    unsigned int n = 0;

    (void)state;
    assert_int_equal(EVP_Digest(der, (size_t)len, hash, &n, EVP_sha256(), NULL), 1);
    OPENSSL_free(der);
    assert_int_equal(ak_jwt_key_fingerprint(key, &text, NULL), 0);
    assert_int_equal(strncmp(ak_buf_text(&text), "SHA256:", 7), 0);
    assert_int_equal(ak_base64_read(&raw, ak_buf_text(&text) + 7, text.len - 7), 0);
    assert_int_equal(raw.len, 32);
    assert_memory_equal(raw.data, hash, 32);
}

static json_t *account_file(void)
{
    json_t *tree = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "type", "service_account",
                             "client_email", "a@p.iam", "private_key_id", "k1", "private_key", pem,
                             "project_id", "p", "token_uri", "https://t.example/token");

    assert_non_null(tree);
    return tree;
}

static int parse(const json_t *tree, struct ak_service_account *ret, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(1u << 16);

    assert_int_equal(ak_json_write(tree, &text, NULL), 0);
    return ak_service_account_parse(ak_buf_text(&text), text.len, ret, reterr);
}

static void a_service_account_signs_for_its_token_endpoint(void **state)
{
    AK_AUTO(ak_service_account) account = {0};
    AK_AUTO(ak_buf) token = AK_BUF_INIT(1u << 16);
    AK_AUTO_JSON *file = account_file(), *header = NULL, *claims = NULL;

    (void)state;
    assert_int_equal(parse(file, &account, NULL), 0);
    assert_string_equal(account.email, "a@p.iam");
    assert_string_equal(account.project, "p");
    assert_int_equal(ak_jwt_service_account(&account, "scope-1", NOW, &token, NULL), 0);
    open_token(ak_buf_text(&token), &header, &claims);
    assert_string_equal(ak_json_text(header, "kid", NULL), "k1");
    assert_string_equal(ak_json_text(claims, "iss", NULL), "a@p.iam");
    assert_string_equal(ak_json_text(claims, "aud", NULL), "https://t.example/token");
    assert_string_equal(ak_json_text(claims, "scope", NULL), "scope-1");
    assert_int_equal(json_integer_value(json_object_get(claims, "exp")), NOW / 1000 + 3600);
}

static void a_file_that_is_no_service_account_is_refused_without_quoting_it(void **state)
{
    static const struct {
        const char *field, *value, *words;
    } cases[] = {
        {"type", "authorized_user", "service account"},
        {"client_email", "", "client_email"},
        {"private_key", "", "private_key"},
        {"token_uri", "", "token_uri"},
        {"token_uri", "http://t.example/s3cret", "not https"},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_service_account) account = {0};
        AK_AUTO_JSON *file = account_file();
        AK_AUTO_PTR(ak_error) err = NULL;

        assert_int_equal(json_object_set_new(file, cases[i].field, json_string(cases[i].value)), 0);
        assert_int_equal(parse(file, &account, &err), AK_E_INVALID);
        assert_non_null(strstr(ak_error_message(err), cases[i].words));
        assert_null(strstr(ak_error_message(err), "PRIVATE"));
        assert_null(strstr(ak_error_message(err), "s3cret"));
    }
    for (size_t i = 0; i < 3; i++) {
        static const char *const texts[] = {"", "[]", "{\"type\": \"s3cret"};
        AK_AUTO(ak_service_account) account = {0};
        AK_AUTO_PTR(ak_error) err = NULL;

        assert_int_equal(ak_service_account_parse(texts[i], strlen(texts[i]), &account, &err),
                         AK_E_INVALID);
        assert_null(strstr(ak_error_message(err), "s3cret"));
    }
}

static char *written(EVP_PKEY *other, const EVP_CIPHER *cipher)
{
    static char text[8192];
    BIO *bio = BIO_new(BIO_s_mem());
    int n;

    assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, other, cipher, cipher ? "word" : NULL,
                                                   cipher ? 4 : 0, NULL, NULL),
                     1);
    n = BIO_read(bio, text, sizeof(text) - 1);
    assert_true(n > 0);
    text[n] = '\0';
    BIO_free(bio);
    EVP_PKEY_free(other);
    return text;
}

static void keys_that_do_not_do_are_refused(void **state)
{
    EVP_PKEY *read = NULL;

    (void)state;
    for (int i = 0; i < 4; i++) {
        const char *text = i == 0   ? written(EVP_RSA_gen(1024), NULL)
                           : i == 1 ? written(EVP_EC_gen("prime256v1"), NULL)
                           : i == 2
                               ? written(EVP_RSA_gen(2048), EVP_aes_256_cbc())
                               : "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        AK_AUTO_PTR(ak_secret) secret = ak_secret_new(text, strlen(text));

        assert_int_equal(ak_jwt_key_read(secret, &read, NULL), AK_E_INVALID);
        assert_null(read);
    }
}

static void memory_may_run_out_at_any_point(void **state)
{
    AK_AUTO_JSON *file = account_file();
    AK_AUTO(ak_buf) text = AK_BUF_INIT(1u << 16);
    int r = -1;

    (void)state;
    assert_int_equal(ak_json_write(file, &text, NULL), 0);
    for (int64_t n = 0; r < 0; n++) {
        AK_AUTO(ak_service_account) account = {0};
        AK_AUTO(ak_buf) token = AK_BUF_INIT(1u << 16);

        ak_alloc_fail_after(n);
        r = ak_service_account_parse(ak_buf_text(&text), text.len, &account, NULL);
        if (r >= 0)
            r = ak_jwt_service_account(&account, "s", NOW, &token, NULL);
        ak_alloc_fail_after(-1);
        assert_true(r == 0 || r == -ENOMEM);
        assert_true(n < 500);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_of_snowflake_names_account_user_and_key),
        cmocka_unit_test(a_fingerprint_is_the_hash_of_the_public_key),
        cmocka_unit_test(a_service_account_signs_for_its_token_endpoint),
        cmocka_unit_test(a_file_that_is_no_service_account_is_refused_without_quoting_it),
        cmocka_unit_test(keys_that_do_not_do_are_refused),
        cmocka_unit_test(memory_may_run_out_at_any_point),
    };

    ak_json_setup();
    return cmocka_run_group_tests(tests, make_key, free_key);
}
