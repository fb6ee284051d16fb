/* SPDX-License-Identifier: Apache-2.0 */
/* What the containers of an Agent's pod have in common, beside what all pods of ours have. */
#ifndef AK_MANAGER_AGENT_PARTS_H
#define AK_MANAGER_AGENT_PARTS_H

#include <ak/base/compiler.h>
#include <jansson.h>

#include "manager/controllers/agent/specs/specs.h"
#include "manager/pods/parts.h"

#define AK_POD_LINK AK_POD_LINK_DIR "/agentlet.sock"
#define AK_POD_LOOPBACK "127.0.0.1:8085"

/* The value of a variable of spec.env, or NULL. */
const char *ak_part_user_env(const struct ak_agent_pod_input *in, const char *name);

/* keeper.c: the container, and the volumes that only it mounts. */
AK_MUST_USE json_t *ak_agent_keeper_container(const struct ak_agent_pod_input *in);
AK_MUST_USE int ak_agent_add_keeper_volumes(const struct ak_agent_pod_input *in, json_t *list);

#endif
