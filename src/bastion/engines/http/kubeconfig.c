/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/http/kubeconfig.h"

#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/json/json.h>

#include "bastion/engines/http/encoding.h"

static void wipe_free(char *text)
{
    if (text)
        ak_wipe(text, strlen(text));
    ak_free(text);
}

void ak_kubeconfig_done(struct ak_kubeconfig *self)
{
    ak_free(self->server);
    ak_free(self->ca_pem);
    ak_free(self->tls_server_name);
    wipe_free(self->proxy_url);
    ak_free(self->namespace_);
    ak_free(self->client_cert_pem);
    ak_free(self->username);
    (void)ak_secret_free(self->token);
    (void)ak_secret_free(self->client_key);
    (void)ak_secret_free(self->password);
    *self = (struct ak_kubeconfig){0};
}

/* What would be looked for on the machine that the file was made on. */
static const struct refused {
    const char *field, *instead;
} refused_of_users[] = {
    {"exec", "it runs a program that is not here: make a ServiceAccount and use its token"},
    {"auth-provider", "kubectl has dropped these: make a ServiceAccount and use its token"},
    {"client-certificate", "it names a file: embed it, with `kubectl config view --raw --flatten`"},
    {"client-key", "it names a file: embed it, with `kubectl config view --raw --flatten`"},
    {"tokenFile", "it names a file: put the token itself into `token`"},
};
static const struct refused refused_of_clusters[] = {
    {"certificate-authority",
     "it names a file: embed it, with `kubectl config view --raw --flatten`"},
};

static int refuse(const json_t *object, const char *where, const char *name,
                  const struct refused *table, size_t n, struct ak_error **reterr)
{
    for (size_t i = 0; i < n; i++)
        if (json_object_get(object, table[i].field))
            return ak_error_set(reterr, AK_E_INVALID, "kubeconfig: %s \"%s\": %s: %s", where, name,
                                table[i].field, table[i].instead);
    return 0;
}

/* The entry of `list` (clusters, contexts, users) with this name, its inner object. */
static int find(const json_t *root, const char *list, const char *member, const char *name,
                json_t **ret, struct ak_error **reterr)
{
    const json_t *entries = json_object_get(root, list);
    size_t i;
    json_t *entry;

    json_array_foreach(entries, i, entry)
    {
        json_t *inner = json_object_get(entry, member);

        if (ak_streq(ak_json_text(entry, "name", NULL), name) && json_is_object(inner)) {
            *ret = inner;
            return 0;
        }
    }
    return ak_error_set(reterr, AK_E_INVALID, "kubeconfig: %s: there is no \"%s\"", list, name);
}

/* A text of an object, copied; absent or empty leaves *ret NULL. */
static int take(const json_t *object, const char *field, char **ret, struct ak_error **reterr)
{
    const char *text = ak_json_text(object, field, NULL);

    if (ak_is_empty(text))
        return 0;
    *ret = ak_strdup(text);
    return *ret ? 0 : ak_error_oom(reterr);
}

static int take_secret(const json_t *object, const char *field, struct ak_secret **ret,
                       struct ak_error **reterr)
{
    const char *text = ak_json_text(object, field, NULL);

    if (ak_is_empty(text))
        return 0;
    *ret = ak_secret_new(text, strlen(text));
    return *ret ? 0 : ak_error_oom(reterr);
}

/* The same for a ...-data field: base64 of text without NULs. */
static int decode(const json_t *object, const char *field, struct ak_buf *out,
                  struct ak_error **reterr)
{
    const char *text = ak_json_text(object, field, NULL);
    int r;

    if (ak_is_empty(text))
        return 0;
    r = ak_base64_read(out, text, strlen(text));
    if (r >= 0 && (!out->len || memchr(out->data, '\0', out->len)))
        r = -EINVAL;
    if (r == -ENOMEM)
        return ak_error_oom(reterr);
    return r < 0 ? ak_error_set(reterr, AK_E_INVALID, "kubeconfig: %s: not base64 of a text", field)
                 : 1;
}

static int take_decoded(const json_t *object, const char *field, char **ret,
                        struct ak_error **reterr)
{
    AK_AUTO(ak_buf) raw = {.max = AK_KUBECONFIG_MAX, .wipe = true};
    int r = decode(object, field, &raw, reterr);

    if (r <= 0)
        return r;
    *ret = ak_buf_take(&raw);
    return *ret ? 0 : ak_error_oom(reterr);
}

static int read_cluster(const json_t *cluster, const char *name, struct ak_kubeconfig *out,
                        struct ak_error **reterr)
{
    int r = refuse(cluster, "cluster", name, refused_of_clusters, AK_ARRAY_LEN(refused_of_clusters),
                   reterr);

