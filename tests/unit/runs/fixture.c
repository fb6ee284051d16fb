/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <ak/base/text.h>
#include <ak/kube/object.h>

#include "manager/kinds.h"

ak_msec now;

struct ak_book_rules rules(void)
{
    return (struct ak_book_rules){.max_queued = 2, .max_retained = 3};
}

struct ak_book begin(void)
{
    now = 1000;
    return (struct ak_book){.rules = rules()};
}

struct ak_run *ask(struct ak_book *b, const char *id)
{
    const struct ak_book_ask q = {
        .id = id, .trigger = AK_RUN_TRIGGER_INVOCATION, .requested_by = "alice", .prompt = "do it"};
    struct ak_run *run = NULL;
    assert_int_equal(ak_book_accept(b, &q, WALL + now, now, &run), 1);
    ak_book_hold(b, run);
    now++;
    return run;
}

int hear(struct ak_book *b, const char *pod, const char *text)
{
    AK_AUTO_JSON *record = NULL;
    assert_int_equal(ak_json_parse(text, strlen(text), &record, NULL), 0);
    return ak_book_heard(b, record, pod);
}

int hear_phase(struct ak_book *b, const char *pod, const char *id, const char *phase)
{
    char text[256];
    snprintf(text, sizeof(text), "{\"id\": \"%s\", \"phase\": \"%s\"}", id, phase);
    return hear(b, pod, text);
}

struct ak_run *running(struct ak_book *b, const char *id)
{
    struct ak_run *run = ask(b, id);
    assert_int_equal(ak_book_bind(b, run, POD), 1);
    assert_int_equal(hear_phase(b, POD, id, "Running"), 1);
    return run;
}

struct ak_book read_back(const json_t *written, struct ak_book_rules r)
{
    struct ak_book next = {.rules = r};
    AK_AUTO_JSON *agent = json_pack("{s:s, s:s, s:{s:s, s:s, s:s}, s:{s:s}, s:O}", "apiVersion",
                                    AK_API_GROUP "/" AK_API_VERSION, "kind", "Agent", "metadata",
                                    "name", "a", "namespace", "n", "uid", "u", "spec", "runtime",
                                    "ClaudeCode", "status", json_object_get(written, "status"));
    AK_AUTO_OBJECT object = NULL;
    assert_non_null(agent);
    assert_int_equal(ak_object_decode(&ak_agent_kind, agent, "m", &object, NULL), 0);
    const struct ak_agent *body = ak_object_body(object);
    assert_null(ak_object_decode_error(object));
    assert_int_equal(ak_book_load(&next, body->status, now), 0);
    return next;
}

json_t *written(const struct ak_book *b)
{
    json_t *tree = NULL;
    assert_int_equal(ak_book_status(b, 1 << 20, &tree, NULL), 0);
    return tree;
}

struct ak_book next_leader(const struct ak_book *b)
{
    AK_AUTO_JSON *tree = written(b);
    return read_back(tree, b->rules);
}

void expect(const struct ak_book *b, const char *id, enum ak_run_phase phase, const char *reason)
{
    const struct ak_run *run = ak_book_find(b, id);
    assert_non_null(run);
    assert_string_equal(ak_run_phase_to_string(run->phase), ak_run_phase_to_string(phase));
    if (reason)
        assert_string_equal(run->reason, reason);
    else
        assert_null(run->reason);
}

int fire(struct ak_book *b, ak_msec at, bool late, char id[static AK_RUN_ID_SIZE])
{
    struct ak_run *run = NULL;
    int r = ak_book_fire(b, "uid", at, late, WALL + now, now, &run);
    if (run)
        snprintf(id, AK_RUN_ID_SIZE, "%s", run->id);
    return r;
}
