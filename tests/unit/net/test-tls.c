/* SPDX-License-Identifier: Apache-2.0 */
/* A server with a certificate of its own making, clients that know it by its key, and clients that must show theirs. */
#include <ak/net/tls.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/net/http_client.h>

#include "../../../lib/net/http_internal.h"
#include "rig.h"

static void say_name(struct ak_http_exchange *ex, void *user)
{
    const char *name = ak_http_peer_name(ex);

    (void)user;
    assert_int_equal(ak_http_peer_credentials(ex, NULL, NULL), -ENOTSUP);
    name = name ? name : "nobody";
    ak_http_reply_text(ex, 200, "text/plain", name, strlen(name), NULL);
}

static const struct ak_http_route routes[] = {{"GET", "/", say_name}, {0}};

/* What one request with a new client brings: the body, or "" and *ret_code. */
static void ask(const struct ak_http_target *target, char *body, size_t size, int *ret_code)
{
    struct ak_http_request req = {.method = "GET", .path = "/", .timeout = AK_SECONDS(20)};
    AK_AUTO_PTR(ak_http_client) client = NULL;
    AK_AUTO(ak_http_reply) reply = {0};

    assert_int_equal(ak_http_client_new(target, &client, NULL), 0);
    *ret_code = ak_http_do(client, &req, &reply, NULL);
    (void)snprintf(body, size, "%s", *ret_code < 0 ? "" : ak_buf_text(&reply.body));
    if (*ret_code >= 0) { /* the session is resumed, the key still checked, the name still known */
        AK_AUTO(ak_http_reply) again = {0};

        assert_int_equal(ak_http_do(client, &req, &again, NULL), 0);
        assert_string_equal(ak_buf_text(&again.body), body);
    }
}

static void a_self_signed_server_is_known_by_its_key(void **state)
{
    struct ak_tls_server_options options = {.self_signed_name = "keeper", .tls13_only = true};
    AK_AUTO_PTR(ak_tls_context) tls = NULL;
    AK_AUTO_PTR(ak_tls_context) other = NULL;
    struct rig_server s = {0};
    struct ak_http_server_options o = {.routes = routes};
    char body[64];
    int code;

    (void)state;
    assert_int_equal(ak_tls_context_new_server(&options, &tls, NULL), 0);
    assert_int_equal(ak_tls_context_new_server(&options, &other, NULL), 0);
    assert_true(ak_has_prefix(ak_tls_context_pin(tls), "sha256//"));
    assert_int_equal(strlen(ak_tls_context_pin(tls)), 8 + 44);
    assert_string_not_equal(ak_tls_context_pin(tls), ak_tls_context_pin(other));
    o.tls = tls;
    rig_server_start(&s, &o);
    struct ak_http_target pinned = {.base_url = s.url,
                                    .pinned_public_key = ak_tls_context_pin(tls)};
    struct ak_http_target wrong = {.base_url = s.url,
                                   .pinned_public_key = ak_tls_context_pin(other)};
    struct ak_http_target plain = {.base_url = s.url};

    ask(&pinned, body, sizeof(body), &code);
    assert_int_equal(code, 0);
    assert_string_equal(body, "nobody");
    ask(&wrong, body, sizeof(body), &code);
    assert_int_equal(code, -EKEYREJECTED);
    ask(&plain, body, sizeof(body), &code);
    assert_int_equal(code, AK_E_PROTOCOL);
    rig_server_end(&s);
}

struct client_case {
    const char *client_name; /* that the server wants; NULL: any */
    bool shows, foreign;     /* a certificate; of another authority */
    bool in;
};
static const struct client_case client_cases[] = {
    {NULL, true, false, true},    {"tester", true, false, true}, {"manager", true, false, false},
    {"test", true, false, false}, {NULL, false, false, false},   {NULL, true, true, false},
};

static void only_clients_with_the_right_certificate_and_name_come_in(void **state)
{
    struct rig_pki pki = {0}, other = {0};

    (void)state;
    rig_pki_make(&pki);
    rig_pki_make(&other);
    for (size_t i = 0; i < AK_ARRAY_LEN(client_cases); i++) {
        const struct client_case *c = &client_cases[i];
        const struct rig_pki *own = c->foreign ? &other : &pki;
        struct ak_tls_server_options options = {
            .client_ca_pem = pki.ca, .client_name = c->client_name, .tls13_only = true};
        AK_AUTO_PTR(ak_tls_context) tls = NULL;
        struct rig_server s = {0};
        struct ak_http_server_options o = {.routes = routes};
        struct ak_http_target target = {0};
        char body[64];
        int code;

        assert_int_equal(ak_tls_context_new_server(&options, &tls, NULL), 0);
        o.tls = tls;
        rig_server_start(&s, &o);
        target.base_url = s.url;
        target.pinned_public_key = ak_tls_context_pin(tls);
        if (c->shows) {
            target.client_cert_pem = own->client_cert;
            target.client_key_pem = own->client_secret;
        }
        ask(&target, body, sizeof(body), &code);
        if (c->in != (code == 0))
            fail_msg("case %zu: %d", i, code);
        if (c->in)
            assert_string_equal(body, "tester");
        rig_server_end(&s);
    }
    rig_pki_done(&pki);
    rig_pki_done(&other);
}

