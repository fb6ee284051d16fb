/* SPDX-License-Identifier: Apache-2.0 */
/* Why the manager's pods are not ready, in words: from the Deployment, the pods and their events. */
#ifndef AK_EXO_INSTALL_DIAGNOSE_H
#define AK_EXO_INSTALL_DIAGNOSE_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/json/json.h>

#include "exo-install/cluster.h"

#define AK_INSTALL_SELECTOR                                                                        \
    "app.kubernetes.io/name=" AK_INSTALL_NAME ",app.kubernetes.io/component=manager"

/* Adds one sentence, or nothing if nothing is wrong with this pod. Pure. */
AK_MUST_USE int ak_diagnose_pod(const json_t *pod, struct ak_buf *out);
/* Adds the first reason that is found; nothing if there is none to be seen. */
AK_MUST_USE int ak_diagnose(struct ak_install *self, const json_t *deployment, struct ak_buf *out,
                            struct ak_error **reterr);

#endif
