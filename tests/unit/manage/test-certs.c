/* SPDX-License-Identifier: Apache-2.0 */
/* Making, judging, storing certificates, with a clock that is moved by hand; the keeper on a scripted API. */
#include <ak/manage/certs.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/base/thread.h>
#include <ak/kube/config.h>
#include <ak/net/http_server.h>

#include "rig.h"

#define DAY AK_HOURS(24)
#define SERVICE "agentkube-manager.agentkube-system.svc"

static const char *const names[] = {SERVICE, SERVICE ".cluster.local", "127.0.0.1", NULL};
static const struct ak_certs_options options = {.names = names, .issuer = "agentkube-manager"};

/* ---- a clock ---- */

static ak_msec now; /* both clocks: they move together */

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
    struct ak_error *err = NULL;

    if (ak_certs_issue(&options, before, &hand_clock, &made, &err) < 0)
        fail_msg("issue: %s", ak_error_message(err));
    return made;
}

static enum ak_certs_verdict judge(const struct ak_certs *certs)
{
    return ak_certs_judge(certs, &options, &hand_clock);
}

static size_t count_cas(const struct ak_certs *certs)
{
    size_t n = 0;

    for (const char *p = ak_certs_bundle(certs); (p = strstr(p, "BEGIN CERT")) != NULL; p++)
        n++;
    return n;
}

/* The certificate that a client would be shown. */
static X509 *shown_cert(const struct ak_certs *certs)
{
    SSL_CTX *ctx = NULL;

    assert_int_equal(ak_certs_tls(certs, &ctx, NULL), 0);
    X509 *cert = X509_dup(SSL_CTX_get0_certificate(ctx));
    SSL_CTX_free(ctx);
    return cert;
}

/* Does a client that trusts `bundle` accept what `shown` shows, at the time of the clock? */
static bool is_accepted(const struct ak_certs *shown, const char *bundle, const char *host)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    BIO *bio = BIO_new_mem_buf(bundle, -1);
    X509 *leaf = shown_cert(shown), *ca;

    while ((ca = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        assert_int_equal(X509_STORE_add_cert(store, ca), 1);
        X509_free(ca);
    }
    assert_int_equal(X509_STORE_CTX_init(ctx, store, leaf, NULL), 1);
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
    X509_VERIFY_PARAM_set_time(param, (time_t)(now / 1000));
    assert_int_equal(X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER), 1);
    assert_int_equal(X509_VERIFY_PARAM_set1_host(param, host, 0), 1);
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
    bool ok = X509_verify_cert(ctx) == 1;
    X509_free(leaf);
    BIO_free(bio);
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    return ok;
}

/* ---- a set ---- */

static void test_a_first_set_is_good_and_valid_for_every_name(void **state)
{
    AK_AUTO_PTR(ak_certs) certs = issue(NULL);
    X509 *leaf = shown_cert(certs);

    (void)state;
    assert_int_equal(judge(certs), AK_CERTS_GOOD);
    assert_int_equal(count_cas(certs), 1);
    assert_true(is_accepted(certs, ak_certs_bundle(certs), SERVICE));
    assert_true(is_accepted(certs, ak_certs_bundle(certs), SERVICE ".cluster.local"));
    assert_false(is_accepted(certs, ak_certs_bundle(certs), "evil.example"));
    assert_int_equal(X509_check_ip_asc(leaf, "127.0.0.1", 0), 1);
    assert_int_equal(X509_check_ip_asc(leaf, "127.0.0.2", 0), 0);
    assert_int_equal(ak_certs_leaf_expires(certs), now + 90 * DAY);
    assert_true(ak_certs_ca_expires(certs) > now + 3650 * DAY);
    X509_free(leaf);
}

static void test_names_that_are_none_are_refused(void **state)
{
    static const char *const bad[] = {"evil,DNS:other", "", "a b", "UPPER.example", "*.svc"};

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(bad); i++) {
        AK_AUTO_PTR(ak_certs) made = NULL;
        AK_AUTO_PTR(ak_error) err = NULL;
        const char *const list[] = {SERVICE, bad[i], NULL};
        struct ak_certs_options o = {.names = list};
        assert_int_equal(ak_certs_issue(&o, NULL, &hand_clock, &made, &err), -EINVAL);
        assert_non_null(strstr(ak_error_message(err), "is neither a DNS name nor an IP address"));
    }
    const char *const none[] = {NULL};
    struct ak_certs_options o = {.names = none};
    AK_AUTO_PTR(ak_certs) made = NULL;
    assert_int_equal(ak_certs_issue(&o, NULL, &hand_clock, &made, NULL), -EINVAL);
}

