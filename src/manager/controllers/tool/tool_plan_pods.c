/* SPDX-License-Identifier: Apache-2.0 */
/* Connection checks, what they say about the Tool, and the bastion. */
#include <ak/base/text.h>
#include <stdio.h>
#include <string.h>

#include "manager/controllers/tool/tool_planning.h"
#include "manager/runs/runs.h"

#define RECORDED_AGAIN AK_SECONDS(5)

static struct ak_tool_pod_input input_of(const struct ak_tool_planning *p, enum ak_tool_role role,
                                         const char *name, const char *hash)
{
    return (struct ak_tool_pod_input){
        .role = role,
        .name = name,
        .meta = p->meta,
        .spec = p->spec,
        .text = p->m.text,
        .info = p->m.info,
        .options = p->o->options,
        .image = p->m.image,
        .bundle = p->o->bundle,
        .account = p->names.bastion,
        .identity = p->m.is_provisioned ? p->names.identity : NULL,
        .hash = hash,
    };
}

/* ---- probe ---- */

static int record_probe(struct ak_tool_planning *p)
{
    const struct ak_tool_pod_view *pod = &p->probe;
    const struct ak_tool_outcome *said = &pod->outcome;
    const struct ak_tool_probe *was = p->old->last_probe;
    struct ak_tool_probe *now = ak_arena_alloc(p->arena, sizeof(*now));
    if (!now)
        return ak_error_oom(p->reterr);
    now->time = p->o->now;
    now->reachable = said->reachable;
    now->authenticated = said->authenticated;
    now->authorised = said->authorised;
    now->succeeded = pod->has_outcome && !pod->failed && said->reachable && said->authenticated &&
                     said->authorised;
    now->server = ak_is_empty(said->server) ? NULL : said->server;
    now->message = ak_is_empty(said->message) ? pod->message : said->message;
    if (!now->message && !pod->has_outcome)
        now->message = "the pod ended without a result";
    now->failures = now->succeeded ? 0 : (was ? was->failures : 0) + 1;
    now->hash = ak_tool_record_of(p, pod);
    if (!now->hash)
        return ak_error_oom(p->reterr);
    p->plan->status.last_probe = now;
    ak_tool_again(p, RECORDED_AGAIN); /* in case the wake-up by our own status write is lost */
    return 0;
}

/* When a person asked for one; 0: nobody did. */
static ak_msec requested_at(const struct ak_tool_planning *p)
{
    const char *text = ak_string_map_get(&p->meta->annotations, AK_TOOLS_PROBE_ANNOTATION);
    ak_msec when = 0;
    /* Whole seconds, as the times of checks are; else the check that answers would seem to be older. */
    return text && ak_parse_rfc3339(text, &when) >= 0 ? when - when % 1000 : 0;
}

/* From the last check to the next. */
static ak_msec probe_interval(const struct ak_tool_planning *p, const struct ak_tool_probe *last)
{
    return last->succeeded ? ak_tool_spread(p, AK_TOOL_PROBE_EVERY)
                           : ak_tool_backoff(last->failures);
}

static bool is_probe_due(struct ak_tool_planning *p, const char *hash)
{
    const struct ak_tool_probe *last = p->old->last_probe;
    ak_msec requested = requested_at(p);
    /* A time that lies ahead is no reason to check until then; the manager asks for the next second. */
    if (requested > p->o->now && requested - p->o->now <= AK_SECONDS(2))
        ak_tool_again(p, requested - p->o->now);
    if (requested && requested <= p->o->now && (!last || last->time < requested))
        return true;
    if (!p->spec->probe)
        return false;
    if (!last || !ak_tool_record_is_for(last->hash, hash))
        return true;
    ak_msec left = last->time + probe_interval(p, last) - p->o->now;
    if (left > 0)
        ak_tool_again(p, left);
    return left <= 0;
}

/* New passwords for the same users are no other connection. */
static int probe_hash(struct ak_tool_planning *p, char ret[static AK_TOOL_HASH_LEN + 1])
{
    const char *const texts[] = {p->m.tool, p->m.is_provisioned ? p->m.made_for : p->m.secrets};
    return ak_tool_hash(ret, texts, AK_ARRAY_LEN(texts)) < 0 ? ak_error_oom(p->reterr) : 0;
}

