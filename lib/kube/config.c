/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/kube/config.h>

#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/json/json.h>

#include "config_internal.h"

#define SERVICE_ACCOUNT_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

struct ak_kube_config *ak_kube_config_free(struct ak_kube_config *self)
{
    if (!self)
        return NULL;
    ak__identity_done(&self->identity);
    (void)ak_secret_free(self->basic);
    for (char **h = self->headers; h && *h; h++)
        ak_free(*h);
    ak_free(self->headers);
    ak__wipe_text(self->proxy_url);
    char *texts[] = {self->server,          self->namespace_, self->context,  self->ca_pem,
                     self->tls_server_name, self->proxy_url,  self->no_proxy, self->user_agent};
    for (size_t i = 0; i < AK_ARRAY_LEN(texts); i++)
        ak_free(texts[i]);
    ak_free(self);
    return NULL;
}

/* Sets an owned text. NULL stays NULL. */
static int set_text(char **to, const char *text, struct ak_error **reterr)
{
    char *copy = ak_strdup(text);

    if (text && !copy)
        return ak_error_oom(reterr);
    ak_free(*to);
    *to = copy;
    return 0;
}

/* A message about a field of an entry: FILE: LIST[INDEX].REST. */
#define FIELD_ERROR(reterr, code, where, fmt, ...)                                                 \
    ak_error_set(reterr, code, "%s: " fmt, (where).file->path, __VA_ARGS__)

/* An owned path; relative ones start at the folder of the file that names them. */
static char *resolve(const struct ak__kc_where *where, const char *path)
{
    return path[0] == '/' ? ak_strdup(path) : ak_asprintf("%s/%s", where->file->dir, path);
}

static int decode_data(const char *list, const char *field, const struct ak__kc_where *where,
                       const char *data, struct ak_buf *out, struct ak_error **reterr)
{
    int r;

    out->max = AK_KUBECONFIG_MAX_BYTES;
    out->wipe = true;
    r = ak__base64_decode(data, out);
    if (r < 0)
        return FIELD_ERROR(reterr, r, *where, "%s[%zu].%s: %s", list, where->index, field,
                           r == -EINVAL ? "is not base64" : ak_code_text(r));
    return 0;
}

/* --- cluster --- */

static int load_ca(struct ak_kube_config *self, const struct ak__kc_cluster *c,
                   const struct ak__kc_where *where, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) pem = {.max = AK_KUBECONFIG_MAX_BYTES};
    AK_AUTO_TEXT char *path = NULL;
    int r;

    if (!ak_is_empty(c->ca_data)) {
        r = decode_data("clusters", "cluster.certificate-authority-data", where, c->ca_data, &pem,
                        reterr);
        return r < 0 ? r : set_text(&self->ca_pem, ak_buf_text(&pem), reterr);
    }
    if (ak_is_empty(c->ca_file))
        return 0;
    path = resolve(where, c->ca_file);
    if (!path)
        return ak_error_oom(reterr);
    r = ak_buf_add_file(&pem, path);
    if (r < 0)
        return FIELD_ERROR(reterr, r, *where, "clusters[%zu].cluster.certificate-authority: %s: %s",
                           where->index, path, ak_code_text(r));
    return set_text(&self->ca_pem, ak_buf_text(&pem), reterr);
}

static bool is_proxy(const char *url)
{
    static const char *const schemes[] = {"http://", "https://", "socks5://"};

    for (size_t i = 0; i < AK_ARRAY_LEN(schemes); i++)
        if (ak_has_prefix(url, schemes[i]))
            return true;
    return false;
}

static int use_cluster(struct ak_kube_config *self, const struct ak__kc_cluster *c,
                       const struct ak__kc_where *where, const char *server_override,
                       struct ak_error **reterr)
{
    const char *server = server_override ? server_override : c->server;
    int r;

