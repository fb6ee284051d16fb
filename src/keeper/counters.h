/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the keeper counts, and its text for Prometheus. Numbers only: no name, path or key of anybody.
 * Thread: one.
 */
#ifndef AK_KEEPER_COUNTERS_H
#define AK_KEEPER_COUNTERS_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <ak/base/time.h>
#include <stddef.h>
#include <stdint.h>

#define AK_COUNTERS_BOUNDS 10

enum ak_keeper_door { AK_DOOR_MODEL, AK_DOOR_MCP, AK_DOOR_RELAY, AK_DOOR_MAX };
const char *ak_keeper_door_to_string(enum ak_keeper_door door);

struct ak_door_counters {
    uint64_t answers[600]; /* by HTTP status; 0: the client went before there was one */
    uint64_t open;         /* requests under way now, streams included */
};

struct ak_keeper_counters {
    struct ak_door_counters doors[AK_DOOR_MAX];
    uint64_t model_bytes_in, model_bytes_out;           /* bodies, from and to the agent */
    uint64_t model_head_counts[AK_COUNTERS_BOUNDS + 1]; /* time until the provider's head */
    double model_head_seconds;
    size_t mcp_sessions;
};

void ak_counters_begin(struct ak_keeper_counters *self, enum ak_keeper_door door);
void ak_counters_end(struct ak_keeper_counters *self, enum ak_keeper_door door, int status);
void ak_counters_model_head(struct ak_keeper_counters *self, ak_msec after);
AK_MUST_USE int ak_counters_write(const struct ak_keeper_counters *self, struct ak_buf *out);

#endif
