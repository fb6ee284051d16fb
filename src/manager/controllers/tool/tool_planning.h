/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the plan share.
 *
 *   tool_plan.c         the order, conditions, deletion
 *   tool_plan_work.c    users in the system: minted, provisioned, checked for drift, removed
 *   tool_plan_pods.c    connection checks, and the bastion
 *
 * A pod that is over is counted first and deleted later: what it said goes into the status, and only a reconcile that
 * sees it there deletes the pod. So nothing is lost whatever happens in between.
 */
#ifndef AK_MANAGER_TOOL_PLANNING_H
#define AK_MANAGER_TOOL_PLANNING_H

#include "manager/controllers/tool/tool_internal.h"

/* How it stands with users and rights. */
enum ak_tool_standing {
    AK_TOOL_STANDING_NONE, /* nothing is to be made */
    AK_TOOL_STANDING_IN_FORCE,
    AK_TOOL_STANDING_UNDER_WAY,
    AK_TOOL_STANDING_FAILED,
    AK_TOOL_STANDING_UNENFORCEABLE, /* the system says so */
};

struct ak_tool_planning {
    const struct ak_tool_observed *o;
    const struct ak_meta *meta;
    const struct ak_tool_spec *spec;  /* NULL: could not be decoded */
    const struct ak_tool_status *old; /* never NULL */
    struct ak_tool_status remembered; /* what old is when the cache is behind us */
    struct ak_arena *arena;
    struct ak_tool_meaning m;
    struct ak_tool_names names;
    struct ak_tool_pod_view bastion, probe, worker, job;
    enum ak_tool_standing standing;
    const char *standing_text; /* of the last three */
    bool check_failed;         /* IN_FORCE as far as is known: the last check could not be made */
    struct ak_tool_plan *plan;
    struct ak_error **reterr;
};

/* ---- tool_plan.c ---- */

void ak_tool_again(struct ak_tool_planning *p, ak_msec after);
/* The share of the uid spreads what is done at fixed intervals. */
ak_msec ak_tool_spread(const struct ak_tool_planning *p, ak_msec interval);
ak_msec ak_tool_backoff(int64_t failures);
void ak_tool_remove(struct ak_tool_planning *p, const struct ak_object *pod, const char *why,
                    const char *end_reason);
void ak_tool_tell(struct ak_tool_planning *p, bool warning, const char *reason, const char *text);
/* "HASH/12345678": which pod said something, and for what it was made. NULL: no memory. */
const char *ak_tool_record_of(struct ak_tool_planning *p, const struct ak_tool_pod_view *pod);
bool ak_tool_is_recorded(const char *record, const struct ak_tool_pod_view *pod);
/* Was it made for this? */
bool ak_tool_record_is_for(const char *record, const char *hash);
/* Why there is no pod yet, for a message: "; container ...". */
const char *ak_tool_aside(struct ak_tool_planning *p, const struct ak_tool_pod_view *pod);

/* ---- tool_plan_work.c ---- */

/* Before everything else: the users are those that we minted, also when the cache has not heard of it yet. */
AK_MUST_USE int ak_tool_recall_identity(struct ak_tool_planning *p);
AK_MUST_USE int ak_tool_plan_work(struct ak_tool_planning *p);
/* Removes what is in the system. 1: there is nothing (left); 0: under way, standing_text says what happens. */
AK_MUST_USE int ak_tool_plan_cleanup(struct ak_tool_planning *p);
bool ak_tool_has_earlier(const struct ak_tool_planning *p);

/* ---- tool_plan_pods.c ---- */

AK_MUST_USE int ak_tool_plan_probe(struct ak_tool_planning *p, bool may);
/* Fills Ready from what the last check said. */
AK_MUST_USE int ak_tool_plan_ready(struct ak_tool_planning *p);
/* `stop`: why there must be none; NULL: there may be one. */
AK_MUST_USE int ak_tool_plan_bastion(struct ak_tool_planning *p, const char *stop);
void ak_tool_set_ready(struct ak_tool_planning *p, const char *reason, const char *message);

#endif
