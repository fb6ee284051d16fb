/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The book of runs: what was asked of Agents, where it is, how it ended.
 *
 * Reads:  Agents and pods (caches; one by name where the cache may be behind), keepers of pods, TokenReviews.
 * Writes: runs, lastRunTime, lastRunPhase, lastScheduleTime and activeRuns in the status of Agents (merge patch,
 *         field manager AK_RUNS_MANAGER; nobody else writes them), the Secret AK_RUNS_SECRET, Events.
 * Wakes:  keys of the queue "agent", when something happened to a run.
 * Never:  puts a prompt or an answer into a status, a log line or an Event; repeats a run that may have begun.
 *
 * A run goes the same way whoever asked for it: it is in the status (with the pod's uid, as soon
 * as there is a pod), then the keeper of that pod is told (PUT with its id: telling it twice is
 * telling it once), then the asker gets the answer. So whatever is lost on the way, the next
 * leader reads from the status what was begun.
 *
 * The leader's book of an Agent is made from a fresh read of the Agent when it first has to change
 * something, and is what counts from then on; an Agent without one is as its status says.
 *
 * Thread: any, where nothing else is said. Functions marked "blocks" wait for the API server or a
 * pod.
 */
#ifndef AK_MANAGER_RUNS_H
#define AK_MANAGER_RUNS_H

#include <ak/base/arena.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/thread.h>
#include <ak/base/time.h>
#include <ak/flow/cache.h>
#include <ak/json/json.h>
#include <ak/kube/object.h>
#include <ak/manage/metrics.h>
#include <ak/net/http_client.h>
#include <stdbool.h>
#include <stddef.h>

#include "manager/options.h"

struct ak_manager;

#define AK_RUNS_MANAGER "agentkube-manager-runs"
#define AK_RUNS_SECRET "agentkube-manager-link" /* certificate that keepers know the manager by */
#define AK_RUNS_SUBJECT "agentkube-manager"     /* its name */
#define AK_RUNS_AUDIENCE "agentkube"            /* of keepers' tokens */
#define AK_RUNS_RELAY_PORT "relay"              /* name of the keeper's port in the pod */
#define AK_RUNS_MAX_PROMPT (256u << 10)         /* bytes */
#define AK_RUNS_MAX_STATUS (640u << 10) /* bytes of status.runs: older finished ones go beyond it */

struct ak_runs;
struct ak_runs_options {
    struct ak_manager *manager;
    const struct ak_options *options;
    const struct ak_clock *clock; /* NULL: the system's */
    struct ak_cache *agents, *pods;
};
struct ak_runs *ak_runs_free(struct ak_runs *self); /* stopped, and the manager still there */
AK_MUST_USE int ak_runs_new(const struct ak_runs_options *options, struct ak_runs **ret,
                            struct ak_error **reterr);
AK_DEFINE_AUTO_PTR(ak_runs, ak_runs_free)
/* AK_STAGE_SERVICES: looks after the certificate. After stop every call gives AK_E_CANCELLED. */
AK_MUST_USE int ak_runs_start(struct ak_runs *self, struct ak_error **reterr);
void ak_runs_stop(struct ak_runs *self);
void ak_runs_metrics(struct ak_runs *self, struct ak_metrics *m);
/* PEM: who may sign the manager's certificate; for AGENTKUBE_MANAGER_CA of pods. A copy in
 * `arena`. NULL: there is none yet, so that no pod can be made (or no memory). Every Agent without
 * a pod is woken when it comes. */
const char *ak_runs_bundle(struct ak_runs *self, struct ak_arena *arena);

/* ---- for the Agent's reconcile ---- */

struct ak_runs_view {
    size_t active;          /* pending + queued + running */
    size_t pending;         /* wait for a pod: what wakes a suspended Agent */
    size_t running;         /* in a pod: queued there, or begun */
    const char *running_id; /* one of those, for messages; in the arena; NULL: none */
    ak_msec last_activity;  /* wall: when a run last was accepted, began or ended; 0: never */
    ak_msec last_schedule;  /* wall: status.lastScheduleTime as the book has it; 0: never */
    bool synced; /* false: it could not be read (an error of memory); nothing may be concluded */
};
/* Never blocks. */
AK_MUST_USE int ak_runs_look(struct ak_runs *self, const struct ak_object *agent,
                             struct ak_arena *arena, struct ak_runs_view *ret);
/*
 * One firing of the schedule. Blocks (one write). Does nothing for a time that is not after
 * last_schedule. What concurrencyPolicy says is done here: the run is accepted, and waits for the
 * pod; or a Skipped record tells why not (Overlap, QueueFull; DeadlineExceeded when `too_late`).
 * Call ak_runs_advance() afterwards, as always.
 */
AK_MUST_USE int ak_runs_fire(struct ak_runs *self, const struct ak_object *agent,
                             ak_msec scheduled_time, bool too_late, struct ak_error **reterr);
struct ak_result_hint {
    ak_msec again_after; /* negative: nothing but a change can bring it on */
};
/*
 * One step for all runs of the Agent; called at the end of every reconcile, whatever the phase.
 * Blocks while there is something to do. `pod` is the pod if it is this Agent's, its containers
 * are ready and it is not being deleted, or NULL. Gives what waits to the pod, settles what was
 * lost with an earlier pod, and writes the status if it differs. A keeper that does not answer is
 * no error: the hint says when to look again.
 */