static void test_the_verdict_follows_the_clock(void **state)
{
    AK_AUTO_PTR(ak_certs) certs = issue(NULL);
    static const struct {
        ak_msec after;
        enum ak_certs_verdict verdict;
        const char *why;
    } cases[] = {
        {0, AK_CERTS_GOOD, "just made"},
        {-AK_MINUTES(30), AK_CERTS_GOOD, "an apiserver's clock may be a little behind"},
        {-AK_HOURS(2), AK_CERTS_UNUSABLE, "not valid yet"},
        {59 * DAY, AK_CERTS_GOOD, "more than a third is left"},
        {61 * DAY, AK_CERTS_RENEW_LEAF, "less than a third is left"},
        {200 * DAY, AK_CERTS_RENEW_LEAF, "expired: nobody was there to renew it"},
        {3653 * DAY, AK_CERTS_UNUSABLE, "the authority has expired"},
    };
    ak_msec made = now;

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        now = made + cases[i].after;
        if (judge(certs) != cases[i].verdict)
            fail_msg("%s: %s", cases[i].why, ak_certs_verdict_to_string(judge(certs)));
    }
}

static void test_a_name_that_was_added_renews_the_serving_certificate(void **state)
{
    AK_AUTO_PTR(ak_certs) certs = issue(NULL);
    AK_AUTO_PTR(ak_certs) next = NULL;
    const char *const more[] = {SERVICE, "hooks.example.com", NULL};
    const struct ak_certs_options o = {.names = more};

    (void)state;
    assert_int_equal(ak_certs_judge(certs, &o, &hand_clock), AK_CERTS_RENEW_LEAF);
    assert_int_equal(ak_certs_issue(&o, certs, &hand_clock, &next, NULL), 0);
    assert_int_equal(ak_certs_judge(next, &o, &hand_clock), AK_CERTS_GOOD);
    assert_string_equal(ak_certs_bundle(next), ak_certs_bundle(certs));
    assert_true(is_accepted(next, ak_certs_bundle(certs), "hooks.example.com"));
}

/* The apiserver, or another replica, may be a step behind: neighbours accept each other. */
static void test_at_each_step_of_a_rotation_old_and_new_accept_each_other(void **state)
{
    AK_AUTO_PTR(ak_certs) first = issue(NULL);

    (void)state;
    now = ak_certs_ca_expires(first) - 300 * DAY;
    assert_int_equal(judge(first), AK_CERTS_RENEW_LEAF); /* it had expired */
    AK_AUTO_PTR(ak_certs) aged = issue(first);
    assert_int_equal(judge(aged), AK_CERTS_RENEW_CA);
    AK_AUTO_PTR(ak_certs) both = issue(aged);
    assert_int_equal(judge(both), AK_CERTS_SWITCH);
    AK_AUTO_PTR(ak_certs) switched = issue(both);
    assert_int_equal(judge(switched), AK_CERTS_GOOD);
    assert_int_equal(count_cas(aged), 1);
    assert_int_equal(count_cas(both), 2);
    assert_int_equal(count_cas(switched), 2);
    /* shown by ...                trusted by ... */
    assert_true(is_accepted(aged, ak_certs_bundle(both), SERVICE));
    assert_true(is_accepted(both, ak_certs_bundle(aged), SERVICE));
    assert_true(is_accepted(switched, ak_certs_bundle(both), SERVICE));
    assert_true(is_accepted(both, ak_certs_bundle(switched), SERVICE));
    assert_false(
        is_accepted(switched, ak_certs_bundle(aged), SERVICE)); /* why it takes two steps */
    now += 61 * DAY;
    assert_int_equal(judge(switched), AK_CERTS_RENEW_LEAF);
    AK_AUTO_PTR(ak_certs) last = issue(switched);
    assert_int_equal(count_cas(last), 1);
    assert_int_equal(judge(last), AK_CERTS_GOOD);
    assert_true(is_accepted(last, ak_certs_bundle(switched), SERVICE));
}

