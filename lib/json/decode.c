/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/json/decode.h>

#include "json_internal.h"
#include <ak/base/alloc.h>
#include <ak/base/buf.h>
#include <ak/json/json.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One step of the way from the root to the value at hand; the steps live on the stack. */
struct path {
    const struct path *parent;
    const char *name; /* of a member; NULL: an element of a list */
    size_t index;
};

struct decoder {
    struct ak_arena *arena;
    struct ak_error **reterr;
};

/* ---- errors ---- */

static int add_path(struct ak_buf *out, const struct path *path)
{
    int r;

    if (!path)
        return 0;
    r = add_path(out, path->parent);
    if (r < 0)
        return r;
    if (!path->name)
        return ak_buf_addf(out, "[%zu]", path->index);
    return ak_buf_addf(out, "%s%s", out->len ? "." : "", path->name);
}

AK_PRINTF(3, 4)
static int invalid(struct decoder *self, const struct path *path, const char *fmt, ...)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(1024);
    va_list ap;
    int r;

    if (!self->reterr)
        return AK_E_INVALID;
    r = add_path(&text, path);
    if (r >= 0 && text.len)
        r = ak_buf_adds(&text, ": ");
    if (r >= 0) {
        va_start(ap, fmt);
        r = ak_buf_vaddf(&text, fmt, ap);
        va_end(ap);
    }
    if (r == -ENOMEM)
        return ak_error_oom(self->reterr);
    return ak_error_set(self->reterr, AK_E_INVALID, "%s", ak_buf_text(&text));
}

static int mismatch(struct decoder *self, const struct path *path, const char *expected,
                    const json_t *found)
{
    return invalid(self, path, "expected %s, found %s", expected, ak__json_type_text(found));
}

/* ---- memory ---- */

static int no_room(struct decoder *self, size_t size)
{
    const struct ak_arena *arena = self->arena;

    if (arena->max && (size > arena->max || arena->used > arena->max - size))
        return ak_error_set(self->reterr, AK_E_TOO_LARGE, "the object is larger than %zu bytes",
                            arena->max);
    return ak_error_oom(self->reterr);
}

static int copy_text(struct decoder *self, const char *text, size_t len, const char **ret)
{
    char *copy = ak_arena_strndup(self->arena, text, len);

    if (!copy)
        return no_room(self, len + 1);
    *ret = copy;
    return 0;
}

static int alloc_items(struct decoder *self, size_t n, size_t size, void **ret)
{
    size_t total;

    if (__builtin_mul_overflow(n, size, &total))
        return ak_error_oom(self->reterr);
    *ret = ak_arena_alloc(self->arena, total);
    return *ret ? 0 : no_room(self, total);
}

/* ---- one function a field type: `value` is never NULL or JSON null ---- */

static int decode_object(struct decoder *self, const struct ak_type *type, const json_t *tree,
                         void *out, const struct path *path);

static int decode_text(struct decoder *self, const json_t *value, const char **ret,
                       const struct path *path)
{
    if (!json_is_string(value))
        return mismatch(self, path, "a string", value);
    if (strlen(json_string_value(value)) != json_string_length(value))
        return invalid(self, path, "must not contain a NUL character");
    return copy_text(self, json_string_value(value), json_string_length(value), ret);
}

static int decode_string(struct decoder *self, const struct ak_field *field, const json_t *value,
                         void *out, const struct path *path)
{
    (void)field;
    return decode_text(self, value, out, path);
}

static int decode_bool(struct decoder *self, const struct ak_field *field, const json_t *value,
                       void *out, const struct path *path)
{
    (void)field;
    if (!json_is_boolean(value))
        return mismatch(self, path, "a boolean", value);
    *(bool *)out = json_is_true(value);
    return 0;
}

static int decode_opt_bool(struct decoder *self, const struct ak_field *field, const json_t *value,
                           void *out, const struct path *path)
{
    struct ak_opt_bool *opt = out;
    int r = decode_bool(self, field, value, &opt->value, path);

    opt->set = r >= 0;
    return r;
}

