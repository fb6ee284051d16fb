/* SPDX-License-Identifier: Apache-2.0 */
/* Each line of golden.txt, which another implementation made: see generate-golden.py. */
#include "manager/schedule/cron.h"

#include <ak/base/text.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define GOLDEN "tests/unit/schedule/golden.txt"

/* Cuts the text at the next `mark`; NULL at the end. */
static char *take_part(char **rest, char mark)
{
    char *part = *rest;
    char *end = part ? strchr(part, mark) : NULL;

    if (end)
        *end = '\0';
    *rest = end ? end + 1 : NULL;
    return part;
}

static int64_t number(const char *text)
{
    int64_t value = 0;

    assert_non_null(text);
    assert_int_equal(ak_parse_i64(text, &value), 0);
    return value;
}

static void load_zone(const char *name, struct ak_zone **ret)
{
    AK_AUTO_PTR(ak_error) err = NULL;

    if (ak_zone_load(AK_ZONE_DIR, name, ret, &err) < 0)
        fail_msg("%s", ak_error_message(err));
}

static void check_cron_line(char *rest)
{
    AK_AUTO_PTR(ak_zone) zone = NULL;
    AK_AUTO_PTR(ak_error) err = NULL;
    const char *name = take_part(&rest, '|');
    const char *text = take_part(&rest, '|');
    int64_t after = number(take_part(&rest, '|'));
    struct ak_cron cron;

    load_zone(name, &zone);
    assert_int_equal(ak_cron_parse(text, &cron, &err), 0);
    for (char *wanted = take_part(&rest, ' '); wanted; wanted = take_part(&rest, ' ')) {
        ak_msec next = 0;

        assert_int_equal(ak_cron_next(&cron, zone, AK_SECONDS(after), 0, &next, &err), 0);
        if (next != AK_SECONDS(number(wanted)))
            fail_msg("%s in %s after %lld: %lld, not %s", text, name, (long long)after,
                     (long long)next / 1000, wanted);
        after = next / 1000;
    }
}

static void check_zone_line(char *rest)
{
    AK_AUTO_PTR(ak_zone) zone = NULL;
    const char *name = take_part(&rest, '|');
    int64_t at = number(take_part(&rest, '|'));
    int64_t offset = number(rest);
    struct ak_zone_span span;

    load_zone(name, &zone);
    ak_zone_at(zone, at, &span);
    if (span.offset != offset)
        fail_msg("%s at %lld: %lld, not %lld", name, (long long)at, (long long)span.offset,
                 (long long)offset);
    assert_true(span.until > at);
}

static size_t check_lines(const char *kind, void (*check)(char *rest))
{
    FILE *file = fopen(GOLDEN, "re");
    char line[512];
    size_t n = 0;

    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        char *rest = line;

        line[strcspn(line, "\n")] = '\0';
        if (strcmp(take_part(&rest, '|'), kind) != 0)
            continue;
        check(rest);
        n++;
    }
    fclose(file);
    return n;
}

static void need_zone_data(void)
{
    if (access(AK_ZONE_DIR "/Europe/Berlin", R_OK) < 0)
        skip(); /* a machine without tzdata */
}

static void expressions_fire_when_the_minute_by_minute_model_says(void **state)
{
    (void)state;
    need_zone_data();
    assert_true(check_lines("cron", check_cron_line) > 500);
}

static void zones_have_the_offsets_that_python_finds(void **state)
{
    (void)state;
    need_zone_data();
    assert_true(check_lines("zone", check_zone_line) > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expressions_fire_when_the_minute_by_minute_model_says),
        cmocka_unit_test(zones_have_the_offsets_that_python_finds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