static void test_a_serving_certificate_does_not_outlive_its_authority(void **state)
{
    AK_AUTO_PTR(ak_certs) certs = NULL;
    struct ak_certs_options o = options;

    (void)state;
    o.ca_life = 30 * DAY;
    assert_int_equal(ak_certs_issue(&o, NULL, &hand_clock, &certs, NULL), 0);
    assert_true(ak_certs_leaf_expires(certs) <= ak_certs_ca_expires(certs));
}

/* ---- as a Secret ---- */

static void test_a_set_survives_its_secret(void **state)
{
    AK_AUTO_PTR(ak_certs) certs = issue(NULL);
    AK_AUTO_PTR(ak_certs) back = NULL;
    AK_AUTO_JSON *secret = NULL;

    (void)state;
    assert_int_equal(ak_certs_to_secret(certs, "ns", "name", &secret, NULL), 0);
    assert_string_equal(ak_json_text(secret, "type", NULL), "kubernetes.io/tls");
    assert_string_equal(ak_json_text(secret, "metadata", "namespace", NULL), "ns");
    assert_int_equal(ak_certs_from_secret(secret, &back, NULL), 0);
    assert_true(ak_certs_equal(certs, back));
    AK_AUTO_PTR(ak_certs) next = issue(back); /* its keys are whole, too */
    assert_false(ak_certs_equal(certs, next));
}

static void test_a_damaged_secret_is_refused_in_words_that_quote_nothing(void **state)
{
    AK_AUTO_PTR(ak_certs) certs = issue(NULL);
    AK_AUTO_PTR(ak_certs) others = issue(NULL);
    AK_AUTO_JSON *good = NULL;
    AK_AUTO_JSON *other = NULL;
    static const struct {
        const char *key, *value; /* NULL: left out; "other": of another set */
        const char *message;
    } cases[] = {
        {"ca.crt", NULL, "data[ca.crt]: is missing"},
        {"tls.crt", "", "data[tls.crt]: is not base64, or too long"},
        {"tls.key", "c2VjcmV0", "data[tls.key]: no private key in it"},
        {"ca.key", "!!!!", "data[ca.key]: is not base64, or too long"},
        {"ca.crt", "c2VjcmV0", "data[ca.crt]: no certificate in it"},
        {"tls.key", "other", "the key does not belong to the serving certificate"},
        {"ca.key", "other", "the key does not belong to the authority"},
    };

    (void)state;
    assert_int_equal(ak_certs_to_secret(certs, "ns", "name", &good, NULL), 0);
    assert_int_equal(ak_certs_to_secret(others, "ns", "name", &other, NULL), 0);
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO_JSON *bad = ak_json_copy(good);
        AK_AUTO_PTR(ak_certs) read = NULL;
        AK_AUTO_PTR(ak_error) err = NULL;
        json_t *data = json_object_get(bad, "data");
        const char *value = cases[i].value;
        if (ak_streq(value, "other"))
            value = ak_json_text(other, "data", cases[i].key, NULL);
        if (value)
            json_object_set_new(data, cases[i].key, json_string(value));
        else
            json_object_del(data, cases[i].key);
        assert_int_equal(ak_certs_from_secret(bad, &read, &err), AK_E_INVALID);
        assert_string_equal(ak_error_message(err), cases[i].message);
    }
}

static void test_the_bundle_goes_into_every_webhook_and_nowhere_else(void **state)
{
    AK_AUTO_PTR(ak_certs) certs = issue(NULL);
    AK_AUTO_JSON *plain = NULL;

    (void)state;
    plain = json_pack("{s:[{s:s, s:{s:{s:s}}}, {s:s, s:{s:s, s:s}}, {s:s}]}", "webhooks", "name",
                      "a", "clientConfig", "service", "name", "s", "name", "b", "clientConfig",
                      "url", "https://x", "caBundle", "Cg==", "name", "c");
    assert_int_equal(ak_certs_put_bundle(plain, ak_certs_bundle(certs), NULL), 1);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(strlen(ak_json_text(json_array_get(json_object_get(plain, "webhooks"), i),
                                             "clientConfig", "caBundle", NULL)),
                         (strlen(ak_certs_bundle(certs)) + 2) / 3 * 4);
    assert_null(
        json_object_get(json_array_get(json_object_get(plain, "webhooks"), 2), "clientConfig"));
    assert_int_equal(ak_certs_put_bundle(plain, ak_certs_bundle(certs), NULL), 0);
}

