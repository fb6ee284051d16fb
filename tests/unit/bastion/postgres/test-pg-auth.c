/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/postgres/pg_auth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <ak/base/alloc.h>

#define NONCE "fyko+d2lbbFgONRv9qkxdawL"

/* The server's side, from nothing but the verifier. */
struct server {
    char salt[64], first[256];
    uint8_t stored[32], key[32];
    int iterations;
};

static void decode(const char *text, uint8_t ret[static 32])
{
    uint8_t raw[64];

    assert_int_equal(EVP_DecodeBlock(raw, (const unsigned char *)text, (int)strcspn(text, ":\n")),
                     33);
    memcpy(ret, raw, 32);
}

static void server_init(struct server *s, const char *password)
{
    AK_AUTO_PTR(ak_secret) secret = ak_secret_new(password, strlen(password));
    AK_AUTO(ak_buf) text = AK_BUF_INIT(512);
    const char *stored;

    assert_int_equal(ak_pg_verifier(secret, &text, NULL), 0);
    assert_true(strncmp(text.data, "SCRAM-SHA-256$4096:", 19) == 0);
    stored = strchr(text.data + 19, '$');
    assert_non_null(stored);
    (void)snprintf(s->salt, sizeof(s->salt), "%.*s", (int)(stored - text.data - 19),
                   text.data + 19);
    decode(stored + 1, s->stored);
    decode(strchr(stored, ':') + 1, s->key);
    (void)snprintf(s->first, sizeof(s->first), "r=%s%s,s=%s,i=4096", NONCE, "server", s->salt);
}

/* Whether the client's proof is right; and what the server then says. */
static bool judge(const struct server *s, const char *client_first_bare, const char *client_final,
                  char ret[static 80])
{
    const char *proof = strstr(client_final, ",p=");
    uint8_t signature[32], given[64], key[32], hash[32], mine[32];
    char message[2048], text[64];

    assert_non_null(proof);
    (void)snprintf(message, sizeof(message), "%s,%s,%.*s", client_first_bare, s->first,
                   (int)(proof - client_final), client_final);
    HMAC(EVP_sha256(), s->stored, 32, (uint8_t *)message, strlen(message), signature, NULL);
    assert_int_equal(EVP_DecodeBlock(given, (const unsigned char *)proof + 3, 44), 33);
    for (int i = 0; i < 32; i++)
        key[i] = given[i] ^ signature[i];
    EVP_Digest(key, 32, hash, NULL, EVP_sha256(), NULL);
    HMAC(EVP_sha256(), s->key, 32, (uint8_t *)message, strlen(message), mine, NULL);
    EVP_EncodeBlock((unsigned char *)text, mine, 32);
    (void)snprintf(ret, 80, "v=%s", text);
    return memcmp(hash, s->stored, 32) == 0;
}

static int begin(struct ak_pg_scram *scram, struct ak_buf *out, size_t binding)
{
    return ak_pg_scram_first(scram, (const uint8_t *)"0123456789abcdef0123456789abcdef", binding,
                             false, NONCE, out, NULL);
}

static void test_both_sides_convince_each_other(void **state)
{
    static const char *const passwords[] = {"pencil", "", "p\xc3\xa4ss w\xc3\xb6rd", "\xff\xfe",
                                            "a'b\\c"};
    static const char *const guesses[] = {"pencil", "x"};

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(passwords); i++) {
        for (size_t j = 0; j < AK_ARRAY_LEN(guesses) + 1; j++) {
            const char *guess = j < AK_ARRAY_LEN(guesses) ? guesses[j] : passwords[i];
            AK_AUTO_PTR(ak_secret) secret = ak_secret_new(guess, strlen(guess));
            AK_AUTO(ak_pg_scram) scram = {.is_final = false};
            AK_AUTO(ak_buf) first = AK_BUF_INIT(4096), last = AK_BUF_INIT(4096);
            struct server server;
            char verdict[80];

            server_init(&server, passwords[i]);
            assert_int_equal(begin(&scram, &first, 0), 0);
            assert_string_equal(first.data, "n,,n=,r=" NONCE);
            assert_int_equal(ak_pg_scram_continue(&scram, secret, server.first,
                                                  strlen(server.first), &last, NULL),
                             0);
            assert_true(strncmp(last.data, "c=biws,r=" NONCE "server,p=", 18 + strlen(NONCE)) == 0);
            assert_int_equal(judge(&server, first.data + 3, last.data, verdict),
                             strcmp(guess, passwords[i]) == 0);
            assert_int_equal(ak_pg_scram_final(&scram, verdict, strlen(verdict), NULL),
                             strcmp(guess, passwords[i]) == 0 ? 0 : AK_E_UNAUTHORIZED);
        }
    }
}