    if (ak_is_empty(server))
        return FIELD_ERROR(reterr, -EINVAL, *where, "clusters[%zu].cluster.server: must be set",
                           where->index);
    if (!ak_has_prefix(server, "https://") && !ak_has_prefix(server, "http://"))
        return FIELD_ERROR(reterr, -EINVAL, *where,
                           "clusters[%zu].cluster.server: \"%s\" does not begin with https://",
                           where->index, server);
    if (c->insecure && (!ak_is_empty(c->ca_data) || !ak_is_empty(c->ca_file)))
        return FIELD_ERROR(reterr, -EINVAL, *where,
                           "clusters[%zu].cluster.insecure-skip-tls-verify: not together with a "
                           "certificate-authority",
                           where->index);
    if (!ak_is_empty(c->proxy_url) && !is_proxy(c->proxy_url))
        return FIELD_ERROR(
            reterr, -EINVAL, *where,
            "clusters[%zu].cluster.proxy-url: must be http://, https:// or socks5://",
            where->index);
    self->insecure = c->insecure;
    r = set_text(&self->server, server, reterr);
    if (r >= 0 && !ak_is_empty(c->tls_server_name))
        r = set_text(&self->tls_server_name, c->tls_server_name, reterr);
    if (r >= 0 && !ak_is_empty(c->proxy_url))
        r = set_text(&self->proxy_url, c->proxy_url, reterr);
    return r < 0 ? r : load_ca(self, c, where, reterr);
}

/* --- user --- */

static int add_header(struct ak_kube_config *self, size_t *n, const char *name, const char *value,
                      struct ak_error **reterr)
{
    if (*n >= AK__CONFIG_MAX_HEADERS)
        return ak_error_set(reterr, AK_E_TOO_LARGE, "impersonation with more than %d values",
                            AK__CONFIG_MAX_HEADERS);
    self->headers[*n] = ak_asprintf("%s: %s", name, value);
    if (!self->headers[*n])
        return ak_error_oom(reterr);
    (*n)++;
    return 0;
}

static int add_extra(struct ak_kube_config *self, size_t *n, const char *json,
                     const struct ak__kc_where *where, struct ak_error **reterr)
{
    json_t *tree = NULL, *values;
    const char *key;
    int r = ak_json_parse(json, strlen(json), &tree, reterr);

    json_object_foreach(tree, key, values)
    {
        AK_AUTO(ak_buf) name = {.max = 1024};

        if (r >= 0)
            r = ak_buf_adds(&name, "Impersonate-Extra-");
        if (r >= 0)
            r = ak_buf_add_url_escaped(&name, key);
        for (size_t i = 0; r >= 0 && i < json_array_size(values); i++) {
            const char *value = json_string_value(json_array_get(values, i));

            r = value ? add_header(self, n, ak_buf_text(&name), value, reterr)
                      : FIELD_ERROR(reterr, -EINVAL, *where,
                                    "users[%zu].user.as-user-extra: must be lists of texts",
                                    where->index);
        }
    }
    json_decref(tree);
    return r;
}

static int impersonate(struct ak_kube_config *self, const struct ak__kc_user *u,
                       const struct ak__kc_where *where, const char *as_override,
                       struct ak_error **reterr)
{
    const char *as = as_override ? as_override : u ? u->as : NULL;
    size_t n = 0;
    int r = 0;

    self->headers = ak_calloc(AK__CONFIG_MAX_HEADERS + 1, sizeof(self->headers[0]));
    if (!self->headers)
        return ak_error_oom(reterr);
    if (ak_is_empty(as))
        return u && (u->as_groups.len || u->as_uid || u->as_extra)
                   ? FIELD_ERROR(reterr, -EINVAL, *where,
                                 "users[%zu].user.as: must be set to impersonate groups or values",
                                 where->index)
                   : 0;
    r = add_header(self, &n, "Impersonate-User", as, reterr);
    if (as_override || !u)
        return r;
    for (size_t i = 0; r >= 0 && i < u->as_groups.len; i++)
        r = add_header(self, &n, "Impersonate-Group", u->as_groups.items[i], reterr);
    if (r >= 0 && !ak_is_empty(u->as_uid))
        r = add_header(self, &n, "Impersonate-Uid", u->as_uid, reterr);
    if (r >= 0 && u->as_extra)
        r = add_extra(self, &n, u->as_extra, where, reterr);
    return r;
}

