/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of objects that exo names in URLs. Static data. */
#ifndef AK_EXO_KINDS_H
#define AK_EXO_KINDS_H

#include <ak/kube/resource.h>

/* NULL: a kind that this program has no business with. */
const struct ak_resource *ak_kinds_find(const char *kind);
/* "agent.agentkube.io/x", as kubectl -o name, into a buffer. */
const char *ak_kinds_label(const struct ak_resource *r, const char *name, char buf[static 384]);

#endif