static int decode_int(struct decoder *self, const struct ak_field *field, const json_t *value,
                      void *out, const struct path *path)
{
    (void)field;
    if (!json_is_integer(value))
        return mismatch(self, path, "an integer", value);
    *(int64_t *)out = json_integer_value(value);
    return 0;
}

static int decode_opt_int(struct decoder *self, const struct ak_field *field, const json_t *value,
                          void *out, const struct path *path)
{
    struct ak_opt_int *opt = out;
    int r = decode_int(self, field, value, &opt->value, path);

    opt->set = r >= 0;
    return r;
}

static int decode_number(struct decoder *self, const struct ak_field *field, const json_t *value,
                         void *out, const struct path *path)
{
    (void)field;
    if (!json_is_number(value))
        return mismatch(self, path, "a number", value);
    *(double *)out = json_number_value(value);
    return 0;
}

static int decode_time(struct decoder *self, const struct ak_field *field, const json_t *value,
                       void *out, const struct path *path)
{
    const char *text = json_string_value(value);

    (void)field;
    if (!text)
        return mismatch(self, path, "a time", value);
    if (ak_parse_rfc3339(text, out) < 0)
        return invalid(self, path, "expected a time like 2026-11-22T12:00:00Z, found \"%s\"", text);
    return 0;
}

static int unknown_name(struct decoder *self, const struct ak_field *field, const char *text,
                        const struct path *path)
{
    AK_AUTO(ak_buf) names = AK_BUF_INIT(512);

    /* A list that is too long for the message is shown as far as it fits. */
    for (size_t i = 1; field->enum_names[i]; i++)
        if (ak_buf_addf(&names, "%s\"%s\"", i > 1 ? ", " : "", field->enum_names[i]) < 0)
            break;
    return invalid(self, path, "expected one of %s, found \"%s\"", ak_buf_text(&names), text);
}

static int decode_enum(struct decoder *self, const struct ak_field *field, const json_t *value,
                       void *out, const struct path *path)
{
    const char *text = json_string_value(value);

    if (!text)
        return mismatch(self, path, "a string", value);
    for (int i = 0; field->enum_names[i]; i++)
        if (strcmp(field->enum_names[i], text) == 0) {
            *(int *)out = i;
            return 0;
        }
    return unknown_name(self, field, text, path);
}

static int decode_struct(struct decoder *self, const struct ak_field *field, const json_t *value,
                         void *out, const struct path *path)
{
    void *child = NULL;
    int r;

    if (!json_is_object(value))
        return mismatch(self, path, "an object", value);
    r = alloc_items(self, 1, field->sub->size, &child);
    if (r < 0)
        return r;
    *(const void **)out = child;
    return decode_object(self, field->sub, value, child, path);
}

static int decode_list(struct decoder *self, const struct ak_field *field, const json_t *value,
                       void *out, const struct path *path)
{
    struct ak_list *list = out;
    size_t n = json_array_size(value);
    void *items = NULL;
    int r;

    if (!json_is_array(value))
        return mismatch(self, path, "a list", value);
    if (n == 0)
        return 0;
    r = alloc_items(self, n, field->sub->size, &items);
    if (r < 0)
        return r;
    list->items = items;
    for (size_t i = 0; i < n; i++) {
        const json_t *element = json_array_get(value, i);
        struct path step = {.parent = path, .index = i};

        if (!json_is_object(element) && !(field->flags & AK_FIELD_LENIENT))
            return mismatch(self, &step, "an object", element);
        if (!json_is_object(element))
            continue;
        r = decode_object(self, field->sub, element, (char *)items + list->len * field->sub->size,
                          &step);
        if (r < 0)
            return r;
        list->len++;
    }
    return 0;
}

