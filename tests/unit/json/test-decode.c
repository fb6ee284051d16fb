/* SPDX-License-Identifier: Apache-2.0 */
#include "model.h"

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/json/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int decode(const struct ak_type *type, const char *text, void *out, struct ak_arena *arena,
                  struct ak_error **reterr)
{
    AK_AUTO_JSON *tree = NULL;
    int r = ak_json_parse(text, strlen(text), &tree, reterr);

    return r < 0 ? r : ak_decode(type, tree, out, arena, reterr);
}

static void every_kind_of_field_is_read(void **state)
{
    AK_AUTO(ak_arena) arena = {.max = 0};
    struct spec spec = {.model = NULL};

    (void)state;
    ak_arena_init(&arena, 64, 0);
    assert_int_equal(decode(&spec_type, FULL_SPEC, &spec, &arena, NULL), 0);
    assert_string_equal(spec.model, "m");
    assert_string_equal(spec.raw, "{\"a\":[1]}");
    assert_string_equal(spec.memory, "5");
    assert_false(spec.paused);
    assert_true(spec.automount.set && !spec.automount.value);
    assert_int_equal(spec.replicas, 3);
    assert_true(spec.grace.set && spec.grace.value == 0);
    assert_true(spec.ratio == 0.5);
    assert_int_equal(spec.since, 1795348800000);
    assert_int_equal(spec.mode, 2);
    assert_int_equal(spec.limits->seconds, 1);
    assert_string_equal(spec.extra->size, "");
    assert_int_equal(spec.ports.len, 2);
    assert_string_equal(spec.ports.items[0].name, "a");
    assert_null(spec.ports.items[1].name);
    assert_int_equal(spec.ports.items[1].number, 2);
    assert_int_equal(spec.args.len, 2);
    assert_string_equal(spec.args.items[1], "");
    assert_string_equal(ak_string_map_get(&spec.labels, "b"), "2");
}

static void check_defaults(const char *text)
{
    AK_AUTO(ak_arena) arena = {.max = 0};
    struct spec spec = {.model = NULL};

    ak_arena_init(&arena, 64, 0);
    assert_int_equal(decode(&spec_type, text, &spec, &arena, NULL), 0);
    assert_null(spec.model);
    assert_null(spec.raw);
    assert_string_equal(spec.memory, "64Mi");
    assert_true(spec.paused);
    assert_false(spec.automount.set);
    assert_int_equal(spec.replicas, 1);
    assert_false(spec.grace.set);
    assert_true(spec.ratio == 2);
    assert_int_equal(spec.since, 0);
    assert_int_equal(spec.mode, 1);
    assert_int_equal(spec.limits->seconds, 30);
    assert_string_equal(spec.limits->size, "1Gi");
    assert_null(spec.extra);
    assert_int_equal(spec.ports.len + spec.args.len + spec.labels.len, 0);
}

static void absent_and_null_give_defaults(void **state)
{
    (void)state;
    check_defaults("{}");
    check_defaults(
        "{\"model\":null,\"raw\":null,\"memory\":null,\"paused\":null,\"automount\":null,"
        "\"replicas\":null,\"grace\":null,\"ratio\":null,\"since\":null,\"mode\":null,"
        "\"limits\":null,\"extra\":null,\"ports\":null,\"args\":null,\"labels\":null}");
    check_defaults("{\"ports\":[],\"args\":[],\"labels\":{},\"unknown\":{\"x\":1}}");
}

