/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/schedule/zone.h"

#include <ak/base/alloc.h>
#include <ak/base/buf.h>
#include <ak/base/time.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct transition {
    int64_t at;
    int type;
};

static void add_number(struct ak_buf *out, int64_t value, int bytes)
{
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
        char byte = (char)((uint64_t)value >> shift);

        assert_int_equal(ak_buf_add(out, &byte, 1), 0);
    }
}

static void add_header(struct ak_buf *out, char version, int times, int types, int leaps)
{
    assert_int_equal(ak_buf_add(out, "TZif", 4), 0);
    assert_int_equal(ak_buf_add(out, &version, 1), 0);
    assert_int_equal(ak_buf_add(out, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 15), 0);
    add_number(out, 0, 4);
    add_number(out, 0, 4);
    add_number(out, leaps, 4);
    add_number(out, times, 4);
    add_number(out, types, 4);
    add_number(out, types > 0 ? 4 : 0, 4);
}

/* Two types: 0 is +1 h, 1 is +2 h. */
static void make_file(struct ak_buf *out, const struct transition *times, int n, const char *footer)
{
    add_header(out, '2', 0, 0, 0);
    add_header(out, '2', n, 2, 0);
    for (int i = 0; i < n; i++)
        add_number(out, times[i].at, 8);
    for (int i = 0; i < n; i++)
        add_number(out, times[i].type, 1);
    for (int type = 0; type < 2; type++) {
        add_number(out, 3600 * (type + 1), 4);
        add_number(out, 0, 2);
    }
    assert_int_equal(ak_buf_add(out, "ABC\0", 4), 0);
    assert_int_equal(ak_buf_addf(out, "\n%s\n", footer), 0);
}

static ak_msec seconds(const char *time)
{
    ak_msec wall = 0;

    assert_int_equal(ak_parse_rfc3339(time, &wall), 0);
    return wall / 1000;
}

static void transitions_of_the_file_come_before_its_footer(void **state)
{
    static const struct transition times[] = {{1000, 1}, {2000, 0}};
    static const struct {
        int64_t at, offset, until;
    } cases[] = {{-50000, 3600, 1000},
                 {999, 3600, 1000},
                 {1000, 7200, 2000},
                 {1999, 7200, 2000},
                 {2000, -18000, INT64_MAX}};
    AK_AUTO(ak_buf) file = AK_BUF_INIT(1024);
    AK_AUTO_PTR(ak_zone) zone = NULL;

    (void)state;
    make_file(&file, times, 2, "EST5");
    assert_int_equal(ak_zone_parse(file.data, file.len, &zone, NULL), 0);
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        struct ak_zone_span span;

        ak_zone_at(zone, cases[i].at, &span);
        assert_int_equal(span.offset, cases[i].offset);
        assert_int_equal(span.until, cases[i].until);
    }
}

static void without_a_footer_the_last_offset_stays(void **state)
{
    static const struct transition times[] = {{1000, 1}};
    AK_AUTO(ak_buf) file = AK_BUF_INIT(1024);
    AK_AUTO_PTR(ak_zone) zone = NULL;
    struct ak_zone_span span;

    (void)state;
    make_file(&file, times, 1, "");
    assert_int_equal(ak_zone_parse(file.data, file.len, &zone, NULL), 0);
    ak_zone_at(zone, INT64_C(4000000000), &span);
    assert_int_equal(span.offset, 7200);
    assert_int_equal(span.until, INT64_MAX);
}

