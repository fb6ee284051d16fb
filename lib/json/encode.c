/* SPDX-License-Identifier: Apache-2.0 */
/* ak_encode() of decode.h. */
#include <ak/json/decode.h>

#include "json_internal.h"
#include <ak/base/text.h>
#include <ak/json/json.h>
#include <math.h>
#include <string.h>

/*
 * One function a field type. 0 and *ret NULL: the value is absent and left out. -ENOMEM and other
 * failures leave *ret alone.
 */
typedef int (*encode_fn)(const struct ak_field *field, const void *in, json_t **ret,
                         struct ak_error **reterr);

static int made(json_t *value, json_t **ret, struct ak_error **reterr)
{
    if (!value)
        return ak_error_oom(reterr);
    *ret = value;
    return 0;
}

/* jansson refuses invalid UTF-8 with the same NULL as it does when memory is short. */
static int make_text(const char *text, json_t **ret, struct ak_error **reterr)
{
    json_t *value;

    ak__json_memory_watch();
    value = json_string(text);
    if (!value && !ak__json_memory_failed())
        return ak_error_set(reterr, -EINVAL, "text is not valid UTF-8");
    return made(value, ret, reterr);
}

static int encode_string(const struct ak_field *field, const void *in, json_t **ret,
                         struct ak_error **reterr)
{
    const char *text = *(const char *const *)in;

    (void)field;
    return text ? make_text(text, ret, reterr) : 0;
}

static int encode_bool(const struct ak_field *field, const void *in, json_t **ret,
                       struct ak_error **reterr)
{
    (void)field;
    return made(json_boolean(*(const bool *)in), ret, reterr);
}

static int encode_opt_bool(const struct ak_field *field, const void *in, json_t **ret,
                           struct ak_error **reterr)
{
    const struct ak_opt_bool *opt = in;

    return opt->set ? encode_bool(field, &opt->value, ret, reterr) : 0;
}

static int encode_int(const struct ak_field *field, const void *in, json_t **ret,
                      struct ak_error **reterr)
{
    (void)field;
    return made(json_integer(*(const int64_t *)in), ret, reterr);
}

static int encode_opt_int(const struct ak_field *field, const void *in, json_t **ret,
                          struct ak_error **reterr)
{
    const struct ak_opt_int *opt = in;

    return opt->set ? encode_int(field, &opt->value, ret, reterr) : 0;
}

static int encode_number(const struct ak_field *field, const void *in, json_t **ret,
                         struct ak_error **reterr)
{
    double value = *(const double *)in;

    if (!isfinite(value))
        return ak_error_set(reterr, -EINVAL, "%s: JSON has no such number", field->name);
    return made(json_real(value), ret, reterr);
}

static int encode_time(const struct ak_field *field, const void *in, json_t **ret,
                       struct ak_error **reterr)
{
    ak_msec wall = *(const ak_msec *)in;
    char text[AK_RFC3339_SIZE];

    (void)field;
    return wall ? make_text(ak_format_rfc3339(wall, text), ret, reterr) : 0;
}

static int encode_enum(const struct ak_field *field, const void *in, json_t **ret,
                       struct ak_error **reterr)
{
    int wanted = *(const int *)in;

    if (wanted == 0)
        return 0;
    for (int i = 1; field->enum_names[i]; i++)
        if (i == wanted)
            return make_text(field->enum_names[i], ret, reterr);
    return ak_error_set(reterr, -EINVAL, "%s: no name for value %d", field->name, wanted);
}

static int encode_struct(const struct ak_field *field, const void *in, json_t **ret,
                         struct ak_error **reterr)
{
    const void *child = *(const void *const *)in;

    return child ? ak_encode(field->sub, child, ret, reterr) : 0;
}

static int encode_list(const struct ak_field *field, const void *in, json_t **ret,
                       struct ak_error **reterr)
{
    const struct ak_list *list = in;
    AK_AUTO_JSON *array = list->len ? json_array() : NULL;
    int r;

    if (!list->len)
        return 0;
    if (!array)
        return ak_error_oom(reterr);
    for (size_t i = 0; i < list->len; i++) {
        json_t *element = NULL;

        r = ak_encode(field->sub, (const char *)list->items + i * field->sub->size, &element,
                      reterr);
        if (r < 0)
            return r;
        if (json_array_append_new(array, element) < 0)
            return ak_error_oom(reterr);
    }
    *ret = AK_TAKE(array);
    return 0;
}

