/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/schedule/cron.h"

#include <ak/base/alloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "manager/schedule/times.h"

static ak_msec at(const char *time)
{
    ak_msec wall = 0;

    assert_int_equal(ak_parse_rfc3339(time, &wall), 0);
    return wall;
}

static void assert_next(const char *text, const char *after, const char *wanted)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    struct ak_cron cron;
    ak_msec next = 0;
    char buf[AK_RFC3339_SIZE];

    if (ak_cron_parse(text, &cron, &err) < 0)
        fail_msg("%s", ak_error_message(err));
    assert_int_equal(ak_cron_next(&cron, NULL, at(after), at(after), &next, &err), 0);
    assert_string_equal(ak_format_rfc3339(next, buf), wanted);
}

static void the_next_time_in_utc(void **state)
{
    static const struct {
        const char *text, *after, *next, *comment;
    } cases[] = {
        {"* * * * *", "2024-05-01T10:00:00Z", "2024-05-01T10:01:00Z", "never the same minute"},
        {"* * * * *", "2024-05-01T10:00:59.999Z", "2024-05-01T10:01:00Z", "milliseconds"},
        {"* * * * *", "1969-12-31T23:58:59.5Z", "1969-12-31T23:59:00Z", "before 1970"},
        {"0 0 29 2 *", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00Z", "2100 is no leap year"},
        {"0 0 31 * *", "2024-04-01T00:00:00Z", "2024-05-31T00:00:00Z", "April is skipped"},
        {"0 0 13 * fri", "2024-09-01T00:00:00Z", "2024-09-06T00:00:00Z", "either day is enough"},
        {"0 0 */1 * fri", "2024-09-01T00:00:00Z", "2024-09-06T00:00:00Z",
         "a step of 1 is no limit"},
        {"0 0 */2 * fri", "2024-09-01T00:00:00Z", "2024-09-03T00:00:00Z", "a step is a limit"},
        {"0 0 ? * FRI", "2024-09-01T00:00:00Z", "2024-09-06T00:00:00Z", "? and capital letters"},
        {"50/5 23 31 12 *", "2024-12-31T23:56:00Z", "2025-12-31T23:50:00Z", "n/step, year's end"},
        {" 0\t0  1 1 * ", "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z", "blanks and tabs"},
        {"@yearly", "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z", ""},
        {"@annually", "2024-07-01T00:00:00Z", "2025-01-01T00:00:00Z", ""},
        {"@monthly", "2024-01-01T00:00:00Z", "2024-02-01T00:00:00Z", ""},
        {"@weekly", "2024-09-01T00:00:00Z", "2024-09-08T00:00:00Z", "Sundays"},
        {"@daily", "2024-09-01T00:00:00Z", "2024-09-02T00:00:00Z", ""},
        {"@midnight", "2024-09-01T23:00:00Z", "2024-09-02T00:00:00Z", ""},
        {"@hourly", "2024-09-01T00:00:00Z", "2024-09-01T01:00:00Z", ""},
        {"@every 90m", "2024-09-01T00:00:00Z", "2024-09-01T01:30:00Z", ""},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++)
        assert_next(cases[i].text, cases[i].after, cases[i].next);
}

static void every_counts_from_its_anchor_whenever_it_is_asked(void **state)
{
    static const struct {
        const char *after, *next;
    } cases[] = {
        {"2024-09-01T00:00:00Z", "2024-09-01T00:10:00Z"},
        {"2024-09-01T00:09:59.999Z", "2024-09-01T00:10:00Z"},
        {"2024-09-01T00:10:00Z", "2024-09-01T00:20:00Z"},
        {"2025-01-01T12:34:56Z", "2025-01-01T12:40:00Z"},
        {"2024-08-31T00:00:00Z", "2024-09-01T00:10:00Z"}, /* a clock that went back */
    };
    struct ak_cron cron;

    (void)state;
    assert_int_equal(ak_cron_parse("@every 10m", &cron, NULL), 0);
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        ak_msec next = 0;
        char buf[AK_RFC3339_SIZE];

        assert_int_equal(
            ak_cron_next(&cron, NULL, at(cases[i].after), at("2024-09-01T00:00:00Z"), &next, NULL),
            0);
        assert_string_equal(ak_format_rfc3339(next, buf), cases[i].next);
    }
}

