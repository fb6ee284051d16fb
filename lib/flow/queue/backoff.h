/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Growing delays with jitter, for the queue's retries and the watch's reconnects; and the small random
 * generator (splitmix64) behind the jitter, which a test seeds.
 */
#ifndef AK_FLOW_BACKOFF_H
#define AK_FLOW_BACKOFF_H

#include <ak/base/time.h>
#include <stdint.h>

struct ak_backoff_random {
    uint64_t state;
};
void ak_backoff_seed(struct ak_backoff_random *self, uint64_t seed);
uint64_t ak_backoff_next(struct ak_backoff_random *self);

/* first * 2^failures, at most max, plus up to a tenth, so that what failed together does not come back
 * together. */
ak_msec ak_backoff_delay(ak_msec first, ak_msec max, unsigned failures,
                         struct ak_backoff_random *random);
#endif
