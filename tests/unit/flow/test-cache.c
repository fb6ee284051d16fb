/* SPDX-License-Identifier: Apache-2.0 */
/* cmocka wants these before it, in this order. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/thread.h>
#include <ak/flow/cache.h>
#include <ak/json/json.h>

static const struct ak_kind kind = {.resource = {"", "v1", "ConfigMap", "configmaps", true},
                                    .flags = AK_KIND_LABELS};

static void by_app(const struct ak_object *o, ak_index_emit_fn emit, void *emit_user)
{
    const char *app = ak_string_map_get(&ak_object_meta(o)->labels, "app");

    if (app) {
        emit(app, emit_user);
        emit(app, emit_user); /* twice, as an object that names another one in two places */
    }
}
static const struct ak_index indexes[] = {{"app", by_app}};

/* What was told, as text: "+a -b *c " (added, deleted, updated). */
static char told[4096];

static void tell(const struct ak_change *c, void *user)
{
    size_t len = strlen(told);
    (void)user;

    (void)snprintf(told + len, sizeof(told) - len, "%c%s ", "+*-"[c->type],
                   ak_object_meta(ak_change_object(c)) -> name);
}

static void expect_told(const char *text)
{
    assert_string_equal(told, text);
    told[0] = 0;
}

static const struct ak_object *make(const char *name, const char *uid, const char *version,
                                    const char *app)
{
    AK_AUTO_JSON *tree =
        json_pack("{s:{s:s, s:s, s:s, s:s, s:{s:s}}}", "metadata", "name", name, "namespace", "ns",
                  "uid", uid, "resourceVersion", version, "labels", "app", app);
    const struct ak_object *o = NULL;

    return tree && ak_object_decode(&kind, tree, "m", &o, NULL) >= 0 ? o : NULL;
}

static void send(struct ak_cache *cache, enum ak_event_type type, const char *name, const char *uid,
                 const char *version, const char *app)
{
    AK_AUTO_OBJECT o = name ? make(name, uid, version, app) : NULL;

    ak_cache_sink(&(struct ak_event){.type = type, .object = o}, cache);
}

static struct ak_cache *new_cache(void)
{
    struct ak_cache *cache = NULL;

    told[0] = 0;
    assert_int_equal(ak_cache_new(&kind, indexes, AK_ARRAY_LEN(indexes), tell, NULL, &cache, NULL),
                     0);
    return cache;
}

static struct ak_cache *synced_cache(void)
{
    struct ak_cache *cache = new_cache();

    send(cache, AK_EVENT_INIT, NULL, NULL, NULL, NULL);
    send(cache, AK_EVENT_INIT_APPLY, "a", "u1", "1", "x");
    send(cache, AK_EVENT_INIT_APPLY, "b", "u2", "2", "x");
    send(cache, AK_EVENT_INIT_DONE, NULL, NULL, NULL, NULL);
    told[0] = 0;
    return cache;
}

static void test_nothing_is_told_or_shown_before_the_first_list_is_complete(void **state)
{
    AK_AUTO_PTR(ak_cache) cache = new_cache();
    (void)state;

    send(cache, AK_EVENT_INIT, NULL, NULL, NULL, NULL);
    send(cache, AK_EVENT_INIT_APPLY, "a", "u1", "1", "x");
    assert_false(ak_cache_is_synced(cache));
    assert_null(ak_cache_get(cache, "ns", "a"));
    expect_told("");
    send(cache, AK_EVENT_INIT_DONE, NULL, NULL, NULL, NULL);
    assert_true(ak_cache_is_synced(cache));
    assert_int_equal(ak_cache_len(cache), 1);
    expect_told("+a ");
}