static void a_certificate_that_was_given_is_shown(void **state)
{
    struct rig_pki pki = {0};
    struct ak_tls_server_options options = {0};
    AK_AUTO_PTR(ak_tls_context) tls = NULL;
    AK_AUTO_PTR(ak_secret) key = NULL;
    AK_AUTO_PTR(ak_error) err = NULL;
    struct rig_server s = {0};
    struct ak_http_server_options o = {.routes = routes};
    struct ak_http_target target = {0};
    char body[64];
    int code;

    (void)state;
    rig_pki_make(&pki);
    key = ak_secret_new(pki.server_key, strlen(pki.server_key));
    options.cert_pem = pki.server_cert;
    assert_int_equal(ak_tls_context_new_server(&options, &tls, NULL),
                     -EINVAL); /* without its key */
    options.key_pem = pki.client_secret;
    assert_int_equal(ak_tls_context_new_server(&options, &tls, &err), -EINVAL); /* another's key */
    assert_non_null(strstr(ak_error_message(err), "server key"));
    options.key_pem = key;
    options.client_ca_pem = "nonsense";
    assert_int_equal(ak_tls_context_new_server(&options, &tls, &err), -EINVAL);
    assert_non_null(strstr(ak_error_message(err), "authority"));
    options.client_ca_pem = NULL;
    assert_int_equal(ak_tls_context_new_server(&options, &tls, NULL), 0);
    o.tls = tls;
    rig_server_start(&s, &o);
    target.base_url = s.url;
    target.ca_pem = pki.ca;
    ask(&target, body, sizeof(body), &code);
    assert_int_equal(code, 0);
    rig_server_end(&s);
    rig_pki_done(&pki);
}

static void without_memory_there_is_no_context(void **state)
{
    struct ak_tls_server_options options = {.client_name = "x"};

    (void)state;
    for (int64_t n = 0; n < 50; n++) {
        AK_AUTO_PTR(ak_tls_context) tls = NULL;
        int r;

        (void)ak_alloc_fail_after(n);
        r = ak_tls_context_new_server(&options, &tls, NULL);
        if (!ak_alloc_fail_after(-1)) {
            assert_int_equal(r, 0);
            return;
        }
        assert_true(r < 0);
        assert_null(tls);
    }
    fail_msg("never succeeded");
}

static int authorities_of(const struct ak_http_target *target)
{
    AK_AUTO_PTR(ak_http_client) client = NULL;

    assert_int_equal(ak_http_client_new(target, &client, NULL), 0);
    return sk_X509_OBJECT_num(X509_STORE_get0_objects(client->tls.store));
}

/* The system's bundle is a megabyte in memory; the manager has a client for each pod that it knows by its key. */
static void who_looks_at_no_authority_reads_none(void **state)
{
    char path[] = "/tmp/ak-test-bundle-XXXXXX";
    struct rig_pki pki = {0};
    int fd = mkstemp(path);
    struct ak_http_target target = {.base_url = "https://127.0.0.1:1"};

    (void)state;
    rig_pki_make(&pki);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, pki.ca, strlen(pki.ca)), strlen(pki.ca));
    (void)close(fd);
    assert_int_equal(setenv("SSL_CERT_FILE", path, 1), 0);
    assert_int_equal(authorities_of(&target), 1);
    target.pinned_public_key = "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    assert_int_equal(authorities_of(&target), 0);
    target.pinned_public_key = NULL;
    target.insecure_skip_verify = true;
    assert_int_equal(authorities_of(&target), 0);
    assert_int_equal(unsetenv("SSL_CERT_FILE"), 0);
    (void)unlink(path);
    rig_pki_done(&pki);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_self_signed_server_is_known_by_its_key),
        cmocka_unit_test(only_clients_with_the_right_certificate_and_name_come_in),
        cmocka_unit_test(a_certificate_that_was_given_is_shown),
        cmocka_unit_test(without_memory_there_is_no_context),
        cmocka_unit_test(who_looks_at_no_authority_reads_none),
    };

    return cmocka_run_group_tests_name("net/tls", tests, NULL, NULL);
}
