/* SPDX-License-Identifier: Apache-2.0 */
/* exo tool sessions, kill, approvals, approve, deny: who uses a Tool, and who waits. */
#include <ak/base/text.h>

#include "exo/output.h"
#include "exo/tools.h"
#include "exo/verbs.h"

static int get(struct ak_exo *self, const char *what, json_t **ret, struct ak_error **reterr)
{
    return ak_tools_do(self, "GET", ak_tools_path(self, self->options->args[0], what, NULL, NULL),
                       NULL, 0, ret, reterr);
}

int ak_verb_tool_sessions(struct ak_exo *self, struct ak_error **reterr)
{
    static const struct ak_tools_column columns[] = {
        {"ID", {"id"}, AK_COLUMN_TEXT},
        {"KIND", {"kind"}, AK_COLUMN_TEXT},
        {"CALLER", {"caller", "kind"}, AK_COLUMN_TEXT},
        {"NAME", {"caller", "name"}, AK_COLUMN_TEXT},
        {"AGE", {"startTime"}, AK_COLUMN_AGE},
        {"LAST ACTIVE", {"lastActivityTime"}, AK_COLUMN_AGE},
        {"BUSY", {"busy"}, AK_COLUMN_TEXT},
        {"READ-ONLY", {"readOnly"}, AK_COLUMN_TEXT},
        {"STATEMENTS", {"statements"}, AK_COLUMN_TEXT},
    };
    AK_AUTO_JSON *answer = NULL;
    int r = get(self, "sessions", &answer, reterr);

    if (r >= 0)
        r = ak_tools_list(self, answer, columns, AK_ARRAY_LEN(columns), "No sessions found.",
                          reterr);
    return r < 0 ? r : AK_EXIT_OK;
}

static int post_reason(struct ak_exo *self, const char *path, struct ak_error **reterr)
{
    const char *reason = self->options->reason;
    AK_AUTO_JSON *body = reason ? json_pack("{ss}", "reason", reason) : json_object();

    if (!body)
        return ak_error_set(reterr, -EINVAL, "--reason is not UTF-8");
    return ak_tools_do(self, "POST", path, body, 0, NULL, reterr);
}

static int kill_one(struct ak_exo *self, const char *id, struct ak_error **reterr)
{
    int r = post_reason(self, ak_tools_path(self, self->options->args[0], "sessions", id, "kill"),
                        reterr);

    return r < 0 ? r : ak_output_line(reterr, "session %s ended", id);
}

int ak_verb_tool_kill(struct ak_exo *self, struct ak_error **reterr)
{
    const struct ak_exo_options *o = self->options;
    AK_AUTO_JSON *answer = NULL;
    int r = 0;

    if ((o->n_args > 1) == o->all)
        return ak_error_set(reterr, -EINVAL, "either a session's id or --all");
    if (o->n_args > 1) {
        r = kill_one(self, o->args[1], reterr);
        return r < 0 ? r : AK_EXIT_OK;
    }
    r = get(self, "sessions", &answer, reterr);
    const json_t *items = json_object_get(answer, "items");
    for (size_t i = 0; r >= 0 && i < json_array_size(items); i++) {
        const char *id = ak_json_text(json_array_get(items, i), "id", NULL);
        r = id ? kill_one(self, id, reterr) : 0;
        if (r == AK_E_NOT_FOUND && reterr) { /* it has ended by itself */
            *reterr = ak_error_free(*reterr);
            r = 0;
        }
    }
    return r < 0 ? r : AK_EXIT_OK;
}

int ak_verb_tool_approvals(struct ak_exo *self, struct ak_error **reterr)
{
    static const struct ak_tools_column columns[] = {
        {"ID", {"id"}, AK_COLUMN_TEXT},
        {"PHASE", {"phase"}, AK_COLUMN_TEXT},
        {"REQUESTED BY", {"requestedBy"}, AK_COLUMN_TEXT},
        {"OPERATION", {"operation"}, AK_COLUMN_TEXT},
        {"CLASS", {"class"}, AK_COLUMN_TEXT},
        {"AGE", {"requestedTime"}, AK_COLUMN_AGE},
        {"DECIDED BY", {"decidedBy"}, AK_COLUMN_TEXT},
        {"WHAT", {"preview"}, AK_COLUMN_TEXT},
    };
    AK_AUTO_JSON *answer = NULL;
    int r = get(self, "approvals", &answer, reterr);

    if (r >= 0)
        r = ak_tools_list(self, answer, columns, AK_ARRAY_LEN(columns), "Nothing waits.", reterr);
    return r < 0 ? r : AK_EXIT_OK;
}

static int decide(struct ak_exo *self, const char *verb, const char *done, struct ak_error **reterr)
{
    const struct ak_exo_options *o = self->options;
    int r =
        post_reason(self, ak_tools_path(self, o->args[0], "approvals", o->args[1], verb), reterr);

    if (r >= 0)
        r = ak_output_line(reterr, "%s %s", o->args[1], done);
    return r < 0 ? r : AK_EXIT_OK;
}

int ak_verb_tool_approve(struct ak_exo *self, struct ak_error **reterr)
{
    return decide(self, "approve", "approved", reterr);
}

int ak_verb_tool_deny(struct ak_exo *self, struct ak_error **reterr)
{
    return decide(self, "deny", "denied", reterr);
}
