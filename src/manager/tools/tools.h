/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The use of Tools: who wants a bastion, what is done through it, and what is kept of that.
 *
 * Reads:  Tools, Agents and pods (caches; a Tool by name where the cache may be behind), bastions, TokenReviews,
 *         Secrets of recordings by name.
 * Writes: status.approvals and status.recordings of Tools (merge patch, field manager AK_TOOLS_MANAGER; nobody else
 *         writes them), Secrets TOOL-recording-ID, the annotation AK_TOOLS_PROBE_ANNOTATION of Tools, the annotation
 *         AK_TOOLS_HEAD_ANNOTATION of the manager's Lease, lines of the Tools' audit log (stderr).
 * Wakes:  keys of Tools, through ak_tools_set_wake().
 * Never:  has a credential of a Tool; puts a statement or an argument into a log line other than an audit record, an
 *         Event or a metric.
 *
 * A call of somebody (operation, exec, forward) makes the Tool wanted; the controller sees that in ak_tools_look(),
 * makes the pod, and tells with the next look that it is ready; then the call goes on. What a bastion does is followed
 * (GET /v1/watch) as long as its pod is there, whoever made it, so a manager that was restarted knows its sessions and
 * misses none of its audit records.
 *
 * Only the leader wants bastions, follows them and writes; the invocation API passes such calls on to it.
 *
 * Thread: any, where nothing else is said. "Blocks": waits for the API server, a bastion or a pod.
 */
#ifndef AK_MANAGER_TOOLS_H
#define AK_MANAGER_TOOLS_H

#include <ak/base/arena.h>
#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/thread.h>
#include <ak/base/time.h>
#include <ak/flow/cache.h>
#include <ak/flow/key.h>
#include <ak/json/json.h>
#include <ak/kube/object.h>
#include <ak/manage/metrics.h>
#include <stdbool.h>
#include <stddef.h>

#include "manager/options.h"

struct ak_manager;
struct ak_runs;
struct ak_run_target;

#define AK_TOOLS_MANAGER "agentkube-manager-tools"
#define AK_TOOLS_PROBE_ANNOTATION                                                                  \
    "agentkube.io/probe-requested"                         /* of a Tool: RFC 3339, seconds    */
#define AK_TOOLS_HEAD_ANNOTATION "agentkube.io/audit-head" /* of the Lease */
#define AK_TOOLS_RECORDING_TYPE "agentkube.io/recording"   /* of Secrets */
#define AK_TOOLS_BASTION_SUFFIX "-bastion"                 /* of the name of a Tool's bastion pod */

/* Limits. Beyond each of them comes an error that says so. */
#define AK_TOOLS_MAX_CALLS_OF_AGENT 4 /* operations under way */
#define AK_TOOLS_MAX_CALLS_OF_TOOL                                                                 \
    32 /* operations and streams under way, or waiting for a bastion */
#define AK_TOOLS_MAX_ARGUMENTS (1u << 20) /* bytes of an operation's arguments */
#define AK_TOOLS_MAX_RESULT (8u << 20)    /* bytes of its result */
#define AK_TOOLS_MAX_APPROVALS 32         /* kept of one Tool */
#define AK_TOOLS_ENDING "Ending"          /* reason of a bastion's 503: it ends, and did nothing */
#define AK_TOOLS_MAX_PREVIEW 512          /* bytes of what an approval shows */
#define AK_TOOLS_MAX_HELD 16              /* calls that wait for a person at a time */
#define AK_TOOLS_HOLD_APPROVAL AK_SECONDS(50)    /* how long one waits */
#define AK_TOOLS_MAX_RECORDINGS 100              /* kept of one Tool, whatever its spec says */
#define AK_TOOLS_MAX_RECORDING (8u << 20)        /* bytes of one that are taken from a bastion */
#define AK_TOOLS_MAX_RECORDING_KEPT (900u << 10) /* bytes of one, compressed */
#define AK_TOOLS_MAX_TOOLS 4096                  /* Tools that are in use */

struct ak_tools;
struct ak_tools_options {
    struct ak_manager *manager;
    const struct ak_options *options;
    const struct ak_clock *clock; /* NULL: the system's */
    struct ak_runs *runs;         /* whose certificate and proofs are used */
    struct ak_cache *tools, *agents, *pods;
};
struct ak_tools *ak_tools_free(struct ak_tools *self); /* stopped; manager and runs still there */
AK_MUST_USE int ak_tools_new(const struct ak_tools_options *options, struct ak_tools **ret,
                             struct ak_error **reterr);
