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
#include <watch/core.h>

static const struct ak_kind pods = {.resource = {"", "v1", "Pod", "pods", true}};
static const struct ak_watch_options plain = {
    .kind = &pods, .seed = 1, .backoff_first = 1000, .backoff_max = 8000};

/* One step of a story: what arrives, and what the watch must do then. */
enum input {
    PAGE,  /* an answer to a list: metadata with version and token, then its end with `code` */
    FRAME, /* a frame of the watch: type, version */
    END,   /* the answer ends with `code` after `lasted` ms */
    WAIT,  /* the backoff is over */
};
struct step {
    enum input input;
    const char *a, *b; /* PAGE: version, token; FRAME: type, version */
    int code;
    ak_msec lasted, retry_after;
    enum ak_watch_state state; /* afterwards */
    bool list_done;
    ak_msec backoff;   /* at least this, at most a tenth more; 0: not looked at */
    const char *query; /* a part of the next request's path, or NULL */
    const char *comment;
};
#define L AK_WATCH_LISTING
#define W AK_WATCH_WATCHING
#define B AK_WATCH_BACKOFF

static ak_msec now;

static void request(struct ak_watch_core *core, char *path, size_t size)
{
    AK_AUTO(ak_buf) buf = AK_BUF_INIT(1 << 20);

    assert_int_equal(ak_watch_core_request(core, now, &buf), 0);
    (void)snprintf(path, size, "%s", ak_buf_text(&buf));
}

static void check_step(const struct step *s, size_t i, struct ak_watch_step got,
                       const struct ak_watch_core *core)
{
    if (core->state != s->state)
        fail_msg("step %zu (%s): state %s, not %s", i, s->comment,
                 ak_watch_state_to_string(core->state), ak_watch_state_to_string(s->state));
    if (got.list_done != s->list_done)
        fail_msg("step %zu (%s): list_done %d", i, s->comment, got.list_done);
    if (s->backoff && (got.backoff < s->backoff || got.backoff > s->backoff + s->backoff / 10))
        fail_msg("step %zu (%s): backoff %lld", i, s->comment, (long long)got.backoff);
}

static void play(const struct ak_watch_options *options, const struct step *steps, size_t n)
{
    struct ak_watch_core core;
    char path[2048] = "";

    ak_watch_core_init(&core, options);
    ak_watch_core_start(&core);
    request(&core, path, sizeof(path));
    for (size_t i = 0; i < n; i++) {
        const struct step *s = &steps[i];
        struct ak_watch_step got = {0};
        enum ak_watch_frame frame;
        switch (s->input) {
        case PAGE:
            if (s->a)
                assert_int_equal(ak_watch_core_page(&core, s->a, s->b), 0);
            got = ak_watch_core_end(&core, s->code, s->retry_after, now);
            break;
        case FRAME:
            assert_int_equal(ak_watch_core_frame(&core, s->a, s->b, &frame), 0);
            break;
        case END:
            now += s->lasted;
            got = ak_watch_core_end(&core, s->code, s->retry_after, now);
            break;
        case WAIT:
            ak_watch_core_waited(&core);
            break;
        }
        check_step(s, i, got, &core);
        if (s->input != FRAME && core.state != B)
            request(&core, path, sizeof(path));
        if (s->query && !strstr(path, s->query))
            fail_msg("step %zu (%s): no \"%s\" in %s", i, s->comment, s->query, path);
    }
    ak_watch_core_done(&core);
}
#define PLAY(options, ...)                                                                         \
    play((options), (const struct step[]){__VA_ARGS__},                                            \
         sizeof((const struct step[]){__VA_ARGS__}) / sizeof(struct step))

static void test_pages_are_followed_and_then_watched_from_their_version(void **state)
{
    (void)state;
    PLAY(&plain, {PAGE, "100", "tok/1", 0, .state = L, .query = "limit=500&continue=tok%2F1"},
         {PAGE, "100", "tok2", 0, .state = L, .query = "continue=tok2"},
         {PAGE, "100", "", 0, .state = W, .list_done = true,
          .query = "watch=true&allowWatchBookmarks=true&timeoutSeconds="},
         {FRAME, "ADDED", "101", .state = W, .query = "resourceVersion=100"},
         {END, .code = 0, .state = W, .query = "resourceVersion=101",
          .comment = "the server's own time limit: on from the last object"});
}

