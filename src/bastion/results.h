/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What probe, provision and deprovision have to say, as one JSON object: on standard output, and as the
 * message that the container ends with, which is how the manager reads it.
 */
#ifndef AK_BASTION_RESULTS_H
#define AK_BASTION_RESULTS_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>

#include "bastion/engine.h"

#define AK_RESULT_MAX 4096 /* bytes of a container's last message */

/* {"reachable":bool,"authenticated":bool,"authorised":bool,"server":"...","message":"..."} */
AK_MUST_USE int ak_probe_write(const struct ak_probe_result *result, struct ak_buf *out);
/* {"done":bool,"changed":[...],"unenforceable":[...],"message":"..."}; with fewer lines if out->max wants that. */
AK_MUST_USE int ak_provision_write(const struct ak_provision_result *result, struct ak_buf *out);
/* To standard output, with a line break, and into the file. */
AK_MUST_USE int ak_result_tell(const struct ak_buf *text, const char *path,
                               struct ak_error **reterr);

#endif