/* ---- the keeper, on an API that knows two objects ---- */

#define SECRET_PATH "/api/v1/namespaces/ns/secrets"
#define CONFIG_PATH "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/hooks"

struct api {
    struct rig_server server;
    json_t *secret, *configuration; /* of the loop's thread, or while the keeper does not look */
    int version, secret_writes, configuration_writes, conflicts;
    bool fail;
    struct ak_kube_config *config;
    struct ak_client *client;
    char folder[64];
};

static void reply_json(struct ak_http_exchange *ex, int status, const json_t *tree)
{
    char *text = json_dumps(tree, 0);

    ak_http_reply_text(ex, status, "application/json", text, strlen(text), NULL);
    free(text);
}

static void reply_status(struct ak_http_exchange *ex, int code, const char *reason)
{
    AK_AUTO_JSON *tree = json_pack("{s:s, s:s, s:i, s:s, s:s}", "kind", "Status", "status",
                                   "Failure", "code", code, "reason", reason, "message", reason);

    reply_json(ex, code, tree);
}

/* GET, POST and PUT with resourceVersion, as every object has them. */
static void handle_object(struct ak_http_exchange *ex, struct api *api, json_t **slot, int *writes)
{
    size_t len;
    const char *body = ak_http_body(ex, &len);
    const char *method = ak_http_method(ex);

    if (api->fail) {
        reply_status(ex, 403, "Forbidden");
    } else if (ak_streq(method, "GET")) {
        if (*slot)
            reply_json(ex, 200, *slot);
        else
            reply_status(ex, 404, "NotFound");
    } else if (ak_streq(method, "POST") && *slot) {
        reply_status(ex, 409, "AlreadyExists");
    } else {
        json_t *tree = json_loadb(body, len, 0, NULL);
        char version[16];
        const char *stated = ak_json_text(tree, "metadata", "resourceVersion", NULL);
        if (*slot && stated &&
            !ak_streq(stated, ak_json_text(*slot, "metadata", "resourceVersion", NULL))) {
            api->conflicts++;
            json_decref(tree);
            reply_status(ex, 409, "Conflict");
            return;
        }
        (void)snprintf(version, sizeof(version), "%d", ++api->version);
        json_object_set_new(json_object_get(tree, "metadata"), "resourceVersion",
                            json_string(version));
        json_decref(*slot);
        *slot = tree;
        (*writes)++;
        reply_json(ex, 200, tree);
    }
}

static void on_secret(struct ak_http_exchange *ex, void *user)
{
    struct api *api = user;

    handle_object(ex, api, &api->secret, &api->secret_writes);
}

static void on_configuration(struct ak_http_exchange *ex, void *user)
{
    struct api *api = user;

    handle_object(ex, api, &api->configuration, &api->configuration_writes);
}

static const struct ak_http_route routes[] = {
    {NULL, SECRET_PATH, on_secret},
    {NULL, SECRET_PATH "/certs", on_secret},
    {NULL, CONFIG_PATH, on_configuration},
    {NULL, NULL, NULL},
};

static void api_start(struct api *api)
{
    const struct ak_http_server_options o = {
        .bind_address = "127.0.0.1", .routes = routes, .user = api};
    char path[128], text[512];

    rig_server_start(&api->server, &o);
    (void)snprintf(api->folder, sizeof(api->folder), "/tmp/ak-certs-XXXXXX");
    assert_non_null(mkdtemp(api->folder));
    (void)snprintf(path, sizeof(path), "%s/kubeconfig", api->folder);
    (void)snprintf(text, sizeof(text),
                   "clusters: [{name: c, cluster: {server: \"%s\"}}]\nusers: [{name: u, user: "
                   "{}}]\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n"
                   "current-context: x\n",
                   api->server.url);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    struct ak_kube_config_options c = {.paths = path};
    struct ak_error *err = NULL;
    if (ak_kube_config_load(&c, &api->config, &err) < 0 ||
        ak_client_new(api->config, &api->client, &err) < 0)
        fail_msg("%s", ak_error_message(err));
    (void)unlink(path);
    (void)rmdir(api->folder);
    api->configuration =
        json_pack("{s:s, s:s, s:{s:s, s:s}, s:[{s:s, s:{s:s}}]}", "apiVersion",
                  "admissionregistration.k8s.io/v1", "kind", "ValidatingWebhookConfiguration",
                  "metadata", "name", "hooks", "resourceVersion", "1", "webhooks", "name", "a",
                  "clientConfig", "url", "https://x");
}

