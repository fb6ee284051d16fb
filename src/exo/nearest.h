/* SPDX-License-Identifier: Apache-2.0 */
/* The word that somebody may have meant: optimal string alignment distance, at most a third of it wrong. */
#ifndef AK_EXO_NEAREST_H
#define AK_EXO_NEAREST_H

#include <stddef.h>

struct ak_nearest {
    const char *word; /* what was typed */
    const char *best; /* borrowed; NULL: none is near */
    size_t distance;
};
void ak_nearest_try(struct ak_nearest *self, const char *candidate);

#endif
