/* SPDX-License-Identifier: Apache-2.0 */
/* cmocka wants these before it, in this order. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <math.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/manage/metrics.h>

static void test_families_and_samples_are_written_as_prometheus_reads_them(void **state)
{
    struct ak_metrics m = AK_METRICS_INIT;
    (void)state;

    ak_metrics_family(&m, "a_total", "counter", "Things,\nwith a \\.");
    ak_metrics_sample(&m, "a_total", 3, NULL);
    ak_metrics_sample(&m, "a_total", 0.25, "k", "v\"\\\n", "l", NULL, NULL);
    ak_metrics_sample(&m, "a_total", INFINITY, NULL);
    ak_metrics_sample(&m, "a_total", 1700000000123.0, NULL);
    assert_int_equal(m.error, 0);
    assert_string_equal(ak_buf_text(&m.out), "# HELP a_total Things,\\nwith a \\\\.\n"
                                             "# TYPE a_total counter\n"
                                             "a_total 3\n"
                                             "a_total{k=\"v\\\"\\\\\\n\",l=\"\"} 0.25\n"
                                             "a_total +Inf\n"
                                             "a_total 1700000000123\n");
    ak_buf_done(&m.out);
}

static void test_a_histogram_is_cumulative_and_ends_with_infinity(void **state)
{
    static const double bounds[] = {0.005, 1};
    static const uint64_t counts[] = {2, 3, 1};
    struct ak_metrics m = AK_METRICS_INIT;
    (void)state;

    ak_metrics_histogram(&m, "h", bounds, counts, 2, 7.5, "name", "n", NULL);
    assert_string_equal(ak_buf_text(&m.out), "h_bucket{name=\"n\",le=\"0.005\"} 2\n"
                                             "h_bucket{name=\"n\",le=\"1\"} 5\n"
                                             "h_bucket{name=\"n\",le=\"+Inf\"} 6\n"
                                             "h_sum{name=\"n\"} 7.5\n"
                                             "h_count{name=\"n\"} 6\n");
    ak_buf_done(&m.out);
}

static int nothing(void *user, const struct ak_request *req, struct ak_result *result,
                   struct ak_error **reterr)
{
    (void)user;
    (void)req;
    (void)result;
    (void)reterr;
    return 0;
}

static void test_dashboards_of_controller_runtime_find_their_names(void **state)
{
    static const char *const expected[] = {
        "\nworkqueue_depth{name=\"agent\",controller=\"agent\"} 0\n",
        "\nworkqueue_adds_total{name=\"agent\",controller=\"agent\"} 0\n",
        "\nworkqueue_retries_total{",
        "\nworkqueue_unfinished_work_seconds{",
        "\nworkqueue_longest_running_processor_seconds{",
        "\nworkqueue_queue_duration_seconds_bucket{name=\"agent\",controller=\"agent\",le=\"1e-"
        "08\"}",
        "\nworkqueue_work_duration_seconds_bucket{",
        "\ncontroller_runtime_reconcile_total{controller=\"agent\",result=\"success\"} 0\n",
        "\ncontroller_runtime_reconcile_total{controller=\"agent\",result=\"error\"} 0\n",
        "\ncontroller_runtime_reconcile_total{controller=\"agent\",result=\"requeue\"} 0\n",
        "\ncontroller_runtime_reconcile_total{controller=\"agent\",result=\"requeue_after\"} 0\n",
        "\ncontroller_runtime_reconcile_errors_total{controller=\"agent\"} 0\n",
        "\ncontroller_runtime_terminal_reconcile_errors_total{controller=\"agent\"} 0\n",
        "\ncontroller_runtime_reconcile_time_seconds_bucket{controller=\"agent\",le=\"60\"} 0\n",
        "\ncontroller_runtime_max_concurrent_reconciles{controller=\"agent\"} 3\n",
        "\ncontroller_runtime_active_workers{controller=\"agent\"} 0\n",
        "\nprocess_resident_memory_bytes ",
        "\nprocess_cpu_seconds_total ",
        "\nprocess_open_fds ",
        "\nprocess_start_time_seconds 1",
    };
    const struct ak_controller_options o = {.name = "agent", .reconcile = nothing, .workers = 3};
    struct ak_metrics m = AK_METRICS_INIT;
    struct ak_controller *c = NULL;
    (void)state;

    assert_int_equal(ak_controller_new(&o, &c, NULL), 0);
    assert_int_equal(ak_controller_start(c, NULL), 0);
    ak_metrics_controllers(&m, &c, 1);
    ak_metrics_process(&m);
    assert_int_equal(m.error, 0);
    for (size_t i = 0; i < AK_ARRAY_LEN(expected); i++)
        if (!strstr(ak_buf_text(&m.out), expected[i]))
            fail_msg("no %s in\n%s", expected[i], ak_buf_text(&m.out));
    ak_buf_done(&m.out);
    ak_controller_free(c);
}

static void test_a_failed_allocation_is_kept_and_ends_the_writing(void **state)
{
    bool failed = true;
    (void)state;

    for (int64_t n = 0; failed; n++) {
        struct ak_metrics m = AK_METRICS_INIT;
        ak_alloc_fail_after(n);
        for (int i = 0; i < 100; i++)
            ak_metrics_sample(&m, "some_name_that_is_not_short", i, "k", "v", NULL);
        failed = ak_alloc_fail_after(-1);
        assert_int_equal(m.error, failed ? -ENOMEM : 0);
        ak_buf_done(&m.out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_families_and_samples_are_written_as_prometheus_reads_them),
        cmocka_unit_test(test_a_histogram_is_cumulative_and_ends_with_infinity),
        cmocka_unit_test(test_dashboards_of_controller_runtime_find_their_names),
        cmocka_unit_test(test_a_failed_allocation_is_kept_and_ends_the_writing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
