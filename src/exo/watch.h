/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AK_EXO_WATCH_H
#define AK_EXO_WATCH_H

#include "exo/objects.h"
#include "exo/rows.h"

/* Shows each change of what `query` names, from a resourceVersion on (NULL: from now), until interrupted.
 * A connection that ends is made again where it was; what happened meanwhile is shown too. */
AK_MUST_USE int ak_watch(struct ak_exo *self, const struct ak_objects_query *query,
                         const char *version, struct ak_rows *rows, struct ak_error **reterr);

#endif
