/* SPDX-License-Identifier: Apache-2.0 */
/* Generated from api/v1alpha1/types.yaml by api/generate.py: change that file, not this one. */
/* What several kinds have in common. */
#ifndef AK_API_TYPES_H
#define AK_API_TYPES_H

#include <ak/api/enum.h>
#include <ak/base/compiler.h>
#include <ak/json/decode.h>
#include <stdbool.h>
#include <stdint.h>

#define AK_API_GROUP "agentkube.io"
#define AK_API_VERSION "v1alpha1"

/* When the image is pulled. Left out, Kubernetes decides from the image's tag. */
enum ak_pull_policy {
    AK_PULL_POLICY_UNSET, /* the field is absent */
    AK_PULL_POLICY_ALWAYS,
    AK_PULL_POLICY_IF_NOT_PRESENT,
    AK_PULL_POLICY_NEVER,
    AK_PULL_POLICY_MAX,
};
extern AK_PUBLIC const char *const ak_pull_policy_names[]; /* as in JSON; NULL ends it */
static inline const char *ak_pull_policy_to_string(enum ak_pull_policy value)
{
    return ak_enum_to_string(ak_pull_policy_names, AK_PULL_POLICY_MAX, (int)value);
}
static inline enum ak_pull_policy ak_pull_policy_from_string(const char *text)
{
    return (enum ak_pull_policy)ak_enum_from_string(ak_pull_policy_names, text);
}

/* The state in one word. Unsupported: the installed manager does not run objects of this kind. */
enum ak_service_phase {
    AK_SERVICE_PHASE_UNSET, /* the field is absent */
    AK_SERVICE_PHASE_PENDING,
    AK_SERVICE_PHASE_READY,
    AK_SERVICE_PHASE_DEGRADED,
    AK_SERVICE_PHASE_FAILED,
    AK_SERVICE_PHASE_TERMINATING,
    AK_SERVICE_PHASE_UNSUPPORTED,
    AK_SERVICE_PHASE_MAX,
};
extern AK_PUBLIC const char *const ak_service_phase_names[]; /* as in JSON; NULL ends it */
static inline const char *ak_service_phase_to_string(enum ak_service_phase value)
{
    return ak_enum_to_string(ak_service_phase_names, AK_SERVICE_PHASE_MAX, (int)value);
}
static inline enum ak_service_phase ak_service_phase_from_string(const char *text)
{
    return (enum ak_service_phase)ak_enum_from_string(ak_service_phase_names, text);
}

/* One key of a ConfigMap in the same namespace. */
struct ak_config_map_key_ref {
    /* Name of the ConfigMap. */
    const char *name;
    /* Key in the data of the ConfigMap. */
    const char *key;
};

/* One key of a Secret in the same namespace. */
struct ak_secret_key_ref {
    /* Name of the Secret. */
    const char *name;
    /* Key in the data of the Secret. */
    const char *key;
};

/* An object in the same namespace, by its name. */
struct ak_object_name {
    /* Name of the object. */
    const char *name;
};

/* One environment variable with a plain value. */
struct ak_env_var {
    /* Name of the variable. */
    const char *name;
    /* Value of the variable, taken as it is. Never put a credential here. */
    const char *value;
};

extern AK_PUBLIC const struct ak_type ak_config_map_key_ref_type;
extern AK_PUBLIC const struct ak_type ak_secret_key_ref_type;
extern AK_PUBLIC const struct ak_type ak_object_name_type;
extern AK_PUBLIC const struct ak_type ak_env_var_type;

#endif
