/* SPDX-License-Identifier: Apache-2.0 */
/* Recordings, made small and whole again. */
#include "manager/tools/squeeze.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/error.h>

/* Lines that do not compress, from a fixed seed. */
static void make_text(struct ak_buf *out, size_t lines)
{
    uint32_t x = 20260101;

    for (size_t i = 0; i < lines; i++) {
        assert_int_equal(ak_buf_addf(out, "[%zu, \"o\", \"", i), 0);
        for (int k = 0; k < 16; k++) {
            x = x * 1664525u + 1013904223u;
            assert_int_equal(ak_buf_addf(out, "%08x", x), 0);
        }
        assert_int_equal(ak_buf_adds(out, "\"]\n"), 0);
    }
}

static void what_fits_comes_back_whole(void **state)
{
    static const size_t lines[] = {0, 1, 2, 100, 5000};

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(lines); i++) {
        AK_AUTO(ak_buf) text = AK_BUF_INIT(8u << 20);
        AK_AUTO(ak_buf) packed = AK_BUF_INIT(2u << 20);
        AK_AUTO(ak_buf) again = AK_BUF_INIT(8u << 20);
        size_t taken = 77;
        make_text(&text, lines[i]);
        assert_int_equal(ak_squeeze(ak_buf_text(&text), text.len, packed.max, &packed, &taken), 0);
        assert_int_equal(taken, text.len);
        assert_int_equal(ak_unsqueeze(packed.data, packed.len, &again), 0);
        assert_string_equal(ak_buf_text(&again), ak_buf_text(&text));
    }
}

static void what_does_not_fit_is_cut_at_the_end_of_a_line(void **state)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(8u << 20);
    AK_AUTO(ak_buf) packed = AK_BUF_INIT(100u << 10);
    AK_AUTO(ak_buf) again = AK_BUF_INIT(8u << 20);
    size_t taken = 0;

    (void)state;
    make_text(&text, 20000);
    assert_int_equal(ak_squeeze(text.data, text.len, packed.max, &packed, &taken), 0);
    assert_true(packed.len <= packed.max);
    assert_true(taken > packed.max && taken < text.len); /* digits take half a byte */
    assert_int_equal(ak_unsqueeze(packed.data, packed.len, &again), 0);
    assert_int_equal(again.len, taken);
    assert_memory_equal(again.data, text.data, taken);
    assert_int_equal(again.data[taken - 1], '\n');
}

static void what_is_no_such_thing_is_refused(void **state)
{
    static const char junk[] = "this was never compressed";
    AK_AUTO(ak_buf) text = AK_BUF_INIT(1u << 20);
    AK_AUTO(ak_buf) packed = AK_BUF_INIT(1u << 20);
    AK_AUTO(ak_buf) out = AK_BUF_INIT(1u << 20);
    AK_AUTO(ak_buf) small = AK_BUF_INIT(100);
    size_t taken;

    (void)state;
    assert_int_equal(ak_unsqueeze(junk, strlen(junk), &out), AK_E_INVALID);
    assert_int_equal(ak_unsqueeze("", 0, &out), AK_E_INVALID);
    make_text(&text, 1000);
    assert_int_equal(ak_squeeze(text.data, text.len, packed.max, &packed, &taken), 0);
    assert_int_equal(ak_unsqueeze(packed.data, packed.len / 2, &out), AK_E_INVALID);
    assert_int_equal(ak_unsqueeze(packed.data, packed.len, &small), AK_E_TOO_LARGE);
}

static void memory_may_be_short_at_any_moment(void **state)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(1u << 20);
    bool hit = true;

    (void)state;
    make_text(&text, 400);
    for (int n = 0; hit; n++) {
        AK_AUTO(ak_buf) packed = AK_BUF_INIT(1u << 20);
        AK_AUTO(ak_buf) again = AK_BUF_INIT(1u << 20);
        size_t taken = 0;
        (void)ak_alloc_fail_after(n);
        int r = ak_squeeze(text.data, text.len, packed.max, &packed, &taken);
        if (r >= 0)
            r = ak_unsqueeze(packed.data, packed.len, &again);
        hit = ak_alloc_fail_after(-1);
        assert_int_equal(r, hit ? -ENOMEM : 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fits_comes_back_whole),
        cmocka_unit_test(what_does_not_fit_is_cut_at_the_end_of_a_line),
        cmocka_unit_test(what_is_no_such_thing_is_refused),
        cmocka_unit_test(memory_may_be_short_at_any_moment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
