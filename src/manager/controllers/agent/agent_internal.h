/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What crosses the arrows inside the Agent controller: observe -> plan -> apply -> status.
 * All texts and lists of one reconcile live in one arena; objects are references of the observation.
 */
#ifndef AK_MANAGER_AGENT_INTERNAL_H
#define AK_MANAGER_AGENT_INTERNAL_H

#include <ak/api/agent.h>
#include <ak/base/arena.h>
#include <ak/json/json.h>
#include <ak/kube/object.h>

#include "manager/controllers/agent/agent.h"
#include "manager/controllers/agent/specs/specs.h"
#include "manager/kinds.h"
#include "manager/runs/runs.h"

#define AK_AGENT_ARENA_MAX (4u << 20)        /* bytes of one reconcile */
#define AK_AGENT_GROUP_MAX 256               /* Agents that share one memory */
#define AK_AGENT_PROBLEMS_MAX 16             /* shown at once; more are counted */
#define AK_AGENT_MESSAGE_MAX 1024            /* bytes of what a container said, in a condition */
#define AK_AGENT_BACKOFF_FIRST AK_SECONDS(5) /* doubled with each failed pod ... */
#define AK_AGENT_BACKOFF_MAX AK_MINUTES(5)
#define AK_AGENT_CLOCK_CHECK AK_MINUTES(10) /* timers do not see that somebody sets the clock */
#define AK_AGENT_SCHEDULE_TOLERANCE AK_SECONDS(5) /* our own way to a run is no delay of it */
#define AK_AGENT_ASK_AGAIN AK_MINUTES(1) /* while somebody is in the container, or nobody answers */
#define AK_AGENT_BACKOFF_RESET AK_MINUTES(10) /* ... until one was ready for so long */

/* ---- observe ---- */

typedef AK_LIST_OF(struct ak_agent_resolved_ref) ak_agent_ref_list;

/* Everything that a decision may depend on. */
struct ak_agent_observed {
    const struct ak_object *agent;                    /* never NULL */
    const struct ak_object *pod, *workspace, *memory; /* of those names, or NULL */
    AK_LIST_OF(struct ak_owner_ref)
    group; /* all members of the group, oldest first, itself included */
    struct ak_digest goal, token, repo; /* zero where the spec names none */
    ak_agent_ref_list tools, mcps;
    bool gateway_found;
    const char *schedule_error; /* NULL: none, or no schedule */
    ak_msec next_run;           /* wall clock; 0: no schedule */
    ak_msec due;                /* wall clock: the time of the schedule to act upon; 0: none */
    struct ak_runs_view runs;
    const char *bundle; /* PEM, for keepers; NULL: not there yet */
    bool held;          /* a run is on its way into the pod: it must not be deleted now */
    bool asked;         /* the next two were asked of the agentlet, before a suspend */
    int sessions;       /* processes of people in the container; negative: there was no answer */
    ak_msec session_activity; /* wall clock; 0: never */
    ak_msec now;              /* wall clock */
    ak_msec secret_ttl;       /* when to look at its Secrets again; 0: it has none */
    const struct ak_options *options;
};
void ak_agent_observed_done(struct ak_agent_observed *self);
AK_DEFINE_AUTO(ak_agent_observed, ak_agent_observed_done)
/* 0; 1: there is no such Agent (any more). */
AK_MUST_USE int ak_agent_observe(struct ak_agents *self, const struct ak_request *req,
                                 struct ak_arena *arena, struct ak_agent_observed *ret,
                                 struct ak_error **reterr);

/* Its part about runs once more, after something was done about them. */
AK_MUST_USE int ak_agent_observe_runs(struct ak_agents *self, struct ak_arena *arena,
                                      struct ak_agent_observed *o, struct ak_error **reterr);

static inline const struct ak_agent_spec *ak_agent_spec_of(const struct ak_agent_observed *o)
{
    return ((const struct ak_agent *)ak_object_body(o->agent))->spec;
}
static inline const struct ak_agent_status *ak_agent_status_of(const struct ak_agent_observed *o)
{
    return ((const struct ak_agent *)ak_object_body(o->agent))->status;
}

/* Names of what an Agent owns. NULL: none, or no memory. */
const char *ak_agent_workspace_name(const struct ak_object *agent, struct ak_arena *arena);
const char *ak_agent_memory_name(const struct ak_object *agent, struct ak_arena *arena);
const char *ak_agent_group(const struct ak_object *agent); /* or NULL */

/* ---- schedule ---- */

/* Times of the schedule up to this one (wall clock) have been dealt with, or are nobody's business. Pure. */
ak_msec ak_agent_schedule_since(const struct ak_agent_observed *o);
/* Fills next_run, due and schedule_error; everything else has to be there. Reads the zone's file. */
AK_MUST_USE int ak_agent_schedule_observe(struct ak_agent_observed *o, struct ak_arena *arena,
                                          struct ak_error **reterr);
bool ak_agent_schedule_is_late(const struct ak_agent_observed *o, ak_msec due);

/* ---- resolve: what the spec means ---- */

enum ak_problem_kind {
    AK_PROBLEM_NOTE,       /* shown, stops nothing */
    AK_PROBLEM_UNRESOLVED, /* something that the spec names is missing: nothing is started */
    AK_PROBLEM_INVALID,    /* the spec contradicts itself: nothing is started until it changes */
};
struct ak_problem {
    enum ak_problem_kind kind;
    const char *reason;  /* of the condition */
    const char *message; /* with the field, and what to do */
};
struct ak_agent_view {
    const struct ak_runtime *runtime;   /* NULL: unset */
    const struct ak_provider *provider; /* NULL: not known */
    const char *group;
    bool token_exposed; /* the runtime itself has to have the key */
    struct ak_agent_resolved resolved;
    struct ak_problem problems[AK_AGENT_PROBLEMS_MAX];
    size_t n_problems, n_more;
    bool oom;
};
AK_MUST_USE int ak_agent_resolve(const struct ak_agent_observed *o, struct ak_arena *arena,
                                 struct ak_agent_view *ret, struct ak_error **reterr);
