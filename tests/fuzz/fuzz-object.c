/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of an apiserver: metadata, managedFields, and packing. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <ak/json/json.h>
#include <ak/kube/condition.h>
#include <ak/kube/object.h>

struct body {
    ak_condition_list conditions;
    struct ak_string_map map;
    const char *json;
};
static const struct ak_field fields[] = {
    AK_FIELD_LIST(struct body, conditions, "conditions", 0, &ak_condition_type),
    AK_FIELD(struct body, map, "map", AK_F_STRING_MAP, .flags = 0),
    AK_FIELD(struct body, json, "spec", AK_F_JSON, .flags = 0),
};
static const struct ak_type type = AK_TYPE("body", struct body, fields);
static const struct ak_kind kind = {
    .resource = {"", "v1", "Thing", "things", true},
    .type = &type,
    .flags = AK_KIND_LABELS | AK_KIND_ANNOTATIONS | AK_KIND_OWNED_HASH | AK_KIND_FINALIZERS,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AK_AUTO_JSON *tree = NULL;
    AK_AUTO_OBJECT object = NULL;
    AK_AUTO_OBJECT again = NULL;

    if (ak_json_parse((const char *)data, size, &tree, NULL) < 0)
        return 0;
    if (ak_object_decode(&kind, tree, "us", &object, NULL) < 0)
        return 0;
    if (ak_object_decode(&kind, tree, "us", &again, NULL) < 0)
        abort();
    if (ak_object_owned_hash(object) != ak_object_owned_hash(again) ||
        ak_object_footprint(object) != ak_object_footprint(again) ||
        strcmp(ak_object_meta(object)->name, ak_object_meta(again)->name) != 0)
        abort();
    (void)ak_desired_hash(tree);
    return 0;
}
