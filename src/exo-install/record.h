/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What exo-install remembers in the cluster, in the ConfigMap exo-install: its version, the values that
 * were given (for `upgrade`), and whether it made the namespace (for `uninstall`).
 */
#ifndef AK_EXO_INSTALL_RECORD_H
#define AK_EXO_INSTALL_RECORD_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/json/json.h>

#include "exo-install/cluster.h"

struct ak_record {
    bool found;
    bool made_namespace;
    char version[64];
    json_t *values; /* what was given; {} if nothing was */
};
void ak_record_done(struct ak_record *self);
AK_DEFINE_AUTO(ak_record, ak_record_done)

/* Reads it. Without one, made_namespace is whether nobody else ever wrote the namespace that is there
 * (an install that broke off), or that there is none yet. */
AK_MUST_USE int ak_record_read(struct ak_install *self, struct ak_record *ret,
                               struct ak_error **reterr);
/* The ConfigMap to apply. */
AK_MUST_USE int ak_record_make(const json_t *given, bool made_namespace, json_t **ret,
                               struct ak_error **reterr);

#endif