static int encode_string_list(const struct ak_field *field, const void *in, json_t **ret,
                              struct ak_error **reterr)
{
    const struct ak_string_list *list = in;
    AK_AUTO_JSON *array = list->len ? json_array() : NULL;
    int r;

    (void)field;
    if (!list->len)
        return 0;
    if (!array)
        return ak_error_oom(reterr);
    for (size_t i = 0; i < list->len; i++) {
        json_t *text = NULL;

        r = make_text(list->items[i], &text, reterr);
        if (r < 0)
            return r;
        if (json_array_append_new(array, text) < 0)
            return ak_error_oom(reterr);
    }
    *ret = AK_TAKE(array);
    return 0;
}

/* Takes the reference of `value`. */
static int set_member(json_t *object, const char *key, json_t *value, struct ak_error **reterr)
{
    int r;

    ak__json_memory_watch();
    r = json_object_set_new(object, key, value);
    if (r < 0 && !ak__json_memory_failed())
        return ak_error_set(reterr, -EINVAL, "a key is not valid UTF-8");
    return r < 0 ? ak_error_oom(reterr) : 0;
}

static int encode_string_map(const struct ak_field *field, const void *in, json_t **ret,
                             struct ak_error **reterr)
{
    const struct ak_string_map *map = in;
    AK_AUTO_JSON *object = map->len ? json_object() : NULL;
    int r;

    (void)field;
    if (!map->len)
        return 0;
    if (!object)
        return ak_error_oom(reterr);
    for (size_t i = 0; i < map->len; i++) {
        json_t *text = NULL;

        r = make_text(map->items[i].value, &text, reterr);
        if (r >= 0)
            r = set_member(object, map->items[i].key, text, reterr);
        if (r < 0)
            return r;
    }
    *ret = AK_TAKE(object);
    return 0;
}

static int encode_json(const struct ak_field *field, const void *in, json_t **ret,
                       struct ak_error **reterr)
{
    const char *text = *(const char *const *)in;
    int r;

    if (!text)
        return 0;
    r = ak_json_parse(text, strlen(text), ret, reterr);
    return r < 0 ? ak_error_wrap(reterr, r, "%s", field->name) : 0;
}

static int encode_int_or_string(const struct ak_field *field, const void *in, json_t **ret,
                                struct ak_error **reterr)
{
    const char *text = *(const char *const *)in;
    int64_t number;

    (void)field;
    if (!text)
        return 0;
    /* "007" and "-0" are texts: as numbers they would come back different. */
    if (ak_parse_i64(text, &number) == 0 && (text[0] != '0' || !text[1]) &&
        !ak_has_prefix(text, "-0"))
        return made(json_integer(number), ret, reterr);
    return make_text(text, ret, reterr);
}

static const encode_fn encoders[AK_F_MAX] = {
    [AK_F_STRING] = encode_string,
    [AK_F_BOOL] = encode_bool,
    [AK_F_OPT_BOOL] = encode_opt_bool,
    [AK_F_INT] = encode_int,
    [AK_F_OPT_INT] = encode_opt_int,
    [AK_F_NUMBER] = encode_number,
    [AK_F_TIME] = encode_time,
    [AK_F_ENUM] = encode_enum,
    [AK_F_STRUCT] = encode_struct,
    [AK_F_LIST] = encode_list,
    [AK_F_STRING_LIST] = encode_string_list,
    [AK_F_STRING_MAP] = encode_string_map,
    [AK_F_JSON] = encode_json,
    [AK_F_INT_OR_STRING] = encode_int_or_string,
};

int ak_encode(const struct ak_type *type, const void *in, json_t **ret, struct ak_error **reterr)
{
    AK_AUTO_JSON *object = json_object();

    if (!object)
        return ak_error_oom(reterr);
    for (size_t i = 0; i < type->n_fields; i++) {
        const struct ak_field *field = &type->fields[i];
        json_t *value = NULL;
        int r;

        r = encoders[field->type](field, (const char *)in + field->offset, &value, reterr);
        if (r >= 0 && value)
            r = set_member(object, field->name, value, reterr);
        if (r < 0)
            return r;
    }
    *ret = AK_TAKE(object);
    return 0;
}
