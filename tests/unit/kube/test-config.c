/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/kube/config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "../../../lib/kube/config_internal.h"

/* A folder of this test's own. */
static char dir[64];
static char path_a[128], path_b[128], both[300];

static void put(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static const char *in_dir(const char *name, char out[static 128])
{
    (void)snprintf(out, 128, "%s/%s", dir, name);
    return out;
}

static int load(const char *paths, struct ak_kube_config **ret, struct ak_error **err)
{
    struct ak_kube_config_options o = {.paths = paths};

    return ak_kube_config_load(&o, ret, err);
}

static struct ak_secret *token_of(struct ak_kube_config *c, enum ak__identity_mode mode,
                                  uint64_t refused)
{
    struct ak_secret *token = NULL;
    struct ak_error *err = NULL;
    uint64_t generation, tls;

    if (ak__identity_get(&c->identity, mode, refused, NULL, &token, &generation, &tls, &err) < 0)
        fail_msg("%s", ak_error_message(err));
    return token;
}

#define CLUSTER "clusters: [{name: c, cluster: {server: 'https://1.2.3.4:6443'}}]\n"
#define CONTEXT                                                                                    \
    "contexts: [{name: x, context: {cluster: c, user: u, namespace: ns}}]\ncurrent-context: x\n"

static void a_context_is_put_together(void **state)
{
    AK_AUTO_PTR(ak_kube_config) c = NULL;
    AK_AUTO_PTR(ak_secret) token = NULL;

    (void)state;
    put(path_a, "apiVersion: v1\nkind: Config\npreferences: {}\n" CLUSTER CONTEXT
                "users: [{name: u, user: {token: secret-a}}]\n");
    assert_int_equal(load(path_a, &c, NULL), 0);
    assert_string_equal(ak_kube_config_server(c), "https://1.2.3.4:6443");
    assert_string_equal(ak_kube_config_namespace(c), "ns");
    assert_string_equal(ak_kube_config_context(c), "x");
    assert_false(ak_kube_config_uses_client_cert(c));
    token = token_of(c, AK__IDENTITY_FRESH, 0);
    assert_string_equal(ak_secret_peek(token, NULL), "secret-a");
}

static void files_are_merged_and_the_first_wins(void **state)
{
    AK_AUTO_PTR(ak_kube_config) c = NULL;
    AK_AUTO_PTR(ak_kube_config) other = NULL;
    AK_AUTO_PTR(ak_secret) token = NULL;
    struct ak_kube_config_options o = {.paths = both, .context = "second", .namespace_ = "mine"};

    (void)state;
    put(path_a, CONTEXT "users: [{name: u, user: {token: first}}]\n");
    put(path_b, CLUSTER "current-context: second\nusers: [{name: u, user: {token: second}}]\n"
                        "contexts: [{name: second, context: {cluster: c}}]\n");
    assert_int_equal(load(both, &c, NULL), 0);
    assert_string_equal(ak_kube_config_context(c), "x");
    token = token_of(c, AK__IDENTITY_FRESH, 0);
    assert_string_equal(ak_secret_peek(token, NULL), "first");
    assert_int_equal(ak_kube_config_load(&o, &other, NULL), 0);
    assert_string_equal(ak_kube_config_namespace(other), "mine");
    (void)unlink(path_b);
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_PTR(ak_kube_config) none = NULL;
    assert_true(load(both, &none, &err) <
                0); /* a missing file is fine, the cluster that was in it is not */
    assert_non_null(strstr(ak_error_message(err), "no cluster \"c\""));
}

static const struct {
    const char *text, *message;
} bad[] = {
    {"{", ": "},
    {"[]", "expected"},
    {"kind: Pod\n", "kind: must be \"Config\""},
    {"clusters: []\n", "current-context: is not set"},
    {"current-context: z\n", "no context \"z\""},
    {CONTEXT, "no cluster \"c\""},
    {CLUSTER CONTEXT, "no user \"u\""},
    {"clusters: [{name: c, cluster: {server: 5}}]\n", "clusters[0].cluster.server: expected"},
    {"clusters: [{name: c}, {name: d}, {name: c}]\n", "clusters[2].name: \"c\" is there twice"},
    {"clusters: [{name: c, cluster: {server: 'tcp://x'}}]\n" CONTEXT "users: [{name: u}]\n",
     "clusters[0].cluster.server: \"tcp://x\""},
    {"clusters: [{name: c, cluster: {}}]\n" CONTEXT "users: [{name: u}]\n",
     "clusters[0].cluster.server: must be set"},
    {"clusters: [{name: c, cluster: {server: 'https://x', certificate-authority: "
     "nowhere.pem}}]\n" CONTEXT "users: [{name: u}]\n",
     "clusters[0].cluster.certificate-authority: "},
    {"clusters: [{name: c, cluster: {server: 'https://x', certificate-authority-data: "
     "'!!'}}]\n" CONTEXT "users: [{name: u}]\n",
     "certificate-authority-data: is not base64"},
    {"clusters: [{name: c, cluster: {server: 'https://x', proxy-url: 'ftp://p'}}]\n" CONTEXT
     "users: [{name: u}]\n",
     "clusters[0].cluster.proxy-url: "},
    {"clusters: [{name: c, cluster: {server: 'https://x', insecure-skip-tls-verify: true, "
     "certificate-authority-data: 'AAAA'}}]\n" CONTEXT "users: [{name: u}]\n",
     "insecure-skip-tls-verify: not together"},
    {CLUSTER CONTEXT "users: [{name: u, user: {auth-provider: {name: gcp}}}]\n",
     "gke-gcloud-auth-plugin"},
    {CLUSTER CONTEXT "users: [{name: u, user: {client-certificate-data: 'AAAA'}}]\n",
     "users[0].user.client-key: must be set too"},
    {CLUSTER CONTEXT "users: [{name: u, user: {tokenFile: no-such-file}}]\n", "no-such-file"},
    {CLUSTER CONTEXT "users: [{name: u, user: {as-groups: [g]}}]\n",
     "users[0].user.as: must be set"},
    {CLUSTER CONTEXT "users: [{name: u, user: {exec: {command: x, apiVersion: "
                     "client.authentication.k8s.io/v1alpha1}}}]\n",
     "users[0].user.exec: apiVersion: "},
    {CLUSTER CONTEXT
     "users: [{name: u, user: {exec: {command: x, interactiveMode: Always, apiVersion: "
     "client.authentication.k8s.io/v1}}}]\n",
     "interactiveMode: "},
};

static void errors_name_the_file_and_the_field(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(bad); i++) {
        AK_AUTO_PTR(ak_kube_config) c = NULL;
        AK_AUTO_PTR(ak_error) err = NULL;

        put(path_a, bad[i].text);
        assert_true(load(path_a, &c, &err) < 0);
        if (!strstr(ak_error_message(err), bad[i].message) || !strstr(ak_error_message(err), dir))
            fail_msg("\"%s\" should name the file and \"%s\"", ak_error_message(err),
                     bad[i].message);
    }
}