static int set_basic(struct ak_kube_config *self, const struct ak__kc_user *u,
                     struct ak_error **reterr)
{
    AK_AUTO(ak_buf) plain = {.max = 8192, .wipe = true};
    AK_AUTO(ak_buf) line = {.max = 16384, .wipe = true};
    int r = ak_buf_adds(&plain, u->username);

    if (r >= 0)
        r = ak_buf_add(&plain, ":", 1);
    if (r >= 0 && u->password)
        r = ak_buf_adds(&plain, u->password);
    if (r >= 0)
        r = ak_buf_adds(&line, "Authorization: Basic ");
    if (r >= 0)
        r = ak__base64_encode(plain.data, plain.len, &line);
    if (r < 0)
        return ak_error_set(reterr, r, "username and password: %s", ak_code_text(r));
    self->basic = ak_secret_new(line.data, line.len);
    return self->basic ? 0 : ak_error_oom(reterr);
}

static int set_certificate(struct ak_kube_config *self, const struct ak__kc_user *u,
                           const struct ak__kc_where *where, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) cert = {0};
    AK_AUTO(ak_buf) key = {0};
    struct ak__identity *id = &self->identity;
    bool has_cert = !ak_is_empty(u->cert_data) || !ak_is_empty(u->cert_file);
    bool has_key = !ak_is_empty(u->key_data) || !ak_is_empty(u->key_file);
    int r = 0;

    if (has_cert != has_key)
        return FIELD_ERROR(reterr, -EINVAL, *where, "users[%zu].user.%s: must be set too",
                           where->index, has_cert ? "client-key" : "client-certificate");
    if (!ak_is_empty(u->cert_data)) {
        r = decode_data("users", "user.client-certificate-data", where, u->cert_data, &cert,
                        reterr);
        if (r >= 0)
            r = set_text(&id->now.cert_pem, ak_buf_text(&cert), reterr);
    } else if (has_cert && !(id->cert_path = resolve(where, u->cert_file))) {
        r = ak_error_oom(reterr);
    }
    if (r < 0)
        return r;
    if (!ak_is_empty(u->key_data)) {
        r = decode_data("users", "user.client-key-data", where, u->key_data, &key, reterr);
        if (r >= 0 && !(id->now.key = ak_secret_new(ak_buf_text(&key), key.len)))
            r = ak_error_oom(reterr);
    } else if (has_key && !(id->key_path = resolve(where, u->key_file))) {
        r = ak_error_oom(reterr);
    }
    return r;
}

/* What a plug-in is told of the cluster, with provideClusterInfo. */
static json_t *cluster_info(const struct ak_kube_config *self)
{
    AK_AUTO(ak_buf) ca = {.max = AK_KUBECONFIG_MAX_BYTES * 2};
    json_t *info = json_pack("{s:s}", "server", self->server);
    int r = info ? 0 : -1;

    if (self->ca_pem && ak__base64_encode(self->ca_pem, strlen(self->ca_pem), &ca) < 0)
        r = -1;
    if (r == 0 && self->ca_pem)
        r = json_object_set_new(info, "certificate-authority-data", json_string(ak_buf_text(&ca)));
    if (r == 0 && self->tls_server_name)
        r = json_object_set_new(info, "tls-server-name", json_string(self->tls_server_name));
    if (r == 0 && self->proxy_url)
        r = json_object_set_new(info, "proxy-url", json_string(self->proxy_url));
    if (r == 0 && self->insecure)
        r = json_object_set_new(info, "insecure-skip-tls-verify", json_true());
    if (r == 0)
        return info;
    json_decref(info);
    return NULL;
}

