/* SPDX-License-Identifier: Apache-2.0 */
/* The generated types of all kinds, held against the definitions and the samples. */
#include "kinds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <glob.h>

#include <ak/base/alloc.h>
#include <ak/base/arena.h>
#include <ak/base/text.h>
#include <ak/json/json.h>

#define FILE_MAX ((size_t)256 * 1024)

/* All documents of a file, as a JSON array. */
static json_t *read_documents(const char *path)
{
    AK_AUTO_TEXT char *text = ak_malloc(FILE_MAX);
    AK_AUTO_PTR(ak_error) err = NULL;
    FILE *file = fopen(path, "re");
    json_t *documents = NULL;
    size_t len;

    if (!file)
        fail_msg("%s cannot be opened: tests run in the root of the sources", path);
    assert_non_null(text);
    len = fread(text, 1, FILE_MAX, file);
    assert_true(feof(file));
    (void)fclose(file);
    if (ak_yaml_parse_all(text, len, &documents, &err) < 0)
        fail_msg("%s: %s", path, ak_error_message(err));
    return documents;
}

static const struct kind *find_kind(const json_t *object)
{
    for (size_t i = 0; i < AK_ARRAY_LEN(kinds); i++)
        if (ak_streq(kinds[i].resource.kind, ak_json_text(object, "kind", NULL)))
            return &kinds[i];
    return NULL;
}

/* What the API server does with a new object: fills in defaults, the outermost first. */
static void set_defaults(json_t *value, const json_t *schema)
{
    json_t *properties = json_object_get(schema, "properties"), *items, *child;
    const char *name;
    size_t i;

    json_object_foreach(properties, name, child)
    {
        json_t *def = json_object_get(child, "default");

        if (def && json_is_object(value) && !json_object_get(value, name))
            assert_int_equal(0, json_object_set_new(value, name, json_deep_copy(def)));
        if (json_object_get(value, name))
            set_defaults(json_object_get(value, name), child);
    }
    items = json_object_get(schema, "items");
    if (items && json_is_array(value))
        json_array_foreach(value, i, child) set_defaults(child, items);
}

static json_t *spec_schema(const struct kind *kind)
{
    AK_AUTO_JSON *documents = read_documents(kind->definition);
    json_t *versions = ak_json_at(json_array_get(documents, 0), "spec", "versions", NULL);

    return json_incref(ak_json_at(json_array_get(versions, 0), "schema", "openAPIV3Schema",
                                  "properties", "spec", NULL));
}

/* Decodes an object and gives its spec back as JSON. */
static json_t *spec_as_read(const struct kind *kind, const json_t *object, const char *where)
{
    AK_AUTO(ak_arena) arena = {0};
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_JSON *out = NULL;
    void *body;

    ak_arena_init(&arena, 4096, 0);
    body = ak_arena_alloc(&arena, kind->type->size);
    assert_non_null(body);
    if (ak_decode(kind->type, object, body, &arena, &err) < 0 ||
        ak_encode(kind->type, body, &out, &err) < 0)
        fail_msg("%s: %s", where, ak_error_message(err));
    return json_incref(json_object_get(out, "spec"));
}

/* env[].value has an empty default that a definition cannot state; see api/generator/crd.py. */
static void drop_empty_values(json_t *value)
{
    json_t *child;
    const char *name;
    void *next;
    size_t i;

    json_array_foreach(value, i, child) drop_empty_values(child);
    json_object_foreach_safe(value, next, name, child)
    {
        if (json_is_string(child) && json_string_length(child) == 0)
            (void)json_object_del(value, name);
        else
            drop_empty_values(child);
    }
}

static void assert_same(const char *where, json_t *expected, json_t *found)
{
    AK_AUTO(ak_buf) a = AK_BUF_INIT(FILE_MAX), b = AK_BUF_INIT(FILE_MAX);

    drop_empty_values(found);
    if (json_equal(expected, found))
        return;
    assert_true(ak_yaml_write(expected, &a, NULL) >= 0 && ak_yaml_write(found, &b, NULL) >= 0);
    fail_msg("%s: the definition gives\n%s\nand C reads\n%s", where, ak_buf_text(&a),
             ak_buf_text(&b));
}

/* Reading what the server would store gives everything that is in it, and reading the bare sample gives
 * the same: so C knows every field that the samples use, and has the defaults of the definition. */
static void check_sample(const char *path, json_t *sample)
{
    const struct kind *kind = find_kind(sample);
    AK_AUTO_JSON *schema = NULL, *bare = NULL, *stored = NULL, *again = NULL;

    if (!kind)
        return;
    schema = spec_schema(kind);
    assert_true(json_is_object(schema));
    bare = spec_as_read(kind, sample, path);
    stored = json_incref(json_object_get(sample, "spec"));
    set_defaults(stored, schema);
    again = spec_as_read(kind, sample, path);
    assert_same(path, stored, bare);
    assert_same(path, stored, again);
}

static void test_every_sample_is_read_as_the_server_stores_it(void **state)
{
    static const char *const patterns[] = {"agentkube/samples/*.yaml",
                                           "agentkube/samples/demo/*.yaml"};
    glob_t files = {0};

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(patterns); i++)
        assert_int_equal(0, glob(patterns[i], i ? GLOB_APPEND : 0, NULL, &files));
    assert_true(files.gl_pathc > 30);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        AK_AUTO_JSON *documents = read_documents(files.gl_pathv[i]);
        json_t *document;
        size_t n;

        json_array_foreach(documents, n, document) check_sample(files.gl_pathv[i], document);
    }
    globfree(&files);
}

static void test_every_kind_is_named_as_in_its_definition(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(kinds); i++) {
        AK_AUTO_JSON *documents = read_documents(kinds[i].definition);
        const json_t *crd = json_array_get(documents, 0);
        const struct ak_resource *r = &kinds[i].resource;

        assert_string_equal(r->group, ak_json_text(crd, "spec", "group", NULL));
        assert_string_equal(r->kind, ak_json_text(crd, "spec", "names", "kind", NULL));
        assert_string_equal(r->plural, ak_json_text(crd, "spec", "names", "plural", NULL));
        assert_string_equal(
            r->version, ak_json_text(json_array_get(ak_json_at(crd, "spec", "versions", NULL), 0),
                                     "name", NULL));
        assert_true(r->namespaced);
    }
}

static void test_a_kind_without_spec_is_refused(void **state)
{
    AK_AUTO_JSON *nothing = json_object();

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(kinds); i++) {
        AK_AUTO(ak_arena) arena = {0};
        AK_AUTO_PTR(ak_error) err = NULL;

        ak_arena_init(&arena, 4096, 0);
        assert_int_equal(AK_E_INVALID,
                         ak_decode(kinds[i].type, nothing,
                                   ak_arena_alloc(&arena, kinds[i].type->size), &arena, &err));
        assert_string_equal("spec: must be set", ak_error_message(err));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_sample_is_read_as_the_server_stores_it),
        cmocka_unit_test(test_every_kind_is_named_as_in_its_definition),
        cmocka_unit_test(test_a_kind_without_spec_is_refused),
    };

    ak_json_setup();
    return cmocka_run_group_tests_name("api/kinds", tests, NULL, NULL);
}
