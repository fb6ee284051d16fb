/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the configuration share:
 *   config_file.c   kubeconfig files, decoded and looked up
 *   config.c        one context of them, or the pod's service account, as struct ak_kube_config
 *   identity.c      who we are right now: tokens and certificates that are read again or expire
 *   exec_plugin.c   credential plug-ins
 */
#ifndef AK_KUBE_CONFIG_INTERNAL_H
#define AK_KUBE_CONFIG_INTERNAL_H

#include <ak/base/buf.h>
#include <ak/base/secret.h>
#include <ak/base/thread.h>
#include <ak/base/time.h>
#include <ak/json/decode.h>
#include <ak/kube/config.h>
#include <ak/net/http_client.h>

#define AK_KUBECONFIG_MAX_FILES 32
#define AK_KUBECONFIG_MAX_BYTES (4u << 20) /* of one file, and of each file that it names */
#define AK_TOKEN_MAX_BYTES (64u << 10)
#define AK_EXEC_TIMEOUT AK_SECONDS(60)
#define AK_EXEC_MAX_OUTPUT (1u << 20)
#define AK_TOKEN_FILE_PERIOD AK_MINUTES(1)

/* --- config_file.c --- */
struct ak__kc_cluster {
    const char *server, *tls_server_name, *ca_file, *ca_data, *proxy_url;
    bool insecure;
};
struct ak__kc_env {
    const char *name, *value;
};
struct ak__kc_exec {
    const char *api_version, *command, *install_hint, *interactive_mode;
    struct ak_string_list args;
    AK_LIST_OF(struct ak__kc_env) env;
    bool provide_cluster_info;
};
struct ak__kc_user {
    const char *cert_file, *cert_data, *key_file, *key_data;
    const char *token, *token_file, *username, *password;
    const char *as, *as_uid, *as_extra /* JSON */;
    struct ak_string_list as_groups;
    const char *auth_provider; /* JSON */
    const struct ak__kc_exec *exec;
};
struct ak__kc_context {
    const char *cluster, *user, *namespace_;
};
struct ak__kc_named_cluster {
    const char *name;
    const struct ak__kc_cluster *value;
};
struct ak__kc_named_user {
    const char *name;
    const struct ak__kc_user *value;
};
struct ak__kc_named_context {
    const char *name;
    const struct ak__kc_context *value;
};
struct ak__kc_file {
    const char *path;
    const char *dir; /* relative names in the file are relative to it */
    const char *kind, *api_version, *current_context;
    AK_LIST_OF(struct ak__kc_named_cluster) clusters;
    AK_LIST_OF(struct ak__kc_named_user) users;
    AK_LIST_OF(struct ak__kc_named_context) contexts;
};
/* Where an entry came from, for messages and relative names. */
struct ak__kc_where {
    const struct ak__kc_file *file;
    size_t index;
};
struct ak__kc {
    struct ak_arena arena;
    struct ak__kc_file files[AK_KUBECONFIG_MAX_FILES];
    size_t n_files;
};
void ak__kc_init(struct ak__kc *self);
void ak__kc_done(struct ak__kc *self); /* wipes what is secret */
AK_DEFINE_AUTO(ak__kc, ak__kc_done)
/* Adds one file's text; earlier ones win. */
AK_MUST_USE int ak__kc_add_text(struct ak__kc *self, const char *path, const char *text, size_t len,
                                struct ak_error **reterr);
/* Reads "a:b:c". Of several files some may be missing, a single one may not. */
AK_MUST_USE int ak__kc_load(struct ak__kc *self, const char *paths, struct ak_error **reterr);
const char *ak__kc_current_context(const struct ak__kc *self); /* "" if none */
const struct ak__kc_context *ak__kc_context(const struct ak__kc *self, const char *name,
                                            struct ak__kc_where *ret);
const struct ak__kc_cluster *ak__kc_cluster(const struct ak__kc *self, const char *name,
                                            struct ak__kc_where *ret);
const struct ak__kc_user *ak__kc_user(const struct ak__kc *self, const char *name,
                                      struct ak__kc_where *ret);

