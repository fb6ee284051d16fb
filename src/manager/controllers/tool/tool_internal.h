/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What crosses the arrows inside the Tool controller: observe -> resolve -> plan -> apply -> status.
 * All texts and lists of one reconcile live in one arena; objects are references of the observation.
 *
 * Hashes. `place`: which system it is. `made_for`: what users and rights are made from (the spec's part of it, and the
 * admin's Secret). A provisioning, PLACE-MADEFOR-IDENTITY, is in force when status.permissionsHash is that. The hash on
 * a bastion pod is TOOL-SECRETS: which of the two differs tells what to say to whom it serves.
 */
#ifndef AK_MANAGER_TOOL_INTERNAL_H
#define AK_MANAGER_TOOL_INTERNAL_H

#include <ak/api/tool.h>
#include <ak/base/arena.h>
#include <ak/json/json.h>
#include <ak/kube/object.h>

#include "engines/engine.h"
#include "manager/controllers/tool/specs/specs.h"
#include "manager/controllers/tool/tool.h"
#include "manager/controllers/tool/tool_memory.h"
#include "manager/kinds.h"
#include "manager/tools/tools.h"

#define AK_TOOL_FINALIZER                                                                          \
    "agentkube.io/tool" /* while something of it is in a system, or in other namespaces */
#define AK_TOOL_FORCE "agentkube.io/force-delete" /* "true": it may stay there */
#define AK_TOOL_ARENA_MAX (8u << 20)              /* bytes of one reconcile */
#define AK_TOOL_MESSAGE_MAX 1024                  /* bytes of what a server said, in a status */
#define AK_TOOL_CHANGES_MAX 20                    /* sentences of one provisioning */
#define AK_TOOL_HASH_LEN 16                       /* hexadecimal digits of each hash */
_Static_assert(AK_TOOL_MADE_FOR_SIZE == AK_TOOL_HASH_LEN + 1, "a hash is remembered whole");

#define AK_TOOL_POLL AK_SECONDS(2) /* Secrets, while a bastion lives */
#define AK_TOOL_FRESH (AK_TOOL_POLL - 500)
#define AK_TOOL_PROBE_EVERY AK_MINUTES(5)
#define AK_TOOL_DRIFT_EVERY AK_MINUTES(10)
#define AK_TOOL_ROTATE_EVERY AK_HOURS(24)
#define AK_TOOL_BACKOFF_FIRST AK_SECONDS(5) /* doubled with each failure ... */
#define AK_TOOL_BACKOFF_MAX AK_MINUTES(5)
#define AK_TOOL_JOB_SEEN AK_SECONDS(60) /* a Job has a pod by then, or we make one */
#define AK_TOOL_UNWANTED                                                                           \
    AK_MINUTES(2) /* a bastion that does not start, and that nobody waits for */
#define AK_TOOL_USE_EVERY AK_SECONDS(10) /* how often the status says how it is used */

/* ---- observe ---- */

/* Everything that a decision may depend on. */
struct ak_tool_observed {
    const struct ak_object *tool;                     /* never NULL */
    const struct ak_object *bastion, *probe, *worker; /* pods of those names, or NULL */
    const struct ak_object *job;                      /* pod of its last Job, or NULL */
    const struct ak_object *account, *policy;         /* of its name, or NULL */
    struct ak_object_list rights[AK_TOOL_RIGHT_MAX];  /* with its uid */
    struct ak_digest credential, ca, admin, identity; /* zero where nothing is named */
    struct ak_tools_view use;
    struct ak_tool_recall recall;
    const char *bundle; /* PEM, for bastions; NULL: not there yet */
    bool sees_cluster;  /* rights of the cluster can be given */
    bool asked;         /* the next two are there */
    const char
        *earlier_text; /* what the users in the system were made for; NULL: not known (any more) */
    const struct ak_tool_spec *earlier;
    ak_msec now;    /* wall clock */
    ak_msec uptime; /* monotonic */
    ak_msec
        read_ttl; /* when Secrets that are missing may be looked for again; 0: none is missing */
    const struct ak_options *options;
};
void ak_tool_observed_done(struct ak_tool_observed *self);
AK_DEFINE_AUTO(ak_tool_observed, ak_tool_observed_done)
/* 0; 1: there is no such Tool (any more). */
AK_MUST_USE int ak_tool_observe(struct ak_tool_controller *self, const struct ak_request *req,
                                struct ak_arena *arena, struct ak_tool_observed *ret,
                                struct ak_error **reterr);
/* What the minted users were made for: fills earlier_text and earlier. */
AK_MUST_USE int ak_tool_observe_earlier(struct ak_tool_controller *self, struct ak_arena *arena,
                                        struct ak_tool_observed *o, struct ak_error **reterr);

static inline const struct ak_tool_spec *ak_tool_spec_of(const struct ak_tool_observed *o)
{
    return ((const struct ak_tool *)ak_object_body(o->tool))->spec;
}
static inline const struct ak_tool_status *ak_tool_status_of(const struct ak_tool_observed *o)
{
    return ((const struct ak_tool *)ak_object_body(o->tool))->status;
}

/* Names of what a Tool owns. */
struct ak_tool_names {
    char bastion[96], probe[96], worker[96], identity[96];
};
/* The ServiceAccount, the NetworkPolicy and the Role have the bastion's name. */
void ak_tool_names_make(const char *tool, struct ak_tool_names *ret);

/* ---- resolve: what the spec means ---- */

enum ak_tool_problem_kind {
    AK_TOOL_FINE,
    AK_TOOL_MISSING, /* something that the spec names is not there */
    AK_TOOL_UNENFORCEABLE /* a rule of permissions that nobody can enforce */,
    AK_TOOL_INVALID, /* the spec contradicts itself: nothing is done until it changes */
};
struct ak_tool_problem {
    enum ak_tool_problem_kind kind;
    const char *reason, *message; /* of the condition */
};
struct ak_tool_meaning {
    const struct ak_engine_info *info; /* NULL: unset */
    const char *image, *text;
    bool is_provisioned; /* users are minted */
    bool has_rights;     /* in this cluster, given by us */
    bool is_direct;
    char place[AK_TOOL_HASH_LEN + 1], made_for[AK_TOOL_HASH_LEN + 1];
    char tool[AK_TOOL_HASH_LEN + 1], secrets[AK_TOOL_HASH_LEN + 1];
    struct ak_tool_problem problem; /* the worst */
    size_t n_more;
};
AK_MUST_USE int ak_tool_resolve(const struct ak_tool_observed *o, struct ak_arena *arena,
                                struct ak_tool_meaning *ret, struct ak_error **reterr);
AK_MUST_USE int ak_tool_place_of(const struct ak_tool_spec *spec,
                                 char ret[static AK_TOOL_HASH_LEN + 1]);
/* The first digits of a hash of texts, NULLs included. */
AK_MUST_USE int ak_tool_hash(char ret[static AK_TOOL_HASH_LEN + 1], const char *const *texts,
                             size_t n);

/* ---- a pod, in words ---- */

enum ak_tool_pod_state {
    AK_TOOL_POD_ABSENT,
    AK_TOOL_POD_FOREIGN,  /* has the name and another owner */
    AK_TOOL_POD_FORMER,   /* of a deleted Tool of the same name: the garbage collector's */
    AK_TOOL_POD_STOPPING, /* being deleted */
    AK_TOOL_POD_LIVING,   /* not ready (yet), or not meant to be */
    AK_TOOL_POD_READY,
    AK_TOOL_POD_ENDED,
    AK_TOOL_POD_STATE_MAX
};
/* What probe, provision and deprovision print. */
struct ak_tool_outcome {
    bool reachable, authenticated, authorised; /* probe */
    bool done;                                 /* the others */
    const char *server, *message;
    struct ak_string_list changed, unenforceable;
};
struct ak_tool_pod_view {
    enum ak_tool_pod_state state;
    const struct ak_object *pod; /* NULL: absent */
    const char *uid, *hash, *build, *role;
    ak_msec created;
    bool failed;         /* ENDED, and not with 0 */
    const char *message; /* why it does not start, or how it ended; NULL: nothing to say */
    bool has_outcome;    /* ENDED, and it could say */
    struct ak_tool_outcome outcome;
};
AK_MUST_USE int ak_tool_pod_view_make(const struct ak_object *pod, const struct ak_meta *tool,
                                      struct ak_arena *arena, struct ak_tool_pod_view *ret,
                                      struct ak_error **reterr);

/* ---- plan ---- */

#define AK_TOOL_REMOVE_MAX 4
struct ak_tool_removal {
    const struct ak_object *pod;
    const char *why;        /* for the Event; NULL: none */
    const char *end_reason; /* what its sessions are told before; NULL: nothing */
};
#define AK_TOOL_NEWS_MAX 4
struct ak_tool_news {
    bool warning;
    const char *reason, *text;
};
struct ak_tool_plan {
    bool ask; /* find out what the users were made for, then plan again */
    bool add_finalizer, drop_finalizer;
    json_t *account, *policy;           /* to apply; NULL: none */
    json_t *right_objects;              /* to apply; NULL: none ... */
    const struct ak_tool_right *rights; /* ... in this order */
    size_t n_rights;
    bool prune_rights;  /* delete those of its uid that are not among them */
    bool mint;          /* new users, or passwords */
    bool drop_identity; /* the Secret of those that there were */
    const char *text;   /* for the Secret */
    struct ak_tool_removal removals[AK_TOOL_REMOVE_MAX];
    size_t n_removals;
    json_t *bastion, *probe, *worker, *job;     /* to create; NULL: none */
    struct ak_tool_news news[AK_TOOL_NEWS_MAX]; /* told when the status was written */
    size_t n_news;
    struct ak_tool_status status; /* conditions included */
    struct ak_condition conditions[3];
    size_t n_conditions;
    struct ak_tool_recall recall; /* as it is from now on */
    const struct ak_object *ready_bastion;
    ak_msec again_after; /* negative: no */
};
void ak_tool_plan_done(struct ak_tool_plan *self);
AK_DEFINE_AUTO(ak_tool_plan, ak_tool_plan_done)
/* Pure: all decisions. */
AK_MUST_USE int ak_tool_plan_make(const struct ak_tool_observed *o, struct ak_arena *arena,
                                  struct ak_tool_plan *ret, struct ak_error **reterr);
/* Says with reason and message why the Tool is not ready, in place of what the plan had. */
void ak_tool_plan_not_ready(struct ak_tool_plan *self, const struct ak_tool_observed *o,
                            enum ak_tool_phase phase, const char *reason, const char *message);

/* ---- apply ---- */

/* Carries the plan out. What the apiserver refuses for a reason that people can mend is put into the plan's
 * status; other failures are errors. */
AK_MUST_USE int ak_tool_apply(struct ak_tool_controller *self, const struct ak_tool_observed *o,
                              struct ak_arena *arena, struct ak_tool_plan *plan,
                              struct ak_error **reterr);
/* After the status is on record: the finalizer goes. */
AK_MUST_USE int ak_tool_apply_end(struct ak_tool_controller *self, const struct ak_tool_observed *o,
                                  const struct ak_tool_plan *plan, struct ak_error **reterr);

/* ---- status ---- */

AK_MUST_USE int ak_tool_status_json(const struct ak_tool_plan *plan, json_t **ret,
                                    struct ak_error **reterr);
/* Writes it if it differs, and tells what changed as Events. */
AK_MUST_USE int ak_tool_status_write(struct ak_tool_controller *self,
                                     const struct ak_tool_observed *o, struct ak_tool_plan *plan,
                                     struct ak_error **reterr);
bool ak_tool_condition_is_news(const struct ak_tool_status *before, const struct ak_condition *now);
bool ak_tool_condition_is_warning(const struct ak_condition *condition);

#endif
