/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/text.h>

#include "exo/describe.h"
#include "exo/describe_parts.h"
#include "exo/output.h"

static int head(const json_t *tool, ak_msec now, struct ak_buf *out)
{
    static const struct ak_describe_row spec[] = {
        {"Type", {"spec", "type"}},
        {"Description", {"spec", "description"}},
        {"Host", {"spec", "config", "hostname"}},
        {"Port", {"spec", "config", "port"}},
        {"URL", {"spec", "config", "url"}},
        {"Database", {"spec", "config", "databaseName"}},
        {"User", {"spec", "config", "username"}},
        {"Credential", {"spec", "config", "credentialsRef", "name"}},
        {"Idle timeout", {"spec", "idleTimeout"}},
        {"Max sessions", {"spec", "maxSessions"}},
        {"Approval", {"spec", "approval", "mode"}},
        {"Image", {"status", "image"}},
        {"Phase", {"status", "phase"}},
        {"Bastion", {"status", "bastion", "podName"}},
        {"Sessions", {"status", "bastion", "sessions"}},
        {"Last used", {"status", "bastion", "lastUsed"}},
    };
    int r = ak_describe_meta(out, tool, now);

    return r < 0 ? r : ak_describe_rows(out, 0, tool, spec, AK_ARRAY_LEN(spec));
}

static int probe(const json_t *tool, struct ak_buf *out)
{
    static const struct ak_describe_row rows[] = {
        {"Time", {"time"}},
        {"Server", {"server"}},
        {"Reachable", {"reachable"}},
        {"Authenticated", {"authenticated"}},
        {"Authorised", {"authorised"}},
        {"Message", {"message"}},
    };
    const json_t *last = ak_json_at(tool, "status", "lastProbe", NULL);
    int r = last ? ak_buf_adds(out, "Last probe:\n") : 0;

    return r < 0 || !last ? r : ak_describe_rows(out, 2, last, rows, AK_ARRAY_LEN(rows));
}

static int approvals(const json_t *tool, ak_msec now, struct ak_buf *out)
{
    const json_t *list = ak_json_at(tool, "status", "approvals", NULL);
    AK_AUTO(ak_table) table = {0};
    int r = ak_table_add(&table, "ID", "PHASE", "REQUESTED BY", "OPERATION", "AGE");

    for (size_t i = 0; r >= 0 && i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        char age[32];
        r = ak_table_add(&table, ak_json_text(one, "id", NULL), ak_json_text(one, "phase", NULL),
                         ak_json_text(one, "requestedBy", NULL),
                         ak_json_text(one, "operation", NULL),
                         ak_output_age(ak_json_text(one, "requestedTime", NULL), now, age));
    }
    return r < 0 || !json_array_size(list) ? r : ak_describe_table(&table, "Approvals", out);
}

int ak_describe_tool(const json_t *tool, const json_t *events, ak_msec now, struct ak_buf *out)
{
    int r = head(tool, now, out);

    if (r >= 0)
        r = probe(tool, out);
    if (r >= 0)
        r = ak_describe_conditions(tool, now, out);
    if (r >= 0)
        r = approvals(tool, now, out);
    return r < 0 ? r : ak_describe_events(events, now, out);
}