static int set_exec(struct ak_kube_config *self, const struct ak__kc_exec *exec,
                    const struct ak__kc_where *where, const char *const *environ_,
                    struct ak_error **reterr)
{
    json_t *info = cluster_info(self);
    int r;

    if (!info)
        return ak_error_oom(reterr);
    r = ak__exec_plugin_new(exec, where->file->dir, environ_, info, &self->identity.exec, reterr);
    json_decref(info);
    if (r < 0)
        return ak_error_wrap(reterr, r, "%s: users[%zu].user.exec", where->file->path,
                             where->index);
    return 0;
}

static int refuse_auth_provider(const struct ak__kc_user *u, const struct ak__kc_where *where,
                                struct ak_error **reterr)
{
    json_t *tree = NULL;
    const char *name = "";
    int r = ak_json_parse(u->auth_provider, strlen(u->auth_provider), &tree, NULL);

    if (r >= 0 && ak_json_text(tree, "name", NULL))
        name = ak_json_text(tree, "name", NULL);
    r = FIELD_ERROR(
        reterr, -EINVAL, *where,
        "users[%zu].user.auth-provider: \"%s\" was removed from Kubernetes clients; use an "
        "exec credential plug-in (%s)",
        where->index, name,
        ak_streq(name, "gcp")     ? "gke-gcloud-auth-plugin"
        : ak_streq(name, "azure") ? "kubelogin convert-kubeconfig"
        : ak_streq(name, "oidc")  ? "kubectl oidc-login"
                                  : "user.exec");
    json_decref(tree);
    return r;
}

/* Precedence as in kubectl: a token file over a token, a token over a plug-in; certificates besides. */
static int use_user(struct ak_kube_config *self, const struct ak__kc_user *u,
                    const struct ak__kc_where *where, const struct ak_kube_config_options *o,
                    struct ak_error **reterr)
{
    bool has_token = !ak_is_empty(u->token) || !ak_is_empty(u->token_file);
    int r;

    if (u->auth_provider)
        return refuse_auth_provider(u, where, reterr);
    if (!ak_is_empty(u->username) && has_token)
        return FIELD_ERROR(reterr, -EINVAL, *where,
                           "users[%zu].user.username: not together with a token", where->index);
    r = set_certificate(self, u, where, reterr);
    if (r < 0)
        return r;
    if (!ak_is_empty(u->token_file)) {
        self->identity.token_path = resolve(where, u->token_file);
        return self->identity.token_path ? 0 : ak_error_oom(reterr);
    }
    if (!ak_is_empty(u->token)) {
        self->identity.now.token = ak_secret_new(u->token, strlen(u->token));
        return self->identity.now.token ? 0 : ak_error_oom(reterr);
    }
    if (!ak_is_empty(u->username))
        return set_basic(self, u, reterr);
    if (u->exec && !self->identity.now.cert_pem && !self->identity.cert_path)
        return set_exec(self, u->exec, where, o->environ_, reterr);
    return 0;
}

/* --- one context --- */

static int use_context(struct ak_kube_config *self, const struct ak__kc *kc,
                       const struct ak_kube_config_options *o, struct ak_error **reterr)
{
    const char *name = o->context ? o->context : ak__kc_current_context(kc);
    struct ak__kc_where at = {0}, cluster_at = {0}, user_at = {0};
    const struct ak__kc_context *context = name[0] ? ak__kc_context(kc, name, &at) : NULL;
    const char *cluster_name = o->cluster ? o->cluster : context ? context->cluster : "";
    const char *user_name = o->user ? o->user : context ? context->user : "";
    const struct ak__kc_cluster *cluster;
    const struct ak__kc_user *user;
    int r;

    if (name[0] && !context)
        return ak_error_set(reterr, -EINVAL, "%s: there is no context \"%s\"", o->paths, name);
    if (!name[0] && !o->cluster)
        return ak_error_set(reterr, -EINVAL, "%s: current-context: is not set, name a context",
                            o->paths);
    cluster = ak__kc_cluster(kc, cluster_name, &cluster_at);
    if (!cluster)
        return ak_error_set(reterr, -EINVAL, "%s: there is no cluster \"%s\", which %s asks for",
                            o->paths, cluster_name, o->cluster ? "an option" : "the context");
    user = user_name[0] ? ak__kc_user(kc, user_name, &user_at) : NULL;
    if (user_name[0] && !user)
        return ak_error_set(reterr, -EINVAL, "%s: there is no user \"%s\", which %s asks for",
                            o->paths, user_name, o->user ? "an option" : "the context");
    r = use_cluster(self, cluster, &cluster_at, o->server, reterr);
    if (r >= 0)
        r = set_text(&self->context, name, reterr);
    if (r >= 0 && context && !ak_is_empty(context->namespace_))
        r = set_text(&self->namespace_, context->namespace_, reterr);
    if (r >= 0 && user && !o->token)
        r = use_user(self, user, &user_at, o, reterr);
    return r < 0 ? r : impersonate(self, user, &user_at, o->as_user, reterr);
}