static void test_bookmarks_move_the_position(void **state)
{
    (void)state;
    PLAY(&plain, {PAGE, "100", NULL, 0, .state = W, .list_done = true},
         {FRAME, "BOOKMARK", "500", .state = W},
         {END, .code = AK_E_PROTOCOL, .lasted = 60000, .state = W, .query = "resourceVersion=500",
          .comment = "a cut connection goes on at once"});
}

static void test_gone_lists_again_at_once_but_not_for_ever(void **state)
{
    (void)state;
    PLAY(&plain, {PAGE, "100", NULL, 0, .state = W, .list_done = true},
         {FRAME, "MODIFIED", "101", .state = W}, {FRAME, "ERROR", NULL, .state = W},
         {END, .code = AK_E_GONE, .state = L, .query = "pods?limit=500", .comment = "in a frame"},
         {PAGE, "200", NULL, 0, .state = W, .list_done = true, .query = "resourceVersion=200"},
         {END, .code = AK_E_GONE, .state = B, .backoff = 2000, .comment = "and again: slower"},
         {WAIT, .state = L}, {PAGE, "300", NULL, 0, .state = W, .list_done = true},
         {END, .code = AK_E_GONE, .state = B, .backoff = 4000}, {WAIT, .state = L},
         {PAGE, "400", NULL, 0, .state = W, .list_done = true},
         {FRAME, "ADDED", "401", .state = W, .comment = "it lives: all is forgotten"},
         {END, .code = AK_E_GONE, .state = L});
}

static void test_an_expired_token_starts_over_and_at_last_asks_for_one_piece(void **state)
{
    (void)state;
    PLAY(&plain, {PAGE, "100", "t1", 0, .state = L},
         {END, .code = AK_E_GONE, .state = L, .query = "pods?limit=500"},
         {PAGE, "200", "t2", 0, .state = L}, {END, .code = AK_E_GONE, .state = B},
         {WAIT, .state = L, .comment = "no limit now"},
         {PAGE, "300", NULL, 0, .state = W, .list_done = true, .query = "resourceVersion=300"});
}

static void test_errors_of_a_list_back_off_and_ask_for_the_same_page(void **state)
{
    (void)state;
    PLAY(&plain, {END, .code = AK_E_FORBIDDEN, .state = B, .backoff = 1000}, {WAIT, .state = L},
         {END, .code = AK_E_SERVER, .state = B, .backoff = 2000}, {WAIT, .state = L},
         {PAGE, "100", "t1", 0, .state = L},
         {PAGE, "100", "t2", .code = AK_E_PROTOCOL, .state = B, .backoff = 4000,
          .comment = "cut after its metadata"},
         {WAIT, .state = L, .query = "continue=t1"},
         {END, .code = AK_E_THROTTLED, .retry_after = 60000, .state = B, .backoff = 60000},
         {WAIT, .state = L},
         {END, .code = AK_E_SERVER, .state = B, .backoff = 8000, .comment = "the limit"},
         {WAIT, .state = L},
         {END, .code = AK_E_INVALID, .state = B, .comment = "the token is not understood"},
         {WAIT, .state = L, .query = "pods?limit=500"});
}

static void test_a_list_without_a_version_is_not_one(void **state)
{
    (void)state;
    PLAY(&plain, {PAGE, NULL, NULL, 0, .state = B, .comment = "no metadata"}, {WAIT, .state = L},
         {PAGE, "", NULL, 0, .state = B, .comment = "no resourceVersion"});
}