int ak_tool_plan_probe(struct ak_tool_planning *p, bool may)
{
    const struct ak_tool_probe *last = p->old->last_probe;
    char hash[AK_TOOL_HASH_LEN + 1];
    int r = probe_hash(p, hash);
    if (r < 0)
        return r;
    bool same = ak_streq(p->probe.hash, hash);
    switch (p->probe.state) {
    case AK_TOOL_POD_ENDED:
        if (same && !(last && ak_tool_is_recorded(last->hash, &p->probe)))
            return record_probe(p);
        ak_tool_remove(p, p->probe.pod, NULL, NULL);
        return 0;
    case AK_TOOL_POD_LIVING:
    case AK_TOOL_POD_READY:
        if (!same || !may)
            ak_tool_remove(p, p->probe.pod, NULL, NULL);
        return 0;
    case AK_TOOL_POD_FOREIGN:
        ak_tool_again(p, AK_SECONDS(30));
        return 0;
    case AK_TOOL_POD_ABSENT:
        break;
    default:
        return 0;
    }
    if (!may || !is_probe_due(p, hash))
        return 0;
    const struct ak_tool_pod_input in = input_of(p, AK_TOOL_ROLE_PROBE, p->names.probe, hash);
    return ak_tool_pod_build(&in, &p->plan->probe, p->reterr);
}

/* Which of the three failed, and the server's own words. */
static const char *failure_text(struct ak_tool_planning *p, const struct ak_tool_probe *probe)
{
    const char *what = "the check could not be made";
    if (probe->authenticated)
        what = "reachable and authenticated, but not authorised";
    else if (probe->reachable)
        what = "reachable, but not authenticated";
    else if (probe->message)
        what = "not reachable";
    return ak_arena_printf(p->arena, "%s%s%s", what, probe->message ? ": " : "",
                           probe->message ? probe->message : "");
}

static const char *success_text(struct ak_tool_planning *p, const struct ak_tool_probe *probe)
{
    return ak_arena_printf(p->arena, "reachable, authenticated and authorised%s%s",
                           probe->server ? ": " : "", probe->server ? probe->server : "");
}

static const char *waiting_text(struct ak_tool_planning *p)
{
    if (p->probe.state == AK_TOOL_POD_FOREIGN)
        return ak_arena_printf(p->arena,
                               "pod \"%s\" exists and does not belong to this Tool; delete it",
                               p->names.probe);
    return ak_arena_printf(p->arena, "the connection is being checked%s",
                           ak_tool_aside(p, &p->probe));
}

int ak_tool_plan_ready(struct ak_tool_planning *p)
{
    const struct ak_tool_probe *last = p->plan->status.last_probe;
    char hash[AK_TOOL_HASH_LEN + 1];
    const char *text;
    int r = probe_hash(p, hash);
    if (r < 0)
        return r;
    if (!p->spec->probe) {
        ak_tool_set_ready(p, "NotProbed",
                          "spec.probe is false: that the system can be reached is seen when the "
                          "Tool is used");
        return 0;
    }
    bool known = last && ak_tool_record_is_for(last->hash, hash);
    text = !known            ? waiting_text(p)
           : last->succeeded ? success_text(p, last)
                             : failure_text(p, last);
    if (!text)
        return ak_error_oom(p->reterr);
    if (!known)
        ak_tool_plan_not_ready(p->plan, p->o, AK_TOOL_PHASE_PENDING, "Probing", text);
    else if (last->succeeded)
        ak_tool_set_ready(p, "Reachable", text);
    else
        ak_tool_plan_not_ready(p->plan, p->o, AK_TOOL_PHASE_FAILED, "ProbeFailed", text);
    return 0;
}

/* ---- bastion ---- */

/* "TOOL-SECRETS" */
static const char *bastion_hash(struct ak_tool_planning *p)
{
    return ak_arena_printf(p->arena, "%s-%s", p->m.tool, p->m.secrets);
}

/* Why what runs is not what should run; NULL: it is. */
static const char *end_reason(const struct ak_tool_planning *p, const char *hash)
{
    if (ak_streq(p->bastion.hash, hash))
        return NULL;
    bool tool = p->bastion.hash && strncmp(p->bastion.hash, p->m.tool, AK_TOOL_HASH_LEN) == 0;
    return tool ? "the credential was changed" : "the Tool was changed";
}

/* A bastion that failed is counted once; the next one waits a little longer each time. */
static void count_failure(struct ak_tool_planning *p)
{
    struct ak_tool_recall *recall = &p->plan->recall;
    if (ak_streq(recall->bastion_failed, p->bastion.uid))
        return;
    (void)snprintf(recall->bastion_failed, sizeof(recall->bastion_failed), "%s", p->bastion.uid);
    recall->bastion_failures++;
    recall->bastion_not_before = p->o->uptime + ak_tool_backoff(recall->bastion_failures) / 5;
    ak_tool_tell(p, true, "BastionFailed", p->bastion.message);
}

