/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include <ak/base/alloc.h>

#include "manager/invoke/memo.h"

static ak_msec now;

static ak_msec read_now(void *user)
{
    (void)user;
    return now;
}
static const struct ak_clock moved_clock = {.monotonic = read_now, .wall = read_now};

static void *count_up(void *value)
{
    ++*(int *)value;
    return value;
}

static void count_down(void *value)
{
    --*(int *)value;
}

static struct ak_memo *begin(size_t max)
{
    const struct ak_memo_options options = {
        .max = max, .clock = &moved_clock, .ref = count_up, .unref = count_down};
    struct ak_memo *self = NULL;

    now = 1000;
    assert_int_equal(ak_memo_new(&options, &self, NULL), 0);
    return self;
}

static struct ak_memo_key key_of(const char *text)
{
    struct ak_memo_key key;

    assert_int_equal(ak_memo_digest(&key, (const char *const[]){text, NULL}), 0);
    return key;
}

static bool knows(struct ak_memo *self, const char *text)
{
    struct ak_memo_key key = key_of(text);
    void *value = NULL;
    bool found = ak_memo_find(self, &key, &value);

    if (found)
        count_down(value);
    return found;
}

static void keep(struct ak_memo *self, const char *text, int *value, ak_msec life)
{
    struct ak_memo_key key = key_of(text);

    ak_memo_put(self, &key, value, life);
}

static void test_digests_tell_texts_and_their_borders_apart(void **state)
{
    struct ak_memo_key a, b, c;
    (void)state;

    assert_int_equal(ak_memo_digest(&a, (const char *const[]){"ab", "c", NULL}), 0);
    assert_int_equal(ak_memo_digest(&b, (const char *const[]){"a", "bc", NULL}), 0);
    assert_int_equal(ak_memo_digest(&c, (const char *const[]){"ab", "c", NULL}), 0);
    assert_int_equal(strlen(a.text), 64);
    assert_string_not_equal(a.text, b.text);
    assert_string_equal(a.text, c.text);
}

static void test_an_answer_is_known_for_its_time(void **state)
{
    struct ak_memo *self = begin(10);
    int value = 0;
    (void)state;

    assert_false(knows(self, "a"));
    keep(self, "a", &value, 500);
    assert_int_equal(value, 1);
    now += 499;
    assert_true(knows(self, "a"));
    now += 1;
    assert_false(knows(self, "a"));
    assert_int_equal(value, 0);
    (void)ak_memo_free(self);
}

static void test_the_least_used_goes_when_it_is_full(void **state)
{
    struct ak_memo *self = begin(3);
    int values[4] = {0};
    (void)state;

    keep(self, "a", &values[0], 500);
    keep(self, "b", &values[1], 500);
    keep(self, "c", &values[2], 500);
    assert_true(knows(self, "a"));
    keep(self, "d", &values[3], 500);
    assert_false(knows(self, "b"));
    assert_true(knows(self, "a") && knows(self, "c") && knows(self, "d"));
    assert_int_equal(ak_memo_len(self), 3);
    keep(self, "d", &values[0], 500); /* replaced */
    assert_int_equal(ak_memo_len(self), 3);
    assert_int_equal(values[3], 0);
    (void)ak_memo_free(self);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(values[i], 0);
}

static void test_without_memory_nothing_is_kept_and_nothing_is_lost(void **state)
{
    bool failed = true;
    (void)state;

    for (int64_t n = 0; failed; n++) {
        struct ak_memo *self = begin(4);
        int value = 0;
        ak_alloc_fail_after(n);
        keep(self, "a", &value, 500);
        failed = ak_alloc_fail_after(-1);
        assert_int_equal(value, !failed);
        assert_int_equal(knows(self, "a"), !failed);
        (void)ak_memo_free(self);
        assert_int_equal(value, 0);
    }
}

static void test_many_come_and_go(void **state)
{
    struct ak_memo *self = begin(64);
    int value = 0;
    (void)state;

    for (int i = 0; i < 5000; i++) {
        char text[16];
        (void)snprintf(text, sizeof(text), "%d", i * 7919 % 200);
        keep(self, text, &value, i % 13);
        now += i % 3;
        (void)knows(self, text);
        assert_true(ak_memo_len(self) <= 64);
    }
    (void)ak_memo_free(self);
    assert_int_equal(value, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digests_tell_texts_and_their_borders_apart),
        cmocka_unit_test(test_an_answer_is_known_for_its_time),
        cmocka_unit_test(test_the_least_used_goes_when_it_is_full),
        cmocka_unit_test(test_without_memory_nothing_is_kept_and_nothing_is_lost),
        cmocka_unit_test(test_many_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