/* The worst problem (the first of the worst kind), or NULL. */
const struct ak_problem *ak_agent_worst_problem(const struct ak_agent_view *view);
void ak_agent_add_problem(struct ak_agent_view *view, struct ak_arena *arena,
                          enum ak_problem_kind kind, const char *reason, const char *fmt, ...)
    AK_PRINTF(5, 6);
/* The checks of the spec alone, that a schema cannot express. */
void ak_agent_check_spec(const struct ak_agent_observed *o, struct ak_arena *arena,
                         struct ak_agent_view *view);

/* ---- the pod, in words ---- */

/* At most `max` bytes of a text, whole characters, blanks at the end left out. NULL: no memory. */
AK_MUST_USE const char *ak_agent_cut(struct ak_arena *arena, const char *text, size_t max);

enum ak_pod_state {
    AK_POD_ABSENT,
    AK_POD_FOREIGN,  /* has the Agent's name and another owner */
    AK_POD_FORMER,   /* of a deleted Agent of the same name: the garbage collector's */
    AK_POD_STOPPING, /* being deleted */
    AK_POD_LOST,     /* its node does not answer: it may still run */
    AK_POD_ENDED,    /* Failed or Succeeded: will not run again */
    AK_POD_WAITING,  /* not ready (yet): starting, or in trouble that the kubelet retries */
    AK_POD_READY,
    AK_POD_STATE_MAX
};
struct ak_pod_view {
    enum ak_pod_state state;
    enum ak_agent_phase phase;
    const char *reason, *message; /* of the condition Ready */
    bool warning;
    bool sticky; /* kubelet alternates between two texts here: keep the first */
    bool
        can_work; /* a run may be under way in it: the agent runs, and the keeper is no lost cause */
    const char *uid, *node, *image_digest, *hash;
    int64_t restarts;
    ak_msec started, ended;                  /* ended: AK_POD_ENDED only */
    const struct ak_agent_termination *last; /* of the agent's container or the pod; NULL: none */
};
/* Images for messages: the agent's, and ours, which the other containers have. */
struct ak_pod_images {
    const char *agent, *manager;
};
AK_MUST_USE int ak_pod_view_make(const struct ak_object *pod, const struct ak_meta *agent,
                                 const struct ak_pod_images *images, struct ak_arena *arena,
                                 struct ak_pod_view *ret, struct ak_error **reterr);

/* ---- plan ---- */

enum ak_agent_move { /* at most one write to the pod in a reconcile */
                     AK_AGENT_MOVE_NONE,
                     AK_AGENT_MOVE_CREATE,
                     AK_AGENT_MOVE_DELETE,
                     AK_AGENT_MOVE_MAX
};
struct ak_agent_plan {
    enum ak_agent_move move;
    json_t *pod;       /* CREATE: the pod */
    const char *why;   /* of the step, for the event: "the spec changed" */
    bool gently;       /* DELETE: only if no run is in the pod, and none on its way */
    bool status_first; /* the status has to be on record before the step */
    ak_msec fire;      /* wall clock: time of the schedule to act upon first; 0: none */
    bool fire_late;    /* ... which comes too late to be run */
    bool ask;          /* ask the agentlet who is there, then plan again */
    const struct ak_object *pod_at_work; /* the pod, if it is ready and stays; NULL */
    json_t *workspace, *memory;          /* claims to apply, before the step; NULL: none */
    struct ak_agent_status status;       /* conditions included */
    struct ak_condition conditions[4];   /* Ready, Resolved, Paused, TokenExposed */
    size_t n_conditions;
    ak_msec again_after; /* negative: no */
    /* Set by apply: a pod was made, and its appearance in the cache is about to wake us. One write less
     * for each pod. */
    bool status_can_wait;
};
void ak_agent_plan_done(struct ak_agent_plan *self);
AK_DEFINE_AUTO(ak_agent_plan, ak_agent_plan_done)
/* Pure: all decisions. */
AK_MUST_USE int ak_agent_plan_make(const struct ak_agent_observed *o, struct ak_arena *arena,
                                   struct ak_agent_plan *ret, struct ak_error **reterr);
/* Says with reason and message why the Agent is not ready, in place of what the plan had. */
void ak_agent_plan_not_ready(struct ak_agent_plan *self, const struct ak_agent_observed *o,
                             enum ak_agent_phase phase, const char *reason, const char *message);

/* ---- apply ---- */

/* Carries the plan out. What the apiserver refuses for a reason that people can mend is put into the plan's
 * status; other failures are errors. */
AK_MUST_USE int ak_agent_apply(struct ak_agents *self, const struct ak_agent_observed *o,
                               struct ak_arena *arena, struct ak_agent_plan *plan,
                               struct ak_error **reterr);

/* ---- status ---- */

/* The status as JSON. */
AK_MUST_USE int ak_agent_status_json(const struct ak_agent_plan *plan, json_t **ret,
                                     struct ak_error **reterr);
/* Writes it if it differs, and tells what changed as Events. */
AK_MUST_USE int ak_agent_status_write(struct ak_agents *self, const struct ak_agent_observed *o,
                                      struct ak_agent_plan *plan, struct ak_error **reterr);
/* Is a condition worth an Event: another status or reason than in the status so far? */
bool ak_agent_condition_is_news(const struct ak_agent_status *before,
                                const struct ak_condition *now);
/* Is it something that people should mend? */
bool ak_agent_condition_is_warning(const struct ak_condition *condition);

#endif