static void api_end(struct api *api)
{
    ak_client_free(api->client);
    ak_kube_config_free(api->config);
    rig_server_end(&api->server);
    json_decref(api->secret);
    json_decref(api->configuration);
}

struct replica {
    struct ak_certs_keeper *keeper;
    bool may_write, refuse;
    int changes, reports;
    ak_msec leaf_expires;
    char *bundle;
};

static bool may_write(void *user)
{
    return ((struct replica *)user)->may_write;
}

static int on_changed(const struct ak_certs *certs, void *user, struct ak_error **reterr)
{
    struct replica *self = user;

    if (self->refuse)
        return ak_error_set(reterr, -EADDRINUSE, "no port");
    self->changes++;
    self->leaf_expires = ak_certs_leaf_expires(certs);
    ak_free(self->bundle);
    self->bundle = ak_strdup(ak_certs_bundle(certs));
    return 0;
}

static void on_report(const struct ak_error *err, void *user)
{
    (void)err;
    ((struct replica *)user)->reports++;
}

static void replica_start(struct replica *self, struct api *api, bool leads)
{
    const struct ak_certs_keeper_options o = {
        .client = api->client,
        .clock = &hand_clock,
        .namespace_ = "ns",
        .secret = "certs",
        .configuration = "hooks",
        .manager = "test",
        .certs = options,
        .may_write = may_write,
        .may_write_user = self,
        .changed = on_changed,
        .report = on_report,
        .user = self,
    };

    self->may_write = leads;
    assert_int_equal(ak_certs_keeper_new(&o, &self->keeper, NULL), 0);
}

static bool look(struct replica *self)
{
    struct ak_error *err = NULL;
    bool settled = false;

    if (ak_certs_keeper_look(self->keeper, &settled, &err) < 0)
        fail_msg("%s", ak_error_message(err));
    return settled;
}

static void replica_end(struct replica *self)
{
    ak_certs_keeper_free(self->keeper);
    ak_free(self->bundle);
}

/* What the apiserver trusts; the caller ak_free()s it. */
static char *trusted(const struct api *api)
{
    const char *text =
        ak_json_text(json_array_get(json_object_get(api->configuration, "webhooks"), 0),
                     "clientConfig", "caBundle", NULL);
    if (!text)
        return NULL;
    char *raw = ak_calloc(1, strlen(text) + 1);
    assert_true(
        EVP_DecodeBlock((unsigned char *)raw, (const unsigned char *)text, (int)strlen(text)) > 0);
    return raw;
}

static void assert_trusted(const struct api *api, const struct replica *self)
{
    char *bundle = trusted(api);

    assert_non_null(bundle);
    assert_string_equal(bundle, self->bundle);
    ak_free(bundle);
}

static void test_the_first_replica_makes_the_secret_and_the_second_uses_it(void **state)
{
    struct api api = {0};
    struct replica follower = {0}, leader = {0};

    (void)state;
    api_start(&api);
    replica_start(&follower, &api, false);
    replica_start(&leader, &api, true);
    assert_false(look(&follower)); /* it shows a certificate that nobody trusts yet */
    assert_int_equal(follower.changes, 1);
    assert_int_equal(api.secret_writes, 1);
    assert_int_equal(api.configuration_writes, 0); /* that is the leader's */
    (void)look(&leader);
    assert_int_equal(api.secret_writes, 1);
    assert_int_equal(api.configuration_writes, 1);
    assert_trusted(&api, &leader);
    assert_string_equal(leader.bundle, follower.bundle);
    now += AK_SECONDS(20);
    assert_true(look(&leader));
    now += AK_SECONDS(20);
    (void)look(&follower);
    now += AK_SECONDS(20);
    assert_true(look(&follower));
    assert_int_equal(api.secret_writes + api.configuration_writes, 2);
    assert_int_equal(leader.changes + follower.changes, 2);
    replica_end(&follower);
    replica_end(&leader);
    api_end(&api);
}

