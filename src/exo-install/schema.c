/* SPDX-License-Identifier: Apache-2.0 */
#include "exo-install/schema.h"

#include <regex.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#define MAX_DEPTH 32 /* of schemas in schemas: references may form a ring */
#define MAX_PATH 1024

struct check {
    const json_t *root;
    struct ak_buf path;
    int depth;
    struct ak_error **reterr;
};

static const json_t *resolve(const json_t *root, const json_t *schema)
{
    static const char place[] = "#/definitions/";

    for (int i = 0; i < MAX_DEPTH; i++) {
        const char *ref = ak_json_text(schema, "$ref", NULL);
        if (!ref)
            return schema;
        if (!ak_has_prefix(ref, place))
            return NULL;
        schema = ak_json_at(root, "definitions", ref + sizeof(place) - 1, NULL);
    }
    return NULL;
}

const json_t *ak_schema_member(const json_t *root, const json_t *schema, const char *name)
{
    schema = resolve(root, schema);
    const json_t *member = ak_json_at(schema, "properties", name, NULL);
    if (member)
        return resolve(root, member);
    const json_t *others = json_object_get(schema, "additionalProperties");
    if (json_is_false(others))
        return NULL;
    return json_is_object(others) ? resolve(root, others) : json_true();
}

const json_t *ak_schema_items(const json_t *root, const json_t *schema)
{
    schema = resolve(root, schema);
    const json_t *items = json_object_get(schema, "items");
    return items ? resolve(root, items) : NULL;
}

static bool names_type(const json_t *type, const char *name)
{
    if (json_is_string(type))
        return ak_streq(json_string_value(type), name);
    for (size_t i = 0; i < json_array_size(type); i++)
        if (ak_streq(json_string_value(json_array_get(type, i)), name))
            return true;
    return false;
}

bool ak_schema_allows(const json_t *root, const json_t *schema, const char *type)
{
    return names_type(json_object_get(resolve(root, schema), "type"), type);
}

static int refuse(struct check *c, const char *what, const char *detail)
{
    const char *path = c->path.len ? ak_buf_text(&c->path) + 1 : "values";
    return ak_error_set(c->reterr, -EINVAL, "%s: %s%s", path, what, detail);
}

static const char *type_of(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "object";
    case JSON_ARRAY:
        return "array";
    case JSON_STRING:
        return "string";
    case JSON_INTEGER:
        return "integer";
    case JSON_REAL:
        return "number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "boolean";
    case JSON_NULL:
        break;
    }
    return "null";
}

static int check_type(struct check *c, const json_t *schema, const json_t *value)
{
    const json_t *type = json_object_get(schema, "type");
    const char *found = type_of(value);

    if (!type || names_type(type, found) || (json_is_integer(value) && names_type(type, "number")))
        return 0;
    AK_AUTO(ak_buf) wanted = AK_BUF_INIT(256);
    int r = 0;
    if (json_is_string(type))
        r = ak_buf_adds(&wanted, json_string_value(type));
    for (size_t i = 0; r >= 0 && i < json_array_size(type); i++)
        r = ak_buf_addf(&wanted, "%s%s", i ? " or " : "",
                        json_string_value(json_array_get(type, i)));
    return r < 0 ? r : refuse(c, "must be of type ", ak_buf_text(&wanted));
}

static int check_enum(struct check *c, const json_t *schema, const json_t *value)
{
    const json_t *allowed = json_object_get(schema, "enum");
    AK_AUTO(ak_buf) names = AK_BUF_INIT(1024);
    int r = 0;

    if (!allowed)
        return 0;
    for (size_t i = 0; r >= 0 && i < json_array_size(allowed); i++) {
        const json_t *one = json_array_get(allowed, i);
        if (json_equal(one, value))
            return 0;
        r = ak_buf_addf(&names, "%s%s", i ? ", " : "",
                        json_is_string(one) ? json_string_value(one) : "?");
    }
    return r < 0 ? r : refuse(c, "must be one of ", ak_buf_text(&names));
}

static int check_number(struct check *c, const json_t *schema, const json_t *value)
{
    static const struct {
        const char *keyword, *text;
        int sign;
    } bounds[] = {{"minimum", "must be at least ", 1}, {"maximum", "must be at most ", -1}};
    char number[32];

    if (!json_is_number(value))
        return 0;
    for (size_t i = 0; i < AK_ARRAY_LEN(bounds); i++) {
        const json_t *bound = json_object_get(schema, bounds[i].keyword);
        if (!json_is_number(bound))
            continue;
        if ((json_number_value(value) - json_number_value(bound)) * bounds[i].sign >= 0)
            continue;
        (void)snprintf(number, sizeof(number), "%g", json_number_value(bound));
        return refuse(c, bounds[i].text, number);
    }
    return 0;
}

/* ECMA's \s inside brackets means something else to POSIX. */
static int to_posix(const char *pattern, struct ak_buf *out)
{
    int r = 0;
    while (r >= 0 && *pattern) {
        bool space = pattern[0] == '\\' && pattern[1] == 's';
        r = space ? ak_buf_adds(out, "[:space:]") : ak_buf_add(out, pattern, 1);
        pattern += space ? 2 : 1;
    }
    return r;
}