static void footers_follow_posix_and_its_extension(void **state)
{
    static const struct {
        const char *footer, *at;
        int64_t offset;
        const char *until;
    } cases[] = {
        {"CET-1CEST,M3.5.0,M10.5.0/3", "2030-03-31T00:59:59Z", 3600, "2030-03-31T01:00:00Z"},
        {"CET-1CEST,M3.5.0,M10.5.0/3", "2030-03-31T01:00:00Z", 7200, "2030-10-27T01:00:00Z"},
        {"CET-1CEST,M3.5.0,M10.5.0/3", "2030-10-27T01:00:00Z", 3600, "2031-03-30T01:00:00Z"},
        /* The southern summer goes over the change of the year. */
        {"AEST-10AEDT,M10.1.0,M4.1.0/3", "2031-01-01T00:00:00Z", 39600, "2031-04-05T16:00:00Z"},
        /* Half an hour of summer time. */
        {"<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "2031-01-01T00:00:00Z", 39600,
         "2031-04-05T15:00:00Z"},
        /* Winter time as the exception. */
        {"IST-1GMT0,M10.5.0,M3.5.0/1", "2030-01-01T00:00:00Z", 0, "2030-03-31T01:00:00Z"},
        {"IST-1GMT0,M10.5.0,M3.5.0/1", "2030-07-01T00:00:00Z", 3600, "2030-10-27T01:00:00Z"},
        /* Hours outside of the day: the Saturday before the last Sunday, 22:00. */
        {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2030-03-31T00:59:59Z", -7200, "2030-03-31T01:00:00Z"},
        {"IST-2IDT,M3.4.4/26,M10.5.0", "2030-03-28T23:59:59Z", 7200, "2030-03-29T00:00:00Z"},
        /* Days of the year, with and without 29 February. */
        {"AAA0BBB,J60,J300", "2032-02-29T12:00:00Z", 0, "2032-03-01T02:00:00Z"},
        {"AAA0BBB,59,300", "2032-02-28T12:00:00Z", 0, "2032-02-29T02:00:00Z"},
        /* Summer time all year. */
        {"EST5EDT4,0/0,J365/25", "2030-12-31T23:59:59Z", -14400, NULL},
        {"EST5EDT4,0/0,J365/25", "2031-01-01T04:59:59Z", -14400, NULL},
        {"EST5EDT4,0/0,J365/25", "2031-01-01T05:00:00Z", -14400, NULL},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_buf) file = AK_BUF_INIT(1024);
        AK_AUTO_PTR(ak_zone) zone = NULL;
        struct ak_zone_span span;

        make_file(&file, NULL, 0, cases[i].footer);
        assert_int_equal(ak_zone_parse(file.data, file.len, &zone, NULL), 0);
        ak_zone_at(zone, seconds(cases[i].at), &span);
        if (span.offset != cases[i].offset)
            fail_msg("%s at %s: %d", cases[i].footer, cases[i].at, (int)span.offset);
        if (cases[i].until)
            assert_int_equal(span.until, seconds(cases[i].until));
    }
}

static void damaged_footers_are_refused(void **state)
{
    static const char *const footers[] = {
        "C",
        "CE5",
        "CET",
        "CET-25",
        "CET-1CEST",
        "<CET-1",
        "CET-1:60",
        "CET-1CEST,M3",
        "CET-1CEST,M3.5.0",
        "CET-1CEST,M13.5.0,M10.5.0",
        "CET-1CEST,M3.6.0,M10.5.0",
        "CET-1CEST,M3.5.7,M10.5.0",
        "CET-1CEST,J0,J300",
        "CET-1CEST,366,300",
        "CET-1CEST,M3.5.0/168,M10.5.0",
        "CET-1CEST,M3.5.0,M10.5.0x",
        "CET--1",
        "CET-1CEST,1,2,3",
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(footers); i++) {
        AK_AUTO(ak_buf) file = AK_BUF_INIT(1024);
        AK_AUTO_PTR(ak_zone) zone = NULL;

        make_file(&file, NULL, 0, footers[i]);
        if (ak_zone_parse(file.data, file.len, &zone, NULL) != -EINVAL)
            fail_msg("\"%s\" was accepted", footers[i]);
    }
}

static void every_shortened_file_is_refused(void **state)
{
    static const struct transition times[] = {{1000, 1}, {2000, 0}};
    AK_AUTO(ak_buf) file = AK_BUF_INIT(1024);

    (void)state;
    make_file(&file, times, 2, "CET-1CEST,M3.5.0,M10.5.0/3");
    for (size_t len = 0; len < file.len; len++) {
        AK_AUTO_PTR(ak_zone) zone = NULL;
        /* A copy of its own, so that the sanitizer sees each byte too far. */
        char *part = ak_malloc(len + 1);

        assert_non_null(part);
        char *tight = ak_realloc(part, len > 0 ? len : 1);
        assert_non_null(tight);
        memcpy(tight, file.data, len);
        assert_int_equal(ak_zone_parse(tight, len, &zone, NULL), -EINVAL);
        ak_free(tight);
    }
}

static void files_that_contradict_themselves_are_refused(void **state)
{
    static const struct transition backwards[] = {{2000, 1}, {1000, 0}};
    static const struct transition no_such_type[] = {{1000, 2}};
    AK_AUTO(ak_buf) first = AK_BUF_INIT(1024);
    AK_AUTO(ak_buf) second = AK_BUF_INIT(1024);
    AK_AUTO(ak_buf) third = AK_BUF_INIT(1024);
    AK_AUTO_PTR(ak_zone) zone = NULL;
    AK_AUTO_PTR(ak_error) err = NULL;

    (void)state;
    make_file(&first, backwards, 2, "");
    assert_int_equal(ak_zone_parse(first.data, first.len, &zone, NULL), -EINVAL);
    make_file(&second, no_such_type, 1, "");
    assert_int_equal(ak_zone_parse(second.data, second.len, &zone, NULL), -EINVAL);
    add_header(&third, '1', 0, 0, 0);
    assert_int_equal(ak_zone_parse(third.data, third.len, &zone, &err), -EINVAL);
    assert_string_equal(ak_error_message(err), "not a time zone file of version 2 or newer");
}