static void test_a_bundle_that_somebody_clears_comes_back(void **state)
{
    struct api api = {0};
    struct replica leader = {0};

    (void)state;
    api_start(&api);
    replica_start(&leader, &api, true);
    (void)look(&leader);
    json_object_del(
        json_object_get(json_array_get(json_object_get(api.configuration, "webhooks"), 0),
                        "clientConfig"),
        "caBundle");
    (void)look(&leader);
    assert_trusted(&api, &leader);
    assert_int_equal(leader.changes, 1);
    replica_end(&leader);
    api_end(&api);
}

/* Who deletes the Secret wants another authority; what replicas show is trusted until all show the new one. */
static void test_deleting_the_secret_replaces_the_authority_in_steps(void **state)
{
    struct api api = {0};
    struct replica leader = {0}, follower = {0};

    (void)state;
    api_start(&api);
    replica_start(&leader, &api, true);
    replica_start(&follower, &api, false);
    (void)look(&leader);
    (void)look(&follower);
    AK_AUTO_TEXT char *before = ak_strdup(leader.bundle);
    json_decref(api.secret);
    api.secret = NULL;
    (void)look(&leader);
    assert_non_null(api.secret);
    assert_non_null(strstr(leader.bundle, before)); /* old and new */
    assert_trusted(&api, &leader);
    now += AK_SECONDS(15);
    (void)look(&leader); /* found in place */
    now += AK_SECONDS(15);
    (void)look(&leader); /* switched */
    AK_AUTO_PTR(ak_certs) switched = NULL;
    assert_int_equal(ak_certs_from_secret(api.secret, &switched, NULL), 0);
    assert_int_equal(judge(switched), AK_CERTS_GOOD);
    assert_false(is_accepted(switched, before, SERVICE));
    now += AK_MINUTES(11);
    (void)look(&follower);
    (void)look(&leader);
    assert_null(strstr(leader.bundle, before));
    assert_trusted(&api, &leader);
    replica_end(&leader);
    replica_end(&follower);
    api_end(&api);
}

static void test_a_secret_of_no_use_is_replaced_by_the_leader_alone(void **state)
{
    struct api api = {0};
    struct replica follower = {0}, leader = {0};

    (void)state;
    api_start(&api);
    api.secret = json_pack("{s:s, s:s, s:{s:s, s:s, s:s}, s:{s:s}}", "apiVersion", "v1", "kind",
                           "Secret", "metadata", "name", "certs", "namespace", "ns",
                           "resourceVersion", "1", "data", "tls.crt", "bm9uZQ==");
    replica_start(&follower, &api, false);
    replica_start(&leader, &api, true);
    assert_false(look(&follower));
    assert_int_equal(follower.changes, 0);
    assert_int_equal(api.secret_writes, 0);
    (void)look(&leader);
    assert_int_equal(api.secret_writes, 1);
    (void)look(&follower);
    assert_int_equal(follower.changes, 1);
    replica_end(&follower);
    replica_end(&leader);
    api_end(&api);
}

/* Ten years in steps of 25 days: at every moment the apiserver accepts what either replica shows. */
static void test_ten_years_of_rotation_never_break_trust(void **state)
{
    struct api api = {0};
    struct replica follower = {0}, leader = {0};
    bool two_authorities = false;

    (void)state;
    api_start(&api);
    replica_start(&follower, &api, false);
    replica_start(&leader, &api, true);
    (void)look(&leader);
    (void)look(&follower);
    for (int i = 0; i < 150; i++) {
        now += 25 * DAY;
        bool settled = false;
        for (int pass = 0; pass < 4 && !settled; pass++) {
            settled = look(&leader);
            char *bundle = trusted(&api);
            AK_AUTO_PTR(ak_certs) stored = NULL;
            assert_int_equal(ak_certs_from_secret(api.secret, &stored, NULL), 0);
            assert_true(is_accepted(stored, bundle, SERVICE));
            two_authorities = two_authorities || count_cas(stored) == 2;
            /* The follower is behind by a look, and what it shows is still trusted. */
            assert_true(follower.leaf_expires > now);
            (void)look(&follower);
            ak_free(bundle);
            now += AK_SECONDS(15);
        }
    }
    assert_true(two_authorities);
    assert_true(leader.changes > 40);
    assert_string_equal(leader.bundle, follower.bundle);
    replica_end(&follower);
    replica_end(&leader);
    api_end(&api);
}

