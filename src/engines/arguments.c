/* SPDX-License-Identifier: Apache-2.0 */
/* The part of JSON Schema that the operations' schemas use. A keyword that is not here is not in them: a test sees
 * to it. */
#include <ak/base/text.h>
#include <ak/json/json.h>
#include <string.h>

#include "engines/policy_internal.h"

#define DEPTH_MAX 4 /* of the schemas, not of the arguments */

static bool has_type(const json_t *value, const char *type)
{
    static const struct {
        const char *name;
        json_type type;
    } types[] = {{"object", JSON_OBJECT},   {"array", JSON_ARRAY},    {"string", JSON_STRING},
                 {"integer", JSON_INTEGER}, {"number", JSON_INTEGER}, {"number", JSON_REAL},
                 {"boolean", JSON_TRUE},    {"boolean", JSON_FALSE},  {"null", JSON_NULL}};

    for (size_t i = 0; i < AK_ARRAY_LEN(types); i++)
        if (strcmp(types[i].name, type) == 0 && types[i].type == json_typeof(value))
            return true;
    return false;
}

static bool fits_type(const json_t *value, const json_t *types)
{
    if (json_is_string(types))
        return has_type(value, json_string_value(types));
    for (size_t i = 0; i < json_array_size(types); i++)
        if (has_type(value, json_string_value(json_array_get(types, i))))
            return true;
    return !types;
}

static bool fits_enum(const json_t *value, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_equal(json_array_get(list, i), value))
            return true;
    return !list;
}

static int check(const json_t *schema, const json_t *value, const char *path, int depth,
                 struct ak_error **reterr);

static int check_members(const json_t *schema, const json_t *value, const char *path, int depth,
                         struct ak_error **reterr)
{
    const json_t *properties = json_object_get(schema, "properties");
    const json_t *more = json_object_get(schema, "additionalProperties");
    const json_t *required = json_object_get(schema, "required");
    const char *key;
    json_t *member;

    for (size_t i = 0; i < json_array_size(required); i++) {
        const char *name = json_string_value(json_array_get(required, i));
        if (!json_object_get(value, name))
            return ak_error_set(reterr, -EINVAL, "%s: \"%s\" must be set", path, name);
    }
    json_object_foreach((json_t *)(uintptr_t)value, key, member)
    {
        const json_t *known = json_object_get(properties, key);
        char name[160];
        if (!known && json_is_false(more))
            return ak_error_set(reterr, -EINVAL, "%s: there is no \"%.64s\"", path, key);
        (void)snprintf(name, sizeof(name), "%.90s.%.60s", path, key);
        if (!known && json_is_object(more))
            known = more;
        int r = known ? check(known, member, name, depth + 1, reterr) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

static int check_items(const json_t *schema, const json_t *value, const char *path, int depth,
                       struct ak_error **reterr)
{
    const json_t *least = json_object_get(schema, "minItems");
    const json_t *most = json_object_get(schema, "maxItems");
    const json_t *items = json_object_get(schema, "items");
    size_t n = json_array_size(value);

    if (least && n < (size_t)json_integer_value(least))
        return ak_error_set(reterr, -EINVAL, "%s: must not be empty", path);
    if (most && n > (size_t)json_integer_value(most))
        return ak_error_set(reterr, -EINVAL, "%s: has %zu items, more than %lld", path, n,
                            (long long)json_integer_value(most));
    for (size_t i = 0; items && i < n; i++) {
        char name[176];
        (void)snprintf(name, sizeof(name), "%.150s[%zu]", path, i);
        int r = check(items, json_array_get(value, i), name, depth + 1, reterr);
        if (r < 0)
            return r;
    }
    return 0;
}

static int check_number(const json_t *schema, const json_t *value, const char *path,
                        struct ak_error **reterr)
{
    const json_t *least = json_object_get(schema, "minimum");
    const json_t *most = json_object_get(schema, "maximum");
    long long number = json_integer_value(value);

    if ((least && number < json_integer_value(least)) ||
        (most && number > json_integer_value(most)))
        return ak_error_set(reterr, -EINVAL, "%s: must be from %lld to %lld", path,
                            (long long)json_integer_value(least),
                            (long long)json_integer_value(most));
    return 0;
}

static int check_text(const json_t *schema, const json_t *value, const char *path,
                      struct ak_error **reterr)
{
    const char *pattern = json_string_value(json_object_get(schema, "pattern"));

    if (json_object_get(schema, "minLength") && !json_string_length(value))
        return ak_error_set(reterr, -EINVAL, "%s: must not be empty", path);
    if (pattern && json_string_value(value)[0] != pattern[1]) /* "^/" is the only one */
        return ak_error_set(reterr, -EINVAL, "%s: must begin with \"%c\"", path, pattern[1]);
    return 0;
}

static int check(const json_t *schema, const json_t *value, const char *path, int depth,
                 struct ak_error **reterr)
{
    if (depth > DEPTH_MAX)
        return 0;
    if (!fits_type(value, json_object_get(schema, "type")))
        return ak_error_set(reterr, -EINVAL, "%s: has the wrong type", path);
    if (!fits_enum(value, json_object_get(schema, "enum")))
        return ak_error_set(reterr, -EINVAL, "%s: is not one of the values that it may have", path);
    if (json_is_object(value))
        return check_members(schema, value, path, depth, reterr);
    if (json_is_array(value))
        return check_items(schema, value, path, depth, reterr);
    if (json_is_integer(value))
        return check_number(schema, value, path, reterr);
    return json_is_string(value) ? check_text(schema, value, path, reterr) : 0;
}

int ak__check_arguments(const struct ak_operation *operation, const json_t *arguments,
                        struct ak_error **reterr)
{
    json_t *schema = NULL;
    AK_AUTO_JSON *none = NULL;
    int r = ak_json_parse(operation->schema, strlen(operation->schema), &schema, reterr);

    if (r < 0)
        return r;
    if (!arguments) {
        none = json_object();
        arguments = none;
    }
    r = arguments ? check(schema, arguments, "arguments", 0, reterr) : ak_error_oom(reterr);
    json_decref(schema);
    return r;
}
