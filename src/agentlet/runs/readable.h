/* SPDX-License-Identifier: Apache-2.0 */
/* An event as lines for people: what `kubectl logs` and GET .../logs show. Pure. */
#ifndef AK_AGENTLET_RUNS_READABLE_H
#define AK_AGENTLET_RUNS_READABLE_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <jansson.h>

/* Adds whole lines, or for an output's piece ("partial") text without a line feed. Some events have none. */
AK_MUST_USE int ak_readable_add(struct ak_buf *out, const char *type, const json_t *data);

#endif
