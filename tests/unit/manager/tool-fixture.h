/* SPDX-License-Identifier: Apache-2.0 */
/* One observed Tool, put together from JSON texts. */
#ifndef TEST_MANAGER_TOOL_FIXTURE_H
#define TEST_MANAGER_TOOL_FIXTURE_H

#include "manager/controllers/tool/tool_internal.h"

#define TOOL_UID "12345678-2222-3333-4444-555555555555"

struct tool_fixture {
    struct ak_arena arena;
    struct ak_options options;
    struct ak_tool_observed o;
    struct ak_tool_plan plan;
};
/* `spec`, `meta` and `status` are JSON with ' for "; NULL: {}. Every Secret that is named is there. */
void tool_fixture_init(struct tool_fixture *f, const char *spec, const char *meta,
                       const char *status);
void tool_fixture_done(struct tool_fixture *f);
void tool_fixture_plan(struct tool_fixture *f);
/* What the plan wrote becomes what is on record, and what it made what is there. */
void tool_fixture_settle(struct tool_fixture *f);
/* A pod as the plan made it, with this status. */
void tool_fixture_set_pod(const struct ak_object **slot, const json_t *made, const char *status);
/* The plan's condition; fails the test when there is none. */
const struct ak_condition *tool_fixture_condition(const struct tool_fixture *f, const char *type);

#endif