static void every_header_of_impersonation_and_basic_auth_is_made(void **state)
{
    AK_AUTO_PTR(ak_kube_config) c = NULL;
    const char *headers[AK__CONFIG_MAX_HEADERS + 2];
    static const char *const want[] = {
        "Impersonate-User: jane", "Impersonate-Group: g1",      "Impersonate-Group: g2",
        "Impersonate-Uid: 7",     "Impersonate-Extra-a%2Fb: v", "Authorization: Basic am9lOnB3",
    };

    (void)state;
    put(path_a, CLUSTER CONTEXT
        "users: [{name: u, user: {username: joe, password: pw, as: jane, as-groups: [g1, g2], "
        "as-uid: '7', as-user-extra: {a/b: [v]}}}]\n");
    assert_int_equal(load(path_a, &c, NULL), 0);
    ak__kube_config_headers(c, headers);
    for (size_t i = 0; i < AK_ARRAY_LEN(want); i++)
        assert_string_equal(headers[i], want[i]);
    assert_null(headers[AK_ARRAY_LEN(want)]);
}

static void a_token_file_is_relative_and_read_again_when_refused(void **state)
{
    AK_AUTO_PTR(ak_kube_config) c = NULL;
    char file[128];

    (void)state;
    put(in_dir("tok", file), "one\n");
    put(path_a, CLUSTER CONTEXT "users: [{name: u, user: {tokenFile: tok}}]\n");
    assert_int_equal(load(path_a, &c, NULL), 0);
    put(file, "two\n");
    AK_AUTO_PTR(ak_secret) before = token_of(c, AK__IDENTITY_FRESH, 0);
    assert_string_equal(ak_secret_peek(before, NULL), "one"); /* at most each minute */
    AK_AUTO_PTR(ak_secret) after = token_of(c, AK__IDENTITY_FRESH, c->identity.generation);
    assert_string_equal(ak_secret_peek(after, NULL), "two");
    (void)unlink(file);
    AK_AUTO_PTR(ak_secret) kept = token_of(c, AK__IDENTITY_FRESH, c->identity.generation);
    assert_string_equal(ak_secret_peek(kept, NULL), "two"); /* the old one may still be good */
}