static void test_a_relist_tells_only_what_differs(void **state)
{
    AK_AUTO_PTR(ak_cache) cache = synced_cache();
    AK_AUTO_OBJECT before = ak_cache_get(cache, "ns", "a");
    AK_AUTO_OBJECT after = NULL;
    (void)state;

    send(cache, AK_EVENT_INIT, NULL, NULL, NULL, NULL);
    send(cache, AK_EVENT_INIT_APPLY, "a", "u1", "1", "x"); /* unchanged */
    send(cache, AK_EVENT_INIT_APPLY, "c", "u3", "3", "x"); /* new; b has gone */
    expect_told("");
    assert_int_equal(ak_cache_len(cache), 2);
    send(cache, AK_EVENT_INIT_DONE, NULL, NULL, NULL, NULL);
    expect_told("-b +c ");
    after = ak_cache_get(cache, "ns", "a");
    assert_ptr_equal(before, after); /* kept, not made anew */
}

static void test_a_list_that_starts_over_forgets_its_first_half(void **state)
{
    AK_AUTO_PTR(ak_cache) cache = synced_cache();
    (void)state;

    send(cache, AK_EVENT_INIT, NULL, NULL, NULL, NULL);
    send(cache, AK_EVENT_INIT_APPLY, "gone meanwhile", "u9", "9", "x");
    send(cache, AK_EVENT_INIT, NULL, NULL, NULL, NULL);
    send(cache, AK_EVENT_INIT_APPLY, "a", "u1", "5", "x");
    send(cache, AK_EVENT_INIT_APPLY, "a", "u1", "5", "x"); /* a page that came twice */
    send(cache, AK_EVENT_INIT_DONE, NULL, NULL, NULL, NULL);
    expect_told("-b *a ");
}

static void test_events_change_what_is_shown_and_repeats_do_not(void **state)
{
    AK_AUTO_PTR(ak_cache) cache = synced_cache();
    (void)state;

    send(cache, AK_EVENT_APPLY, "a", "u1", "7", "y");
    expect_told("*a ");
    send(cache, AK_EVENT_APPLY, "a", "u1", "7", "y");
    expect_told("");
    send(cache, AK_EVENT_DELETE, "a", "u1", "8", "y");
    expect_told("-a ");
    send(cache, AK_EVENT_DELETE, "a", "u1", "8", "y");
    expect_told("");
    assert_int_equal(ak_cache_len(cache), 1);
}

static void test_another_object_of_the_same_name_is_a_deletion_and_an_addition(void **state)
{
    AK_AUTO_PTR(ak_cache) cache = synced_cache();
    (void)state;

    send(cache, AK_EVENT_APPLY, "a", "another", "7", "x");
    expect_told("-a +a ");
    send(cache, AK_EVENT_INIT, NULL, NULL, NULL, NULL);
    send(cache, AK_EVENT_INIT_APPLY, "a", "third", "9", "x");
    send(cache, AK_EVENT_INIT_APPLY, "b", "u2", "2", "x");
    send(cache, AK_EVENT_INIT_DONE, NULL, NULL, NULL, NULL);
    expect_told("-a +a ");
}

static void expect_found(struct ak_cache *cache, const char *text, const char *names)
{
    AK_AUTO(ak_object_list) list = {0};
    char found[256] = "";

    assert_int_equal(ak_cache_find(cache, 0, text, &list), 0);
    for (size_t i = 0; i < list.len; i++) {
        size_t len = strlen(found);
        (void)snprintf(found + len, sizeof(found) - len, "%s ",
                       ak_object_meta(list.items[i])->name);
    }
    assert_string_equal(found, names);
}

static void test_an_index_follows_every_change(void **state)
{
    AK_AUTO_PTR(ak_cache) cache = synced_cache();
    (void)state;

    expect_found(cache, "x", "a b ");
    send(cache, AK_EVENT_APPLY, "b", "u2", "3", "y");
    expect_found(cache, "x", "a ");
    expect_found(cache, "y", "b ");
    send(cache, AK_EVENT_DELETE, "a", "u1", "4", "x");
    expect_found(cache, "x", "");
    send(cache, AK_EVENT_INIT, NULL, NULL, NULL, NULL);
    send(cache, AK_EVENT_INIT_APPLY, "c", "u3", "5", "y");
    send(cache, AK_EVENT_INIT_DONE, NULL, NULL, NULL, NULL);
    expect_found(cache, "y", "c ");
}

