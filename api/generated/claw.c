/* SPDX-License-Identifier: Apache-2.0 */
/* Generated from api/v1alpha1/claw.yaml by api/generate.py: change that file, not this one. */
#include <ak/api/claw.h>

#include <stddef.h>

/* clang-format off */
const char *const ak_claw_distribution_names[] = {
    "",
    "openclaw",
    "nanoclaw",
    NULL,
};

const char *const ak_claw_service_type_names[] = {
    "",
    "ClusterIP",
    "NodePort",
    "LoadBalancer",
    NULL,
};

static const struct ak_field ak_claw_registry_fields[] = {
    AK_FIELD(struct ak_claw_registry, name, "name", AK_F_STRING, .flags = AK_FIELD_REQUIRED),
    AK_FIELD(struct ak_claw_registry, url, "url", AK_F_STRING, .flags = AK_FIELD_REQUIRED),
};
static const struct ak_type ak_claw_registry_type =
    AK_TYPE("claw_registry", struct ak_claw_registry, ak_claw_registry_fields);

static const struct ak_field ak_claw_package_fields[] = {
    AK_FIELD(struct ak_claw_package, name, "name", AK_F_STRING, .flags = AK_FIELD_REQUIRED),
    AK_FIELD(struct ak_claw_package, version, "version", AK_F_STRING),
    AK_FIELD(struct ak_claw_package, registry, "registry", AK_F_STRING),
};
static const struct ak_type ak_claw_package_type =
    AK_TYPE("claw_package", struct ak_claw_package, ak_claw_package_fields);

static const struct ak_field ak_claw_service_fields[] = {
    AK_FIELD(struct ak_claw_service, type, "type", AK_F_ENUM, .enum_names = ak_claw_service_type_names, .default_int = AK_CLAW_SERVICE_TYPE_CLUSTER_IP),
    AK_FIELD(struct ak_claw_service, port, "port", AK_F_INT, .default_int = 8080),
};
static const struct ak_type ak_claw_service_type =
    AK_TYPE("claw_service", struct ak_claw_service, ak_claw_service_fields);

static const struct ak_field ak_claw_auth_fields[] = {
    AK_FIELD(struct ak_claw_auth, secret_ref, "secretRef", AK_F_STRUCT, .flags = AK_FIELD_REQUIRED, .sub = &ak_secret_key_ref_type),
};
static const struct ak_type ak_claw_auth_type =
    AK_TYPE("claw_auth", struct ak_claw_auth, ak_claw_auth_fields);

static const struct ak_field ak_claw_spec_fields[] = {
    AK_FIELD(struct ak_claw_spec, distribution, "distribution", AK_F_ENUM, .enum_names = ak_claw_distribution_names, .default_int = AK_CLAW_DISTRIBUTION_OPENCLAW),
    AK_FIELD(struct ak_claw_spec, replicas, "replicas", AK_F_INT, .default_int = 1),
    AK_FIELD(struct ak_claw_spec, registries, "registries", AK_F_LIST, .sub = &ak_claw_registry_type),
    AK_FIELD(struct ak_claw_spec, packages, "packages", AK_F_LIST, .sub = &ak_claw_package_type),
    AK_FIELD(struct ak_claw_spec, service, "service", AK_F_STRUCT, .flags = AK_FIELD_MATERIALIZE, .sub = &ak_claw_service_type),
    AK_FIELD(struct ak_claw_spec, auth, "auth", AK_F_STRUCT, .sub = &ak_claw_auth_type),
    AK_FIELD(struct ak_claw_spec, image, "image", AK_F_STRING),
    AK_FIELD(struct ak_claw_spec, image_pull_policy, "imagePullPolicy", AK_F_ENUM, .enum_names = ak_pull_policy_names),
    AK_FIELD(struct ak_claw_spec, image_pull_secrets, "imagePullSecrets", AK_F_LIST, .sub = &ak_object_name_type),
    AK_FIELD(struct ak_claw_spec, resources, "resources", AK_F_JSON),
    AK_FIELD(struct ak_claw_spec, node_selector, "nodeSelector", AK_F_STRING_MAP),
    AK_FIELD(struct ak_claw_spec, tolerations, "tolerations", AK_F_JSON),
};
const struct ak_type ak_claw_spec_type =
    AK_TYPE("claw_spec", struct ak_claw_spec, ak_claw_spec_fields);

static const struct ak_field ak_claw_package_status_fields[] = {
    AK_FIELD(struct ak_claw_package_status, name, "name", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_claw_package_status, version, "version", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_claw_package_status, message, "message", AK_F_STRING, .flags = AK_FIELD_LENIENT),
};
static const struct ak_type ak_claw_package_status_type =
    AK_TYPE("claw_package_status", struct ak_claw_package_status, ak_claw_package_status_fields);

static const struct ak_field ak_claw_status_fields[] = {
    AK_FIELD(struct ak_claw_status, packages, "packages", AK_F_LIST, .flags = AK_FIELD_LENIENT, .sub = &ak_claw_package_status_type),
    AK_FIELD(struct ak_claw_status, observed_generation, "observedGeneration", AK_F_INT, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_claw_status, conditions, "conditions", AK_F_LIST, .flags = AK_FIELD_LENIENT, .sub = &ak_condition_type),
    AK_FIELD(struct ak_claw_status, phase, "phase", AK_F_ENUM, .flags = AK_FIELD_LENIENT, .enum_names = ak_service_phase_names),
    AK_FIELD(struct ak_claw_status, ready, "ready", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_claw_status, replicas, "replicas", AK_F_INT, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_claw_status, selector, "selector", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_claw_status, endpoint, "endpoint", AK_F_STRING, .flags = AK_FIELD_LENIENT),
};
const struct ak_type ak_claw_status_type =
    AK_TYPE("claw_status", struct ak_claw_status, ak_claw_status_fields);

static const struct ak_field ak_claw_fields[] = {
    AK_FIELD(struct ak_claw, spec, "spec", AK_F_STRUCT, .flags = AK_FIELD_REQUIRED, .sub = &ak_claw_spec_type),
    AK_FIELD(struct ak_claw, status, "status", AK_F_STRUCT, .flags = AK_FIELD_MATERIALIZE | AK_FIELD_LENIENT, .sub = &ak_claw_status_type),
};
const struct ak_type ak_claw_type =
    AK_TYPE("claw", struct ak_claw, ak_claw_fields);
/* clang-format on */
