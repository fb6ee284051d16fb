/* SPDX-License-Identifier: Apache-2.0 */
/* What any replica can say about runs: from the status, or from the pod. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "manager/kinds.h"
#include "manager/runs/runs_internal.h"

#define MAX_LIST 500 /* records of one list; the newest */

static int find_agent(struct ak_runs *self, const char *ns, const char *name,
                      const struct ak_object **ret, struct ak_error **reterr)
{
    const struct ak_object *agent = ak_cache_get(self->o.agents, ns, name);

    if (!agent)
        return ak__runs_refuse(reterr, 404, "NotFound", 0,
                               "agent \"%s\" not found in namespace \"%s\"", name, ns);
    *ret = agent;
    return 0;
}

/* ---- get ---- */

static const struct ak_agent_run_record *find_record(const struct ak_object *agent, const char *id)
{
    const struct ak_agent *body = ak_object_body(agent);

    for (size_t i = 0; body->status && i < body->status->runs.len; i++)
        if (ak_streq(body->status->runs.items[i].id, id))
            return &body->status->runs.items[i];
    return NULL;
}

/* Ours: the book if we have one, else the status. *ret stays NULL when neither knows it. */
static int get_ours(struct ak_runs *self, const struct ak_object *agent, const char *id,
                    json_t **ret, struct ak_error **reterr)
{
    const struct ak_meta *m = ak_object_meta(agent);
    const struct ak_agent_run_record *record = find_record(agent, id);
    int r = 0;

    ak_mutex_lock(&self->lock);
    const struct ak_entry *e = ak_map_get(&self->entries, m->uid);
    bool known = e && e->confirmed;
    const struct ak_run *run = known ? ak_book_find(&e->book, id) : NULL;
    if (run)
        r = ak_run_json(run, m->namespace_, m->name, ret, reterr);
    ak_mutex_unlock(&self->lock);
    if (!known && record)
        r = ak_run_record_json(record, m->namespace_, m->name, ret, reterr);
    return r;
}

/* The agentlet's record with what only we know. */
static int complete(json_t *theirs, const json_t *ours, const struct ak_meta *m,
                    const char *pod_uid, struct ak_error **reterr)
{
    const char *had = ak_json_text(ours, "podUID", NULL);
    bool named = ak_streq(ak_json_text(ours, "phase", NULL), ak_json_text(theirs, "phase", NULL)) &&
                 ak_json_text(ours, "reason", NULL);
    int r = json_object_set_new(
        theirs, "agent", json_pack("{s:s, s:s}", "namespace", m->namespace_, "name", m->name));

    if (r >= 0)
        r = json_object_set_new(theirs, "podUID", json_string(had ? had : pod_uid));
    if (r >= 0 && named) /* why it was stopped is known better from outside */
        r = json_object_set(theirs, "reason", json_object_get(ours, "reason"));
    return r < 0 ? ak_error_oom(reterr) : 0;
}

/* *ret stays NULL when the pod does not say. */
static int get_theirs(struct ak_runs *self, const struct ak_object *agent, const char *id,
                      const json_t *ours, json_t **ret, struct ak_error **reterr)
{
    const struct ak_meta *m = ak_object_meta(agent);
    AK_AUTO_JSON *tree = NULL;
    char pod_uid[AK_UID_SIZE], path[128];
    bool ready = false;
    int status = 0;

    ak__runs_pod_uid(self, agent, pod_uid, &ready);
    (void)snprintf(path, sizeof(path), "/v1/runs/%s", id);
    if (!ready || ak__runs_ask_pod(self, m->namespace_, m->name, pod_uid, "GET", path, NULL,
                                   &status, &tree, NULL) < 0)
        return 0;
    if (status != 200 || !ak_json_text(tree, "id", NULL))
        return 0;
    int r = complete(tree, ours, m, pod_uid, reterr);
    if (r >= 0)
        *ret = AK_TAKE(tree);
    return r;
}

int ak_runs_get(struct ak_runs *self, const char *ns, const char *name, const char *id,
                json_t **ret, struct ak_error **reterr)
{
    AK_AUTO_OBJECT agent = NULL;
    AK_AUTO_JSON *ours = NULL;
    AK_AUTO_JSON *theirs = NULL;
    int r = find_agent(self, ns, name, &agent, reterr);

    if (r >= 0 && ak_is_dns_label(id))
        r = get_ours(self, agent, id, &ours, reterr);
    if (r >= 0 && ak_is_dns_label(id))
        r = get_theirs(self, agent, id, ours, &theirs, reterr);
    if (r < 0)
        return r;
    if (!ours && !theirs)
        return ak__runs_refuse(reterr, 404, "NotFound", 0, "run \"%s\" not found", id);
    *ret = theirs ? AK_TAKE(theirs) : AK_TAKE(ours);
    return 0;
}

