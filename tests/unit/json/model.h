/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The type that the tests of decode and encode share: a field of every kind.
 */
#ifndef AK_TESTS_UNIT_JSON_MODEL_H
#define AK_TESTS_UNIT_JSON_MODEL_H

#include <ak/json/decode.h>

struct port {
    const char *name;
    int64_t number;
};
struct limits {
    int64_t seconds;
    const char *size;
};
struct spec {
    const char *model, *raw, *memory;
    bool paused;
    struct ak_opt_bool automount;
    int64_t replicas;
    struct ak_opt_int grace;
    double ratio;
    ak_msec since;
    int mode;
    const struct limits *limits, *extra;
    AK_LIST_OF(struct port) ports;
    struct ak_string_list args;
    struct ak_string_map labels;
};

static const struct ak_field port_fields[] = {
    AK_FIELD_STRING(struct port, name, "name", 0),
    AK_FIELD_INT(struct port, number, "port", AK_FIELD_REQUIRED, 0),
};
static const struct ak_type port_type = AK_TYPE("port", struct port, port_fields);
static const struct ak_field limits_fields[] = {
    AK_FIELD_INT(struct limits, seconds, "seconds", 0, 30),
    AK_FIELD(struct limits, size, "size", AK_F_STRING, .default_text = "1Gi"),
};
static const struct ak_type limits_type = AK_TYPE("limits", struct limits, limits_fields);
static const char *const mode_names[] = {"", "api", "system", NULL};
static const struct ak_field spec_fields[] = {
    AK_FIELD_STRING(struct spec, model, "model", 0),
    AK_FIELD(struct spec, raw, "raw", AK_F_JSON),
    AK_FIELD(struct spec, memory, "memory", AK_F_INT_OR_STRING, .default_text = "64Mi"),
    AK_FIELD_BOOL(struct spec, paused, "paused", 0, true),
    AK_FIELD(struct spec, automount, "automount", AK_F_OPT_BOOL),
    AK_FIELD_INT(struct spec, replicas, "replicas", 0, 1),
    AK_FIELD(struct spec, grace, "grace", AK_F_OPT_INT),
    AK_FIELD(struct spec, ratio, "ratio", AK_F_NUMBER, .default_int = 2),
    AK_FIELD(struct spec, since, "since", AK_F_TIME),
    AK_FIELD(struct spec, mode, "mode", AK_F_ENUM, .enum_names = mode_names, .default_int = 1),
    AK_FIELD_STRUCT(struct spec, limits, "limits", AK_FIELD_MATERIALIZE, &limits_type),
    AK_FIELD_STRUCT(struct spec, extra, "extra", 0, &limits_type),
    AK_FIELD_LIST(struct spec, ports, "ports", 0, &port_type),
    AK_FIELD(struct spec, args, "args", AK_F_STRING_LIST),
    AK_FIELD(struct spec, labels, "labels", AK_F_STRING_MAP),
};
static const struct ak_type spec_type = AK_TYPE("spec", struct spec, spec_fields);

#define FULL_SPEC                                                                                  \
    "{\"model\":\"m\",\"raw\":{\"a\":[1]},\"memory\":5,\"paused\":false,\"automount\":false,"      \
    "\"replicas\":3,\"grace\":0,\"ratio\":0.5,\"since\":\"2026-11-22T12:00:00Z\","                 \
    "\"mode\":\"system\",\"limits\":{\"seconds\":1,\"size\":\"2Gi\"},"                             \
    "\"extra\":{\"seconds\":7,\"size\":\"\"},"                                                     \
    "\"ports\":[{\"name\":\"a\",\"port\":1},{\"port\":2}],\"args\":[\"x\",\"\"],"                  \
    "\"labels\":{\"a\":\"1\",\"b\":\"2\"}}"

#endif