static void what_is_wrong_is_said_in_words(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "must not be empty"},
        {" \t ", "must not be empty"},
        {"61 * * * *", "minute \"61\": must be 0-59"},
        {"-1 * * * *", "minute \"-1\": must be 0-59"},
        {"1- * * * *", "minute \"1-\": must be 0-59"},
        {"50-60/2 * * * *", "minute \"50-60/2\": must be 0-59"},
        {"* 24 * * *", "hour \"24\": must be 0-23"},
        {"* * 0 * *", "day of month \"0\": must be 1-31"},
        {"* * * 13 *", "month \"13\": must be 1-12 or jan-dec"},
        {"* * * * 7", "day of week \"7\": must be 0-6 (0 is Sunday) or sun-sat"},
        {"* * * * monday", "day of week \"monday\": must be 0-6 (0 is Sunday) or sun-sat"},
        {"* * L * *", "day of month \"L\": must be 1-31"},
        {"99999999999999999999 * * * *", "minute \"99999999999999999999\": must be 0-59"},
        {"*/0 * * * *", "minute \"*/0\": the step after \"/\" must be a number from 1 on"},
        {"*/ * * * *", "minute \"*/\": the step after \"/\" must be a number from 1 on"},
        {"1/2/3 * * * *", "minute \"1/2/3\": the step after \"/\" must be a number from 1 on"},
        {"9-5 * * * *", "minute \"9-5\": the range ends before it begins"},
        {"* * * * fri-mon", "day of week \"fri-mon\": the range ends before it begins"},
        {"1,,2 * * * *", "minute \"1,,2\": an element of the list is empty"},
        {"1, * * * *", "minute \"1,\": an element of the list is empty"},
        {"* * * *", "\"* * * *\" has 4 fields: must have 5 (minute, hour, day of month, month, day "
                    "of week)"},
        {"0 0 * * * *", "\"0 0 * * * *\" has 6 fields: must have 5 (minute, hour, day of month, "
                        "month, day of week)"},
        {"0 0 30 2 *", "\"0 0 30 2 *\" never fires: none of these months has such a day"},
        {"0 0 31 2,4,6 ?", "\"0 0 31 2,4,6 ?\" never fires: none of these months has such a day"},
        {"TZ=UTC * * * * *", "must not begin with a time zone: use spec.schedule.timeZone"},
        {"CRON_TZ=UTC @daily", "must not begin with a time zone: use spec.schedule.timeZone"},
        {"@reboot", "\"@reboot\": must be @hourly, @daily, @weekly, @monthly, @yearly or \"@every "
                    "DURATION\""},
        {"@every", "\"@every\": must be @hourly, @daily, @weekly, @monthly, @yearly or \"@every "
                   "DURATION\""},
        {"@every soon", "@every \"soon\": must be a duration such as \"1h30m\""},
        {"@every -5m", "@every \"-5m\": must be from 1s to 8784h"},
        {"@every 10ms", "@every \"10ms\": must be from 1s to 8784h"},
        {"0 0 * * \xe2\x80\x93", "must be plain ASCII text"},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO_PTR(ak_error) err = NULL;
        struct ak_cron cron;
        char wanted[256] = "spec.schedule.cron: ";

        strncat(wanted, cases[i].message, sizeof(wanted) - strlen(wanted) - 1);
        assert_int_equal(ak_cron_parse(cases[i].text, &cron, &err), -EINVAL);
        assert_string_equal(ak_error_message(err), wanted);
    }
}

static void impossible_days_are_fine_where_a_weekday_can_stand_in(void **state)
{
    (void)state;
    assert_next("0 0 30 2 mon", "2024-03-01T00:00:00Z", "2025-02-03T00:00:00Z");
    assert_next("0 0 30 2,3 *", "2024-01-01T00:00:00Z", "2024-03-30T00:00:00Z");
}

static void length_has_a_limit(void **state)
{
    char text[AK_CRON_MAX_LEN + 64];
    struct ak_cron cron;

    (void)state;
    memset(text, ' ', sizeof(text));
    memcpy(text, "* * * * *", 9);
    text[AK_CRON_MAX_LEN] = '\0';
    assert_int_equal(ak_cron_parse(text, &cron, NULL), 0);
    text[AK_CRON_MAX_LEN] = 'x';
    text[AK_CRON_MAX_LEN + 1] = '\0';
    assert_int_equal(ak_cron_parse(text, &cron, NULL), -EINVAL);
}