static void test_the_thread_reports_trouble_once_and_recovers(void **state)
{
    struct api api = {0};
    struct replica leader = {0};

    (void)state;
    api_start(&api);
    api.fail = true;
    replica_start(&leader, &api, true);
    AK_AUTO_PTR(ak_error) err = NULL;
    bool settled = false;
    assert_int_equal(ak_certs_keeper_look(leader.keeper, &settled, &err), AK_E_FORBIDDEN);
    assert_non_null(strstr(ak_error_message(err), "Secret \"ns/certs\""));
    assert_int_equal(ak_certs_keeper_leaf_expires(leader.keeper), 0);
    assert_int_equal(ak_certs_keeper_start(leader.keeper, NULL), 0);
    ak_certs_keeper_stop(leader.keeper);
    assert_true(leader.reports <= 1);
    api.fail = false;
    (void)look(&leader);
    assert_int_equal(ak_certs_keeper_leaf_expires(leader.keeper), now + 90 * DAY);
    replica_end(&leader);
    api_end(&api);
}

static void test_who_cannot_use_a_set_is_offered_it_again(void **state)
{
    struct api api = {0};
    struct replica leader = {.refuse = true};
    AK_AUTO_PTR(ak_error) err = NULL;
    bool settled = false;

    (void)state;
    api_start(&api);
    replica_start(&leader, &api, true);
    assert_int_equal(ak_certs_keeper_look(leader.keeper, &settled, &err), -EADDRINUSE);
    assert_string_equal(ak_error_message(err), "use the certificate: no port");
    leader.refuse = false;
    (void)look(&leader);
    assert_int_equal(leader.changes, 1);
    replica_end(&leader);
    api_end(&api);
}

static void test_a_set_is_made_or_nothing_when_memory_is_short(void **state)
{
    (void)state;
    for (int64_t n = 0; n < 200; n++) {
        AK_AUTO_PTR(ak_certs) made = NULL;
        AK_AUTO_PTR(ak_certs) back = NULL;
        AK_AUTO_JSON *secret = NULL;
        AK_AUTO_PTR(ak_error) err = NULL;
        (void)ak_alloc_fail_after(n);
        int r = ak_certs_issue(&options, NULL, &hand_clock, &made, &err);
        if (r >= 0)
            r = ak_certs_to_secret(made, "ns", "name", &secret, &err);
        if (r >= 0)
            r = ak_certs_from_secret(secret, &back, &err);
        bool hit = ak_alloc_fail_after(-1);
        if (!hit) {
            assert_true(r >= 0);
            return;
        }
        assert_int_equal(r, -ENOMEM);
    }
    fail_msg("never without a failure");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_first_set_is_good_and_valid_for_every_name, set_clock),
        cmocka_unit_test_setup(test_names_that_are_none_are_refused, set_clock),
        cmocka_unit_test_setup(test_the_verdict_follows_the_clock, set_clock),
        cmocka_unit_test_setup(test_a_name_that_was_added_renews_the_serving_certificate,
                               set_clock),
        cmocka_unit_test_setup(test_at_each_step_of_a_rotation_old_and_new_accept_each_other,
                               set_clock),
        cmocka_unit_test_setup(test_a_serving_certificate_does_not_outlive_its_authority,
                               set_clock),
        cmocka_unit_test_setup(test_a_set_survives_its_secret, set_clock),
        cmocka_unit_test_setup(test_a_damaged_secret_is_refused_in_words_that_quote_nothing,
                               set_clock),
        cmocka_unit_test_setup(test_the_bundle_goes_into_every_webhook_and_nowhere_else, set_clock),
        cmocka_unit_test_setup(test_the_first_replica_makes_the_secret_and_the_second_uses_it,
                               set_clock),
        cmocka_unit_test_setup(test_a_bundle_that_somebody_clears_comes_back, set_clock),
        cmocka_unit_test_setup(test_deleting_the_secret_replaces_the_authority_in_steps, set_clock),
        cmocka_unit_test_setup(test_a_secret_of_no_use_is_replaced_by_the_leader_alone, set_clock),
        cmocka_unit_test_setup(test_ten_years_of_rotation_never_break_trust, set_clock),
        cmocka_unit_test_setup(test_the_thread_reports_trouble_once_and_recovers, set_clock),
        cmocka_unit_test_setup(test_who_cannot_use_a_set_is_offered_it_again, set_clock),
        cmocka_unit_test_setup(test_a_set_is_made_or_nothing_when_memory_is_short, set_clock),
    };

    ak_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