AK_DEFINE_AUTO_PTR(ak_tools, ak_tools_free)
/* AK_STAGE_SERVICES, after ak_runs_start(), before ak_invoke_start(). */
AK_MUST_USE int ak_tools_start(struct ak_tools *self, struct ak_error **reterr);
/* Before ak_runs_stop(). Bastions go on; who waits is told. Every call gives AK_E_CANCELLED afterwards. */
void ak_tools_stop(struct ak_tools *self);
void ak_tools_metrics(struct ak_tools *self, struct ak_metrics *m);

/* Of the Lease (ak_leader_options): where the audit log of the leader before ended, and where ours is. */
void ak_tools_inherit(struct ak_tools *self, const char *head);
bool ak_tools_leave(struct ak_tools *self, char *ret, size_t size);

/* ---- for the controller of Tools ---- */

/* `wake` is called for a Tool whose view became another one: from any thread, without a lock of ours. Before start. */
void ak_tools_set_wake(struct ak_tools *self, void (*wake)(const struct ak_key *key, void *user),
                       void *user);

struct ak_tools_view {
    bool wanted;         /* make a bastion if there is none: somebody waits for it */
    bool is_known;       /* the bastion of `pod` has said what it has; before that the rest is 0 */
    bool is_ending;      /* it was told to end its sessions */
    size_t sessions;     /* that it has, operations under way included */
    ak_msec last_used;   /* wall; 0: never, or not known */
    const char *boot_id; /* of the bastion, in the arena; NULL: not known */
};
/*
 * For every reconcile of a Tool, at its end, whatever the phase. `pod` is its bastion pod if it is this Tool's by
 * owner uid, its containers are ready and it is not being deleted, or NULL: then nothing is given to it any more. The
 * pod's port of bastion `serve` has the name "relay" (AK_RUNS_RELAY_PORT), and its token is as a keeper's is.
 * Begins to follow a bastion that is not followed. Never blocks.
 */
AK_MUST_USE int ak_tools_look(struct ak_tools *self, const struct ak_object *tool,
                              const struct ak_object *pod, struct ak_arena *arena,
                              struct ak_tools_view *ret);
/* A Tool that is gone, by its name: who waits for it is told, what is kept of it in memory goes. */
void ak_tools_forget(struct ak_tools *self, const char *ns, const char *name);
/*
 * Before a bastion pod is deleted because something changed: ends all sessions there with `reason`, which clients are
 * shown ("the Tool was changed"), and nothing is given to this pod again. Takes what it still has to say (audit
 * records, recordings). Blocks, at most 5 s. Negative: it could not be told; delete it all the same.
 */
AK_MUST_USE int ak_tools_end(struct ak_tools *self, const char *ns, const char *name,
                             const char *reason, struct ak_error **reterr);
/* PEM for AGENTKUBE_MANAGER_CA is ak_runs_bundle(). */

/* ---- for the invocation API ---- */

/* Errors are meant for who asked, with HTTP status, reason and Retry-After, as those of runs.h are. */

struct ak_tools_caller {
    const char *name; /* user name, or the Agent's name */
    const char *ns;   /* of the Agent; NULL: a person, or a program outside of Agents */
    const char *run;  /* of the Agent, as it says; NULL: unknown */
    const char *uid;  /* of the Agent; NULL: none */
};
struct ak_tools_call {
    const char *ns, *tool;
    struct ak_tools_caller caller;
    const char *
        operation; /* of the type; AK_OPERATION_EXEC, ..._CONNECT or ..._FORWARD for ak_tools_open() */
    const json_t *arguments;        /* NULL: none */
    bool is_approved;               /* this very call used one up, and nothing was done with it */
    bool read_only;                 /* that is asked for */
    ak_msec hold;                   /* how long to wait for a bastion */
    const struct ak_cancel *cancel; /* the asker has gone; may be NULL */
};

/* A bastion that is used: it stays wanted, and the call counts, until ak_tools_close(). */
struct ak_tools_use;
struct ak_tools_use *ak_tools_close(struct ak_tools_use *use); /* NULL is fine; returns NULL */
/* Whose client talks to it; borrowed. */
struct ak_run_target *ak_tools_use_target(struct ak_tools_use *use);
/* A connection did not come about: the bastion is proved again next time. */
void ak_tools_use_failed(struct ak_tools_use *use);
/* The bastion said that it ends, and did nothing: whoever comes now waits for the next one. */
void ak_tools_use_ended(struct ak_tools_use *use);
/* An approval was used up for it. */
bool ak_tools_use_is_approved(const struct ak_tools_use *use);
/* What goes to the bastion with a session: JSON of the caller, and whether it may only read. Borrowed. */
const char *ak_tools_use_caller(const struct ak_tools_use *use);
bool ak_tools_use_is_read_only(const struct ak_tools_use *use);
/* How long the bastion may be silent about an operation. */
ak_msec ak_tools_use_timeout(const struct ak_tools_use *use);

