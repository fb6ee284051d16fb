/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kubeconfig that came in a Secret: where one context of it leads, and with which credential. It has to stand alone:
 * what names a file, a program or a login service of somebody's machine is refused, with what to do instead. Pure.
 */
#ifndef AK_BASTION_HTTP_KUBECONFIG_H
#define AK_BASTION_HTTP_KUBECONFIG_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/secret.h>
#include <stdbool.h>
#include <stddef.h>

#define AK_KUBECONFIG_MAX (1u << 20) /* bytes */

struct ak_kubeconfig {
    char *server;          /* https://host:6443 */
    char *ca_pem;          /* NULL: the system's authorities */
    char *tls_server_name; /* NULL: the server's */
    bool insecure;
    char *proxy_url;         /* NULL: none */
    char *namespace_;        /* NULL: not said */
    struct ak_secret *token; /* one of these: */
    char *client_cert_pem;   /* with client_key */
    struct ak_secret *client_key;
    char *username; /* with password */
    struct ak_secret *password;
};
void ak_kubeconfig_done(struct ak_kubeconfig *self);
AK_DEFINE_AUTO(ak_kubeconfig, ak_kubeconfig_done)
/*
 * context NULL: current-context. AK_E_INVALID: not such a file, or one that does not stand alone; the text names the
 * field and never quotes a credential. -ENOMEM.
 */
AK_MUST_USE int ak_kubeconfig_parse(const char *text, size_t len, const char *context,
                                    struct ak_kubeconfig *ret, struct ak_error **reterr);

#endif
