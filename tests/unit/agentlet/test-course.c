/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/runs/course.h"

#include <ak/base/compiler.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define GRACE 1000

static const char letters[] = {
    [AK_ACT_WAIT] = '.',       [AK_ACT_START] = 'S',      [AK_ACT_TERM] = 'T',
    [AK_ACT_KILL] = 'K',       [AK_ACT_SWEEP_TERM] = 't', [AK_ACT_SWEEP_LOOK] = 'l',
    [AK_ACT_SWEEP_KILL] = 'k', [AK_ACT_FINISH] = 'F',
};

/*
 * Plays a script: '+' the step succeeds, '-' it fails, 'c' cancel, 'x' shutdown, '0' nothing is left, '1' something
 * is, digits from '2': so many hundred milliseconds pass. After each it asks until there is nothing to do, and
 * writes down what it was told.
 */
static void play(struct ak_course *course, const char *script, char *out)
{
    ak_msec now = 0;
    size_t n = 0;

    for (const char *p = script;; p++) {
        enum ak_act what = AK_ACT_WAIT;

        while ((what = ak_course_next(course, now)) != AK_ACT_WAIT) {
            out[n++] = letters[what];
            if (what == AK_ACT_SWEEP_TERM || what == AK_ACT_SWEEP_LOOK || what == AK_ACT_SWEEP_KILL)
                break; /* the script says what is left */
        }
        if (!*p)
            break;
        switch (*p) {
        case '+':
        case '-':
            ak_course_step_ended(course, *p == '+');
            break;
        case 'c':
            ak_course_stop(course, AK_STOP_CANCELLED);
            break;
        case 'x':
            ak_course_stop(course, AK_STOP_SHUTDOWN);
            break;
        case '0':
        case '1':
            ak_course_swept(course, *p == '1');
            break;
        default:
            now += (*p - '0') * 100;
            break;
        }
    }
    out[n] = '\0';
}

static void it_says_what_to_do(void **state)
{
    static const struct {
        const char *name;
        const char *script;
        const char *acts;
        enum ak_stop stop;
        bool failed;
    } cases[] = {
        {"three steps", "+++0", "SSStF", AK_STOP_NONE, false},
        {"the second is tried three times and fails", "+---0", "SSSStF", AK_STOP_NONE, true},
        {"the second succeeds at its last attempt", "+--++0", "SSSSStF", AK_STOP_NONE, false},
        {"the third may fail", "++-0", "SSStF", AK_STOP_NONE, false},
        {"cancel, and it ends by itself", "c+0", "STtF", AK_STOP_CANCELLED, false},
        {"cancel, and it has to be killed", "c999-0", "STKtF", AK_STOP_CANCELLED, false},
        {"cancel twice is once", "cx+0", "STtF", AK_STOP_CANCELLED, false},
        {"no other step after a cancel", "+c-0", "SSTtF", AK_STOP_CANCELLED, false},
        {"the first step has 500 ms, and is not tried again", "5-0", "STtF", AK_STOP_NONE, true},
        {"too late is failed, whatever the exit code", "5+0", "STtF", AK_STOP_NONE, true},
        {"cancel while a step is being stopped", "5c-0", "STtF", AK_STOP_CANCELLED, false},
        {"the run has 20 s", "+9999999999999999999999999-0", "SSTKtF", AK_STOP_TIMED_OUT, false},
        {"what is left is killed after the grace", "+++1991999999999", "SSStlkllF", AK_STOP_NONE,
         false},
        {"what is left ends", "+++12020", "SSStlF", AK_STOP_NONE, false},
        {"a cancel that comes after the end changes nothing", "+++c0", "SSStF", AK_STOP_NONE,
         false},
        {"shutdown", "+x-0", "SSTtF", AK_STOP_SHUTDOWN, false},
    };
    static const struct ak_step steps[] = {
        {.name = "a", .timeout = 500},
        {.name = "b", .timeout = AK_MSEC_NEVER, .retries = 2},
        {.name = "c", .timeout = AK_MSEC_NEVER, .continue_on_error = true},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        struct ak_course course;
        char acts[128];

        ak_course_init(&course, steps, AK_ARRAY_LEN(steps), AK_SECONDS(20), GRACE, 0);
        play(&course, cases[i].script, acts);
        if (strcmp(acts, cases[i].acts) != 0)
            fail_msg("%s: %s", cases[i].name, acts);
        assert_int_equal(course.stop, cases[i].stop);
        assert_int_equal(course.failed, cases[i].failed);
        assert_int_equal(ak_course_next(&course, AK_HOURS(9)), AK_ACT_WAIT);
    }
}

static void a_deadline_is_there_whenever_time_decides(void **state)
{
    static const struct ak_step step = {.name = "a", .timeout = AK_SECONDS(5)};
    struct ak_course course;

    (void)state;
    ak_course_init(&course, &step, 1, AK_SECONDS(60), GRACE, 100);
    assert_int_equal(ak_course_deadline(&course), 0);
    assert_int_equal(ak_course_next(&course, 100), AK_ACT_START);
    assert_int_equal(ak_course_deadline(&course), 5100);
    ak_course_stop(&course, AK_STOP_CANCELLED);
    assert_int_equal(ak_course_deadline(&course), 0);
    assert_int_equal(ak_course_next(&course, 200), AK_ACT_TERM);
    assert_int_equal(ak_course_deadline(&course), 200 + GRACE);
    assert_int_equal(ak_course_next(&course, 200 + GRACE), AK_ACT_KILL);
    assert_true(ak_course_deadline(&course) == AK_MSEC_NEVER);
    ak_course_step_ended(&course, false);
    assert_int_equal(ak_course_next(&course, 1300), AK_ACT_SWEEP_TERM);
    ak_course_swept(&course, 1);
    assert_true(ak_course_deadline(&course) > 1300 && ak_course_deadline(&course) < 1400);
    ak_course_swept(&course, 0);
    assert_int_equal(ak_course_next(&course, 1301), AK_ACT_FINISH);
    assert_true(ak_course_deadline(&course) == AK_MSEC_NEVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_says_what_to_do),
        cmocka_unit_test(a_deadline_is_there_whenever_time_decides),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
