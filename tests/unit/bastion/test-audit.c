/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/audit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/json/json.h>

#include "stage.h"

#define ARENA_MAX (1u << 20)
#define THREADS 4
#define EACH 500

struct scene {
    struct ak_arena arena;
    struct ak_bastion_settings settings;
    struct ak_audit audit;
    int fd;
    atomic_int woken; /* relaxed: only counted */
};

static void wake(void *user)
{
    struct scene *s = user;

    (void)atomic_fetch_add_explicit(&s->woken, 1, memory_order_relaxed);
}

static int begin(void **state)
{
    struct scene *s = ak_new0(struct scene);

    ak_arena_init(&s->arena, 1024, ARENA_MAX);
    assert_int_equal(read_settings(AK_SETTINGS_SERVE, NULL, &s->arena, &s->settings, NULL), 0);
    s->fd = memfd_create("audit", MFD_CLOEXEC);
    assert_true(s->fd >= 0);
    assert_int_equal(ak_audit_init(&s->audit, &s->settings.target, "boot", s->fd, wake, s), 0);
    *state = s;
    return 0;
}

static int end(void **state)
{
    struct scene *s = *state;

    ak_audit_done(&s->audit);
    (void)close(s->fd);
    ak_arena_done(&s->arena);
    ak_free(s);
    return 0;
}

static const struct ak_journal_record record = {.session_id = "s-1",
                                                .session_kind = "Exec",
                                                .class_ = AK_CLASS_READ,
                                                .statement = "select 1",
                                                .statement_len = 8,
                                                .verdict = "Allowed",
                                                .rows = -1};

/* Lines that were printed; each must be JSON. */
static size_t printed(struct scene *s, uint64_t *ret_last)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(16u << 20);
    char path[64];
    size_t n = 0;

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", s->fd);
    assert_int_equal(ak_buf_add_file(&text, path), 0);
    for (const char *at = ak_buf_text(&text); *at; n++) {
        AK_AUTO_JSON *tree = NULL;
        size_t len = strcspn(at, "\n");

        assert_int_equal(at[len], '\n');
        assert_int_equal(ak_json_parse(at, len, &tree, NULL), 0);
        *ret_last = (uint64_t)json_integer_value(json_object_get(tree, "seq"));
        assert_string_equal(ak_json_text(tree, "tool", "namespace", NULL), "ns");
        assert_string_equal(ak_json_text(tree, "tool", "type", NULL), "postgres");
        assert_string_equal(ak_json_text(tree, "bootID", NULL), "boot");
        at += len + 1;
    }
    return n;
}

static void records_are_kept_printed_once_and_acknowledged(void **state)
{
    struct scene *s = *state;
    AK_AUTO(ak_buf) text = AK_BUF_INIT(1u << 20);
    uint64_t last = 0;

    assert_int_equal(ak_audit_next(&s->audit, 0, &text), 0);
    for (int i = 0; i < 3; i++)
        ak_audit_add(&s->audit, &record);
    assert_int_equal(atomic_load(&s->woken), 3);
    ak_audit_print(&s->audit);
    ak_audit_print(&s->audit);
    assert_int_equal(printed(s, &last), 3);
    assert_int_equal(last, 3);
    assert_int_equal(ak_audit_next(&s->audit, 1, &text), 2);
    assert_int_equal(ak_audit_ack(&s->audit, 2), 0);
    assert_int_equal(ak_audit_next(&s->audit, 0, &text), 3);
    assert_int_equal(ak_audit_ack(&s->audit, 4), -EINVAL);
    const struct ak_audit_counts counts = ak_audit_counts(&s->audit);
    assert_true(counts.head == 3 && counts.acked == 2 && counts.dropped == 0);
}

static void what_is_acknowledged_was_printed(void **state)
{
    struct scene *s = *state;
    uint64_t last = 0;

    ak_audit_add(&s->audit, &record);
    assert_int_equal(ak_audit_ack(&s->audit, 1), 0);
    assert_int_equal(printed(s, &last), 1);
}

static void a_closed_output_stops_nothing(void **state)
{
    struct scene *s = *state;
    AK_AUTO(ak_buf) text = AK_BUF_INIT(1u << 20);

    s->audit.fd = -1;
    ak_audit_add(&s->audit, &record);
    ak_audit_add(&s->audit, &record);
    ak_audit_print(&s->audit);
    ak_audit_print(&s->audit);
    assert_int_equal(ak_audit_next(&s->audit, 0, &text), 1);
    s->audit.fd = s->fd;
}

static void without_memory_records_are_counted_as_dropped(void **state)
{
    struct scene *s = *state;
    AK_AUTO(ak_buf) text = AK_BUF_INIT(1u << 20);
    int i = 0;

    for (;; i++) {
        ak_alloc_fail_after(i);
        ak_audit_add(&s->audit, &record);
        if (!ak_alloc_fail_after(-1))
            break;
        assert_int_equal(ak_audit_counts(&s->audit).dropped, i + 1);
    }
    assert_true(i > 3);
    assert_int_equal(ak_audit_counts(&s->audit).head, i + 1);
    ak_alloc_fail_after(0);
    assert_int_equal(ak_audit_next(&s->audit, 0, &text), -ENOMEM);
    ak_alloc_fail_after(-1);
    assert_int_equal(ak_audit_next(&s->audit, 0, &text), i + 1);
}

static void add_many(void *user)
{
    struct scene *s = user;

    for (int i = 0; i < EACH; i++)
        ak_audit_add(&s->audit, &record);
}

static void threads_add_while_the_loop_takes(void **state)
{
    struct scene *s = *state;
    struct ak_thread threads[THREADS] = {0};
    uint64_t last = 0;

    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(ak_thread_start(&threads[i], "adds", add_many, s), 0);
    while (last < THREADS * EACH) {
        AK_AUTO(ak_buf) text = AK_BUF_INIT(1u << 20);
        int64_t seq = ak_audit_next(&s->audit, last, &text);

        ak_audit_print(&s->audit);
        if (seq <= 0)
            continue;
        assert_int_equal(seq, last + 1);
        last = (uint64_t)seq;
        assert_int_equal(ak_audit_ack(&s->audit, last), 0);
    }
    for (size_t i = 0; i < THREADS; i++)
        ak_thread_join(&threads[i]);
    assert_int_equal(printed(s, &last), THREADS * EACH);
    assert_int_equal(last, THREADS * EACH);
    assert_int_equal(ak_audit_counts(&s->audit).dropped, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(records_are_kept_printed_once_and_acknowledged, begin, end),
        cmocka_unit_test_setup_teardown(what_is_acknowledged_was_printed, begin, end),
        cmocka_unit_test_setup_teardown(a_closed_output_stops_nothing, begin, end),
        cmocka_unit_test_setup_teardown(without_memory_records_are_counted_as_dropped, begin, end),
        cmocka_unit_test_setup_teardown(threads_add_while_the_loop_takes, begin, end),
    };

    ak_json_setup();
    return cmocka_run_group_tests_name("bastion/audit", tests, NULL, NULL);
}
