/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line: one verb, and flags that belong to some of the verbs. Both are tables, and every
 * --help is printed from them. Pure: nothing is printed here, nothing is read but argv and environ.
 */
#ifndef AK_EXO_INSTALL_OPTIONS_H
#define AK_EXO_INSTALL_OPTIONS_H

#include <ak/base/arena.h>
#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/time.h>
#include <stdbool.h>
#include <stdint.h>

#include "terminal/flags.h"

enum ak_verb {
    AK_VERB_CRDS,
    AK_VERB_OPERATOR,
    AK_VERB_UPGRADE,
    AK_VERB_STATUS,
    AK_VERB_UNINSTALL,
    AK_VERB_BUNDLE,
    AK_VERB_IMAGES,
    AK_VERB_VERSION,
    AK_VERB_MAX
};
enum ak_output { AK_OUTPUT_TEXT, AK_OUTPUT_YAML, AK_OUTPUT_JSON };

/* Texts point into argv, the environment or the arena; NULL: not given. */
struct ak_install_options {
    enum ak_verb verb;
    bool help; /* of the verb, or of the program if has_verb is false */
    bool has_verb;

    const char *kubeconfig, *context;
    ak_msec timeout;
    bool wait, dry_run, force_conflicts, allow_downgrade, yes, purge, crds;
    enum ak_output output;

    bool managed;
    const char *base_url, *token_file, *image, *image_registry, *offline, *file;
    const char *webhook;  /* "true", "false" */
    const char *replicas; /* a number; the chart's schema knows its limits */
    struct ak_flag_list sets, values, pull_secrets, images;

    const char *home, *service_host, *service_port, *https_proxy, *no_proxy;
    const char *const *environ_;
};

/* -EINVAL names the flag. */
AK_MUST_USE int ak_install_options_parse(struct ak_install_options *self, int argc,
                                         const char *const *argv, const char *const *environ_,
                                         struct ak_arena *arena, struct ak_error **reterr);
/* What `exo-install --help`, or `exo-install VERB --help`, prints. */
AK_MUST_USE int ak_install_options_help(const struct ak_install_options *self, struct ak_buf *out);
const char *ak_install_verb_name(enum ak_verb verb);

#endif
