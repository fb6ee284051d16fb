/* SPDX-License-Identifier: Apache-2.0 */
/* Objects from files, and where the apiserver has objects of their kind. */
#ifndef AK_EXO_MANIFESTS_H
#define AK_EXO_MANIFESTS_H

#include "exo/exo.h"

#define AK_MANIFESTS_MAX (64u << 20) /* bytes of one file */

/* All documents of all files of --filename ("-": standard input), Lists taken apart, in order. */
AK_MUST_USE int ak_manifests_read(struct ak_exo *self, json_t **ret_array,
                                  struct ak_error **reterr);
/* Asks the apiserver once for each group and version. Texts live as long as the program. AK_E_NOT_FOUND: the
 * apiserver has no such kind. */
AK_MUST_USE int ak_manifests_kind(struct ak_exo *self, const json_t *object,
                                  struct ak_resource *ret, struct ak_error **reterr);
/* Puts the namespace in that the command is about, if the kind has namespaces and the manifest none. -EINVAL: -n says
 * another one. *ret_ns is NULL for kinds without namespaces. */
AK_MUST_USE int ak_manifests_place(struct ak_exo *self, json_t *object, const struct ak_resource *r,
                                   const char **ret_ns, struct ak_error **reterr);

#endif