static void a_pod_finds_its_service_account(void **state)
{
    struct ak_kube_config_options o = {
        .service_account_dir = dir, .service_host = "fd00::1", .service_port = "443"};
    AK_AUTO_PTR(ak_kube_config) c = NULL;
    AK_AUTO_PTR(ak_kube_config) none = NULL;
    AK_AUTO_PTR(ak_error) err = NULL;
    char file[128];

    (void)state;
    put(in_dir("token", file), "sa-token");
    put(in_dir("ca.crt", file), "pem");
    put(in_dir("namespace", file), "pod-ns\n");
    assert_int_equal(ak_kube_config_load(&o, &c, NULL), 0);
    assert_string_equal(ak_kube_config_server(c), "https://[fd00::1]:443");
    assert_string_equal(ak_kube_config_namespace(c), "pod-ns");
    assert_string_equal(ak_kube_config_context(c), "");
    AK_AUTO_PTR(ak_secret) token = token_of(c, AK__IDENTITY_LAST, 0);
    assert_string_equal(ak_secret_peek(token, NULL), "sa-token");
    o.service_host = NULL;
    assert_true(ak_kube_config_load(&o, &none, &err) < 0);
    assert_non_null(strstr(ak_error_message(err), "KUBERNETES_SERVICE_HOST"));
}

/* --- plug-ins --- */

static void write_plugin(const char *body)
{
    AK_AUTO_TEXT char *script = ak_asprintf("#!/bin/sh\n%s\n", body);
    char file[128];

    put(in_dir("plugin", file), script);
    assert_int_equal(chmod(file, 0700), 0);
}

static void load_plugin(struct ak_kube_config **ret)
{
    static const char *const environ_[] = {"PATH=/usr/bin:/bin", "KEPT=k", "REPLACED=old", NULL};
    struct ak_kube_config_options o = {.paths = path_a, .environ_ = environ_};
    struct ak_error *err = NULL;

    put(path_a, CLUSTER CONTEXT "users: [{name: u, user: {exec: {apiVersion: "
                                "client.authentication.k8s.io/v1, interactiveMode: Never, "
                                "command: ./plugin, args: [arg], env: [{name: REPLACED, value: "
                                "new}], provideClusterInfo: true}}}]\n");
    if (ak_kube_config_load(&o, ret, &err) < 0)
        fail_msg("%s", ak_error_message(err));
}

#define CREDENTIAL(status)                                                                         \
    "{\"apiVersion\":\"client.authentication.k8s.io/"                                              \
    "v1\",\"kind\":\"ExecCredential\",\"status\":" status "}"

static void a_plugin_is_run_with_its_surroundings_and_cached(void **state)
{
    AK_AUTO_PTR(ak_kube_config) c = NULL;
    AK_AUTO_PTR(ak_secret) none = NULL;
    uint64_t generation, tls;

    (void)state;
    write_plugin("n=$(cat $0.count 2>/dev/null || echo 0); echo $((n+1)) > $0.count; "
                 "case \"$KUBERNETES_EXEC_INFO\" in *1.2.3.4:6443*) ;; *) exit 3;; esac; "
                 "printf '" CREDENTIAL(
                     "{\"token\":\"%s-%s-%s-%s\"}") "' \"$1\" \"$KEPT\" \"$REPLACED\" \"$n\"");
    load_plugin(&c);
    /* the loop must not wait for a plug-in */
    assert_int_equal(
        ak__identity_get(&c->identity, AK__IDENTITY_LAST, 0, NULL, &none, &generation, &tls, NULL),
        AK_E_UNAUTHORIZED);
    AK_AUTO_PTR(ak_secret) first = token_of(c, AK__IDENTITY_FRESH, 0);
    assert_string_equal(ak_secret_peek(first, NULL), "arg-k-new-0");
    AK_AUTO_PTR(ak_secret) cached = token_of(c, AK__IDENTITY_FRESH, 0);
    assert_string_equal(ak_secret_peek(cached, NULL), "arg-k-new-0");
    AK_AUTO_PTR(ak_secret) again = token_of(c, AK__IDENTITY_FRESH, c->identity.generation);
    assert_string_equal(ak_secret_peek(again, NULL), "arg-k-new-1");
}

static void an_expired_credential_is_renewed(void **state)
{
    AK_AUTO_PTR(ak_kube_config) c = NULL;

    (void)state;
    write_plugin("n=$(cat $0.n2 2>/dev/null || echo 0); echo $((n+1)) > $0.n2; printf '" CREDENTIAL(
        "{\"token\":\"t%s\",\"expirationTimestamp\":\"2001-01-01T00:00:00Z\"}") "' \"$n\"");
    load_plugin(&c);
    AK_AUTO_PTR(ak_secret) first = token_of(c, AK__IDENTITY_FRESH, 0);
    AK_AUTO_PTR(ak_secret) second = token_of(c, AK__IDENTITY_FRESH, 0);
    assert_string_equal(ak_secret_peek(first, NULL), "t0");
    assert_string_equal(ak_secret_peek(second, NULL), "t1");
}