static void test_a_bound_channel_is_part_of_what_is_proved(void **state)
{
    AK_AUTO_PTR(ak_secret) secret = ak_secret_new("pencil", 6);
    AK_AUTO(ak_pg_scram) scram = {.is_final = false};
    AK_AUTO(ak_buf) first = AK_BUF_INIT(4096), last = AK_BUF_INIT(4096);
    struct server server;
    char verdict[80];

    (void)state;
    server_init(&server, "pencil");
    assert_int_equal(begin(&scram, &first, 32), 0);
    assert_true(strncmp(first.data, "p=tls-server-end-point,,n=,r=", 29) == 0);
    assert_int_equal(
        ak_pg_scram_continue(&scram, secret, server.first, strlen(server.first), &last, NULL), 0);
    assert_true(strncmp(last.data, "c=cD10bHMtc2VydmVyLWVuZC1wb2ludCws", 34) == 0);
    assert_true(judge(&server, strstr(first.data, "n="), last.data, verdict));
    assert_int_equal(ak_pg_scram_final(&scram, verdict, strlen(verdict), NULL), 0);
}

static void test_a_server_that_breaks_the_exchange_is_refused(void **state)
{
    static const char *const firsts[] = {
        "",
        "r=",
        "r=" NONCE,
        "r=" NONCE ",s=QUJD,i=4096" /* adds nothing to our nonce */,
        "r=other,s=QUJD,i=4096",
        "r=" NONCE "x,s=,i=4096",
        "r=" NONCE "x,s=!!!!,i=4096",
        "r=" NONCE "x,s=QUJD,i=0",
        "r=" NONCE "x,s=QUJD,i=-1",
        "r=" NONCE "x,s=QUJD,i=4000000000",
        "r=" NONCE "x,s=QUJD,i=",
        "m=x,r=" NONCE "x,s=QUJD,i=4096",
        "r=" NONCE "x,i=4096,s=QUJD",
        "r=" NONCE "x,m=1,s=QUJD,i=4096",
    };
    static const char *const finals[] = {"", "v=", "e=other-error", "v=AAAA",
                                         "v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="};
    AK_AUTO_PTR(ak_secret) secret = ak_secret_new("pencil", 6);

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(firsts); i++) {
        AK_AUTO(ak_pg_scram) scram = {.is_final = false};
        AK_AUTO(ak_buf) first = AK_BUF_INIT(4096), last = AK_BUF_INIT(4096);

        assert_int_equal(begin(&scram, &first, 0), 0);
        if (ak_pg_scram_continue(&scram, secret, firsts[i], strlen(firsts[i]), &last, NULL) !=
            AK_E_PROTOCOL)
            fail_msg("accepted: %s", firsts[i]);
        assert_int_equal(last.len, 0);
        assert_int_equal(ak_pg_scram_final(&scram, "v=", 2, NULL), AK_E_UNAUTHORIZED);
    }
    for (size_t i = 0; i < AK_ARRAY_LEN(finals); i++) {
        AK_AUTO(ak_pg_scram) scram = {.is_final = false};
        AK_AUTO(ak_buf) first = AK_BUF_INIT(4096), last = AK_BUF_INIT(4096);
        static const char good[] = "r=" NONCE "x,s=QUJD,i=1";

        assert_int_equal(begin(&scram, &first, 0), 0);
        assert_int_equal(ak_pg_scram_continue(&scram, secret, good, sizeof(good) - 1, &last, NULL),
                         0);
        assert_int_equal(ak_pg_scram_final(&scram, finals[i], strlen(finals[i]), NULL),
                         AK_E_UNAUTHORIZED);
    }
}

static void test_md5_is_what_postgresql_computes(void **state)
{
    AK_AUTO_PTR(ak_secret) secret = ak_secret_new("secret", 6);
    char text[AK_PG_MD5_SIZE];

    (void)state;
    /* 'md5' || md5('secret' || 'app'), and of its digits with the salt 01020304 */
    assert_int_equal(ak_pg_md5_stored(secret, "app", text, NULL), 0);
    assert_string_equal(text, "md56a422f785c9e20873908ce25d1736ae2");
    assert_int_equal(ak_pg_md5(secret, "app", (const uint8_t *)"\1\2\3\4", text, NULL), 0);
    assert_string_equal(text, "md5911f527656472583a006e7727877b33e");
}

static void test_no_memory_is_an_error(void **state)
{
    bool failed = true;

    (void)state;
    for (int64_t n = 0; failed; n++) {
        AK_AUTO_PTR(ak_secret) secret = ak_secret_new("pencil", 6);
        AK_AUTO(ak_pg_scram) scram = {.is_final = false};
        AK_AUTO(ak_buf) out = AK_BUF_INIT(4096);
        static const char first[] = "r=" NONCE "x,s=QUJD,i=1";
        int r;

        (void)ak_alloc_fail_after(n);
        r = begin(&scram, &out, 0);
        if (r == 0)
            r = ak_pg_scram_continue(&scram, secret, first, sizeof(first) - 1, &out, NULL);
        if (r == 0)
            r = ak_pg_verifier(secret, &out, NULL);
        failed = ak_alloc_fail_after(-1);
        assert_int_equal(r, failed ? -ENOMEM : 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_sides_convince_each_other),
        cmocka_unit_test(test_a_bound_channel_is_part_of_what_is_proved),
        cmocka_unit_test(test_a_server_that_breaks_the_exchange_is_refused),
        cmocka_unit_test(test_md5_is_what_postgresql_computes),
        cmocka_unit_test(test_no_memory_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
