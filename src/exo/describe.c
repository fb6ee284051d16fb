/* SPDX-License-Identifier: Apache-2.0 */
#include "exo/describe.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <ak/base/text.h>

#include "exo/describe_parts.h"
#include "exo/output.h"
#include "exo/records.h"
#include "terminal/cells.h"
#include "terminal/table.h"

#define GOAL_COLUMNS 300

static int names(struct ak_buf *out, const char *label, const json_t *list)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(65536);
    int r = 0;

    for (size_t i = 0; r >= 0 && i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        bool ready = json_is_true(json_object_get(one, "ready"));
        r = ak_buf_addf(&text, "%s%s%s", i ? ", " : "",
                        ak_output_or(ak_json_text(one, "name", NULL), "?"),
                        ready ? "" : " (not ready)");
    }
    return r < 0 ? r : ak_describe_line(out, 0, label, ak_buf_text(&text));
}

static int head(const json_t *agent, ak_msec now, struct ak_buf *out)
{
    static const struct ak_describe_row spec[] = {
        {"Runtime", {"spec", "runtime"}},
        {"Mode", {"spec", "mode"}},
        {"Paused", {"spec", "paused"}},
        {"Provider", {"status", "resolved", "provider"}},
        {"Model", {"status", "resolved", "model"}},
        {"Image", {"status", "resolved", "image"}},
        {"Gateway", {"status", "resolved", "gateway"}},
        {"Workspace", {"status", "resolved", "workspace"}},
        {"Goal from", {"status", "resolved", "goalSource"}},
    };
    static const struct ak_describe_row state[] = {
        {"Phase", {"status", "phase"}},
        {"Ready", {"status", "ready"}},
        {"Pod", {"status", "podName"}},
        {"Node", {"status", "nodeName"}},
        {"Restarts", {"status", "restarts"}},
        {"Active runs", {"status", "activeRuns"}},
        {"Schedule", {"status", "resolved", "schedule", "cron"}},
        {"Time zone", {"status", "resolved", "schedule", "timeZone"}},
        {"Next run", {"status", "nextRunTime"}},
        {"Last run", {"status", "lastRunTime"}},
        {"Result", {"status", "lastRunPhase"}},
        {"Last termination", {"status", "lastTermination", "reason"}},
        {"Message", {"status", "lastTermination", "message"}},
    };
    const char *goal = ak_json_text(agent, "spec", "goal", "inline", NULL);
    int r = ak_describe_meta(out, agent, now);

    if (r >= 0)
        r = ak_describe_rows(out, 0, agent, spec, AK_ARRAY_LEN(spec));
    if (r >= 0 && goal) {
        AK_AUTO(ak_buf) cut = AK_BUF_INIT(8192);
        r = ak_cells_add_line(&cut, goal, strlen(goal), GOAL_COLUMNS);
        if (r >= 0)
            r = ak_describe_line(out, 0, "Goal", ak_buf_text(&cut));
    }
    if (r >= 0)
        r = names(out, "Tools", ak_json_at(agent, "status", "resolved", "tools", NULL));
    if (r >= 0)
        r = names(out, "MCPs", ak_json_at(agent, "status", "resolved", "mcps", NULL));
    return r < 0 ? r : ak_describe_rows(out, 0, agent, state, AK_ARRAY_LEN(state));
}

static int problems(const json_t *agent, struct ak_buf *out)
{
    const json_t *list = ak_json_at(agent, "status", "resolved", "problems", NULL);
    int r = json_array_size(list) ? ak_buf_adds(out, "Problems:\n") : 0;

    for (size_t i = 0; r >= 0 && i < json_array_size(list); i++) {
        const char *text = ak_output_or(json_string_value(json_array_get(list, i)), "");
        r = ak_buf_adds(out, "  ");
        if (r >= 0)
            r = ak_cells_add_line(out, text, strlen(text), 4096);
        if (r >= 0)
            r = ak_buf_add(out, "\n", 1);
    }
    return r;
}

static int runs(const json_t *agent, ak_msec now, struct ak_buf *out)
{
    const json_t *list = ak_json_at(agent, "status", "runs", NULL);
    size_t n = json_array_size(list);
    AK_AUTO(ak_table) table = {0};
    char title[64];
    int r = ak_record_header(&table, false, false, false);

    for (size_t i = 0; r >= 0 && i < n && i < AK_DESCRIBE_RUNS; i++)
        r = ak_record_row(&table, json_array_get(list, i), false, false, false, now);
    (void)snprintf(title, sizeof(title), n > AK_DESCRIBE_RUNS ? "Runs (%d of %zu)" : "Runs",
                   AK_DESCRIBE_RUNS, n);
    return r < 0 || !n ? r : ak_describe_table(&table, title, out);
}

int ak_describe_agent(const json_t *agent, const json_t *events, ak_msec now, struct ak_buf *out)
{
    int r = head(agent, now, out);

    if (r >= 0)
        r = problems(agent, out);
    if (r >= 0)
        r = ak_describe_conditions(agent, now, out);
    if (r >= 0)
        r = runs(agent, now, out);
    return r < 0 ? r : ak_describe_events(events, now, out);
}
