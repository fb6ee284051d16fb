/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the person who runs the manager can choose: flags named as controller-runtime's, and the
 * documented AGENTKUBE_* environment. Both are tables, and --help is printed from them.
 * Pure: argv and environment are parameters, nothing is printed here, and nothing exits.
 */
#ifndef AK_MANAGER_OPTIONS_H
#define AK_MANAGER_OPTIONS_H

#include <ak/base/arena.h>
#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/time.h>
#include <ak/json/decode.h>
#include <stdbool.h>

#define AK_OPTIONS_MAX_WORKERS 64
#define AK_OPTIONS_MAX_PULL_SECRETS 16

struct ak_options {
    /* Flags. Texts point into argv, the environment or the arena. */
    const char *kubeconfig, *context;
    const char *namespace_;      /* of the Lease */
    const char *watch_namespace; /* NULL: all */
    const char *log_level;
    bool leader_elect;
    int64_t workers;
    ak_msec resync;               /* negative: never */
    ak_msec shutdown_delay;       /* negative: none */
    const char *bind_address;     /* NULL: all; shared by metrics and probes */
    int metrics_port, probe_port; /* negative: off; 0: any free one */
    bool webhook;
    const char *webhook_address;       /* NULL: all */
    int webhook_port;                  /* 0: any free one */
    ak_msec webhook_timeout;           /* of the webhook configuration */
    const char *webhook_configuration; /* "": its caBundle is somebody else's business */
    struct ak_string_list webhook_names;
    const char *invoke_address; /* NULL: all */
    int invoke_port;            /* negative: off; 0: any free one */
    bool show_help, show_version;

    /* Environment. */
    const char *home, *service_host, *service_port, *https_proxy, *no_proxy;
    const char *pod_name, *pod_ip;
    const char *image_registry; /* NULL: as the references say */
    const char *manager_image;
    const char *manager_url; /* of the invocation API, for keepers; NULL: it is not served */
    struct ak_string_list image_pull_secrets;
    const char *memory_storage_class; /* of group memory claims; NULL: the cluster's default */
    const char *memory_access_mode;
    const char *memory_size;
    const char *zoneinfo_dir;
    const char *const *environ_;
    const char *transport;
    bool managed;
};

/* Fills all of *self, defaults included. -EINVAL names the flag or variable. Lists go to `arena`. */
AK_MUST_USE int ak_options_parse(struct ak_options *self, int argc, const char *const *argv,
                                 const char *const *environ_, struct ak_arena *arena,
                                 struct ak_error **reterr);
/* What --help prints. */
AK_MUST_USE int ak_options_help(struct ak_buf *out);

#endif
