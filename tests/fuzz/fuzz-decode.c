/* SPDX-License-Identifier: Apache-2.0 */
/* A type with a field of every kind: what decodes can be encoded, and decodes again to the same. */
#include <ak/json/decode.h>
#include <ak/json/json.h>
#include <stdlib.h>

#define ARENA_MAX ((size_t)1 << 20)

struct inner {
    const char *name;
    int64_t port;
    AK_LIST_OF(struct inner) children;
};
struct outer {
    const char *text, *json, *any;
    bool on;
    struct ak_opt_bool maybe;
    int64_t count;
    struct ak_opt_int limit;
    double ratio;
    ak_msec when;
    int mode;
    const struct inner *inner, *lenient;
    AK_LIST_OF(struct inner) list;
    struct ak_string_list args;
    struct ak_string_map labels;
};

static const struct ak_type inner_type;
static const struct ak_field inner_fields[] = {
    AK_FIELD_STRING(struct inner, name, "name", AK_FIELD_REQUIRED),
    AK_FIELD_INT(struct inner, port, "port", 0, 80),
    AK_FIELD_LIST(struct inner, children, "children", 0, &inner_type),
};
static const struct ak_type inner_type = AK_TYPE("inner", struct inner, inner_fields);
static const char *const modes[] = {"", "api", "system", NULL};
static const struct ak_field outer_fields[] = {
    AK_FIELD_STRING(struct outer, text, "text", 0),
    AK_FIELD(struct outer, json, "json", AK_F_JSON),
    AK_FIELD(struct outer, any, "any", AK_F_INT_OR_STRING),
    AK_FIELD_BOOL(struct outer, on, "on", 0, true),
    AK_FIELD(struct outer, maybe, "maybe", AK_F_OPT_BOOL),
    AK_FIELD_INT(struct outer, count, "count", AK_FIELD_LENIENT, 3),
    AK_FIELD(struct outer, limit, "limit", AK_F_OPT_INT),
    AK_FIELD(struct outer, ratio, "ratio", AK_F_NUMBER),
    AK_FIELD(struct outer, when, "when", AK_F_TIME),
    AK_FIELD(struct outer, mode, "mode", AK_F_ENUM, .enum_names = modes, .default_int = 1),
    AK_FIELD_STRUCT(struct outer, inner, "inner", AK_FIELD_MATERIALIZE, &inner_type),
    AK_FIELD_STRUCT(struct outer, lenient, "lenient", AK_FIELD_LENIENT, &inner_type),
    AK_FIELD_LIST(struct outer, list, "list", AK_FIELD_LENIENT, &inner_type),
    AK_FIELD(struct outer, args, "args", AK_F_STRING_LIST),
    AK_FIELD(struct outer, labels, "labels", AK_F_STRING_MAP),
};
static const struct ak_type outer_type = AK_TYPE("outer", struct outer, outer_fields);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A materialized inner has no name, which its own table requires: such a tree need not decode again. */
static bool is_round(const struct outer *outer)
{
    return outer->inner && outer->inner->name;
}

static void check(const struct outer *outer)
{
    AK_AUTO(ak_arena) arena = {.max = 0};
    AK_AUTO_JSON *tree = NULL;
    AK_AUTO_JSON *again = NULL;
    struct outer second = {.text = NULL};

    ak_arena_init(&arena, 256, 0);
    if (ak_encode(&outer_type, outer, &tree, NULL) < 0)
        abort();
    if (!is_round(outer))
        return;
    if (ak_decode(&outer_type, tree, &second, &arena, NULL) < 0)
        abort();
    if (ak_encode(&outer_type, &second, &again, NULL) < 0)
        abort();
    if (ak_json_hash(tree) != ak_json_hash(again))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AK_AUTO(ak_arena) arena = {.max = 0};
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_JSON *tree = NULL;
    struct outer outer = {.text = NULL};
    int r;

    ak_arena_init(&arena, 64, ARENA_MAX);
    if (ak_json_parse((const char *)data, size, &tree, NULL) < 0)
        return 0;
    r = ak_decode(&outer_type, tree, &outer, &arena, &err);
    if (r < 0 && (!err || ak_error_code(err) != r))
        abort();
    if (r >= 0)
        check(&outer);
    return 0;
}
