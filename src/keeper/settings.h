/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the manager says to the keeper: the environment of docs/keeper.md, checked once at start.
 * No key and no token is ever in it, only the names of the files that hold them.
 */
#ifndef AK_KEEPER_SETTINGS_H
#define AK_KEEPER_SETTINGS_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <stdbool.h>
#include <stdint.h>

#include "door/listen.h"

/* All text is borrowed from the environment or from literals. */
struct ak_keeper_settings {
    const char *agent_name;
    const char *agent_namespace;
    const char *pod_uid;
    const char *provider;     /* a name of src/runtimes, or "" */
    const char *upstream;     /* base URL of the provider; "": there is none */
    const char *upstream_ca;  /* file with more authorities for it; "": none */
    const char *key_file;     /* "": the agent has no key */
    const char *token_file;   /* the pod's projected token */
    const char *link;         /* the agentlet's Unix socket */
    const char *manager_ca;   /* PEM; the authorities that sign the manager's client certificate */
    const char *manager_name; /* its subject's common name */
    const char
        *manager_url; /* its invocation API, where the agent's tools are; "": there are none */
    struct ak_listen relay, loopback, probe;
    const char *https_proxy; /* for the upstream; NULL: none */
    const char *no_proxy;    /* NULL: none */
};

typedef const char *(*ak_settings_lookup_fn)(const char *name, void *user);

/* -EINVAL names the variable. */
AK_MUST_USE int ak_keeper_settings_read(ak_settings_lookup_fn lookup, void *user,
                                        struct ak_keeper_settings *ret, struct ak_error **reterr);

#endif