static void test_lists_are_sorted_and_can_be_cut_to_a_namespace(void **state)
{
    AK_AUTO_PTR(ak_cache) cache = synced_cache();
    AK_AUTO(ak_object_list) all = {0}, none = {0};
    (void)state;

    send(cache, AK_EVENT_APPLY, "Z", "u3", "3", "x");
    assert_int_equal(ak_cache_list(cache, "ns", &all), 0);
    assert_int_equal(all.len, 3);
    assert_string_equal(ak_object_meta(all.items[0])->name, "Z");
    assert_int_equal(ak_cache_list(cache, "other", &none), 0);
    assert_int_equal(none.len, 0);
}

/* Many names, added and removed in a mixed order, against the plain truth. */
static void test_thousands_of_objects_come_and_go(void **state)
{
    AK_AUTO_PTR(ak_cache) cache = synced_cache();
    bool there[3000] = {0};
    uint64_t random = 12345;
    size_t n = 2;
    (void)state;

    for (int i = 0; i < 20000; i++) {
        char name[32], app[8];
        unsigned k;
        random = random * 6364136223846793005u + 1442695040888963407u;
        k = (unsigned)(random >> 33) % 3000;
        (void)snprintf(name, sizeof(name), "n%u", k);
        (void)snprintf(app, sizeof(app), "g%u", k % 7);
        send(cache, there[k] ? AK_EVENT_DELETE : AK_EVENT_APPLY, name, name, "1", app);
        n += there[k] ? (size_t)-1 : 1;
        there[k] = !there[k];
    }
    assert_int_equal(ak_cache_len(cache), n);
    for (unsigned k = 0; k < 3000; k++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "n%u", k);
        AK_AUTO_OBJECT o = ak_cache_get(cache, "ns", name);
        assert_int_equal(o != NULL, there[k]);
    }
    for (unsigned g = 0; g < 7; g++) {
        AK_AUTO(ak_object_list) list = {0};
        size_t expected = 0;
        char app[8];
        (void)snprintf(app, sizeof(app), "g%u", g);
        for (unsigned k = g; k < 3000; k += 7)
            expected += there[k];
        assert_int_equal(ak_cache_find(cache, 0, app, &list), 0);
        assert_int_equal(list.len, expected);
    }
    assert_true(ak_cache_footprint(cache) > n * 50);
}

static void test_a_failed_allocation_asks_for_a_relist_that_tells_what_was_missed(void **state)
{
    bool failed = true;
    (void)state;

    for (int64_t n = 0; failed; n++) {
        AK_AUTO_PTR(ak_cache) cache = synced_cache();
        /* Objects are made before, so that only the cache's own allocations fail. */
        const struct ak_object *objects[40];
        for (int i = 0; i < 40; i++) {
            char name[16];
            (void)snprintf(name, sizeof(name), "n%02d", i);
            objects[i] = make(name, name, "1", name);
        }
        ak_alloc_fail_after(n);
        for (int i = 0; i < 40; i++)
            ak_cache_sink(&(struct ak_event){AK_EVENT_APPLY, objects[i]}, cache);
        failed = ak_alloc_fail_after(-1);
        assert_int_equal(ak_cache_needs_relist(cache), failed);
        assert_int_equal(ak_cache_is_synced(cache), !failed);
        ak_cache_sink(&(struct ak_event){.type = AK_EVENT_INIT}, cache);
        for (int i = 0; i < 40; i++)
            ak_cache_sink(&(struct ak_event){AK_EVENT_INIT_APPLY, objects[i]}, cache);
        ak_cache_sink(&(struct ak_event){.type = AK_EVENT_INIT_DONE}, cache);
        assert_false(ak_cache_needs_relist(cache));
        assert_true(ak_cache_is_synced(cache));
        /* a, b went; each of the others was told exactly once, before or after. */
        for (int i = 0; i < 40; i++) {
            char text[16], *at;
            (void)snprintf(text, sizeof(text), "+n%02d ", i);
            at = strstr(told, text);
            assert_non_null(at);
            assert_null(strstr(at + 1, text));
            (void)ak_object_unref(objects[i]);
        }
        assert_non_null(strstr(told, "-a "));
        assert_non_null(strstr(told, "-b "));
    }
}