/* --- exec_plugin.c --- */
struct ak__exec_plugin {
    char *path; /* absolute, or to be searched in PATH of environ_ */
    char **argv;
    char **environ_; /* without KUBERNETES_EXEC_INFO */
    char *info;      /* value of KUBERNETES_EXEC_INFO */
    char *api_version;
    char *install_hint;
};
struct ak__exec_plugin *ak__exec_plugin_free(struct ak__exec_plugin *self);
AK_DEFINE_AUTO_PTR(ak__exec_plugin, ak__exec_plugin_free)
AK_MUST_USE int ak__exec_plugin_new(const struct ak__kc_exec *exec, const char *dir,
                                    const char *const *inherit, const json_t *cluster_info,
                                    struct ak__exec_plugin **ret, struct ak_error **reterr);

/* What a renewal brought. Empty members: not there. */
struct ak__fresh {
    struct ak_secret *token;
    char *cert_pem;
    struct ak_secret *key;
    ak_msec expires; /* wall clock; 0: never */
};
void ak__fresh_done(struct ak__fresh *self);
AK_DEFINE_AUTO(ak__fresh, ak__fresh_done)
AK_MUST_USE int ak__exec_plugin_run(const struct ak__exec_plugin *self, ak_msec timeout,
                                    const struct ak_cancel *cancel, struct ak__fresh *ret,
                                    struct ak_error **reterr);
AK_MUST_USE int ak__exec_credential_parse(const char *text, size_t len, const char *api_version,
                                          struct ak__fresh *ret, struct ak_error **reterr);

/* --- identity.c --- */
struct ak__identity {
    /* Where it comes from; set once. */
    char *token_path;
    char *cert_path, *key_path;
    struct ak__exec_plugin *exec;

    struct ak_mutex lock; /* guards all below */
    struct ak_cond renewed;
    bool renewing;
    struct ak__fresh now;
    ak_msec next_read;       /* of files */
    uint64_t generation;     /* grows with each renewal; 0: never resolved */
    uint64_t tls_generation; /* grows when certificate or key changed */
};
enum ak__identity_mode {
    AK__IDENTITY_FRESH, /* renews what is due; may block */
    AK__IDENTITY_LAST,  /* the last known one; never runs a plug-in */
};
void ak__identity_init(struct ak__identity *self);
void ak__identity_done(struct ak__identity *self);
bool ak__identity_is_refreshable(const struct ak__identity *self);
/* The bearer token to use now (NULL: none; the caller frees it) and the generations. `refused`: the
 * generation that the apiserver answered with 401, to be renewed even if it is not due; 0: none. */
AK_MUST_USE int ak__identity_get(struct ak__identity *self, enum ak__identity_mode mode,
                                 uint64_t refused, const struct ak_cancel *cancel,
                                 struct ak_secret **ret_token, uint64_t *ret_generation,
                                 uint64_t *ret_tls_generation, struct ak_error **reterr);

/* --- config.c --- */
struct ak_kube_config {
    char *server, *namespace_, *context;
    char *ca_pem, *tls_server_name, *proxy_url, *no_proxy, *user_agent;
    bool insecure;
    char **headers;          /* impersonation, NULL-terminated */
    struct ak_secret *basic; /* "Authorization: Basic ..." */
    struct ak__identity identity;
};
/* A new HTTP client with the certificate that holds now. */
AK_MUST_USE int ak__kube_config_http(struct ak_kube_config *self, struct ak_http_client **ret,
                                     uint64_t *ret_tls_generation, struct ak_error **reterr);
#define AK__CONFIG_MAX_HEADERS 24
/* Fills `headers` (NULL-terminated) with lines that live as long as the config. */
void ak__kube_config_headers(const struct ak_kube_config *self,
                             const char *headers[static AK__CONFIG_MAX_HEADERS + 2]);

/* --- base64.c --- */
AK_MUST_USE int ak__base64_decode(const char *text, struct ak_buf *out); /* -EINVAL: not base64 */
AK_MUST_USE int ak__base64_encode(const void *data, size_t len, struct ak_buf *out);
void ak__wipe_text(const char *text); /* in memory of ours */

#endif