static void clocks_out_of_range_are_refused(void **state)
{
    struct ak_cron cron;
    ak_msec next = 0;

    (void)state;
    assert_int_equal(ak_cron_parse("* * * * *", &cron, NULL), 0);
    assert_int_equal(ak_cron_next(&cron, NULL, INT64_MAX, 0, &next, NULL), -ERANGE);
    assert_int_equal(ak_cron_next(&cron, NULL, INT64_MIN, 0, &next, NULL), -ERANGE);
    assert_int_equal(ak_cron_next(&cron, NULL, 0, INT64_MAX, &next, NULL), -ERANGE);
    assert_int_equal(ak_cron_next(&cron, NULL, AK_CRON_MIN_WALL, 0, &next, NULL), 0);
    assert_int_equal(ak_cron_next(&cron, NULL, AK_CRON_MAX_WALL, 0, &next, NULL), 0);
}

/* Against the plain way: one time after another. */
static void the_last_time_is_what_stepping_finds(void **state)
{
    static const char *const texts[] = {"* * * * *",    "*/7 3 * * *",    "0 4 * * 1-5",
                                        "0 0 29 2 *",   "15 10 1,15 * 5", "@every 37m",
                                        "30 2 * * sun", "59 23 31 12 *"};
    static const ak_msec spans[] = {1, AK_SECONDS(59), AK_MINUTES(1), AK_HOURS(5),
                                    AK_HOURS(24 * 40)};
    static const ak_msec start = AK_SECONDS(1772323200); /* 2026-03-01 */
    static const ak_msec anchor = AK_SECONDS(1772000011);
    AK_AUTO_PTR(ak_zone) zone = NULL;

    (void)state;
    assert_int_equal(ak_zone_load(AK_ZONE_DIR, "Europe/Berlin", &zone, NULL), 0);
    for (size_t i = 0; i < AK_ARRAY_LEN(texts); i++)
        for (size_t k = 0; k < AK_ARRAY_LEN(spans); k++) {
            struct ak_cron cron;
            ak_msec want = 0, found = -1, next = 0;

            assert_int_equal(ak_cron_parse(texts[i], &cron, NULL), 0);
            for (ak_msec after = start;; after = want = next) {
                assert_int_equal(ak_cron_next(&cron, zone, after, anchor, &next, NULL), 0);
                if (next > start + spans[k])
                    break;
            }
            assert_int_equal(
                ak_cron_last(&cron, zone, start, start + spans[k], anchor, &found, NULL), 0);
            if (found != want)
                fail_msg("%s in %lld: %lld, not %lld", texts[i], (long long)spans[k],
                         (long long)found, (long long)want);
        }
}

static void times_are_what_is_due_and_what_comes(void **state)
{
    struct ak_schedule_times times = {0};
    AK_AUTO_PTR(ak_error) err = NULL;
    struct ak_schedule_query q = {
        .cron = "0 3 * * *", .zoneinfo_dir = AK_ZONE_DIR, .now = AK_HOURS(51), .since = 0};

    (void)state;
    assert_int_equal(ak_schedule_times(&q, &times, NULL), 0);
    assert_int_equal(times.due, AK_HOURS(51)); /* 51 hours: 03:00 of the third day, exactly */
    assert_int_equal(times.next, AK_HOURS(75));
    q.since = AK_HOURS(100); /* later than now: dealt with already */
    assert_int_equal(ak_schedule_times(&q, &times, NULL), 0);
    assert_int_equal(times.due, 0);
    assert_int_equal(times.next, AK_HOURS(123));
    q.time_zone = "Nowhere/Land";
    assert_true(ak_schedule_times(&q, &times, &err) < 0);
    assert_non_null(strstr(ak_error_message(err), "spec.schedule.timeZone: "));
}

static void an_error_without_memory_is_still_an_error(void **state)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    struct ak_cron cron;

    (void)state;
    (void)ak_alloc_fail_after(0);
    assert_true(ak_cron_parse("61 * * * *", &cron, &err) < 0);
    assert_true(ak_alloc_fail_after(-1));
    assert_non_null(err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_time_in_utc),
        cmocka_unit_test(every_counts_from_its_anchor_whenever_it_is_asked),
        cmocka_unit_test(what_is_wrong_is_said_in_words),
        cmocka_unit_test(impossible_days_are_fine_where_a_weekday_can_stand_in),
        cmocka_unit_test(length_has_a_limit),
        cmocka_unit_test(clocks_out_of_range_are_refused),
        cmocka_unit_test(the_last_time_is_what_stepping_finds),
        cmocka_unit_test(times_are_what_is_due_and_what_comes),
        cmocka_unit_test(an_error_without_memory_is_still_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
