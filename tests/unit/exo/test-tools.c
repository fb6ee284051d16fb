/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments of operations as people type them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "exo/tools.h"

#define MAX_WORDS 5

static size_t count(const char *const *words)
{
    size_t n = 0;
    while (words[n])
        n++;
    return n;
}

static void words_become_an_object(void **state)
{
    static const struct {
        const char *words[MAX_WORDS], *want;
    } cases[] = {
        {{NULL}, "{}"},
        {{"sql=select 1", NULL}, "{\"sql\":\"select 1\"}"},
        {{"sql=a = b", "n=5", "m:=5", NULL}, "{\"m\":5,\"n\":\"5\",\"sql\":\"a = b\"}"},
        {{"params:=[7, null]", NULL}, "{\"params\":[7,null]}"},
        {{"empty=", NULL}, "{\"empty\":\"\"}"},
        {{"url=http://x/?a:=b", NULL}, "{\"url\":\"http://x/?a:=b\"}"},
    };
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_buf) text = AK_BUF_INIT(4096);
        AK_AUTO_PTR(ak_error) err = NULL;
        AK_AUTO_JSON *object = NULL;
        if (ak_tools_arguments(cases[i].words, count(cases[i].words), &object, &err) < 0)
            fail_msg("case %zu: %s", i, ak_error_message(err));
        json_t *want = json_loads(cases[i].want, 0, NULL);
        assert_non_null(want);
        assert_true(json_equal(object, want));
        json_decref(want);
    }
}

static void what_is_no_argument_is_named(void **state)
{
    static const struct {
        const char *words[MAX_WORDS], *message;
    } cases[] = {
        {{"sql", NULL}, "\"sql\": an argument is KEY=TEXT, KEY:=JSON, or \"-\" alone"},
        {{"=x", NULL}, "\"=x\": an argument is KEY=TEXT, KEY:=JSON, or \"-\" alone"},
        {{":=1", NULL}, "\":=1\": an argument is KEY=TEXT, KEY:=JSON, or \"-\" alone"},
        {{"-", "a=b", NULL}, "\"-\": an argument is KEY=TEXT, KEY:=JSON, or \"-\" alone"},
        {{"a=1", "a=2", NULL}, "a: is given twice"},
        {{"a=\xff", NULL}, "a: is not UTF-8"},
    };
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO_PTR(ak_error) err = NULL;
        AK_AUTO_JSON *object = NULL;
        assert_int_equal(ak_tools_arguments(cases[i].words, count(cases[i].words), &object, &err),
                         -EINVAL);
        assert_string_equal(ak_error_message(err), cases[i].message);
    }
    const char *const broken[] = {"params:=[1", NULL};
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_JSON *object = NULL;
    assert_int_equal(ak_tools_arguments(broken, 1, &object, &err), -EINVAL);
    assert_true(ak_has_prefix(ak_error_message(err), "params: "));
}

static void read_from(const char *text, int *code, json_t **ret, struct ak_error **err)
{
    static const char *const dash[] = {"-", NULL};
    int pipes[2], old = dup(STDIN_FILENO);

    assert_true(old >= 0);
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(write(pipes[1], text, strlen(text)), strlen(text));
    (void)close(pipes[1]);
    assert_int_equal(dup2(pipes[0], STDIN_FILENO), STDIN_FILENO);
    *code = ak_tools_arguments(dash, 1, ret, err);
    assert_int_equal(dup2(old, STDIN_FILENO), STDIN_FILENO);
    (void)close(old);
    (void)close(pipes[0]);
}

static void a_dash_reads_an_object(void **state)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_JSON *object = NULL;
    json_t *none = NULL;
    int code;

    (void)state;
    read_from("{\"sql\": \"select 1\"}\n", &code, &object, &err);
    assert_int_equal(code, 0);
    assert_string_equal(json_string_value(json_object_get(object, "sql")), "select 1");
    read_from("[1]", &code, &none, &err);
    assert_int_equal(code, -EINVAL);
    assert_null(none);
    assert_string_equal(ak_error_message(err), "standard input is JSON, but no object");
}

static void paths_are_escaped(void **state)
{
    AK_AUTO(ak_arena) arena = {0};
    struct ak_exo exo = {.arena = &arena, .ns = "team"};

    (void)state;
    ak_arena_init(&arena, 4096, 0);
    assert_string_equal(ak_tools_path(&exo, "db", "exec", NULL, NULL),
                        "/namespaces/team/tools/db/exec");
    assert_string_equal(ak_tools_path(&exo, "a/b", "sessions", "x y", "kill"),
                        "/namespaces/team/tools/a%2Fb/sessions/x%20y/kill");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_become_an_object),
        cmocka_unit_test(what_is_no_argument_is_named),
        cmocka_unit_test(a_dash_reads_an_object),
        cmocka_unit_test(paths_are_escaped),
    };
    return cmocka_run_group_tests_name("exo/tools", tests, NULL, NULL);
}
