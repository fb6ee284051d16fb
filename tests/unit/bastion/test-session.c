/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/session.h"

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

#include "bastion/session_table.h"
#include "stage.h"

#define ARENA_MAX (1u << 20)
#define THREADS 4
#define EACH 200

struct scene {
    struct ak_arena arena;
    struct ak_bastion_settings settings;
    struct ak_bastion bastion;
    int fd, ended;
};

static void nothing(void *user)
{
    (void)user;
}

static int begin(void **state)
{
    static const struct variable said[] = {
        {"AGENTKUBE_TOOL",
         TOOL("{\"type\":\"postgres\",\"config\":{\"hostname\":\"h\"},\"maxSessions\":2}")},
        {"AGENTKUBE_IDENTITY_DIR", "/no/such/folder"},
        {NULL, NULL}};
    struct scene *s = ak_new0(struct scene);
    struct ak_bastion *b = &s->bastion;

    ak_arena_init(&s->arena, 1024, ARENA_MAX);
    assert_int_equal(read_settings(AK_SETTINGS_SERVE, said, &s->arena, &s->settings, NULL), 0);
    s->fd = memfd_create("audit", MFD_CLOEXEC);
    b->settings = &s->settings;
    assert_int_equal(ak_loop_new(&b->loop, NULL), 0);
    b->tick = ak_timer_new(b->loop, nothing, NULL);
    assert_non_null(b->tick);
    assert_int_equal(ak_audit_init(&b->audit, &s->settings.target, "boot", s->fd, nothing, NULL),
                     0);
    *state = s;
    return 0;
}

static int end(void **state)
{
    struct scene *s = *state;

    ak_audit_done(&s->bastion.audit);
    (void)ak_timer_free(s->bastion.tick);
    (void)ak_loop_free(s->bastion.loop);
    (void)close(s->fd);
    ak_arena_done(&s->arena);
    ak_free(s);
    return 0;
}

static void on_end(void *owner)
{
    struct scene *s = owner;

    s->ended++;
}

static int try_open(struct scene *s, enum ak_session_kind kind, bool read_only,
                    struct ak_session **ret, struct ak_error **reterr)
{
    AK_AUTO_JSON *tree = json_pack("{ss, ss}", "kind", "Person", "name", "alice");
    struct ak_caller caller = {0};
    const struct ak_session_options options = {
        .kind = kind, .caller = &caller, .read_only = read_only, .end = on_end, .owner = s};
    int r = tree ? ak_caller_read(tree, &caller, reterr) : ak_error_oom(reterr);

    if (r >= 0)
        r = ak_session_open(&s->bastion, &options, ret, reterr);
    ak_caller_done(&caller);
    return r;
}

static struct ak_session *open_session(struct scene *s, bool read_only)
{
    struct ak_session *session = NULL;

    assert_int_equal(try_open(s, AK_SESSION_EXEC, read_only, &session, NULL), 0);
    return session;
}

/* The record of that number. */
static json_t *record_of(struct scene *s, uint64_t seq)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(1u << 20);
    json_t *tree = NULL;

    assert_int_equal(ak_audit_next(&s->bastion.audit, seq - 1, &text), seq);
    assert_int_equal(ak_json_parse(text.data, text.len, &tree, NULL), 0);
    return tree;
}

static void callers_are_agents_or_persons_with_a_name(void **state)
{
    static const struct {
        const char *text;
        bool fine;
    } cases[] = {
        {"{\"kind\":\"Person\",\"name\":\"alice\"}", true},
        {"{\"kind\":\"Agent\",\"name\":\"a\",\"namespace\":\"ns\",\"run\":\"r\"}", true},
        {"{\"kind\":\"Robot\",\"name\":\"a\"}", false},
        {"{\"kind\":\"Person\",\"name\":\"\"}", false},
        {"{\"kind\":\"Person\"}", false},
        {"{}", false},
        {"[]", false},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO_JSON *tree = NULL;
        struct ak_caller caller = {0};

        assert_int_equal(ak_json_parse(cases[i].text, strlen(cases[i].text), &tree, NULL), 0);
        assert_int_equal(ak_caller_read(tree, &caller, NULL), cases[i].fine ? 0 : AK_E_INVALID);
        ak_caller_done(&caller);
    }
    assert_int_equal(ak_caller_read(NULL, &(struct ak_caller){0}, NULL), AK_E_INVALID);
}

static void sessions_have_a_limit_and_leave_the_table(void **state)
{
    struct scene *s = *state;
    struct ak_session *one = open_session(s, false), *two = open_session(s, false), *three = NULL;
    AK_AUTO_PTR(ak_error) err = NULL;

    assert_string_not_equal(ak_session_id(one), ak_session_id(two));
    assert_ptr_equal(ak_session_find(&s->bastion, ak_session_id(one)), one);
    assert_int_equal(try_open(s, AK_SESSION_EXEC, false, &three, &err), -EBUSY);
    assert_non_null(strstr(ak_error_message(err), "maxSessions"));
    ak_session_close(one);
    assert_int_equal(s->bastion.n_sessions, 1);
    three = open_session(s, false);
    ak_session_close(two);
    ak_session_close(three);
    assert_null(s->bastion.sessions);
    s->bastion.ending = true;
    assert_int_equal(try_open(s, AK_SESSION_EXEC, false, &three, NULL), AK_E_CANCELLED);
}