/*
 * Before an operation: the policy, an approval if one is needed (`engine_asks`: the bastion answered 428, whatever
 * the policy says), a bastion. `body` gets what is to be sent to AK_TOOLS_OPERATIONS_PATH of the target. Leader
 * only. Blocks, for `hold` and AK_TOOLS_HOLD_APPROVAL at most. 428 (ApprovalRequired): nobody has agreed yet.
 */
#define AK_TOOLS_OPERATIONS_PATH "/v1/operations"
AK_MUST_USE int ak_tools_prepare(struct ak_tools *self, const struct ak_tools_call *call,
                                 bool engine_asks, struct ak_tools_use **ret, struct ak_buf *body,
                                 struct ak_error **reterr);
/* Before a session (exec, connect, forward): the policy, a bastion. Leader only. Blocks. */
AK_MUST_USE int ak_tools_open(struct ak_tools *self, const struct ak_tools_call *call,
                              struct ak_tools_use **ret, struct ak_error **reterr);
/* What Agent.spec.tools says of this call: sets read_only; refuses in words for a model. */
AK_MUST_USE int ak_tools_admit_agent(const struct ak_object *agent, struct ak_tools_call *call,
                                     struct ak_error **reterr);
/* {items: [...], resourceVersion}: what Agent.spec.tools gives it. Any replica. */
AK_MUST_USE int ak_tools_of_agent(struct ak_tools *self, const struct ak_object *agent,
                                  json_t **ret, struct ak_error **reterr);
/* The Agent whose pod this is, by owner uid, as ServiceAccount tokens name it; NULL: it is no Agent's. */
const struct ak_object *ak_tools_agent_of_pod(struct ak_tools *self, const char *ns,
                                              const char *pod, const char *pod_uid);
/* {items: [...]}: the sessions that its bastion has now; none without a bastion. Any replica. Blocks. */
AK_MUST_USE int ak_tools_sessions(struct ak_tools *self, const char *ns, const char *tool,
                                  json_t **ret, struct ak_error **reterr);
AK_MUST_USE int ak_tools_kill(struct ak_tools *self, const char *ns, const char *tool,
                              const char *session, const char *by, const char *reason,
                              struct ak_error **reterr);
/* Asks for a probe (AK_TOOLS_PROBE_ANNOTATION); *ret is {requestedTime}: status.lastProbe is its answer once its
 * time is later. Leader only. Blocks. */
AK_MUST_USE int ak_tools_probe(struct ak_tools *self, const char *ns, const char *tool,
                               json_t **ret, struct ak_error **reterr);
/* The argument that is an operation's text: "sql", "args", "command", "method" (and path), ...; NULL: none, or
 * there is no such Tool or operation. A constant. */
const char *ak_tools_main_argument(struct ak_tools *self, const char *ns, const char *tool,
                                   const char *operation);
/* {allowed, needsApproval, class, rule, reason, operation}. Any replica. */
AK_MUST_USE int ak_tools_explain(struct ak_tools *self, const struct ak_tools_call *call,
                                 json_t **ret, struct ak_error **reterr);
/* {items: [...]} of status.approvals, expired ones marked. Any replica. */
AK_MUST_USE int ak_tools_approvals(struct ak_tools *self, const char *ns, const char *tool,
                                   json_t **ret, struct ak_error **reterr);
/* Leader only. Blocks. *ret is the approval. */
AK_MUST_USE int ak_tools_decide(struct ak_tools *self, const char *ns, const char *tool,
                                const char *id, bool approve, const char *by, const char *reason,
                                json_t **ret, struct ak_error **reterr);
/* {items: [...]} of status.recordings. Any replica. */
AK_MUST_USE int ak_tools_recordings(struct ak_tools *self, const char *ns, const char *tool,
                                    json_t **ret, struct ak_error **reterr);
/* asciicast v2. Any replica. Blocks. */
AK_MUST_USE int ak_tools_recording(struct ak_tools *self, const char *ns, const char *tool,
                                   const char *id, struct ak_buf *out, struct ak_error **reterr);
/* An attempt that reaches no bastion is a line of the audit log, too. err says why. */
void ak_tools_refused(struct ak_tools *self, const struct ak_tools_call *call, const char *kind,
                      const struct ak_error *err);

#endif
