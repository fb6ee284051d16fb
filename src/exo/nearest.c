/* SPDX-License-Identifier: Apache-2.0 */
#include "exo/nearest.h"

#include <string.h>

#include <ak/base/compiler.h>

#define MAX_WORD 32 /* longer ones are near to nothing */

static size_t distance(const char *a, size_t n, const char *b, size_t m)
{
    size_t d[MAX_WORD + 1][MAX_WORD + 1];

    for (size_t i = 0; i <= n; i++)
        d[i][0] = i;
    for (size_t j = 0; j <= m; j++)
        d[0][j] = j;
    for (size_t i = 1; i <= n; i++)
        for (size_t j = 1; j <= m; j++) {
            size_t change = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            size_t best = AK_MIN(change, AK_MIN(d[i - 1][j], d[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = AK_MIN(best, d[i - 2][j - 2] + 1); /* two letters changed places */
            d[i][j] = best;
        }
    return d[n][m];
}

void ak_nearest_try(struct ak_nearest *self, const char *candidate)
{
    size_t n = strlen(self->word), m = strlen(candidate);

    if (!n || n > MAX_WORD || m > MAX_WORD)
        return;
    size_t wrong = distance(self->word, n, candidate, m);
    if (wrong > AK_MAX(n, m) / 3 + (AK_MAX(n, m) < 6) || (self->best && wrong >= self->distance))
        return;
    self->best = candidate;
    self->distance = wrong;
}
