/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small pieces that pods of ours have in common, whoever owns them. Pure. Every builder returns NULL when memory is
 * short. jansson's setters take NULL as a failure, so one check at the end of a chain is enough.
 */
#ifndef AK_MANAGER_PODS_PARTS_H
#define AK_MANAGER_PODS_PARTS_H

#include <ak/api/types.h>
#include <ak/base/compiler.h>
#include <ak/json/decode.h>
#include <ak/kube/object.h>
#include <jansson.h>
#include <stdbool.h>

#define AK_POD_USER 65532 /* of whom we do not trust, and the group of everything in the pod */
#define AK_POD_KEEPER_USER 65533 /* what the other cannot read is this user's */
#define AK_POD_KEEPER_USER_TEXT "65533"
#define AK_POD_LINK_DIR "/agentkube/link"

AK_MUST_USE json_t *ak_part_parse(const char *text);
/* What the restricted profile asks of a container. */
AK_MUST_USE json_t *ak_part_security(bool read_only_root);
/* The same for the container that holds what the others must not see: AK_POD_KEEPER_USER, and the same group for
 * the sockets between them. */
AK_MUST_USE json_t *ak_part_keeper_security(void);
/* What it asks of the pod. */
AK_MUST_USE json_t *ak_part_pod_security(void);
AK_MUST_USE json_t *ak_part_mount(const char *name, const char *path, bool read_only);
AK_MUST_USE json_t *ak_part_empty_volume(const char *name, const char *limit);
/* The pod's own token, by which the manager knows it. */
AK_MUST_USE json_t *ak_part_token_volume(const char *name);
/* An HTTP probe on a named port. */
AK_MUST_USE json_t *ak_part_probe(const char *port, const char *path, int period, int timeout,
                                  int failures);
AK_MUST_USE json_t *ak_part_string_map(const struct ak_string_map *map);
/* Names of Secrets, as imagePullSecrets has them: the object's own, else those of the manager's options. */
AK_MUST_USE json_t *ak_part_pull_secrets(const struct ak_object_name *own, size_t n_own,
                                         const struct ak_string_list *ours);
/* {"apiVersion": ..., "kind": ..., ...} */
AK_MUST_USE json_t *ak_part_owner(const struct ak_owner_ref *owner);

/* Sets a member, nothing for NULL. Optional members go through here, because json_pack()'s "s*" takes an
 * allocation that failed for a value that is absent. 0 or -1. */
AK_MUST_USE int ak_part_set_text(json_t *object, const char *key, const char *value);
/* Appends a variable; users get what they wrote, although the kubelet expands $(NAME) and $$. 0 or negative. */
AK_MUST_USE int ak_part_add_env(json_t *list, const char *name, const char *value);
/* Nothing for NULL and "". */
AK_MUST_USE int ak_part_add_env_if(json_t *list, const char *name, const char *value);
AK_MUST_USE int ak_part_add_env_number(json_t *list, const char *name, int64_t value);
/* A variable with the pod's uid. */
AK_MUST_USE int ak_part_add_env_pod_uid(json_t *list, const char *name);

#endif
