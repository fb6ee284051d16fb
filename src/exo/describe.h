/* SPDX-License-Identifier: Apache-2.0 */
/* An Agent or a Tool in words. Pure. */
#ifndef AK_EXO_DESCRIBE_H
#define AK_EXO_DESCRIBE_H

#include <ak/base/buf.h>
#include <ak/base/time.h>
#include <ak/json/json.h>

#define AK_DESCRIBE_RUNS 5

/* `events` is an array of core/v1 Events about it, or NULL. */
AK_MUST_USE int ak_describe_agent(const json_t *agent, const json_t *events, ak_msec wall_now,
                                  struct ak_buf *out);
AK_MUST_USE int ak_describe_tool(const json_t *tool, const json_t *events, ak_msec wall_now,
                                 struct ak_buf *out);

#endif