static void an_end_comes_once_with_its_first_reason(void **state)
{
    struct scene *s = *state;
    struct ak_session *session = open_session(s, false);

    assert_null(ak_session_end_reason(session));
    ak_session_end(session, "bob wants it so");
    ak_session_end(session, "something else");
    assert_string_equal(ak_session_end_reason(session), "bob wants it so");
    assert_true(ak_cancel_is_set(ak_session_cancel(session)));
    assert_int_equal(s->ended, 1);
    ak_session_close(session);
}

static void statements_are_recorded_when_they_are_done(void **state)
{
    struct scene *s = *state;
    struct ak_session *session = open_session(s, false);

    assert_int_equal(ak_session_statement(session, AK_CLASS_READ, "select 1", 8, NULL), 0);
    assert_int_equal(
        ak_session_statement(session, AK_CLASS_ADMIN, "alter user a password 'x'", 25, NULL), 0);
    assert_int_equal(ak_audit_counts(&s->bastion.audit).head, 0);
    ak_session_done(session, 1, 5, 0, NULL);
    ak_session_done(session, -1, 0, AK_E_PROTOCOL, "42501");
    ak_session_done(session, 7, 7, 0, NULL); /* there is none */
    assert_int_equal(ak_audit_counts(&s->bastion.audit).head, 2);
    AK_AUTO_JSON *first = record_of(s, 1);
    AK_AUTO_JSON *second = record_of(s, 2);
    assert_string_equal(ak_json_text(first, "statement", NULL), "select 1");
    assert_string_equal(ak_json_text(first, "verdict", NULL), "Allowed");
    assert_string_equal(ak_json_text(first, "kind", NULL), "Exec");
    assert_string_equal(ak_json_text(first, "caller", "name", NULL), "alice");
    assert_string_equal(ak_json_text(first, "sessionID", NULL), ak_session_id(session));
    assert_true(ak_has_prefix(ak_json_text(first, "statementHash", NULL), "sha256:"));
    assert_null(json_object_get(first, "operation"));
    assert_int_equal(json_integer_value(json_object_get(first, "rows")), 1);
    assert_string_equal(ak_json_text(second, "statement", NULL), "alter user a password '***'");
    assert_string_equal(ak_json_text(second, "verdict", NULL), "Failed");
    assert_string_equal(ak_json_text(second, "code", NULL), "42501");
    assert_null(json_object_get(second, "rows"));
    ak_session_close(session);
}

static void who_may_only_read_is_refused_and_recorded(void **state)
{
    static const struct {
        enum ak_statement_class class;
        bool minted, refused;
    } cases[] = {
        {AK_CLASS_READ, false, false},   {AK_CLASS_SESSION, false, false},
        {AK_CLASS_WRITE, false, true},   {AK_CLASS_ADMIN, false, true},
        {AK_CLASS_UNKNOWN, false, true}, {AK_CLASS_UNKNOWN, true, false},
        {AK_CLASS_WRITE, true, true},
    };
    struct scene *s = *state;
    uint64_t seq = 0;

    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        struct ak_session *session = open_session(s, true);

        session->minted = cases[i].minted;
        int r = ak_session_statement(session, cases[i].class, "x", 1, NULL);
        if (r != (cases[i].refused ? AK_E_FORBIDDEN : 0))
            fail_msg("case %zu: %d", i, r);
        ak_session_done(session, -1, 0, 0, NULL);
        AK_AUTO_JSON *record = record_of(s, ++seq);
        assert_string_equal(ak_json_text(record, "verdict", NULL),
                            cases[i].refused ? "Refused" : "Allowed");
        assert_int_equal(ak_json_text(record, "rule", NULL) != NULL, cases[i].refused);
        assert_int_equal(ak_audit_counts(&s->bastion.audit).head, seq);
        ak_session_close(session);
    }
}

static void statements_in_any_order_have_handles(void **state)
{
    struct scene *s = *state;
    struct ak_session *session = open_session(s, false);
    struct ak_statement *one = NULL, *two = NULL;

    assert_int_equal(ak_statement_begin(session, AK_CLASS_READ, "GET /1", 6, &one, NULL), 0);
    assert_int_equal(ak_statement_begin(session, AK_CLASS_READ, "GET /2", 6, &two, NULL), 0);
    ak_session_done(session, -1, 0, 0, NULL); /* is not theirs */
    ak_session_close(session);
    ak_statement_end(two, -1, 0, 0, "200");
    ak_statement_end(one, -1, 0, 0, "404");
    ak_statement_end(NULL, -1, 0, 0, NULL);
    AK_AUTO_JSON *first = record_of(s, 1);
    assert_string_equal(ak_json_text(first, "statement", NULL), "GET /2");
    assert_int_equal(ak_audit_counts(&s->bastion.audit).head, 2);
}