static void errors_name_the_path(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"[]", "spec: expected an object, found a list"},
        {"{\"model\":5}", "model: expected a string, found an integer"},
        {"{\"model\":\"a\\u0000b\"}", "model: must not contain a NUL character"},
        {"{\"memory\":true}", "memory: expected an integer or a string, found a boolean"},
        {"{\"paused\":\"yes\"}", "paused: expected a boolean, found a string"},
        {"{\"automount\":1}", "automount: expected a boolean, found an integer"},
        {"{\"replicas\":1.5}", "replicas: expected an integer, found a number"},
        {"{\"grace\":{}}", "grace: expected an integer, found an object"},
        {"{\"ratio\":\"1\"}", "ratio: expected a number, found a string"},
        {"{\"since\":1}", "since: expected a time, found an integer"},
        {"{\"since\":\"now\"}", "since: expected a time like 2026-11-22T12:00:00Z, found \"now\""},
        {"{\"mode\":\"x\"}", "mode: expected one of \"api\", \"system\", found \"x\""},
        {"{\"mode\":1}", "mode: expected a string, found an integer"},
        {"{\"limits\":[]}", "limits: expected an object, found a list"},
        {"{\"limits\":{\"seconds\":\"x\"}}", "limits.seconds: expected an integer, found a string"},
        {"{\"ports\":{}}", "ports: expected a list, found an object"},
        {"{\"ports\":[{\"port\":1},{\"port\":\"x\"}]}",
         "ports[1].port: expected an integer, found a string"},
        {"{\"ports\":[{\"port\":1},null]}", "ports[1]: expected an object, found null"},
        {"{\"ports\":[{}]}", "ports[0].port: must be set"},
        {"{\"ports\":[{\"port\":null}]}", "ports[0].port: must be set"},
        {"{\"args\":\"x\"}", "args: expected a list, found a string"},
        {"{\"args\":[\"x\",1]}", "args[1]: expected a string, found an integer"},
        {"{\"labels\":[]}", "labels: expected an object, found a list"},
        {"{\"labels\":{\"a/b\":1}}", "labels.a/b: expected a string, found an integer"},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_arena) arena = {.max = 0};
        AK_AUTO_PTR(ak_error) err = NULL;
        struct spec spec = {.model = NULL};

        ak_arena_init(&arena, 64, 0);
        assert_int_equal(decode(&spec_type, cases[i].text, &spec, &arena, &err), AK_E_INVALID);
        assert_string_equal(ak_error_message(err), cases[i].message);
    }
}

struct foreign {
    const char *phase;
    int64_t count;
    int mode;
    const struct limits *limits;
    AK_LIST_OF(struct port) ports;
    struct ak_string_list args;
    struct ak_string_map labels;
};
static const struct ak_field foreign_fields[] = {
    AK_FIELD_STRING(struct foreign, phase, "phase", AK_FIELD_LENIENT),
    AK_FIELD_INT(struct foreign, count, "count", AK_FIELD_LENIENT, 4),
    AK_FIELD(struct foreign, mode, "mode", AK_F_ENUM, .flags = AK_FIELD_LENIENT,
             .enum_names = mode_names),
    AK_FIELD_STRUCT(struct foreign, limits, "limits", AK_FIELD_LENIENT, &limits_type),
    AK_FIELD_LIST(struct foreign, ports, "ports", AK_FIELD_LENIENT, &port_type),
    AK_FIELD(struct foreign, args, "args", AK_F_STRING_LIST, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct foreign, labels, "labels", AK_F_STRING_MAP, .flags = AK_FIELD_LENIENT),
};
static const struct ak_type foreign_type = AK_TYPE("foreign", struct foreign, foreign_fields);

static void lenient_fields_ignore_what_they_do_not_understand(void **state)
{
    AK_AUTO(ak_arena) arena = {.max = 0};
    struct foreign foreign = {.phase = NULL};

    (void)state;
    ak_arena_init(&arena, 64, 0);
    assert_int_equal(decode(&foreign_type,
                            "{\"phase\":1,\"count\":\"x\",\"mode\":\"new\",\"limits\":5,"
                            "\"ports\":[7,{\"port\":1}],\"args\":[1,\"a\"],"
                            "\"labels\":{\"a\":1,\"b\":\"2\"}}",
                            &foreign, &arena, NULL),
                     0);
    assert_null(foreign.phase);
    assert_int_equal(foreign.count, 4);
    assert_int_equal(foreign.mode, 0);
    assert_null(foreign.limits);
    assert_int_equal(foreign.ports.len, 1);
    assert_int_equal(foreign.ports.items[0].number, 1);
    assert_int_equal(foreign.args.len, 1);
    assert_string_equal(foreign.args.items[0], "a");
    assert_int_equal(foreign.labels.len, 1);
    assert_string_equal(ak_string_map_get(&foreign.labels, "b"), "2");
}

