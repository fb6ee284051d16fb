/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <ak/base/text.h>

#include "exo/complete.h"

#define MAX_WORDS 6

/* `has` and `has_not` are lines' beginnings. */
static const struct {
    const char *words[MAX_WORDS];
    const char *has, *has_not;
    enum ak_complete_names names;
    const char *comment;
} cases[] = {
    {{"", NULL}, "\nagent\t", "\n__complete", AK_COMPLETE_NONE, "the first word"},
    {{"ag", NULL}, "\nagent\t", "\nrun", AK_COMPLETE_NONE, "what fits only"},
    {{"agent", "l", NULL}, "\nlist\t", "\nrun\t", AK_COMPLETE_NONE, "a verb"},
    {{"agent", "describe", "", NULL}, "\n", "\n-", AK_COMPLETE_AGENTS, "a name"},
    {{"agent", "describe", "x", "", NULL}, "\n", "\n-", AK_COMPLETE_NONE, "one name only"},
    {{"agent", "get", "x", "", NULL}, "\n", "\n-", AK_COMPLETE_OBJECTS, "many names"},
    {{"agent", "logs", "x", "", NULL}, "\n", "\n-", AK_COMPLETE_RUNS, "a run of that agent"},
    {{"run", "get", "", NULL}, "\n", "\n-", AK_COMPLETE_ALL_RUNS, "any run"},
    {{"agent", "list", "--", NULL},
     "\n--namespace=\t",
     "\n--follow",
     AK_COMPLETE_NONE,
     "own flags"},
    {{"agent", "run", "--", NULL}, "\n--follow\t", "\n--selector", AK_COMPLETE_NONE, "own flags"},
    {{"agent", "list", "-o", "", NULL}, "\nwide\n", "\ntable", AK_COMPLETE_NONE, "choices"},
    {{"agent", "list", "--output=y", NULL},
     "\n--output=yaml\n",
     "json",
     AK_COMPLETE_NONE,
     "choices"},
    {{"agent", "run", "-o", "", NULL},
     "\nname\n",
     "\nwide",
     AK_COMPLETE_NONE,
     "the verb's own choices"},
    {{"agent", "list", "-n", "", NULL}, "\n", "\n-", AK_COMPLETE_NAMESPACES, "a namespace"},
    {{"-n", "", NULL}, "\n", "\nagent", AK_COMPLETE_NAMESPACES, "before the command"},
    {{"agent", "apply", "-f", "", NULL}, "\n:files\n", "\n-", AK_COMPLETE_NONE, "a file"},
    {{"completion", "", NULL}, "\nbash\n", "\n-", AK_COMPLETE_NONE, "a shell"},
    {{"ses", NULL}, "\nsession\t", "\nagent", AK_COMPLETE_NONE, "a noun of Tools"},
    {{"tool", "exec", "", NULL}, "\n", "\n-", AK_COMPLETE_OBJECTS, "a Tool"},
    {{"tool", "exec", "x", "", NULL}, "\n", "\n-", AK_COMPLETE_NONE, "one Tool only"},
    {{"tool", "call", "", NULL}, "\n", "\n-", AK_COMPLETE_OBJECTS, "a Tool"},
    {{"tool", "call", "x", "", NULL}, "\n", "\n-", AK_COMPLETE_OPERATIONS, "an operation"},
    {{"tool", "call", "x", "query", "", NULL}, "\n", "\n-", AK_COMPLETE_NONE, "arguments"},
    {{"tool", "approve", "x", "", NULL}, "\n", "\n-", AK_COMPLETE_APPROVALS, "what waits"},
    {{"session", "play", "x", "", NULL}, "\n", "\n-", AK_COMPLETE_RECORDINGS, "a recording"},
    {{"nothing", "", NULL}, "\n", "agent", AK_COMPLETE_NONE, "no such command"},
    {{"agent", "nothing", "", NULL}, "\n", "list", AK_COMPLETE_NONE, "no such verb"},
};

static void the_tables_say_what_fits(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_arena) arena = {0};
        AK_AUTO(ak_buf) out = AK_BUF_INIT(65536);
        struct ak_completion c;
        size_t n = 0;
        ak_arena_init(&arena, 4096, 0);
        while (cases[i].words[n])
            n++;
        assert_int_equal(ak_buf_adds(&out, "\n"), 0); /* so that each line begins with one */
        assert_int_equal(ak_complete(cases[i].words, n, NULL, &arena, &c, &out), 0);
        if (!strstr(ak_buf_text(&out), cases[i].has))
            fail_msg("%s: no %s in %s", cases[i].comment, cases[i].has, ak_buf_text(&out));
        if (strstr(ak_buf_text(&out), cases[i].has_not))
            fail_msg("%s: %s in %s", cases[i].comment, cases[i].has_not, ak_buf_text(&out));
        if (c.names != cases[i].names)
            fail_msg("%s: names %d", cases[i].comment, (int)c.names);
    }
}

static void flags_before_the_name_say_where_to_look(void **state)
{
    static const char *const words[] = {"agent", "logs", "-n", "team", "a", ""};
    AK_AUTO(ak_arena) arena = {0};
    AK_AUTO(ak_buf) out = AK_BUF_INIT(65536);
    struct ak_completion c;
    (void)state;
    ak_arena_init(&arena, 4096, 0);
    assert_int_equal(ak_complete(words, AK_ARRAY_LEN(words), NULL, &arena, &c, &out), 0);
    assert_string_equal(c.options.namespace_, "team");
    assert_int_equal(c.names, AK_COMPLETE_RUNS);
    assert_string_equal(c.of, "a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tables_say_what_fits),
        cmocka_unit_test(flags_before_the_name_say_where_to_look),
    };
    return cmocka_run_group_tests_name("exo/complete", tests, NULL, NULL);
}