static int check_pattern(struct check *c, const char *pattern, const char *text)
{
    AK_AUTO(ak_buf) posix = AK_BUF_INIT(4096);
    regex_t compiled;

    int r = to_posix(pattern, &posix);
    if (r < 0)
        return r;
    if (regcomp(&compiled, ak_buf_text(&posix), REG_EXTENDED | REG_NOSUB) != 0)
        return refuse(c, "the schema's pattern cannot be read: ", pattern);
    bool matches = regexec(&compiled, text, 0, NULL, 0) == 0;
    regfree(&compiled);
    return matches ? 0 : refuse(c, "must match ", pattern);
}

static int check_text(struct check *c, const json_t *schema, const json_t *value)
{
    if (!json_is_string(value))
        return 0;
    const json_t *least = json_object_get(schema, "minLength");
    const json_t *most = json_object_get(schema, "maxLength");
    const char *pattern = ak_json_text(schema, "pattern", NULL);
    if (least && (json_int_t)json_string_length(value) < json_integer_value(least))
        return refuse(c, "is too short", "");
    if (most && (json_int_t)json_string_length(value) > json_integer_value(most))
        return refuse(c, "is too long", "");
    return pattern ? check_pattern(c, pattern, json_string_value(value)) : 0;
}

static int check_value(struct check *c, const json_t *schema, const json_t *value);

/* name NULL: item `index` of a list. */
static int check_below(struct check *c, const json_t *schema, const json_t *value, const char *name,
                       size_t index)
{
    size_t before = c->path.len;
    int r = name ? ak_buf_addf(&c->path, ".%s", name) : ak_buf_addf(&c->path, "[%zu]", index);
    if (r >= 0)
        r = check_value(c, schema, value);
    c->path.len = before;
    if (c->path.data)
        c->path.data[before] = 0;
    return r;
}

static int check_members(struct check *c, const json_t *schema, json_t *value)
{
    const char *name;
    json_t *member;
    const json_t *required = json_object_get(schema, "required");

    for (size_t i = 0; i < json_array_size(required); i++)
        if (!json_object_get(value, json_string_value(json_array_get(required, i))))
            return refuse(c, "lacks ", json_string_value(json_array_get(required, i)));
    json_object_foreach(value, name, member)
    {
        const json_t *sub = ak_schema_member(c->root, schema, name);
        if (!sub)
            return refuse(c, "there is no value of this name: ", name);
        int r = check_below(c, sub, member, name, 0);
        if (r < 0)
            return r;
    }
    return 0;
}

static int check_items(struct check *c, const json_t *schema, const json_t *value)
{
    const json_t *items = json_object_get(schema, "items");
    const json_t *least = json_object_get(schema, "minItems");
    const json_t *most = json_object_get(schema, "maxItems");
    int r = 0;

    if (least && (json_int_t)json_array_size(value) < json_integer_value(least))
        return refuse(c, "has too few items", "");
    if (most && (json_int_t)json_array_size(value) > json_integer_value(most))
        return refuse(c, "has too many items", "");
    for (size_t i = 0; items && r >= 0 && i < json_array_size(value); i++)
        r = check_below(c, items, json_array_get(value, i), NULL, i);
    return r;
}

static int check_choice(struct check *c, const json_t *schema, const json_t *value)
{
    const json_t *choices = json_object_get(schema, "oneOf");
    struct ak_error **reterr = c->reterr;
    AK_AUTO_PTR(ak_error) last = NULL;
    int r = 0;

    if (!choices)
        choices = json_object_get(schema, "anyOf");
    for (size_t i = 0; i < json_array_size(choices); i++) {
        c->reterr = &last;
        r = check_value(c, json_array_get(choices, i), value);
        c->reterr = reterr;
        if (r >= 0)
            return 0;
    }
    return r < 0 ? ak_error_set(reterr, r, "%s", ak_error_message(last)) : 0;
}

static int check_value(struct check *c, const json_t *schema, const json_t *value)
{
    static int (*const rules[])(struct check *, const json_t *, const json_t *) = {
        check_type, check_enum, check_number, check_text, check_choice};
    int r = 0;

    schema = resolve(c->root, schema);
    if (!json_is_object(schema))
        return 0;
    if (++c->depth > MAX_DEPTH)
        return refuse(c, "is nested too deeply", "");
    for (size_t i = 0; r >= 0 && i < AK_ARRAY_LEN(rules); i++)
        r = rules[i](c, schema, value);
    if (r >= 0 && json_is_object(value))
        r = check_members(c, schema, (json_t *)(uintptr_t)value);
    if (r >= 0 && json_is_array(value))
        r = check_items(c, schema, value);
    c->depth--;
    return r;
}

int ak_schema_check(const json_t *schema, const json_t *value, struct ak_error **reterr)
{
    struct check c = {.root = schema, .path = AK_BUF_INIT(MAX_PATH), .reterr = reterr};
    int r = check_value(&c, schema, value);
    ak_buf_done(&c.path);
    if (r == -ENOMEM)
        return ak_error_oom(reterr);
    return r;
}