static void counts_that_overflow_are_refused(void **state)
{
    AK_AUTO(ak_buf) file = AK_BUF_INIT(1024);
    AK_AUTO_PTR(ak_zone) zone = NULL;

    (void)state;
    make_file(&file, NULL, 0, "UTC0");
    memset(file.data + 20, 0xff, 24);
    assert_int_equal(ak_zone_parse(file.data, file.len, &zone, NULL), -EINVAL);
}

static void names_cannot_leave_the_folder_or_mean_this_machine(void **state)
{
    static const struct {
        const char *name, *message;
    } cases[] = {
        {"", "\"\" is not the name of a time zone: must be like \"Europe/Berlin\", or \"UTC\""},
        {"../etc/passwd", "\"../etc/passwd\" is not the name of a time zone: must be like "
                          "\"Europe/Berlin\", or \"UTC\""},
        {"/etc/localtime", "\"/etc/localtime\" is not the name of a time zone: must be like "
                           "\"Europe/Berlin\", or \"UTC\""},
        {"Europe/./Berlin", "\"Europe/./Berlin\" is not the name of a time zone: must be like "
                            "\"Europe/Berlin\", or \"UTC\""},
        {"Europe//Berlin", "\"Europe//Berlin\" is not the name of a time zone: must be like "
                           "\"Europe/Berlin\", or \"UTC\""},
        {"Europe/Berlin ", "\"Europe/Berlin \" is not the name of a time zone: must be like "
                           "\"Europe/Berlin\", or \"UTC\""},
        {"Local", "\"Local\" depends on the machine: name a zone such as \"Europe/Berlin\", or "
                  "\"UTC\""},
        {"localtime", "\"localtime\" depends on the machine: name a zone such as "
                      "\"Europe/Berlin\", or \"UTC\""},
        {"Europe/Atlantis", "there is no time zone \"Europe/Atlantis\""},
        {"Folder", "there is no time zone \"Folder\""},
    };
    char dir[] = "/tmp/test-zone-XXXXXX";
    char folder[64];

    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(folder, sizeof(folder), "%s/Folder", dir);
    assert_int_equal(mkdir(folder, 0700), 0);
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO_PTR(ak_zone) zone = NULL;
        AK_AUTO_PTR(ak_error) err = NULL;
        char wanted[256];

        assert_int_equal(ak_zone_load(dir, cases[i].name, &zone, &err), -EINVAL);
        (void)snprintf(wanted, sizeof(wanted), "spec.schedule.timeZone: %s", cases[i].message);
        assert_string_equal(ak_error_message(err), wanted);
    }
    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(rmdir(dir), 0);
}

static void missing_data_is_another_error_than_a_wrong_name(void **state)
{
    AK_AUTO_PTR(ak_zone) zone = NULL;
    AK_AUTO_PTR(ak_error) err = NULL;

    (void)state;
    assert_int_equal(ak_zone_load("/nonexistent", "Europe/Berlin", &zone, &err), -ENOENT);
    assert_string_equal(ak_error_message(err),
                        "spec.schedule.timeZone: no time zone data in \"/nonexistent\"");
}

static void utc_needs_no_file(void **state)
{
    AK_AUTO_PTR(ak_zone) zone = NULL;
    struct ak_zone_span span;

    (void)state;
    assert_int_equal(ak_zone_load("/nonexistent", "UTC", &zone, NULL), 0);
    ak_zone_at(zone, 1700000000, &span);
    assert_int_equal(span.offset, 0);
    assert_int_equal(span.until, INT64_MAX);
}

static void memory_that_runs_out_is_said(void **state)
{
    static const struct transition times[] = {{1000, 1}, {2000, 0}};
    AK_AUTO(ak_buf) file = AK_BUF_INIT(1024);
    AK_AUTO_PTR(ak_zone) zone = NULL;
    int64_t n = 0;

    (void)state;
    make_file(&file, times, 2, "UTC0");
    for (;; n++) {
        (void)ak_alloc_fail_after(n);
        int r = ak_zone_parse(file.data, file.len, &zone, NULL);
        bool failed = ak_alloc_fail_after(-1);

        if (!failed)
            break;
        assert_int_equal(r, -ENOMEM);
        assert_null(zone);
    }
    assert_non_null(zone);
    assert_true(n >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transitions_of_the_file_come_before_its_footer),
        cmocka_unit_test(without_a_footer_the_last_offset_stays),
        cmocka_unit_test(footers_follow_posix_and_its_extension),
        cmocka_unit_test(damaged_footers_are_refused),
        cmocka_unit_test(every_shortened_file_is_refused),
        cmocka_unit_test(files_that_contradict_themselves_are_refused),
        cmocka_unit_test(counts_that_overflow_are_refused),
        cmocka_unit_test(names_cannot_leave_the_folder_or_mean_this_machine),
        cmocka_unit_test(missing_data_is_another_error_than_a_wrong_name),
        cmocka_unit_test(utc_needs_no_file),
        cmocka_unit_test(memory_that_runs_out_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