static int decode_string_list(struct decoder *self, const struct ak_field *field,
                              const json_t *value, void *out, const struct path *path)
{
    struct ak_string_list *list = out;
    size_t n = json_array_size(value);
    const char **items;
    void *memory = NULL;
    int r;

    if (!json_is_array(value))
        return mismatch(self, path, "a list", value);
    if (n == 0)
        return 0;
    r = alloc_items(self, n, sizeof(*items), &memory);
    if (r < 0)
        return r;
    items = memory;
    list->items = items;
    for (size_t i = 0; i < n; i++) {
        const json_t *element = json_array_get(value, i);
        struct path step = {.parent = path, .index = i};

        if (!json_is_string(element) && (field->flags & AK_FIELD_LENIENT))
            continue;
        r = decode_text(self, element, &items[list->len], &step);
        if (r < 0)
            return r;
        list->len++;
    }
    return 0;
}

static int compare_pairs(const void *a, const void *b)
{
    return strcmp(((const struct ak_pair *)a)->key, ((const struct ak_pair *)b)->key);
}

static int decode_pair(struct decoder *self, const char *key, const json_t *value,
                       struct ak_pair *ret, const struct path *path)
{
    int r = copy_text(self, key, strlen(key), &ret->key);

    return r < 0 ? r : decode_text(self, value, &ret->value, path);
}

static int decode_string_map(struct decoder *self, const struct ak_field *field,
                             const json_t *value, void *out, const struct path *path)
{
    struct ak_string_map *map = out;
    json_t *object = (json_t *)(uintptr_t)value;
    struct ak_pair *pairs;
    void *memory = NULL;
    int r;

    if (!json_is_object(value))
        return mismatch(self, path, "an object", value);
    if (json_object_size(value) == 0)
        return 0;
    r = alloc_items(self, json_object_size(value), sizeof(*pairs), &memory);
    if (r < 0)
        return r;
    pairs = memory;
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        const json_t *text = json_object_iter_value(it);
        struct path step = {.parent = path, .name = json_object_iter_key(it)};

        if (!json_is_string(text) && (field->flags & AK_FIELD_LENIENT))
            continue;
        r = decode_pair(self, step.name, text, &pairs[map->len], &step);
        if (r < 0)
            return r;
        map->len++;
    }
    qsort(pairs, map->len, sizeof(*pairs), compare_pairs);
    map->items = pairs;
    return 0;
}

static int decode_json(struct decoder *self, const struct ak_field *field, const json_t *value,
                       void *out, const struct path *path)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(AK_JSON_MAX_BYTES);
    int r;

    (void)field;
    (void)path;
    r = ak_json_write(value, &text, self->reterr);
    return r < 0 ? r : copy_text(self, ak_buf_text(&text), text.len, out);
}

static int decode_int_or_string(struct decoder *self, const struct ak_field *field,
                                const json_t *value, void *out, const struct path *path)
{
    char number[32];

    (void)field;
    if (json_is_string(value))
        return decode_text(self, value, out, path);
    if (json_is_integer(value))
        (void)snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        (void)ak__json_real_text(json_real_value(value), number);
    else
        return mismatch(self, path, "an integer or a string", value);
    return copy_text(self, number, strlen(number), out);
}

typedef int (*decode_fn)(struct decoder *self, const struct ak_field *field, const json_t *value,
                         void *out, const struct path *path);

static const struct {
    decode_fn decode;
    size_t size; /* of the member */
} kinds[AK_F_MAX] = {
    [AK_F_STRING] = {decode_string, sizeof(const char *)},
    [AK_F_BOOL] = {decode_bool, sizeof(bool)},
    [AK_F_OPT_BOOL] = {decode_opt_bool, sizeof(struct ak_opt_bool)},
    [AK_F_INT] = {decode_int, sizeof(int64_t)},
    [AK_F_OPT_INT] = {decode_opt_int, sizeof(struct ak_opt_int)},
    [AK_F_NUMBER] = {decode_number, sizeof(double)},
    [AK_F_TIME] = {decode_time, sizeof(ak_msec)},
    [AK_F_ENUM] = {decode_enum, sizeof(int)},
    [AK_F_STRUCT] = {decode_struct, sizeof(const void *)},
    [AK_F_LIST] = {decode_list, sizeof(struct ak_list)},
    [AK_F_STRING_LIST] = {decode_string_list, sizeof(struct ak_string_list)},
    [AK_F_STRING_MAP] = {decode_string_map, sizeof(struct ak_string_map)},
    [AK_F_JSON] = {decode_json, sizeof(const char *)},
    [AK_F_INT_OR_STRING] = {decode_int_or_string, sizeof(const char *)},
};