static int load_files(struct ak_kube_config *self, const struct ak_kube_config_options *o,
                      struct ak_error **reterr)
{
    AK_AUTO(ak__kc) kc;
    int r;

    ak__kc_init(&kc);
    r = ak__kc_load(&kc, o->paths, reterr);
    return r < 0 ? r : use_context(self, &kc, o, reterr);
}

/* --- in the cluster --- */

static int read_account_file(const char *dir, const char *name, struct ak_buf *out,
                             struct ak_error **reterr)
{
    AK_AUTO_TEXT char *path = ak_asprintf("%s/%s", dir, name);
    int r;

    if (!path)
        return ak_error_oom(reterr);
    r = ak_buf_add_file(out, path);
    if (r < 0)
        return ak_error_set(reterr, r, "%s: %s; is a service account token mounted?", path,
                            ak_code_text(r));
    return 0;
}

static int load_in_cluster(struct ak_kube_config *self, const struct ak_kube_config_options *o,
                           struct ak_error **reterr)
{
    const char *dir = o->service_account_dir ? o->service_account_dir : SERVICE_ACCOUNT_DIR;
    AK_AUTO(ak_buf) ca = {.max = AK_KUBECONFIG_MAX_BYTES};
    AK_AUTO(ak_buf) ns = {.max = 256};
    bool v6;
    int r;

    if (ak_is_empty(o->service_host) || ak_is_empty(o->service_port))
        return ak_error_set(
            reterr, -ENOENT,
            "no kubeconfig was given, and this is not a pod: KUBERNETES_SERVICE_HOST "
            "or KUBERNETES_SERVICE_PORT is not set");
    v6 = strchr(o->service_host, ':') != NULL;
    self->server = ak_asprintf("https://%s%s%s:%s", v6 ? "[" : "", o->service_host, v6 ? "]" : "",
                               o->service_port);
    self->identity.token_path = ak_asprintf("%s/token", dir);
    if (!self->server || !self->identity.token_path)
        return ak_error_oom(reterr);
    r = read_account_file(dir, "ca.crt", &ca, reterr);
    if (r >= 0)
        r = set_text(&self->ca_pem, ak_buf_text(&ca), reterr);
    if (r < 0)
        return r;
    /* The namespace is a convenience, its absence no error. */
    if (read_account_file(dir, "namespace", &ns, NULL) >= 0 && ns.len) {
        while (ns.len && (unsigned char)ns.data[ns.len - 1] <= ' ')
            ns.data[--ns.len] = '\0';
        r = set_text(&self->namespace_, ak_buf_text(&ns), reterr);
    }
    if (r >= 0)
        r = set_text(&self->context, "", reterr);
    return r < 0 ? r : impersonate(self, NULL, NULL, o->as_user, reterr);
}

static int use_options(struct ak_kube_config *self, const struct ak_kube_config_options *o,
                       struct ak_error **reterr)
{
    int r = 0;