static void a_lenient_list_with_a_bad_element_inside_is_absent(void **state)
{
    AK_AUTO(ak_arena) arena = {.max = 0};
    struct foreign foreign = {.phase = NULL};

    (void)state;
    ak_arena_init(&arena, 64, 0);
    assert_int_equal(decode(&foreign_type, "{\"ports\":[{\"port\":1},{\"port\":\"x\"}]}", &foreign,
                            &arena, NULL),
                     0);
    assert_null(foreign.ports.items);
    assert_int_equal(foreign.ports.len, 0);
}

static void maps_are_sorted_and_searched(void **state)
{
    AK_AUTO(ak_arena) arena = {.max = 0};
    struct spec spec = {.model = NULL};

    (void)state;
    ak_arena_init(&arena, 64, 0);
    assert_int_equal(decode(&spec_type, "{\"labels\":{\"c\":\"3\",\"a\":\"1\",\"b\":\"2\"}}", &spec,
                            &arena, NULL),
                     0);
    for (size_t i = 1; i < spec.labels.len; i++)
        assert_true(strcmp(spec.labels.items[i - 1].key, spec.labels.items[i].key) < 0);
    assert_string_equal(ak_string_map_get(&spec.labels, "a"), "1");
    assert_string_equal(ak_string_map_get(&spec.labels, "c"), "3");
    assert_null(ak_string_map_get(&spec.labels, "d"));
    assert_null(ak_string_map_get(&(struct ak_string_map){.len = 0}, "a"));
}

static void lists_are_searched(void **state)
{
    static const char *const items[] = {"a", "b"};
    const struct ak_string_list list = {.items = items, .len = 2};

    (void)state;
    assert_true(ak_string_list_has(&list, "b"));
    assert_false(ak_string_list_has(&list, "c"));
    assert_false(ak_string_list_has(&(struct ak_string_list){.len = 0}, "a"));
}

static void the_arena_limits_the_object(void **state)
{
    AK_AUTO(ak_arena) arena = {.max = 0};
    AK_AUTO_PTR(ak_error) err = NULL;
    struct spec spec = {.model = NULL};

    (void)state;
    ak_arena_init(&arena, 64, 50);
    assert_int_equal(decode(&spec_type, FULL_SPEC, &spec, &arena, &err), AK_E_TOO_LARGE);
    assert_string_equal(ak_error_message(err), "the object is larger than 50 bytes");
}

/* Ten thousand of these are in a cache: no slack but alignment. */
static void an_object_takes_little_more_than_its_content(void **state)
{
    AK_AUTO(ak_arena) arena = {.max = 0};
    struct spec spec = {.model = NULL};
    size_t content = 2 * sizeof(struct limits) + 2 * sizeof(struct port) +
                     2 * sizeof(const char *) + 2 * sizeof(struct ak_pair) + strlen(FULL_SPEC) / 4;

    (void)state;
    ak_arena_init(&arena, 64, 0);
    assert_int_equal(decode(&spec_type, FULL_SPEC, &spec, &arena, NULL), 0);
    assert_true(arena.used < content);
}

static void each_allocation_may_fail(void **state)
{
    AK_AUTO_JSON *tree = NULL;
    bool failed = true;

    (void)state;
    assert_int_equal(ak_json_parse(FULL_SPEC, strlen(FULL_SPEC), &tree, NULL), 0);
    for (int64_t n = 0; failed; n++) {
        AK_AUTO(ak_arena) arena = {.max = 0};
        AK_AUTO_PTR(ak_error) err = NULL;
        struct spec spec = {.model = NULL};
        int r;

        ak_arena_init(&arena, 64, 0);
        (void)ak_alloc_fail_after(n);
        r = ak_decode(&spec_type, tree, &spec, &arena, &err);
        failed = ak_alloc_fail_after(-1);
        assert_int_equal(r, failed ? -ENOMEM : 0);
        assert_int_equal(ak_error_code(err), r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_field_is_read),
        cmocka_unit_test(absent_and_null_give_defaults),
        cmocka_unit_test(errors_name_the_path),
        cmocka_unit_test(lenient_fields_ignore_what_they_do_not_understand),
        cmocka_unit_test(a_lenient_list_with_a_bad_element_inside_is_absent),
        cmocka_unit_test(maps_are_sorted_and_searched),
        cmocka_unit_test(lists_are_searched),
        cmocka_unit_test(the_arena_limits_the_object),
        cmocka_unit_test(an_object_takes_little_more_than_its_content),
        cmocka_unit_test(each_allocation_may_fail),
    };

    ak_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
