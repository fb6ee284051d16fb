/* SPDX-License-Identifier: Apache-2.0 */
/* exo status: is the manager well, and what do the Agents do? */
#include <inttypes.h>
#include <stdio.h>

#include <ak/base/text.h>

#include "exo/kinds.h"
#include "exo/manager.h"
#include "exo/objects.h"
#include "exo/output.h"
#include "exo/verbs.h"

static const char *const phases[] = {"Running", "Starting", "Pending",    "Suspended",
                                     "Paused",  "Failed",   "Terminating"};

static int count_agents(const json_t *list, json_t **ret)
{
    const json_t *items = json_object_get(list, "items");
    AK_AUTO_JSON *counts = json_object();
    json_int_t active = 0;

    for (size_t i = 0; counts && i < json_array_size(items); i++) {
        const json_t *agent = json_array_get(items, i);
        const char *phase = ak_output_or(ak_json_text(agent, "status", "phase", NULL), "Pending");
        json_int_t n = json_integer_value(json_object_get(counts, phase));
        active += json_integer_value(ak_json_at(agent, "status", "activeRuns", NULL));
        if (json_object_set_new(counts, phase, json_integer(n + 1)) < 0)
            return -ENOMEM;
    }
    *ret = json_pack("{sI sI sO}", "total", (json_int_t)json_array_size(items), "activeRuns",
                     active, "phases", counts);
    return *ret ? 0 : -ENOMEM;
}

static int read_manager(struct ak_exo *self, json_t **ret, struct ak_error **reterr)
{
    AK_AUTO_JSON *deployment = NULL;
    struct ak_manager_leader leader;
    int64_t available, wanted;

    int r = ak_manager_deployment(self, &deployment, reterr);
    if (r >= 0)
        r = ak_manager_leader(self, ak_wall_now(), &leader, reterr);
    if (r < 0)
        return r;
    ak_manager_replicas(deployment, &available, &wanted);
    *ret = deployment ? json_pack("{ss* sI sI ss* sb}", "image", ak_manager_image(deployment),
                                  "available", (json_int_t)available, "wanted", (json_int_t)wanted,
                                  "leader", leader.is_fresh ? leader.holder : NULL, "ready",
                                  available >= wanted && leader.is_fresh)
                      : json_pack("{sb}", "ready", 0);
    return *ret ? 0 : ak_error_oom(reterr);
}

static int add_manager(struct ak_exo *self, const json_t *manager, struct ak_table *table)
{
    const char *image = ak_json_text(manager, "image", NULL);
    const char *leader = ak_json_text(manager, "leader", NULL);
    const char *why = ak_json_text(manager, "message", NULL);
    char text[64];

    if (why)
        return ak_table_add(table, "manager", why);
    if (!image)
        return ak_table_add(table, "manager", "not installed (exo doctor says more)");
    (void)snprintf(text, sizeof(text), "%" PRId64 " of %" PRId64 " ready",
                   (int64_t)json_integer_value(json_object_get(manager, "available")),
                   (int64_t)json_integer_value(json_object_get(manager, "wanted")));
    int r = ak_table_add(table, "manager", text);
    if (r >= 0)
        r = ak_table_add(table, "image", image);
    (void)self;
    return r < 0 ? r : ak_table_add(table, "leader", ak_output_or(leader, "none"));
}

static int add_agents(const json_t *agents, struct ak_table *table)
{
    char text[32];
    int r = 0;

    (void)snprintf(text, sizeof(text), "%" PRId64,
                   (int64_t)json_integer_value(json_object_get(agents, "total")));
    r = ak_table_add(table, "agents", text);
    for (size_t i = 0; r >= 0 && i < AK_ARRAY_LEN(phases); i++) {
        const json_t *n = ak_json_at(agents, "phases", phases[i], NULL);
        if (!n)
            continue;
        (void)snprintf(text, sizeof(text), "%" PRId64, (int64_t)json_integer_value(n));
        AK_AUTO(ak_buf) label = AK_BUF_INIT(64);
        r = ak_buf_addf(&label, "  %s", phases[i]);
        if (r >= 0)
            r = ak_table_add(table, ak_buf_text(&label), text);
    }
    (void)snprintf(text, sizeof(text), "%" PRId64,
                   (int64_t)json_integer_value(json_object_get(agents, "activeRuns")));
    return r < 0 ? r : ak_table_add(table, "active runs", text);
}

int ak_verb_status(struct ak_exo *self, struct ak_error **reterr)
{
    struct ak_objects_query q = {.resource = ak_kinds_find("Agent")};
    AK_AUTO_PTR(ak_error) unseen = NULL;
    AK_AUTO(ak_table) table = {0};
    AK_AUTO_JSON *manager = NULL;
    AK_AUTO_JSON *list = NULL;
    AK_AUTO_JSON *agents = NULL;

    int r = ak_objects_read(self, &q, &list, reterr);
    if (r < 0)
        return r;
    /* Whoever works in one namespace need not see the manager's. */
    if (read_manager(self, &manager, &unseen) < 0)
        manager = json_pack("{ss}", "message", ak_error_message(unseen));
    if (!manager || count_agents(list, &agents) < 0)
        return ak_error_oom(reterr);
    if (self->options->output != AK_OUT_TABLE) {
        AK_AUTO_JSON *tree = json_pack("{sO sO}", "manager", manager, "agents", agents);
        r = tree ? ak_output_tree(self, tree, reterr) : ak_error_oom(reterr);
        return r < 0 ? r : AK_EXIT_OK;
    }
    r = add_manager(self, manager, &table);
    if (r >= 0)
        r = add_agents(agents, &table);
    r = r < 0 ? ak_error_set(reterr, r, "write the table") : ak_output_table(&table, reterr);
    return r < 0 ? r : AK_EXIT_OK;
}