static int create_bastion(struct ak_tool_planning *p, const char *hash)
{
    ak_msec pause = p->plan->recall.bastion_not_before - p->o->uptime;
    if (!p->o->use.wanted)
        return 0;
    if (!p->o->bundle) { /* bastions have to know who may talk to them */
        ak_tool_again(p, AK_SECONDS(2));
        return 0;
    }
    if (p->plan->recall.bastion_failures && pause > 0) {
        ak_tool_again(p, pause);
        return 0;
    }
    const struct ak_tool_pod_input in = input_of(p, AK_TOOL_ROLE_BASTION, p->names.bastion, hash);
    return ak_tool_pod_build(&in, &p->plan->bastion, p->reterr);
}

/* One that runs: is it still the right one? What only a new version of ours changed waits until it is not used. */
static int check_bastion(struct ak_tool_planning *p, const char *hash)
{
    const struct ak_tool_pod_input in = input_of(p, AK_TOOL_ROLE_BASTION, p->names.bastion, hash);
    AK_AUTO_JSON *pod = NULL;
    const char *reason = end_reason(p, hash);
    bool is_ready = p->bastion.state == AK_TOOL_POD_READY;
    ak_msec unwanted = p->bastion.created + AK_TOOL_UNWANTED - p->o->now;
    if (reason) {
        ak_tool_remove(p, p->bastion.pod, reason, is_ready ? reason : NULL);
        return 0;
    }
    ak_tool_again(p, AK_TOOL_POLL);
    if (is_ready)
        p->plan->recall.bastion_failures = 0;
    if (!is_ready && !p->o->use.wanted && unwanted <= 0) {
        ak_tool_remove(p, p->bastion.pod, "it did not start, and nobody waits for it any more",
                       NULL);
        return 0;
    }
    bool idle = is_ready && p->o->use.is_known && !p->o->use.sessions && !p->o->use.wanted;
    if (!idle || !p->o->bundle)
        return 0;
    int r = ak_tool_pod_build(&in, &pod, p->reterr);
    if (r < 0)
        return r;
    if (!ak_streq(ak_json_text(pod, "metadata", "annotations", AK_TOOL_POD_BUILD, NULL),
                  p->bastion.build))
        ak_tool_remove(p, p->bastion.pod, "agentkube has another version now",
                       "agentkube has another version now");
    return 0;
}

/* How it is used changes often; the status need not say each of it. */
static int set_bastion_status(struct ak_tool_planning *p)
{
    const struct ak_tool_bastion *was = p->old->bastion;
    struct ak_tool_bastion *now = ak_arena_alloc(p->arena, sizeof(*now));
    ak_msec left = p->o->recall.use_written + AK_TOOL_USE_EVERY - p->o->uptime;
    if (!now)
        return ak_error_oom(p->reterr);
    p->plan->status.bastion = now;
    now->pod_name = p->names.bastion;
    now->sessions = (int64_t)p->o->use.sessions;
    now->last_used = p->o->use.last_used - p->o->use.last_used % 1000; /* as it is written */
    if (was && was->sessions == now->sessions && was->last_used == now->last_used)
        return 0;
    if (was && p->o->recall.use_written && left > 0) {
        now->sessions = was->sessions;
        now->last_used = was->last_used;
        ak_tool_again(p, left);
        return 0;
    }
    p->plan->recall.use_written = p->o->uptime;
    return 0;
}

int ak_tool_plan_bastion(struct ak_tool_planning *p, const char *stop)
{
    const char *hash = bastion_hash(p);
    bool living = p->bastion.state == AK_TOOL_POD_LIVING || p->bastion.state == AK_TOOL_POD_READY;
    if (!hash)
        return ak_error_oom(p->reterr);
    if (p->bastion.state == AK_TOOL_POD_ENDED) {
        if (p->bastion.failed)
            count_failure(p);
        ak_tool_remove(p, p->bastion.pod,
                       p->bastion.failed ? p->bastion.message : "it was not used any more", NULL);
        return 0;
    }
    if (living && stop) {
        ak_tool_remove(p, p->bastion.pod, stop,
                       p->bastion.state == AK_TOOL_POD_READY ? stop : NULL);
        return 0;
    }
    if (living) {
        int r = check_bastion(p, hash);
        return r < 0 ? r : set_bastion_status(p);
    }
    if (p->bastion.state == AK_TOOL_POD_FOREIGN && p->o->use.wanted)
        ak_tool_again(p, AK_SECONDS(5));
    return !stop && p->bastion.state == AK_TOOL_POD_ABSENT ? create_bastion(p, hash) : 0;
}
