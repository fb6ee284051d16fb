/* SPDX-License-Identifier: Apache-2.0 */
#include "exo/records.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <ak/base/text.h>

#include "exo/output.h"
#include "exo/proxy.h"
#include "terminal/cells.h"

#define RESULT_COLUMNS 60

int ak_record_list(struct ak_exo *self, const char *agent, bool everywhere, json_t **ret,
                   struct ak_error **reterr)
{
    AK_AUTO_JSON *answer = NULL;
    const struct ak_proxy_call call = {
        .method = "GET",
        .path = everywhere ? "/runs" : ak_proxy_runs_path(self, agent, NULL, NULL),
    };

    if (!call.path)
        return ak_error_oom(reterr);
    int r = ak_proxy_do(self, &call, &answer, reterr);
    if (r < 0)
        return r;
    json_t *items = json_is_array(answer) ? answer : json_object_get(answer, "items");
    if (!json_is_array(items))
        return ak_error_set(reterr, AK_E_PROTOCOL, "the manager's answer is no list of runs");
    *ret = json_incref(items);
    return 0;
}

static int look_up(struct ak_exo *self, const char *id, const char **ret, struct ak_error **reterr)
{
    AK_AUTO_JSON *all = NULL;
    int r = ak_record_list(self, NULL, false, &all, reterr);

    for (size_t i = 0; r >= 0 && i < json_array_size(all); i++) {
        const json_t *one = json_array_get(all, i);
        if (!ak_streq(ak_json_text(one, "id", NULL), id))
            continue;
        const char *name = ak_json_text(one, "agent", "name", NULL);
        *ret = name ? ak_arena_strdup(self->arena, name) : NULL;
        return *ret ? 0 : ak_error_set(reterr, AK_E_PROTOCOL, "run \"%s\" has no agent", id);
    }
    return r < 0 ? r
                 : ak_error_set(reterr, AK_E_NOT_FOUND, "no run \"%s\" in namespace \"%s\"", id,
                                self->ns);
}

int ak_record_name(struct ak_exo *self, struct ak_record_name *ret, struct ak_error **reterr)
{
    const struct ak_exo_options *o = self->options;
    const char *first = o->args[0];

    *ret = (struct ak_record_name){0};
    if (ak_streq(o->command->noun, "agent")) {
        *ret = (struct ak_record_name){first, o->n_args > 1 ? o->args[1] : NULL};
        return 0;
    }
    const char *slash = strchr(first, '/');
    if (slash) {
        *ret = (struct ak_record_name){
            ak_arena_strndup(self->arena, first, (size_t)(slash - first)), slash + 1};
        return ret->agent ? 0 : ak_error_oom(reterr);
    }
    ret->id = first;
    return look_up(self, first, &ret->agent, reterr);
}

int ak_record_get(struct ak_exo *self, const struct ak_record_name *name, json_t **ret,
                  struct ak_error **reterr)
{
    const struct ak_proxy_call call = {
        .method = "GET",
        .path = ak_proxy_runs_path(self, name->agent, name->id, NULL),
    };
    return call.path ? ak_proxy_do(self, &call, ret, reterr) : ak_error_oom(reterr);
}

int ak_record_cancel(struct ak_exo *self, const struct ak_record_name *name, json_t **ret,
                     struct ak_error **reterr)
{
    const struct ak_proxy_call call = {
        .method = "POST",
        .path = ak_proxy_runs_path(self, name->agent, name->id, "cancel"),
    };
    return call.path ? ak_proxy_do(self, &call, ret, reterr) : ak_error_oom(reterr);
}

int ak_record_header(struct ak_table *table, bool wide, bool with_agent, bool with_namespace)
{
    int r = with_namespace ? ak_table_cell(table, "NAMESPACE") : 0;

    if (r >= 0 && with_agent)
        r = ak_table_cell(table, "AGENT");
    if (r >= 0)
        r = ak_table_cell(table, "ID");
    if (r >= 0)
        r = ak_table_cell(table, "PHASE");
    if (r >= 0)
        r = ak_table_cell(table, "TRIGGER");
    if (r >= 0)
        r = ak_table_cell(table, "AGE");
    if (r >= 0)
        r = ak_table_cell(table, "DURATION");
    if (r < 0 || !wide)
        return r < 0 ? r : ak_table_end_row(table);
    return ak_table_add(table, "REASON", "REQUESTED BY", "TOKENS IN", "TOKENS OUT", "COST",
                        "RESULT");
}

static const char *number_of(const json_t *record, const char *name, char buf[static 32])
{
    const json_t *value = ak_json_at(record, "usage", name, NULL);

    if (!json_is_integer(value))
        return "";
    (void)snprintf(buf, 32, "%" PRId64, (int64_t)json_integer_value(value));
    return buf;
}

static const char *duration_of(const json_t *record, ak_msec wall_now, char buf[static 32])
{
    const json_t *took = json_object_get(record, "durationMilliseconds");
    const char *started = ak_json_text(record, "startTime", NULL);
    const char *ended = ak_json_text(record, "completionTime", NULL);
    ak_msec from, to = wall_now;

    if (json_is_integer(took))
        return ak_output_span((ak_msec)json_integer_value(took), buf);
    if (!started || ak_parse_rfc3339(started, &from) < 0)
        return "";
    if (ended && ak_parse_rfc3339(ended, &to) < 0)
        return "";
    return ak_output_span(AK_MAX(to - from, 0), buf);
}

static int add_wide(struct ak_table *table, const json_t *record)
{
    AK_AUTO(ak_buf) result = AK_BUF_INIT(4096);
    const char *text = ak_json_text(record, "result", NULL);
    const char *cost = ak_json_text(record, "usage", "costUSD", NULL);
    char in[32], out[32];

    if (!text)
        text = ak_output_or(ak_json_text(record, "message", NULL), "");
    int r = ak_cells_add_line(&result, text, strlen(text), RESULT_COLUMNS);
    return r < 0 ? r
                 : ak_table_add(table, ak_json_text(record, "reason", NULL),
                                ak_json_text(record, "requestedBy", NULL),
                                number_of(record, "inputTokens", in),
                                number_of(record, "outputTokens", out), cost, ak_buf_text(&result));
}

int ak_record_row(struct ak_table *table, const json_t *record, bool wide, bool with_agent,
                  bool with_namespace, ak_msec wall_now)
{
    char age[32], span[32];
    int r = 0;

    if (with_namespace)
        r = ak_table_cell(table, ak_json_text(record, "agent", "namespace", NULL));
    if (r >= 0 && with_agent)
        r = ak_table_cell(table, ak_json_text(record, "agent", "name", NULL));
    if (r >= 0)
        r = ak_table_cell(table, ak_json_text(record, "id", NULL));
    if (r >= 0)
        r = ak_table_cell(table, ak_json_text(record, "phase", NULL));
    if (r >= 0)
        r = ak_table_cell(table, ak_json_text(record, "trigger", NULL));
    const char *since = ak_json_text(record, "queuedTime", NULL);
    if (!since)
        since = ak_json_text(record, "scheduledTime", NULL);
    if (r >= 0)
        r = ak_table_cell(table, ak_output_age(since, wall_now, age));
    if (r >= 0)
        r = ak_table_cell(table, duration_of(record, wall_now, span));
    if (r < 0)
        return r;
    return wide ? add_wide(table, record) : ak_table_end_row(table);
}
