/* SPDX-License-Identifier: Apache-2.0 */
/* One observed Agent, put together from JSON texts. */
#ifndef TEST_MANAGER_FIXTURE_H
#define TEST_MANAGER_FIXTURE_H

#include "manager/controllers/agent/agent_internal.h"

#define NOW_TEXT "2026-06-01T12:00:00Z"
#define UID "11111111-2222-3333-4444-555555555555"

struct fixture {
    struct ak_arena arena;
    struct ak_options options;
    struct ak_agent_observed o;
    struct ak_agent_plan plan;
};
/* `spec` and `status` are JSON with ' for "; NULL: {}. Fails the test when they do not decode. */
void fixture_init(struct fixture *f, const char *spec, const char *status);
void fixture_done(struct fixture *f);
/* The same with a whole Agent, as a manifest has it. */
void fixture_init_manifest(struct fixture *f, json_t *manifest);
/* The pod as in the cache: its status, and the hash that the plan wants (hash NULL) or another. */
void fixture_set_pod(struct fixture *f, const char *status, const char *hash);
/* Any object, JSON with ' for ". */
const struct ak_object *fixture_object(const struct ak_kind *kind, const char *text);
json_t *fixture_json(const char *text);
void fixture_plan(struct fixture *f);
/* The plan's condition; fails the test when there is none. */
const struct ak_condition *fixture_condition(const struct fixture *f, const char *type);

#endif