/* ---- list ---- */

struct item {
    ak_msec when;
    const struct ak_object *agent;
    const struct ak_agent_run_record *record;
};

static int newer_first(const void *a, const void *b)
{
    const struct item *x = a, *y = b;

    return x->when < y->when ? 1 : x->when > y->when ? -1 : 0;
}

static size_t count_records(const struct ak_object *agent)
{
    const struct ak_agent *body = ak_object_body(agent);

    return body->status ? body->status->runs.len : 0;
}

static size_t add_items(struct item *items, size_t n, const struct ak_object *agent)
{
    const struct ak_agent *body = ak_object_body(agent);

    for (size_t i = 0; i < count_records(agent); i++) {
        const struct ak_agent_run_record *record = &body->status->runs.items[i];
        if (record->id)
            items[n++] = (struct item){record->queued_time, agent, record};
    }
    return n;
}

static int list_items(const struct item *items, size_t n, json_t **ret, struct ak_error **reterr)
{
    AK_AUTO_JSON *array = json_array();

    for (size_t i = 0; array && i < n && i < MAX_LIST; i++) {
        const struct ak_meta *m = ak_object_meta(items[i].agent);
        json_t *record = NULL;
        int r = ak_run_record_json(items[i].record, m->namespace_, m->name, &record, reterr);
        if (r < 0)
            return r;
        if (json_array_append_new(array, record) < 0)
            return ak_error_oom(reterr);
    }
    if (!array)
        return ak_error_oom(reterr);
    *ret = AK_TAKE(array);
    return 0;
}

static int list_agents(const struct ak_object *const *agents, size_t n_agents, json_t **ret,
                       struct ak_error **reterr)
{
    size_t n = 0, len = 0;

    for (size_t i = 0; i < n_agents; i++)
        len += count_records(agents[i]);
    struct item *items = ak_calloc(len ? len : 1, sizeof(*items));
    if (!items)
        return ak_error_oom(reterr);
    for (size_t i = 0; i < n_agents; i++)
        n = add_items(items, n, agents[i]);
    qsort(items, n, sizeof(*items), newer_first);
    int r = list_items(items, n, ret, reterr);
    ak_free(items);
    return r;
}

int ak_runs_list(struct ak_runs *self, const char *ns, const char *name, json_t **ret_array,
                 struct ak_error **reterr)
{
    AK_AUTO(ak_object_list) list = {0};
    AK_AUTO_OBJECT agent = NULL;

    if (ns && name) {
        int r = find_agent(self, ns, name, &agent, reterr);
        return r < 0 ? r : list_agents(&agent, 1, ret_array, reterr);
    }
    if (ak_cache_list(self->o.agents, ns, &list) < 0)
        return ak_error_oom(reterr);
    return list_agents(list.items, list.len, ret_array, reterr);
}

/* ---- targets ---- */

int ak_runs_target(struct ak_runs *self, const char *ns, const char *name,
                   struct ak_run_target **ret, struct ak_error **reterr)
{
    AK_AUTO_OBJECT agent = NULL;
    AK_AUTO_PTR(ak_error) err = NULL;
    char pod_uid[AK_UID_SIZE];
    int r = find_agent(self, ns, name, &agent, reterr);

    if (r < 0)
        return r;
    if (ak_cancel_is_set(&self->stop))
        return ak_error_set(reterr, AK_E_CANCELLED, "stopping");
    ak__runs_pod_uid(self, agent, pod_uid, NULL);
    if (!pod_uid[0])
        return ak__runs_refuse(reterr, 503, "ServiceUnavailable", AK_SECONDS(1),
                               "the Agent has no pod now");
    if (ak_trust_get(&self->trust, ns, name, pod_uid, ret, &err) >= 0)
        return 0;
    return ak__runs_refuse(reterr, 503, "ServiceUnavailable", AK_SECONDS(1),
                           "the Agent's pod does not answer: %s", ak_error_message(err));
}

int ak_runs_prove(struct ak_runs *self, const char *ns, const char *pod, const char *pod_uid,
                  struct ak_run_target **ret, struct ak_error **reterr)
{
    if (ak_cancel_is_set(&self->stop))
        return ak_error_set(reterr, AK_E_CANCELLED, "stopping");
    return ak_trust_get(&self->trust, ns, pod, pod_uid, ret, reterr);
}

void ak_runs_target_failed(struct ak_runs *self, struct ak_run_target *target)
{
    ak_trust_forget(&self->trust, target);
}