static void too_many_statements_are_refused(void **state)
{
    struct scene *s = *state;
    struct ak_session *session = open_session(s, false);

    for (int i = 0; i < AK_SESSION_MAX_STATEMENTS; i++)
        assert_int_equal(ak_session_statement(session, AK_CLASS_READ, "x", 1, NULL), 0);
    assert_int_equal(ak_session_statement(session, AK_CLASS_READ, "x", 1, NULL), -ENOBUFS);
    ak_session_forget_thread(session);
    assert_int_equal(ak_audit_counts(&s->bastion.audit).head, AK_SESSION_MAX_STATEMENTS);
    assert_int_equal(ak_session_statement(session, AK_CLASS_READ, "x", 1, NULL), 0);
    ak_session_forget_thread(session);
    ak_session_close(session);
}

static void *make_data(void *user)
{
    int *made = user;

    (*made)++;
    return made;
}

static void free_data(void *data)
{
    int *made = data;

    *made += 100;
}

static void what_engines_keep_is_made_once_and_freed_with_the_session(void **state)
{
    struct scene *s = *state;
    struct ak_session *session = open_session(s, false);
    int made = 0;

    assert_null(ak_session_data(session, NULL, NULL, NULL));
    assert_ptr_equal(ak_session_data(session, make_data, &made, free_data), &made);
    assert_ptr_equal(ak_session_data(session, make_data, &made, free_data), &made);
    assert_int_equal(made, 1);
    (void)ak_session_ref(session);
    ak_session_close(session);
    assert_int_equal(made, 1);
    ak_session_unref(session);
    assert_int_equal(made, 101);
}

static void use_it(void *user)
{
    struct ak_session *session = user;

    for (int i = 0; i < EACH; i++) {
        assert_int_equal(ak_session_statement(session, AK_CLASS_READ, "select 1", 8, NULL), 0);
        ak_session_busy(session, true);
        ak_session_moved(session, 1, 1);
        ak_session_busy(session, false);
        ak_session_done(session, 1, 1, 0, NULL);
        (void)ak_session_end_reason(session);
    }
}

static void threads_use_one_session_while_it_is_looked_at_and_ended(void **state)
{
    struct scene *s = *state;
    struct ak_session *session = open_session(s, false);
    struct ak_thread threads[THREADS] = {0};

    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(ak_thread_start(&threads[i], "uses", use_it, session), 0);
    for (int i = 0; i < 50; i++) {
        AK_AUTO(ak_buf) text = AK_BUF_INIT(1u << 20);

        assert_true(ak_bastion_write_state(&s->bastion, &text) >= 0);
        ak_session_count(session, 3, 4);
    }
    ak_session_end(session, "enough");
    for (size_t i = 0; i < THREADS; i++)
        ak_thread_join(&threads[i]);
    assert_int_equal(ak_audit_counts(&s->bastion.audit).head, THREADS * EACH);
    assert_int_equal(session->busy, 0);
    ak_session_close(session);
}

static void without_memory_it_says_so(void **state)
{
    struct scene *s = *state;
    int r = -1;

    for (int i = 0; r < 0; i++) {
        struct ak_session *session = NULL;

        ak_alloc_fail_after(i);
        r = try_open(s, AK_SESSION_CONNECT, false, &session, NULL);
        if (r >= 0)
            r = ak_session_statement(session, AK_CLASS_READ, "select 1", 8, NULL);
        bool failed = ak_alloc_fail_after(-1);
        if (failed ? r != -ENOMEM : r != 0)
            fail_msg("allocation %d: %d", i, r);
        if (session) {
            ak_session_forget_thread(session);
            ak_session_close(session);
        }
        assert_int_equal(s->bastion.n_sessions, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(callers_are_agents_or_persons_with_a_name),
        cmocka_unit_test_setup_teardown(sessions_have_a_limit_and_leave_the_table, begin, end),
        cmocka_unit_test_setup_teardown(an_end_comes_once_with_its_first_reason, begin, end),
        cmocka_unit_test_setup_teardown(statements_are_recorded_when_they_are_done, begin, end),
        cmocka_unit_test_setup_teardown(who_may_only_read_is_refused_and_recorded, begin, end),
        cmocka_unit_test_setup_teardown(statements_in_any_order_have_handles, begin, end),
        cmocka_unit_test_setup_teardown(too_many_statements_are_refused, begin, end),
        cmocka_unit_test_setup_teardown(what_engines_keep_is_made_once_and_freed_with_the_session,
                                        begin, end),
        cmocka_unit_test_setup_teardown(threads_use_one_session_while_it_is_looked_at_and_ended,
                                        begin, end),
        cmocka_unit_test_setup_teardown(without_memory_it_says_so, begin, end),
    };

    ak_json_setup();
    return cmocka_run_group_tests_name("bastion/session", tests, NULL, NULL);
}
