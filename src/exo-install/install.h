/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exo-install: puts agentkube into a cluster, looks after it there, and takes it out again.
 *
 *     options  what was typed                 values    the chart's values, with what was typed
 *     manifests  what is built in             render    manifests + values -> the objects to apply
 *     cluster  requests to the apiserver      preflight what stands in the way, before anything is sent
 *     apply    one object after the other     proof     that what was applied works, or why not
 *     screen   what the user sees             verb_*.c  one verb of the command line each
 *
 * Verbs return an exit code, or a negative code with the text in *reterr that main() prints.
 */
#ifndef AK_EXO_INSTALL_INSTALL_H
#define AK_EXO_INSTALL_INSTALL_H

#include <ak/base/error.h>
#include <ak/base/time.h>
#include <ak/kube/client.h>

#include "exo-install/options.h"
#include "terminal/screen.h"

#define AK_INSTALL_NAMESPACE "agentkube-system"
#define AK_INSTALL_NAME "agentkube-manager"
/* Field manager of what we apply, value of the label app.kubernetes.io/managed-by, and name of the
 * ConfigMap that remembers with which values the operator was installed. */
#define AK_INSTALL_SELF "exo-install"
#define AK_INSTALL_GROUP "agentkube.io"
#define AK_INSTALL_TOKEN_SECRET "agentkube-auth"
#define AK_INSTALL_TOKEN_KEY "token"

enum ak_exit {
    AK_EXIT_OK = 0,
    AK_EXIT_FAILED = 1,
    AK_EXIT_USAGE = 2,
    AK_EXIT_PREFLIGHT = 3, /* forbidden, or something of somebody else is in the way */
    AK_EXIT_TIMEOUT = 4,
};

struct ak_install {
    const struct ak_install_options *options;
    struct ak_screen screen;
    struct ak_kube_config *config; /* NULL before ak_cluster_connect() */
    struct ak_client *client;
    ak_msec deadline; /* monotonic; --timeout counts for the whole verb */
};

void ak_install_done(struct ak_install *self);

typedef int (*ak_verb_fn)(struct ak_install *self, struct ak_error **reterr);
int ak_verb_crds(struct ak_install *self, struct ak_error **reterr);
int ak_verb_operator(struct ak_install *self, struct ak_error **reterr);
int ak_verb_upgrade(struct ak_install *self, struct ak_error **reterr);
int ak_verb_status(struct ak_install *self, struct ak_error **reterr);
int ak_verb_uninstall(struct ak_install *self, struct ak_error **reterr);
int ak_verb_bundle(struct ak_install *self, struct ak_error **reterr);
int ak_verb_images(struct ak_install *self, struct ak_error **reterr);
int ak_verb_version(struct ak_install *self, struct ak_error **reterr);

#endif