    if (r >= 0)
        r = take(cluster, "server", &out->server, reterr);
    if (r >= 0)
        r = take_decoded(cluster, "certificate-authority-data", &out->ca_pem, reterr);
    if (r >= 0)
        r = take(cluster, "tls-server-name", &out->tls_server_name, reterr);
    if (r >= 0)
        r = take(cluster, "proxy-url", &out->proxy_url, reterr);
    if (r < 0)
        return r;
    out->insecure = json_is_true(json_object_get(cluster, "insecure-skip-tls-verify"));
    if (!out->server)
        return ak_error_set(reterr, AK_E_INVALID, "kubeconfig: cluster \"%s\": no server", name);
    return 0;
}

static int read_user(const json_t *user, const char *name, struct ak_kubeconfig *out,
                     struct ak_error **reterr)
{
    AK_AUTO(ak_buf) key = {.max = AK_KUBECONFIG_MAX, .wipe = true};
    int r = refuse(user, "user", name, refused_of_users, AK_ARRAY_LEN(refused_of_users), reterr);

    if (r >= 0)
        r = take_secret(user, "token", &out->token, reterr);
    if (r >= 0)
        r = take_decoded(user, "client-certificate-data", &out->client_cert_pem, reterr);
    if (r >= 0)
        r = decode(user, "client-key-data", &key, reterr);
    if (r > 0) {
        out->client_key = ak_secret_new(key.data, key.len);
        r = out->client_key ? 0 : ak_error_oom(reterr);
    }
    if (r >= 0)
        r = take(user, "username", &out->username, reterr);
    if (r >= 0)
        r = take_secret(user, "password", &out->password, reterr);
    if (r < 0)
        return r;
    if (!out->client_cert_pem != !out->client_key)
        return ak_error_set(reterr, AK_E_INVALID,
                            "kubeconfig: user \"%s\": a client certificate needs both "
                            "client-certificate-data and client-key-data",
                            name);
    if (!out->token && !out->client_key && !(out->username && out->password))
        return ak_error_set(
            reterr, AK_E_INVALID,
            "kubeconfig: user \"%s\": no credential: it needs token, "
            "client-certificate-data with client-key-data, or username with password",
            name);
    return 0;
}

static int read_context(const json_t *root, const char *name, struct ak_kubeconfig *out,
                        struct ak_error **reterr)
{
    json_t *context = NULL, *cluster = NULL, *user = NULL;
    const char *cluster_name, *user_name;
    int r = find(root, "contexts", "context", name, &context, reterr);

    if (r < 0)
        return r;
    cluster_name = ak_json_text(context, "cluster", NULL);
    user_name = ak_json_text(context, "user", NULL);
    if (ak_is_empty(cluster_name) || ak_is_empty(user_name))
        return ak_error_set(reterr, AK_E_INVALID,
                            "kubeconfig: context \"%s\": needs cluster and user", name);
    r = find(root, "clusters", "cluster", cluster_name, &cluster, reterr);
    if (r >= 0)
        r = find(root, "users", "user", user_name, &user, reterr);
    if (r >= 0)
        r = take(context, "namespace", &out->namespace_, reterr);
    if (r >= 0)
        r = read_cluster(cluster, cluster_name, out, reterr);
    if (r >= 0)
        r = read_user(user, user_name, out, reterr);
    return r;
}

int ak_kubeconfig_parse(const char *text, size_t len, const char *context,
                        struct ak_kubeconfig *ret, struct ak_error **reterr)
{
    AK_AUTO(ak_kubeconfig) out = {0};
    AK_AUTO_JSON *root = NULL;
    int r;

    if (len > AK_KUBECONFIG_MAX)
        return ak_error_set(reterr, AK_E_INVALID, "kubeconfig: larger than %u bytes",
                            AK_KUBECONFIG_MAX);
    r = ak_yaml_parse(text, len, &root, reterr);
    if (r == -ENOMEM)
        return r;
    if (r < 0 || !json_is_object(root)) {
        /* The parser's words could quote the file. */
        return ak_error_set(reterr, AK_E_INVALID, "kubeconfig: not a YAML or JSON object");
    }
    if (!context)
        context = ak_json_text(root, "current-context", NULL);
    if (ak_is_empty(context))
        return ak_error_set(reterr, AK_E_INVALID,
                            "kubeconfig: no current-context: set spec.config.context");
    r = read_context(root, context, &out, reterr);
    if (r < 0)
        return r;
    *ret = out;
    out = (struct ak_kubeconfig){0};
    return 0;
}