    if (o->namespace_)
        r = set_text(&self->namespace_, o->namespace_, reterr);
    if (r >= 0 && !self->namespace_)
        r = set_text(&self->namespace_, "default", reterr);
    if (r >= 0 && o->user_agent)
        r = set_text(&self->user_agent, o->user_agent, reterr);
    if (r >= 0 && !self->proxy_url && !ak_is_empty(o->https_proxy)) {
        r = set_text(&self->proxy_url, o->https_proxy, reterr);
        if (r >= 0)
            r = set_text(&self->no_proxy, o->no_proxy, reterr);
    }
    if (r >= 0 && o->token) {
        ak_free(self->identity.token_path);
        self->identity.token_path = NULL;
        self->identity.now.token = ak_secret_new(o->token, strlen(o->token));
        if (!self->identity.now.token)
            r = ak_error_oom(reterr);
    }
    return r;
}

/* Files that are read again later are read now too, so that a wrong name is told at once. */
static int read_credential_files(struct ak_kube_config *self, struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_secret) token = NULL;
    uint64_t generation, tls_generation;

    return ak__identity_get(&self->identity, AK__IDENTITY_FRESH, 0, NULL, &token, &generation,
                            &tls_generation, reterr);
}

int ak_kube_config_load(const struct ak_kube_config_options *options, struct ak_kube_config **ret,
                        struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_kube_config) self = ak_new0(struct ak_kube_config);
    int r;

    if (!self)
        return ak_error_oom(reterr);
    ak__identity_init(&self->identity);
    r = options->paths ? load_files(self, options, reterr) : load_in_cluster(self, options, reterr);
    if (r >= 0)
        r = use_options(self, options, reterr);
    if (r >= 0 && !self->identity.exec)
        r = read_credential_files(self, reterr);
    if (r < 0)
        return r;
    *ret = AK_TAKE(self);
    return 0;
}

const char *ak_kube_config_server(const struct ak_kube_config *self)
{
    return self->server;
}

const char *ak_kube_config_namespace(const struct ak_kube_config *self)
{
    return self->namespace_;
}

const char *ak_kube_config_context(const struct ak_kube_config *self)
{
    return self->context;
}

bool ak_kube_config_uses_client_cert(const struct ak_kube_config *self)
{
    return self->identity.now.cert_pem || self->identity.cert_path;
}

int ak_kube_config_token(struct ak_kube_config *self, const struct ak_cancel *cancel,
                         struct ak_secret **ret, struct ak_error **reterr)
{
    uint64_t generation, tls_generation;

    return ak__identity_get(&self->identity, AK__IDENTITY_FRESH, 0, cancel, ret, &generation,
                            &tls_generation, reterr);
}

int ak__kube_config_http(struct ak_kube_config *self, struct ak_http_client **ret,
                         uint64_t *ret_tls_generation, struct ak_error **reterr)
{
    struct ak__identity *id = &self->identity;
    struct ak_http_target target = {
        .base_url = self->server,
        .ca_pem = self->ca_pem,
        .tls_server_name = self->tls_server_name,
        .insecure_skip_verify = self->insecure,
        .proxy_url = self->proxy_url,
        .no_proxy = self->no_proxy,
        .user_agent = self->user_agent,
    };
    int r;

    ak_mutex_lock(&id->lock); /* no I/O below: parsing and copying */
    if (id->now.cert_pem && id->now.key) {
        target.client_cert_pem = id->now.cert_pem;
        target.client_key_pem = id->now.key;
    }
    r = ak_http_client_new(&target, ret, reterr);
    if (r >= 0)
        *ret_tls_generation = id->tls_generation;
    ak_mutex_unlock(&id->lock);
    return r;
}

void ak__kube_config_headers(const struct ak_kube_config *self,
                             const char *headers[static AK__CONFIG_MAX_HEADERS + 2])
{
    size_t n = 0;

    for (char **h = self->headers; h && *h; h++)
        headers[n++] = *h;
    if (self->basic)
        headers[n++] = ak_secret_peek(self->basic, NULL);
    headers[n] = NULL;
}