static void test_a_watch_that_does_not_work_backs_off_and_keeps_its_position(void **state)
{
    (void)state;
    PLAY(&plain, {PAGE, "100", NULL, 0, .state = W, .list_done = true},
         {END, .code = AK_E_PROTOCOL, .state = B, .backoff = 1000, .comment = "refused"},
         {WAIT, .state = W, .query = "resourceVersion=100"},
         {END, .code = AK_E_THROTTLED, .retry_after = 9000, .state = B, .backoff = 9000},
         {WAIT, .state = W},
         {END, .code = 0, .state = B, .backoff = 4000, .comment = "ended at once, said nothing"},
         {WAIT, .state = W},
         {END, .code = 0, .lasted = 2000, .state = W, .comment = "this one lived"},
         {END, .code = AK_E_UNAUTHORIZED, .state = B, .backoff = 1000});
}

static void test_a_silent_watch_is_resumed_or_listed_anew_when_not_even_a_bookmark_came(
    void **state)
{
    (void)state;
    PLAY(&plain, {PAGE, "100", NULL, 0, .state = W, .list_done = true},
         {FRAME, "BOOKMARK", "150", .state = W},
         {END, .code = -ETIMEDOUT, .lasted = 300000, .state = W, .query = "resourceVersion=150"},
         {END, .code = -ETIMEDOUT, .lasted = 300000, .state = B}, {WAIT, .state = L},
         {PAGE, "10", NULL, 0, .state = W, .list_done = true, .query = "resourceVersion=10"});
}

static void test_a_lost_event_or_a_vanished_kind_lists_again(void **state)
{
    static const int codes[] = {-ENOMEM, AK_E_TOO_LARGE, AK_E_NOT_FOUND, AK_E_INVALID};
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(codes); i++)
        PLAY(&plain, {PAGE, "100", NULL, 0, .state = W, .list_done = true},
             {END, .code = codes[i], .state = B}, {WAIT, .state = L, .query = "pods?limit=500"});
}

static void test_frames_of_unknown_kind_are_passed_over(void **state)
{
    struct ak_watch_core core;
    enum ak_watch_frame frame = AK_FRAME_APPLY;
    (void)state;

    ak_watch_core_init(&core, &plain);
    assert_int_equal(ak_watch_core_frame(&core, "SOMETHING", "9", &frame), 0);
    assert_int_equal(frame, AK_FRAME_UNKNOWN);
    assert_int_equal(ak_watch_core_frame(&core, NULL, NULL, &frame), 0);
    assert_int_equal(frame, AK_FRAME_UNKNOWN);
    assert_int_equal(core.version.len, 0);
    ak_watch_core_done(&core);
}

static void test_selectors_namespace_and_page_size_are_in_every_request(void **state)
{
    const struct ak_watch_options o = {.kind = &pods,
                                       .namespace_ = "my-ns",
                                       .label_selector = "a=b,c in (d)",
                                       .field_selector = "metadata.name=x",
                                       .page_size = 7};
    struct ak_watch_core core;
    char path[512];
    (void)state;

    ak_watch_core_init(&core, &o);
    ak_watch_core_start(&core);
    request(&core, path, sizeof(path));
    assert_string_equal(path, "/api/v1/namespaces/my-ns/pods?labelSelector=a%3Db%2Cc%20in%20%28d%29"
                              "&fieldSelector=metadata.name%3Dx&limit=7");
    ak_watch_core_done(&core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages_are_followed_and_then_watched_from_their_version),
        cmocka_unit_test(test_bookmarks_move_the_position),
        cmocka_unit_test(test_gone_lists_again_at_once_but_not_for_ever),
        cmocka_unit_test(test_an_expired_token_starts_over_and_at_last_asks_for_one_piece),
        cmocka_unit_test(test_errors_of_a_list_back_off_and_ask_for_the_same_page),
        cmocka_unit_test(test_a_list_without_a_version_is_not_one),
        cmocka_unit_test(test_a_watch_that_does_not_work_backs_off_and_keeps_its_position),
        cmocka_unit_test(
            test_a_silent_watch_is_resumed_or_listed_anew_when_not_even_a_bookmark_came),
        cmocka_unit_test(test_a_lost_event_or_a_vanished_kind_lists_again),
        cmocka_unit_test(test_frames_of_unknown_kind_are_passed_over),
        cmocka_unit_test(test_selectors_namespace_and_page_size_are_in_every_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
