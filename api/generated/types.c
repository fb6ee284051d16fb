/* SPDX-License-Identifier: Apache-2.0 */
/* Generated from api/v1alpha1/types.yaml by api/generate.py: change that file, not this one. */
#include <ak/api/types.h>

#include <stddef.h>

/* clang-format off */
const char *const ak_pull_policy_names[] = {
    "",
    "Always",
    "IfNotPresent",
    "Never",
    NULL,
};

const char *const ak_service_phase_names[] = {
    "",
    "Pending",
    "Ready",
    "Degraded",
    "Failed",
    "Terminating",
    "Unsupported",
    NULL,
};

static const struct ak_field ak_config_map_key_ref_fields[] = {
    AK_FIELD(struct ak_config_map_key_ref, name, "name", AK_F_STRING, .flags = AK_FIELD_REQUIRED),
    AK_FIELD(struct ak_config_map_key_ref, key, "key", AK_F_STRING, .flags = AK_FIELD_REQUIRED),
};
const struct ak_type ak_config_map_key_ref_type =
    AK_TYPE("config_map_key_ref", struct ak_config_map_key_ref, ak_config_map_key_ref_fields);

static const struct ak_field ak_secret_key_ref_fields[] = {
    AK_FIELD(struct ak_secret_key_ref, name, "name", AK_F_STRING, .flags = AK_FIELD_REQUIRED),
    AK_FIELD(struct ak_secret_key_ref, key, "key", AK_F_STRING, .flags = AK_FIELD_REQUIRED),
};
const struct ak_type ak_secret_key_ref_type =
    AK_TYPE("secret_key_ref", struct ak_secret_key_ref, ak_secret_key_ref_fields);

static const struct ak_field ak_object_name_fields[] = {
    AK_FIELD(struct ak_object_name, name, "name", AK_F_STRING, .flags = AK_FIELD_REQUIRED),
};
const struct ak_type ak_object_name_type =
    AK_TYPE("object_name", struct ak_object_name, ak_object_name_fields);

static const struct ak_field ak_env_var_fields[] = {
    AK_FIELD(struct ak_env_var, name, "name", AK_F_STRING, .flags = AK_FIELD_REQUIRED),
    AK_FIELD(struct ak_env_var, value, "value", AK_F_STRING, .default_text = ""),
};
const struct ak_type ak_env_var_type =
    AK_TYPE("env_var", struct ak_env_var, ak_env_var_fields);
/* clang-format on */
