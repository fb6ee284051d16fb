/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/json/json.h>

#include "json_internal.h"
#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local bool memory_failed;

/* ---- jansson's memory ---- */

static void *json_alloc(size_t size)
{
    void *p = ak_malloc(size);

    if (!p)
        memory_failed = true;
    return p;
}

void ak_json_setup(void)
{
    json_set_alloc_funcs(json_alloc, ak_free);
    json_object_seed(0); /* random: hostile keys cannot be made to collide */
}

void ak__json_memory_watch(void)
{
    memory_failed = false;
}

bool ak__json_memory_failed(void)
{
    return memory_failed;
}

/* ---- reading ---- */

/* Returns how deep the text nests. Runs before the recursive parser and does not recurse itself. */
static size_t nesting(const char *data, size_t len)
{
    size_t depth = 0, deepest = 0;
    bool in_string = false;

    for (size_t i = 0; i < len; i++) {
        char c = data[i];

        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            depth++;
            deepest = AK_MAX(deepest, depth);
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return deepest;
}

/* jansson quotes the text near the mistake, which may be a Secret's: only the reason is passed on. */
static int syntax_error(json_error_t *error, struct ak_error **reterr)
{
    char *near = strstr(error->text, " near '");

    if (near)
        *near = '\0';
    return ak_error_set(reterr, AK_E_INVALID, "not valid JSON: line %d, column %d: %s", error->line,
                        error->column, error->text);
}

int ak_json_parse(const char *data, size_t len, json_t **ret, struct ak_error **reterr)
{
    json_error_t error;
    json_t *tree;

    if (len > AK_JSON_MAX_BYTES)
        return ak_error_set(reterr, AK_E_TOO_LARGE, "JSON of %zu bytes: more than %u are not read",
                            len, AK_JSON_MAX_BYTES);
    if (nesting(data, len) > AK_JSON_MAX_DEPTH)
        return ak_error_set(reterr, AK_E_TOO_LARGE, "JSON nests deeper than %d levels",
                            AK_JSON_MAX_DEPTH);
    ak__json_memory_watch();
    /* NUL in a string is somebody else's valid data: whoever reads that string refuses it. */
    tree = ak__json_read(data, len);
    if (!tree && !ak__json_memory_failed())
        tree = json_loadb(data, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    /* jansson 2.14 drops a character of a string, and succeeds, if it cannot grow its buffer. */
    if (ak__json_memory_failed()) {
        json_decref(tree);
        return ak_error_oom(reterr);
    }
    if (!tree && json_error_code(&error) == json_error_out_of_memory)
        return ak_error_oom(reterr);
    if (!tree)
        return syntax_error(&error, reterr);
    *ret = tree;
    return 0;
}

/* ---- writing ---- */

/*
 * Our own and not jansson's, which prints 0.1 as 0.10000000000000001 and allocates for every object to
 * find loops.
 */
static int write_value(const json_t *tree, size_t depth, struct ak_buf *out);

static int write_array(const json_t *tree, size_t depth, struct ak_buf *out)
{
    int r = ak_buf_adds(out, "[");

    for (size_t i = 0; r >= 0 && i < json_array_size(tree); i++) {
        r = ak_buf_adds(out, i ? "," : "");
        if (r >= 0)
            r = write_value(json_array_get(tree, i), depth, out);
    }
    return r < 0 ? r : ak_buf_adds(out, "]");
}

static int write_object(const json_t *tree, size_t depth, struct ak_buf *out)
{
    json_t *object = (json_t *)(uintptr_t)tree;
    const char *before = "{";
    int r = 0;

    for (void *it = json_object_iter(object); r >= 0 && it;
         it = json_object_iter_next(object, it)) {
        const char *key = json_object_iter_key(it);

        r = ak_buf_adds(out, before);
        if (r >= 0)
            r = ak_buf_add_json_string(out, key, strlen(key));
        if (r >= 0)
            r = ak_buf_adds(out, ":");
        if (r >= 0)
            r = write_value(json_object_iter_value(it), depth, out);
        before = ",";
    }
    return r < 0 ? r : ak_buf_adds(out, json_object_size(tree) ? "}" : "{}");
}

static int write_value(const json_t *tree, size_t depth, struct ak_buf *out)
{
    char number[32];

    if (depth > AK_JSON_MAX_DEPTH)
        return AK_E_TOO_LARGE;
    switch (json_typeof(tree)) {
    case JSON_OBJECT:
        return write_object(tree, depth + 1, out);
    case JSON_ARRAY:
        return write_array(tree, depth + 1, out);
    case JSON_STRING:
        return ak_buf_add_json_string(out, json_string_value(tree), json_string_length(tree));
    case JSON_INTEGER:
        return ak_buf_addf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(tree));
    case JSON_REAL:
        return ak_buf_adds(out, ak__json_real_text(json_real_value(tree), number));
    case JSON_TRUE:
        return ak_buf_adds(out, "true");
    case JSON_FALSE:
        return ak_buf_adds(out, "false");
    case JSON_NULL:
        break;
    }
    return ak_buf_adds(out, "null");
}

int ak_json_write(const json_t *tree, struct ak_buf *out, struct ak_error **reterr)
{
    size_t before = out->len;
    int r = write_value(tree, 0, out);

    if (r >= 0)
        return 0;
    if (out->data) {
        out->len = before;
        out->data[before] = '\0';
    }
    if (r == -ENOMEM)
        return ak_error_oom(reterr);
    return ak_error_set(reterr, r, "JSON text is larger than %zu bytes or deeper than %d levels",
                        out->max, AK_JSON_MAX_DEPTH);
}

json_t *ak_json_copy(const json_t *tree)
{
    json_t *copy;

    ak__json_memory_watch();
    copy = json_deep_copy(tree);
    /* jansson 2.14 leaves out members that it could not copy, and succeeds. */
    if (copy && ak__json_memory_failed()) {
        json_decref(copy);
        copy = NULL;
    }
    return copy;
}

/* ---- hash ---- */

static uint64_t hash_tree(uint64_t seed, const json_t *tree);

static uint64_t hash_object(const json_t *tree)
{
    uint64_t sum = 0;

    /* Addition does not care about the order of members. */
    for (void *it = json_object_iter((json_t *)(uintptr_t)tree); it;
         it = json_object_iter_next((json_t *)(uintptr_t)tree, it)) {
        const char *key = json_object_iter_key(it);

        sum += hash_tree(ak_hash_bytes(AK_HASH_SEED, key, strlen(key) + 1),
                         json_object_iter_value(it));
    }
    return sum;
}

static uint64_t hash_integer(uint64_t seed, json_int_t value)
{
    uint64_t h = ak_hash_bytes(seed, "i", 1);

    return ak_hash_bytes(h, &value, sizeof(value));
}

/* 1.0 and 1 are the same number to Kubernetes. */
static uint64_t hash_real(uint64_t seed, double value)
{
    if (fabs(value) < 0x1p63 && trunc(value) == value)
        return hash_integer(seed, (json_int_t)value);
    return ak_hash_bytes(ak_hash_bytes(seed, "r", 1), &value, sizeof(value));
}

static uint64_t hash_tree(uint64_t seed, const json_t *tree)
{
    uint64_t h = seed, sum;
    size_t len;

    switch (json_typeof(tree)) {
    case JSON_OBJECT:
        sum = hash_object(tree);
        return ak_hash_bytes(ak_hash_bytes(h, "{", 1), &sum, sizeof(sum));
    case JSON_ARRAY:
        h = ak_hash_bytes(h, "[", 1);
        for (size_t i = 0; i < json_array_size(tree); i++)
            h = hash_tree(h, json_array_get(tree, i));
        return ak_hash_bytes(h, "]", 1);
    case JSON_STRING:
        len = json_string_length(tree);
        h = ak_hash_bytes(ak_hash_bytes(h, "\"", 1), &len, sizeof(len));
        return ak_hash_bytes(h, json_string_value(tree), len);
    case JSON_INTEGER:
        return hash_integer(h, json_integer_value(tree));
    case JSON_REAL:
        return hash_real(h, json_real_value(tree));
    case JSON_TRUE:
        return ak_hash_bytes(h, "t", 1);
    case JSON_FALSE:
        return ak_hash_bytes(h, "f", 1);
    case JSON_NULL:
        break;
    }
    return ak_hash_bytes(h, "n", 1);
}

uint64_t ak_json_hash(const json_t *tree)
{
    return tree ? hash_tree(AK_HASH_SEED, tree) : 0;
}

/* ---- access ---- */

static json_t *walk(const json_t *tree, va_list ap)
{
    const json_t *at = tree;

    for (const char *key = va_arg(ap, const char *); key && at; key = va_arg(ap, const char *))
        at = json_object_get(at, key); /* NULL if it is not an object */
    return (json_t *)(uintptr_t)at;
}

json_t *ak_json_at(const json_t *tree, ...)
{
    json_t *at;
    va_list ap;

    va_start(ap, tree);
    at = walk(tree, ap);
    va_end(ap);
    return at;
}

const char *ak_json_text(const json_t *tree, ...)
{
    json_t *at;
    va_list ap;

    va_start(ap, tree);
    at = walk(tree, ap);
    va_end(ap);
    return json_string_value(at);
}

const char *ak__json_type_text(const json_t *value)
{
    static const char *const texts[] = {
        [JSON_OBJECT] = "an object",   [JSON_ARRAY] = "a list",  [JSON_STRING] = "a string",
        [JSON_INTEGER] = "an integer", [JSON_REAL] = "a number", [JSON_TRUE] = "a boolean",
        [JSON_FALSE] = "a boolean",    [JSON_NULL] = "null",
    };

    return value ? texts[json_typeof(value)] : "nothing";
}

const char *ak__json_real_text(double value, char buf[static 32])
{
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(buf, 32, "%.*g", digits, value);
        if (strtod(buf, NULL) == value)
            break;
    }
    return buf;
}