AK_MUST_USE int ak_runs_advance(struct ak_runs *self, const struct ak_object *agent,
                                const struct ak_object *pod, struct ak_result_hint *ret,
                                struct ak_error **reterr);
/*
 * To be asked right before a pod is deleted for a reason that can wait (it is built from something
 * older, it is to be suspended). true: no run is in it, and from now on none is given to it.
 * false: one is; leave it alone. ak_runs_advance() with this very pod takes it back, so pass NULL
 * there once it is deleted. Never blocks.
 */
AK_MUST_USE bool ak_runs_release_pod(struct ak_runs *self, const struct ak_object *agent,
                                     const struct ak_object *pod);
/* Asks the agentlet, before a suspend. Blocks. Sessions: processes in the container that did not
 * come from us (kubectl exec). *ret_last_activity: wall; when one last ended, or a run; 0: never. */
AK_MUST_USE int ak_runs_sessions(struct ak_runs *self, const struct ak_object *agent,
                                 const struct ak_object *pod, int *ret_sessions,
                                 ak_msec *ret_last_activity, struct ak_error **reterr);

/* ---- for the invocation API ---- */

/*
 * Errors of these functions are meant for who asked: ak_error_http_status() is the status to
 * answer (400, 404, 409, 413, 429, 503, 504), ak_error_reason() the reason,
 * ak_error_retry_after_ms() when to come back. Records are as docs/api.md shows them, with `agent`
 * and `podUID`.
 */
struct ak_run_request {
    const char *ns, *agent;
    const char *prompt;          /* NULL: none (the goal, or the playbook, is enough) */
    const char *idempotency_key; /* NULL: none. 1 to 255 bytes */
    const char *requested_by;    /* user name; NULL: unknown */
    ak_msec timeout; /* of the run; 0: spec.run.timeoutSeconds; never longer than that */
    ak_msec hold;    /* how long to wait for the pod */
    const struct ak_cancel *cancel; /* the asker has gone; may be NULL */
};
/* Leader only. Blocks until the agentlet has it (or had it: the same key again), `hold` is over
 * (504: the run is Failed with RequestLost, unless the same key is asked for again), or it is
 * refused. */
AK_MUST_USE int ak_runs_start_run(struct ak_runs *self, const struct ak_run_request *request,
                                  json_t **ret_record, bool *ret_created, struct ak_error **reterr);
/* Leader only. Blocks. The record is as it is now: a process that is being stopped is still Running. */
AK_MUST_USE int ak_runs_cancel_run(struct ak_runs *self, const char *ns, const char *agent,
                                   const char *id, const char *by, json_t **ret_record,
                                   struct ak_error **reterr);
/* The whole record: from the pod if it is up, else what the status keeps. Any replica. Blocks. */
AK_MUST_USE int ak_runs_get(struct ak_runs *self, const char *ns, const char *agent, const char *id,
                            json_t **ret, struct ak_error **reterr);
/* Newest first, at most 500, of one Agent, a namespace (agent NULL), or all (ns NULL); what the
 * status keeps. Any replica. */
AK_MUST_USE int ak_runs_list(struct ak_runs *self, const char *ns, const char *agent,
                             json_t **ret_array, struct ak_error **reterr);

/*
 * A pod's keeper, proved to be that pod's: connections to it are pinned to its key. Counted; kept
 * for as long as somebody holds it, and between uses (AK_RUNS_MAX_TARGETS, the least used goes
 * first).
 */
#define AK_RUNS_MAX_TARGETS 256
struct ak_run_target;
struct ak_run_target *ak_run_target_unref(struct ak_run_target *self); /* returns NULL */
static inline void ak__auto_run_target(struct ak_run_target **p)
{
    if (*p)
        (void)ak_run_target_unref(*p);
}
#define AK_AUTO_TARGET __attribute__((cleanup(ak__auto_run_target))) struct ak_run_target *
struct ak_http_client *ak_run_target_client(struct ak_run_target *self); /* borrowed */
const char *ak_run_target_pod_uid(const struct ak_run_target *self);
/* Any replica. Blocks (nothing to wait for when it is known already). 503 with Retry-After: there
 * is no pod that answers. */
AK_MUST_USE int ak_runs_target(struct ak_runs *self, const char *ns, const char *agent,
                               struct ak_run_target **ret, struct ak_error **reterr);
/*
 * The same for any pod that proves itself as a keeper does: its port has the name AK_RUNS_RELAY_PORT, it answers
 * /v1/identity there, and its token is for AK_RUNS_AUDIENCE. For bastions. Errors are those of trust.h: AK_E_NOT_FOUND,
 * AK_E_FORBIDDEN, -EAGAIN, or that it does not answer. Blocks.
 */
AK_MUST_USE int ak_runs_prove(struct ak_runs *self, const char *ns, const char *pod,
                              const char *pod_uid, struct ak_run_target **ret,
                              struct ak_error **reterr);
struct ak_run_target *ak_run_target_ref(struct ak_run_target *self);
/* What it gave did not work (its keeper was restarted, say): the next ak_runs_target() starts afresh. */
void ak_runs_target_failed(struct ak_runs *self, struct ak_run_target *target);

#endif
