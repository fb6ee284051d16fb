/* SPDX-License-Identifier: Apache-2.0 */
#include "backoff.h"

void ak_backoff_seed(struct ak_backoff_random *self, uint64_t seed)
{
    self->state = seed;
}

uint64_t ak_backoff_next(struct ak_backoff_random *self)
{
    uint64_t z = (self->state += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

ak_msec ak_backoff_delay(ak_msec first, ak_msec max, unsigned failures,
                         struct ak_backoff_random *random)
{
    ak_msec delay = first;

    while (failures-- > 0 && delay < max)
        delay *= 2;
    if (delay > max)
        delay = max;
    return delay + (ak_msec)(ak_backoff_next(random) % ((uint64_t)delay / 10 + 1));
}
