/* SPDX-License-Identifier: Apache-2.0 */
#include "tool-fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <ak/base/text.h>

#include "fixture.h"

static const struct ak_object *decode(const struct ak_kind *kind, const json_t *tree)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    const struct ak_object *object = NULL;
    if (ak_object_decode(kind, tree, AK_MANAGED_BY, &object, &err) < 0)
        fail_msg("%s", ak_error_message(err));
    return object;
}

static void set_digest(struct ak_digest *digest, const char *text)
{
    digest->found = digest->key_found = true;
    assert_int_equal(ak_digest_bytes(text, strlen(text), digest->hex), 0);
}

static json_t *manifest_of(const char *spec, const char *meta, json_t *status)
{
    AK_AUTO_JSON *more = fixture_json(meta ? meta : "{}");
    json_t *tree = json_pack("{s:s, s:s, s:{s:s, s:s, s:s, s:i, s:s, s:s}, s:o, s:o}", "apiVersion",
                             "agentkube.io/v1alpha1", "kind", "Tool", "metadata", "name", "db",
                             "namespace", "team", "uid", TOOL_UID, "generation", 3,
                             "resourceVersion", "7", "creationTimestamp", "2026-06-01T10:00:00Z",
                             "spec", fixture_json(spec ? spec : "{}"), "status", status);
    assert_non_null(tree);
    assert_int_equal(json_object_update(json_object_get(tree, "metadata"), more), 0);
    return tree;
}

void tool_fixture_init(struct tool_fixture *f, const char *spec, const char *meta,
                       const char *status)
{
    static const char *const no_args[] = {"agentkube-manager", NULL};
    static const char *const no_env[] = {NULL};
    AK_AUTO_JSON *tree = manifest_of(spec, meta, fixture_json(status ? status : "{}"));
    *f = (struct tool_fixture){0};
    ak_arena_init(&f->arena, 1024, AK_TOOL_ARENA_MAX);
    assert_int_equal(ak_options_parse(&f->options, 1, no_args, no_env, &f->arena, NULL), 0);
    f->o.tool = decode(&ak_tool_kind, tree);
    f->o.options = &f->options;
    f->o.bundle = "-----BEGIN CERTIFICATE-----\nTHE MANAGER\n-----END CERTIFICATE-----\n";
    f->o.sees_cluster = true;
    f->o.uptime = AK_HOURS(100);
    assert_int_equal(ak_parse_rfc3339(NOW_TEXT, &f->o.now), 0);
    set_digest(&f->o.credential, "credential");
    set_digest(&f->o.ca, "ca");
    set_digest(&f->o.admin, "admin");
    set_digest(&f->o.identity, "identity");
}

void tool_fixture_done(struct tool_fixture *f)
{
    ak_tool_plan_done(&f->plan);
    ak_tool_observed_done(&f->o);
    ak_arena_done(&f->arena);
}

void tool_fixture_plan(struct tool_fixture *f)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    ak_tool_plan_done(&f->plan);
    if (ak_tool_plan_make(&f->o, &f->arena, &f->plan, &err) < 0)
        fail_msg("%s", ak_error_message(err));
}

void tool_fixture_settle(struct tool_fixture *f)
{
    AK_AUTO_JSON *spec = NULL;
    AK_AUTO_JSON *meta = json_object();
    AK_AUTO_PTR(ak_error) err = NULL;
    json_t *status = NULL;
    const struct ak_meta *was = ak_object_meta(f->o.tool);
    assert_int_equal(ak_tool_status_json(&f->plan, &status, &err), 0);
    assert_int_equal(ak_encode(&ak_tool_spec_type, ak_tool_spec_of(&f->o), &spec, &err), 0);
    AK_AUTO_JSON *tree = manifest_of(NULL, NULL, status);
    assert_int_equal(json_object_set(tree, "spec", spec), 0);
    bool keeps =
        f->plan.add_finalizer ||
        (ak_string_list_has(&was->finalizers, AK_TOOL_FINALIZER) && !f->plan.drop_finalizer);
    json_t *metadata = json_object_get(tree, "metadata");
    if (keeps)
        assert_int_equal(
            json_object_set_new(metadata, "finalizers", json_pack("[s]", AK_TOOL_FINALIZER)), 0);
    if (was->deleting)
        assert_int_equal(json_object_set_new(metadata, "deletionTimestamp", json_string(NOW_TEXT)),
                         0);
    f->o.recall = f->plan.recall;
    (void)ak_object_unref(f->o.tool);
    f->o.tool = decode(&ak_tool_kind, tree);
}

void tool_fixture_set_pod(const struct ak_object **slot, const json_t *made, const char *status)
{
    AK_AUTO_JSON *pod = ak_json_copy(made);
    AK_AUTO_JSON *said = fixture_json(status);
    static unsigned number;
    char uid[32];
    (void)snprintf(uid, sizeof(uid), "%08x-pod", ++number);
    assert_non_null(pod);
    json_t *meta = json_object_get(pod, "metadata");
    assert_int_equal(json_object_set_new(meta, "uid", json_string(uid)), 0);
    assert_int_equal(
        json_object_set_new(meta, "creationTimestamp", json_string("2026-06-01T11:59:50Z")), 0);
    assert_int_equal(json_object_set(pod, "status", said), 0);
    (void)ak_object_unref(*slot);
    *slot = decode(&ak_pod_kind, pod);
}

const struct ak_condition *tool_fixture_condition(const struct tool_fixture *f, const char *type)
{
    const struct ak_condition *c =
        ak_condition_find(f->plan.conditions, f->plan.n_conditions, type);
    if (!c)
        fail_msg("there is no condition %s", type);
    return c;
}
