/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small pieces that the containers of a pod have in common. Every builder returns NULL when memory is short.
 * jansson's setters take NULL as a failure, so one check at the end of a chain is enough.
 */
#ifndef AK_MANAGER_AGENT_PARTS_H
#define AK_MANAGER_AGENT_PARTS_H

#include <ak/base/compiler.h>
#include <jansson.h>
#include <stdbool.h>

#include "manager/controllers/agent/specs/specs.h"

#define AK_POD_USER 65532        /* of the agent, and the group of everything in the pod */
#define AK_POD_KEEPER_USER 65533 /* what the agent cannot read is this user's */
#define AK_POD_KEEPER_USER_TEXT "65533"
#define AK_POD_LINK_DIR "/agentkube/link"
#define AK_POD_LINK AK_POD_LINK_DIR "/agentlet.sock"
#define AK_POD_LOOPBACK "127.0.0.1:8085"

AK_MUST_USE json_t *ak_part_parse(const char *text);
/* What the restricted profile asks of a container. */
AK_MUST_USE json_t *ak_part_security(bool read_only_root);
AK_MUST_USE json_t *ak_part_mount(const char *name, const char *path, bool read_only);
AK_MUST_USE json_t *ak_part_empty_volume(const char *name, const char *limit);
/* An HTTP probe on a named port. */
AK_MUST_USE json_t *ak_part_probe(const char *port, const char *path, int period, int timeout,
                                  int failures);

/* Appends a variable; users get what they wrote, although the kubelet expands $(NAME) and $$. 0 or negative. */
AK_MUST_USE int ak_part_add_env(json_t *list, const char *name, const char *value);
/* Nothing for NULL and "". */
AK_MUST_USE int ak_part_add_env_if(json_t *list, const char *name, const char *value);
AK_MUST_USE int ak_part_add_env_number(json_t *list, const char *name, int64_t value);
/* The value of a variable of spec.env, or NULL. */
const char *ak_part_user_env(const struct ak_agent_pod_input *in, const char *name);

/* keeper.c: the container, and the volumes that only it mounts. */
AK_MUST_USE json_t *ak_agent_keeper_container(const struct ak_agent_pod_input *in);
AK_MUST_USE int ak_agent_add_keeper_volumes(const struct ak_agent_pod_input *in, json_t *list);

#endif