static void test_a_relist_survives_failed_allocations(void **state)
{
    bool failed = true;
    (void)state;

    for (int64_t n = 0; failed; n++) {
        AK_AUTO_PTR(ak_cache) cache = synced_cache();
        AK_AUTO_OBJECT c = make("c", "u3", "3", "x");
        ak_alloc_fail_after(n);
        ak_cache_sink(&(struct ak_event){.type = AK_EVENT_INIT}, cache);
        ak_cache_sink(&(struct ak_event){AK_EVENT_INIT_APPLY, c}, cache);
        ak_cache_sink(&(struct ak_event){.type = AK_EVENT_INIT_DONE}, cache);
        failed = ak_alloc_fail_after(-1);
        assert_int_equal(ak_cache_needs_relist(cache), failed);
        assert_int_equal(ak_cache_len(cache), failed ? 2 : 1);
    }
}

struct readers {
    struct ak_cache *cache;
    atomic_bool stop;
    atomic_int torn;
};

/* Each relist replaces 50 objects of one generation by those of the next: a reader must see only one. */
static void read_pictures(void *user)
{
    struct readers *r = user;

    while (!atomic_load(&r->stop)) {
        AK_AUTO(ak_object_list) list = {0};
        if (ak_cache_list(r->cache, NULL, &list) < 0)
            continue;
        for (size_t i = 1; i < list.len; i++)
            if (strcmp(ak_object_meta(list.items[i])->resource_version,
                       ak_object_meta(list.items[0])->resource_version) != 0)
                atomic_fetch_add(&r->torn, 1);
    }
}

static void test_readers_on_other_threads_never_see_half_a_list(void **state)
{
    AK_AUTO_PTR(ak_cache) cache = new_cache();
    struct readers readers = {.cache = cache};
    struct ak_thread threads[2] = {0};
    (void)state;

    for (int i = 0; i < 2; i++)
        assert_int_equal(ak_thread_start(&threads[i], "reader", read_pictures, &readers), 0);
    for (int generation = 1; generation <= 40; generation++) {
        char version[16];
        (void)snprintf(version, sizeof(version), "%d", generation);
        send(cache, AK_EVENT_INIT, NULL, NULL, NULL, NULL);
        for (int i = 0; i < 50; i++) {
            char name[16];
            (void)snprintf(name, sizeof(name), "n%d", i);
            send(cache, AK_EVENT_INIT_APPLY, name, name, version, "x");
        }
        send(cache, AK_EVENT_INIT_DONE, NULL, NULL, NULL, NULL);
        told[0] = 0;
    }
    atomic_store(&readers.stop, true);
    for (int i = 0; i < 2; i++)
        ak_thread_join(&threads[i]);
    assert_int_equal(readers.torn, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_told_or_shown_before_the_first_list_is_complete),
        cmocka_unit_test(test_a_relist_tells_only_what_differs),
        cmocka_unit_test(test_a_list_that_starts_over_forgets_its_first_half),
        cmocka_unit_test(test_events_change_what_is_shown_and_repeats_do_not),
        cmocka_unit_test(test_another_object_of_the_same_name_is_a_deletion_and_an_addition),
        cmocka_unit_test(test_an_index_follows_every_change),
        cmocka_unit_test(test_lists_are_sorted_and_can_be_cut_to_a_namespace),
        cmocka_unit_test(test_thousands_of_objects_come_and_go),
        cmocka_unit_test(test_a_failed_allocation_asks_for_a_relist_that_tells_what_was_missed),
        cmocka_unit_test(test_a_relist_survives_failed_allocations),
        cmocka_unit_test(test_readers_on_other_threads_never_see_half_a_list),
    };
    ak_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
