/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the cluster is and who we are in it: kubeconfig files or the in-cluster service account.
 *
 * Kubeconfig (merged from several files as kubectl does): clusters, contexts, users with client
 * certificates (data or files), bearer tokens, token files (read again when they change), exec
 * credential plug-ins (client.authentication.k8s.io v1 and v1beta1, cached until they expire),
 * basic auth, proxy-url, tls-server-name, insecure-skip-tls-verify, namespace. Auth providers that
 * kubectl dropped (gcp, azure, oidc) give an error that says what to use.
 * lib/ reads no environment: callers pass paths, HOME and proxies in.
 */
#ifndef AK_KUBE_CONFIG_H
#define AK_KUBE_CONFIG_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/secret.h>
#include <stdbool.h>

struct ak_kube_config;

struct ak_kube_config_options {
    const char *paths;   /* kubeconfig files separated by ':', first wins; NULL: in-cluster */
    const char *context; /* NULL: current-context */
    const char *cluster, *user, *namespace_; /* overrides; NULL: from the context */
    const char *server;                      /* overrides the cluster's address */
    const char *as_user;                     /* impersonation; NULL: none */
    const char *token;                       /* overrides every other credential */
    /* In-cluster: NULL gives /var/run/secrets/kubernetes.io/serviceaccount and the host and port that
     * the caller read from KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT. */
    const char *service_account_dir;
    const char *service_host, *service_port;
    const char *https_proxy, *no_proxy; /* used when the cluster has no proxy-url */
    const char *const *environ_;        /* for exec plug-ins: what they inherit; NULL: nothing */
    const char *user_agent;
};

AK_PUBLIC struct ak_kube_config *ak_kube_config_free(struct ak_kube_config *self);
/* Errors name the file and the field: `/root/.kube/config: users[1].user.exec.apiVersion: ...`. */
AK_PUBLIC AK_MUST_USE int ak_kube_config_load(const struct ak_kube_config_options *options,
                                              struct ak_kube_config **ret,
                                              struct ak_error **reterr);
AK_DEFINE_AUTO_PTR(ak_kube_config, ak_kube_config_free)

AK_PUBLIC const char *ak_kube_config_server(const struct ak_kube_config *self);
AK_PUBLIC const char *ak_kube_config_namespace(
    const struct ak_kube_config *self); /* "default" if unset */
AK_PUBLIC const char *ak_kube_config_context(const struct ak_kube_config *self); /* "" in-cluster */
AK_PUBLIC bool ak_kube_config_uses_client_cert(const struct ak_kube_config *self);

/* The bearer token that requests carry now, renewed if that is due: for programs that have to show it to
 * somebody behind the apiserver. *ret is NULL if there is none (client certificate, basic auth); else the
 * caller frees it. Blocks while a plug-in runs; cancel may be NULL. Thread: any. */
struct ak_cancel;
AK_PUBLIC AK_MUST_USE int ak_kube_config_token(struct ak_kube_config *self,
                                               const struct ak_cancel *cancel,
                                               struct ak_secret **ret, struct ak_error **reterr);

#endif
