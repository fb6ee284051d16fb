/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

json_t *fixture_json(const char *text)
{
    AK_AUTO_TEXT char *json = ak_strdup(text);
    AK_AUTO_PTR(ak_error) err = NULL;
    json_t *tree = NULL;
    for (char *p = json; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    if (ak_json_parse(json, strlen(json), &tree, &err) < 0)
        fail_msg("%s in %s", ak_error_message(err), json);
    return tree;
}

static const struct ak_object *decode(const struct ak_kind *kind, const json_t *tree)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    const struct ak_object *object = NULL;
    if (ak_object_decode(kind, tree, AK_MANAGED_BY, &object, &err) < 0)
        fail_msg("%s", ak_error_message(err));
    return object;
}

const struct ak_object *fixture_object(const struct ak_kind *kind, const char *text)
{
    AK_AUTO_JSON *tree = fixture_json(text);
    return decode(kind, tree);
}

void fixture_init_manifest(struct fixture *f, json_t *manifest)
{
    static const char *const no_args[] = {"agentkube-manager", NULL};
    static const char *const no_env[] = {NULL};
    json_t *meta = json_object_get(manifest, "metadata");
    *f = (struct fixture){0};
    ak_arena_init(&f->arena, 1024, AK_AGENT_ARENA_MAX);
    assert_int_equal(ak_options_parse(&f->options, 1, no_args, no_env, &f->arena, NULL), 0);
    AK_AUTO_JSON *server = fixture_json("{'namespace': 'team', 'generation': 3, 'uid': '" UID "',"
                                        "'resourceVersion': '7',"
                                        "'creationTimestamp': '2026-06-01T10:00:00Z'}");
    assert_int_equal(json_object_update(meta, server), 0);
    f->o.agent = decode(&ak_agent_kind, manifest);
    f->o.options = &f->options;
    f->o.bundle = "-----BEGIN CERTIFICATE-----\nTHE MANAGER\n-----END CERTIFICATE-----\n";
    f->o.runs.synced = true;
    assert_int_equal(ak_parse_rfc3339(NOW_TEXT, &f->o.now), 0);
    f->o.goal.found = f->o.goal.key_found = true;
    assert_int_equal(ak_digest_bytes("goal", 4, f->o.goal.hex), 0);
}

void fixture_init(struct fixture *f, const char *spec, const char *status)
{
    AK_AUTO_JSON *manifest =
        json_pack("{s:s, s:s, s:{s:s}, s:o, s:o}", "apiVersion", "agentkube.io/v1alpha1", "kind",
                  "Agent", "metadata", "name", "one", "spec", fixture_json(spec ? spec : "{}"),
                  "status", fixture_json(status ? status : "{}"));
    assert_non_null(manifest);
    fixture_init_manifest(f, manifest);
}

void fixture_done(struct fixture *f)
{
    ak_agent_plan_done(&f->plan);
    ak_agent_observed_done(&f->o);
    ak_arena_done(&f->arena);
}

void fixture_plan(struct fixture *f)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    ak_agent_plan_done(&f->plan);
    if (ak_agent_plan_make(&f->o, &f->arena, &f->plan, &err) < 0)
        fail_msg("%s", ak_error_message(err));
}

void fixture_set_pod(struct fixture *f, const char *status, const char *hash)
{
    if (!hash) { /* what a plan for no pod would make, were nothing in the way */
        const struct ak_object *agent = f->o.agent;
        ak_msec now = f->o.now;
        f->o.now += AK_HOURS(1000); /* no backoff */
        fixture_plan(f);
        f->o.now = now;
        f->o.agent = agent;
        hash = f->plan.pod ? ak_json_text(f->plan.pod, "metadata", "annotations",
                                          AK_ANNOTATION_POD_HASH, NULL)
                           : "none";
    }
    AK_AUTO_JSON *pod =
        json_pack("{s:{s:s, s:s, s:s, s:s, s:{s:s}, s:[{s:s, s:s, s:s, s:s, s:b}]}, s:{s:s}, s:o}",
                  "metadata", "name", "one", "namespace", "team", "uid", "pod-uid",
                  "creationTimestamp", "2026-06-01T11:00:00Z", "annotations",
                  AK_ANNOTATION_POD_HASH, hash, "ownerReferences", "apiVersion",
                  "agentkube.io/v1alpha1", "kind", "Agent", "name", "one", "uid", UID, "controller",
                  1, "spec", "nodeName", "node-1", "status", fixture_json(status ? status : "{}"));
    assert_non_null(pod);
    (void)ak_object_unref(f->o.pod);
    f->o.pod = decode(&ak_pod_kind, pod);
}

const struct ak_condition *fixture_condition(const struct fixture *f, const char *type)
{
    const struct ak_condition *c =
        ak_condition_find(f->plan.conditions, f->plan.n_conditions, type);
    if (!c)
        fail_msg("there is no condition %s", type);
    return c;
}
