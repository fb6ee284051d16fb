/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates for a client, and a rotation that waits for those who got the bundle by hand. */
#include <ak/manage/certs.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#define DAY AK_HOURS(24)

static const char *const names[] = {"agentkube-manager", NULL};
static const struct ak_certs_options options = {
    .names = names, .client = true, .leaf_life = 365 * DAY, .switch_after = 90 * DAY};

static ak_msec now;
static ak_msec clock_read(void *user)
{
    (void)user;
    return now;
}
static const struct ak_clock hand_clock = {.monotonic = clock_read, .wall = clock_read};

static int set_clock(void **state)
{
    (void)state;
    return ak_parse_rfc3339("2026-11-23T00:00:00Z", &now);
}

static struct ak_certs *issue(const struct ak_certs *before)
{
    struct ak_certs *made = NULL;

    assert_int_equal(ak_certs_issue(&options, before, &hand_clock, &made, NULL), 0);
    return made;
}

/* Does who trusts `bundle` let a client in that shows this? */
static bool is_let_in(const struct ak_certs *certs, const char *bundle)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    AK_AUTO_TEXT char *pem = NULL;
    AK_AUTO_PTR(ak_secret) key = NULL;
    X509 *ca;

    assert_int_equal(ak_certs_to_pem(certs, &pem, &key, NULL), 0);
    BIO *bio = BIO_new_mem_buf(pem, -1), *trusted = BIO_new_mem_buf(bundle, -1);
    X509 *leaf = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    while ((ca = PEM_read_bio_X509(trusted, NULL, NULL, NULL)) != NULL) {
        assert_int_equal(X509_STORE_add_cert(store, ca), 1);
        X509_free(ca);
    }
    assert_int_equal(X509_STORE_CTX_init(ctx, store, leaf, NULL), 1);
    X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(ctx), (time_t)(now / 1000));
    assert_int_equal(
        X509_VERIFY_PARAM_set_purpose(X509_STORE_CTX_get0_param(ctx), X509_PURPOSE_SSL_CLIENT), 1);
    bool ok = X509_verify_cert(ctx) == 1;
    X509_free(leaf);
    BIO_free(bio);
    BIO_free(trusted);
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    return ok;
}

static void test_a_client_is_let_in_and_is_no_server(void **state)
{
    AK_AUTO_PTR(ak_certs) certs = issue(NULL);
    AK_AUTO_TEXT char *pem = NULL;
    AK_AUTO_PTR(ak_secret) key = NULL;
    size_t len = 0;

    (void)state;
    assert_true(is_let_in(certs, ak_certs_bundle(certs)));
    assert_int_equal(ak_certs_to_pem(certs, &pem, &key, NULL), 0);
    assert_non_null(strstr(pem, "BEGIN CERTIFICATE"));
    assert_null(strstr(pem, "PRIVATE"));
    assert_non_null(strstr(ak_secret_peek(key, &len), "PRIVATE KEY"));
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *leaf = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    assert_int_equal(X509_check_purpose(leaf, X509_PURPOSE_SSL_CLIENT, 0), 1);
    assert_int_equal(X509_check_purpose(leaf, X509_PURPOSE_SSL_SERVER, 0), 0);
    char cn[65];
    assert_true(
        X509_NAME_get_text_by_NID(X509_get_subject_name(leaf), NID_commonName, cn, sizeof(cn)) > 0);
    assert_string_equal(cn, "agentkube-manager");
    X509_free(leaf);
    BIO_free(bio);
}

static void test_a_new_authority_signs_only_when_it_was_known_long_enough(void **state)
{
    AK_AUTO_PTR(ak_certs) first = issue(NULL);
    AK_AUTO_PTR(ak_certs) both = NULL;
    AK_AUTO_PTR(ak_certs) switched = NULL;

    (void)state;
    assert_int_equal(ak_certs_issue_authority(&options, first, &hand_clock, &both, NULL), 0);
    assert_int_equal(ak_certs_judge(both, &options, &hand_clock), AK_CERTS_GOOD);
    assert_true(is_let_in(both, ak_certs_bundle(first)));
    now += 90 * DAY - 1;
    assert_int_equal(ak_certs_judge(both, &options, &hand_clock), AK_CERTS_GOOD);
    now += 1;
    assert_int_equal(ak_certs_judge(both, &options, &hand_clock), AK_CERTS_SWITCH);
    switched = issue(both);
    assert_true(is_let_in(switched, ak_certs_bundle(both)));
    assert_false(is_let_in(switched, ak_certs_bundle(first)));
}

static void test_a_certificate_that_ends_soon_does_not_wait(void **state)
{
    AK_AUTO_PTR(ak_certs) first = issue(NULL);
    AK_AUTO_PTR(ak_certs) both = NULL;

    (void)state;
    now += 300 * DAY;
    assert_int_equal(ak_certs_issue_authority(&options, first, &hand_clock, &both, NULL), 0);
    assert_int_equal(ak_certs_judge(both, &options, &hand_clock), AK_CERTS_GOOD);
    now += 35 * DAY; /* 30 of 365 days are left */
    assert_int_equal(ak_certs_judge(both, &options, &hand_clock), AK_CERTS_SWITCH);
}

static void test_pem_is_given_whole_or_not_at_all(void **state)
{
    AK_AUTO_PTR(ak_certs) certs = issue(NULL);
    int r = -ENOMEM;

    (void)state;
    for (int64_t n = 0; r == -ENOMEM; n++) {
        AK_AUTO_TEXT char *pem = NULL;
        AK_AUTO_PTR(ak_secret) key = NULL;
        AK_AUTO_PTR(ak_error) err = NULL;
        ak_alloc_fail_after(n);
        r = ak_certs_to_pem(certs, &pem, &key, &err);
        (void)ak_alloc_fail_after(-1);
        assert_true(r == 0 || r == -ENOMEM);
        assert_int_equal(r == 0, pem && key);
        assert_true(n < 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_client_is_let_in_and_is_no_server, set_clock),
        cmocka_unit_test_setup(test_a_new_authority_signs_only_when_it_was_known_long_enough,
                               set_clock),
        cmocka_unit_test_setup(test_a_certificate_that_ends_soon_does_not_wait, set_clock),
        cmocka_unit_test_setup(test_pem_is_given_whole_or_not_at_all, set_clock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
