/* SPDX-License-Identifier: Apache-2.0 */
#include "manager_internal.h"

#include <ak/base/alloc.h>
#include <ak/base/residency.h>

#define QUIET_TICKS 1

static uint64_t count_adds(const struct ak_manager *self)
{
    uint64_t adds = 0;

    for (size_t i = 0; i < self->options.n_controllers; i++) {
        struct ak_queue_stats st;
        ak_queue_stats(ak_controller_queue(self->controllers[i]), &st);
        adds += st.adds;
    }
    return adds;
}

/* When a burst of work (the start is one) is over, what only it needed is given back. */
void ak__manager_settle(struct ak_manager *self)
{
    uint64_t adds = count_adds(self);

    if (!ak_manager_is_synced(self))
        return;
    if (adds != self->adds)
        self->quiet_ticks = 0;
    self->adds = adds;
    if (self->quiet_ticks > QUIET_TICKS || self->quiet_ticks++ < QUIET_TICKS)
        return;
    ak_alloc_trim();
    ak_residency_drop_code();
}