/* ---- fields ---- */

/* `tree` NULL: every field gets its default, and nothing is required of what was not written. */
static int materialize(struct decoder *self, const struct ak_field *field, void *out,
                       const struct path *path)
{
    void *child = NULL;
    int r = alloc_items(self, 1, field->sub->size, &child);

    if (r < 0)
        return r;
    *(const void **)out = child;
    return decode_object(self, field->sub, NULL, child, path);
}

static int set_default(struct decoder *self, const struct ak_field *field, void *out,
                       const struct path *path)
{
    switch (field->type) {
    case AK_F_STRING:
    case AK_F_INT_OR_STRING:
        *(const char **)out = field->default_text;
        return 0;
    case AK_F_BOOL:
        *(bool *)out = field->default_int != 0;
        return 0;
    case AK_F_INT:
        *(int64_t *)out = field->default_int;
        return 0;
    case AK_F_NUMBER:
        *(double *)out = (double)field->default_int;
        return 0;
    case AK_F_ENUM:
        *(int *)out = (int)field->default_int;
        return 0;
    case AK_F_STRUCT:
        return field->flags & AK_FIELD_MATERIALIZE ? materialize(self, field, out, path) : 0;
    default:
        return 0;
    }
}

static int decode_field(struct decoder *self, const struct ak_field *field, const json_t *tree,
                        void *out, const struct path *path)
{
    const json_t *value = json_object_get(tree, field->name);
    struct ak_error **reterr = self->reterr;
    int r;

    if (!value || json_is_null(value)) {
        if (tree && (field->flags & AK_FIELD_REQUIRED))
            return invalid(self, path, "must be set");
        return set_default(self, field, out, path);
    }
    if (!(field->flags & AK_FIELD_LENIENT))
        return kinds[field->type].decode(self, field, value, out, path);
    self->reterr = NULL;
    r = kinds[field->type].decode(self, field, value, out, path);
    self->reterr = reterr;
    if (r == AK_E_INVALID) {
        memset(out, 0, kinds[field->type].size);
        return set_default(self, field, out, path);
    }
    return r < 0 ? ak_error_set(reterr, r, "%s", ak_code_text(r)) : r;
}

static int decode_object(struct decoder *self, const struct ak_type *type, const json_t *tree,
                         void *out, const struct path *path)
{
    for (size_t i = 0; i < type->n_fields; i++) {
        const struct ak_field *field = &type->fields[i];
        struct path step = {.parent = path, .name = field->name};
        int r;

        r = decode_field(self, field, tree, (char *)out + field->offset, &step);
        if (r < 0)
            return r;
    }
    return 0;
}

int ak_decode(const struct ak_type *type, const json_t *tree, void *out, struct ak_arena *arena,
              struct ak_error **reterr)
{
    struct decoder self = {.arena = arena, .reterr = reterr};

    if (!json_is_object(tree))
        return ak_error_set(reterr, AK_E_INVALID, "%s: expected an object, found %s", type->name,
                            ak__json_type_text(tree));
    return decode_object(&self, type, tree, out, NULL);
}

const char *ak_string_map_get(const struct ak_string_map *map, const char *key)
{
    const struct ak_pair wanted = {.key = key};
    const struct ak_pair *found;

    if (!map->len)
        return NULL;
    found = bsearch(&wanted, map->items, map->len, sizeof(wanted), compare_pairs);
    return found ? found->value : NULL;
}

bool ak_string_list_has(const struct ak_string_list *list, const char *value)
{
    for (size_t i = 0; i < list->len; i++)
        if (strcmp(list->items[i], value) == 0)
            return true;
    return false;
}