static void broken_plugins_are_told_in_words(void **state)
{
    static const struct {
        const char *body, *message;
        int code;
    } cases[] = {
        {"echo 'log in first' >&2; exit 4", "ended with status 4: log in first", AK_E_UNAUTHORIZED},
        {"kill -9 $$", "killed by signal 9", AK_E_UNAUTHORIZED},
        {"echo hello", "its output is not JSON", AK_E_PROTOCOL},
        {"echo '" CREDENTIAL("{}") "'", "neither a token nor", -EINVAL},
        {"echo '{\"apiVersion\":\"v1\",\"kind\":\"ExecCredential\",\"status\":{\"token\":\"t\"}}'",
         "apiVersion", -EINVAL},
        {"head -c 2000000 /dev/zero", "too large", AK_E_TOO_LARGE},
        {"sleep 1000", "time", -ETIMEDOUT},
        {"sleep 1000 & sleep 1000", "time", -ETIMEDOUT}, /* its children go too */
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO_PTR(ak_kube_config) c = NULL;
        AK_AUTO_PTR(ak_error) err = NULL;
        AK_AUTO(ak__fresh) fresh = {0};
        int r;

        write_plugin(cases[i].body);
        load_plugin(&c);
        r = ak__exec_plugin_run(c->identity.exec, cases[i].code == -ETIMEDOUT ? 200 : 20000, NULL,
                                &fresh, &err);
        if (r >= 0 || !strstr(ak_error_message(err), cases[i].message))
            fail_msg("%d \"%s\" instead of \"%s\"", r, ak_error_message(err), cases[i].message);
        if (cases[i].code != AK_E_PROTOCOL)
            assert_int_equal(r, cases[i].code);
    }
}

static void a_background_process_of_a_plugin_is_not_waited_for(void **state)
{
    AK_AUTO_PTR(ak_kube_config) c = NULL;
    ak_msec start = ak_now();

    (void)state;
    write_plugin("sleep 30 & printf '" CREDENTIAL("{\"token\":\"t\"}") "'; echo $! > $0.pid");
    load_plugin(&c);
    AK_AUTO_PTR(ak_secret) token = token_of(c, AK__IDENTITY_FRESH, 0);
    assert_string_equal(ak_secret_peek(token, NULL), "t");
    assert_true(ak_now() - start < AK_SECONDS(20));
    AK_AUTO_TEXT char *kill_it = ak_asprintf("kill $(cat %s/plugin.pid)", dir);
    assert_int_equal(system(kill_it), 0);
}

static void memory_running_out_is_an_error_and_leaks_nothing(void **state)
{
    static const char *const environ_[] = {"A=b", NULL};
    struct ak_kube_config_options o = {.paths = path_a, .environ_ = environ_};

    (void)state;
    put(path_a,
        CLUSTER CONTEXT "users: [{name: u, user: {as: me, exec: {apiVersion: "
                        "client.authentication.k8s.io/v1, command: x, "
                        "args: [a], env: [{name: B, value: c}], provideClusterInfo: true}}}]\n");
    for (int64_t n = 0; n < 1000; n++) {
        AK_AUTO_PTR(ak_kube_config) c = NULL;
        int r;

        (void)ak_alloc_fail_after(n);
        r = ak_kube_config_load(&o, &c, NULL);
        if (!ak_alloc_fail_after(-1)) {
            assert_int_equal(r, 0);
            return;
        }
        assert_int_equal(r, -ENOMEM);
    }
    fail_msg("never succeeded");
}

static int make_dir(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/ak-config-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    (void)in_dir("a", path_a);
    (void)in_dir("b", path_b);
    (void)snprintf(both, sizeof(both), "%s:%s", path_a, path_b);
    return 0;
}

static int drop_dir(void **state)
{
    AK_AUTO_TEXT char *command = ak_asprintf("rm -rf %s", dir);

    (void)state;
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_context_is_put_together),
        cmocka_unit_test(files_are_merged_and_the_first_wins),
        cmocka_unit_test(errors_name_the_file_and_the_field),
        cmocka_unit_test(every_header_of_impersonation_and_basic_auth_is_made),
        cmocka_unit_test(a_token_file_is_relative_and_read_again_when_refused),
        cmocka_unit_test(a_pod_finds_its_service_account),
        cmocka_unit_test(a_plugin_is_run_with_its_surroundings_and_cached),
        cmocka_unit_test(an_expired_credential_is_renewed),
        cmocka_unit_test(broken_plugins_are_told_in_words),
        cmocka_unit_test(a_background_process_of_a_plugin_is_not_waited_for),
        cmocka_unit_test(memory_running_out_is_an_error_and_leaks_nothing),
    };
    return cmocka_run_group_tests_name("kube/config", tests, make_dir, drop_dir);
}
