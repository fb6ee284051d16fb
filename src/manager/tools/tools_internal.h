/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of this folder share.
 *
 *   tools.c        made, freed, looked at; entries
 *   uses.c         who wants a bastion: waiting for it, counting, giving it back
 *   operations.c   before an operation or a session: policy, approvals, the request's body
 *   follow.c       the stream of what happens in a bastion (loop), and its acknowledgements
 *   bastion.c      requests to a bastion (blocking): sessions, kill, end
 *   approvals.c    what waits for a person (the list itself is pure)
 *   status_list.c  lists of a Tool's status, edited
 *   recordings.c   recordings of terminals: taken, kept, shown
 *   audit.c        the chained log
 *   of_agent.c     what an agent may use
 *   metrics.c      numbers
 */
#ifndef AK_MANAGER_TOOLS_INTERNAL_H
#define AK_MANAGER_TOOLS_INTERNAL_H

#include <ak/api/tool.h>
#include <ak/base/map.h>
#include <ak/base/thread.h>
#include <ak/kube/client.h>
#include <ak/manage/manager.h>
#include <ak/net/http_client.h>
#include <ak/net/loop.h>

#include "engines/policy.h"
#include "manager/invoke/pool.h"
#include "manager/runs/runs.h"
#include "manager/tools/audit.h"
#include "manager/tools/tools.h"

#define AK_TOOLS_SLICE 200          /* ms: how often who waits looks whether its asker has gone */
#define AK_TOOLS_TICK AK_SECONDS(1) /* follows that ended are begun again with this step */
#define AK_TOOLS_IDLE AK_MINUTES(5) /* entries that nobody needs go after so long */
#define AK_TOOLS_RETENTION AK_MINUTES(30) /* recordings are looked through this often */
#define AK_TOOLS_COLD_BUCKETS 10
#define AK_TOOLS_VERDICT_MAX 4
#define AK_TOOLS_ID_SIZE 80

/* Work that blocks: finding out who a bastion is, telling it what was taken; recordings. */
enum ak_tools_lane {
    AK_TOOLS_LANE_FOLLOW,
    AK_TOOLS_LANE_ACK,
    AK_TOOLS_LANE_RECORD,
    AK_TOOLS_LANE_MAX
};

struct ak_bastion_follow;

/* A Tool in use on this leader. Guarded by ak_tools.lock, but for `users` while it is > 0: it then stays. */
struct ak_tool_entry {
    char *key, *ns, *name;    /* key: "ns/name" */
    char *uid;                /* of the Tool that it is about */
    unsigned users;           /* calls and jobs that hold it */
    unsigned waiting;         /* calls that wait for a bastion */
    unsigned calls;           /* under way or waiting */
    char *pod_name, *pod_uid; /* of the ready bastion; NULL: none */
    char *done_pod;           /* uid: it ended, or was told to: nothing is given to it */
    bool ending;
    /* What the bastion said last. */
    struct ak_bastion_follow *follow; /* NULL: nobody listens. Belongs to the loop */
    bool synced;
    size_t sessions;
    ak_msec last_used; /* wall */
    char boot_id[AK_TOOLS_ID_SIZE];
    /* Numbers of audit records: made there, written by us, and said so to the bastion. */
    int64_t audit_head, audit_written, audit_acked;
    int64_t dropped;
    size_t recordings_left; /* jobs that take a recording */
    uint64_t answers;       /* that people gave about approvals */
    /* The follow that is to be. */
    struct ak_tools *tools;
    struct ak_pool_item item;
    bool starting;
    unsigned failures;
    ak_msec not_before; /* monotonic */
    ak_msec touched, next_retention;
};

struct ak_tools_counts {
    uint64_t operations[AK_TOOL_TYPE_MAX][AK_TOOLS_VERDICT_MAX];
    uint64_t records, dropped, recordings, recordings_failed;
    uint64_t cold[AK_TOOLS_COLD_BUCKETS + 1];
    double cold_sum;
};

struct ak_tools {
    struct ak_tools_options o;
    const struct ak_clock *clock;
    struct ak_client *client;
    struct ak_loop *loop;
    struct ak_cancel stop;
    struct ak_pool *pool;
    struct ak_audit audit;
    void (*wake)(const struct ak_key *key, void *user);
    void *wake_user;
    struct ak_timer *tick; /* of the loop */
    struct ak_mutex
        lock; /* guards what follows. Never held during I/O or callbacks, nor with audit's lock */
    struct ak_cond changed;
    struct ak_map entries; /* by "ns/name" */
    struct ak_map agents;  /* calls under way of each Agent, by uid: struct agent_calls of uses.c */
    unsigned
        follows;   /* streams that the loop has, and posts to it: they end before this is freed */
    unsigned held; /* calls that wait for a person */
    bool stopping;
    struct ak_tools_counts counts;
};

/* ---- tools.c ---- */

bool ak__tools_may_write(const struct ak_tools *self);
/* The Tool, from the cache: 404 without, 409 while it is being deleted. A reference. */
AK_MUST_USE int ak__tools_find(struct ak_tools *self, const char *ns, const char *name,
                               const struct ak_object **ret, struct ak_error **reterr);
/* Found or made, and held until ak__tools_release(). The lock is held. NULL: no memory, or too many. */
struct ak_tool_entry *ak__tools_hold(struct ak_tools *self, const char *ns, const char *name)
    AK_REQUIRES(self->lock);
void ak__tools_release(struct ak_tools *self, struct ak_tool_entry *e) AK_REQUIRES(self->lock);
/* Calls wake for it: without the lock. */
void ak__tools_wake(struct ak_tools *self, const char *ns, const char *name);

/* ---- status_list.c ---- */

/* What is to become of a list of a Tool's status; `tool` is as the API server has it. 0: nothing to write. 1:
 * write the list. Negative: refused. May be called again, on a fresh list. */
typedef int (*ak_tools_edit_fn)(json_t *list, const json_t *tool, void *user,
                                struct ak_error **reterr);
/* Reads the Tool, edits status.FIELD and writes it, on the condition that nobody was faster. Blocks. */
AK_MUST_USE int ak__tools_edit(struct ak_tools *self, const char *ns, const char *name,
                               const char *field, ak_tools_edit_fn edit, void *user,
                               struct ak_error **reterr);
/* {items: status.FIELD}, as the API server has it. Blocks. */
AK_MUST_USE int ak__tools_read_list(struct ak_tools *self, const char *ns, const char *name,
                                    const char *field, json_t **ret_list, struct ak_error **reterr);

/* ---- bastion.c ---- */

/* The bastion pod's proved target as the pod cache has it (any replica). 503: there is none. */
AK_MUST_USE int ak__tools_target(struct ak_tools *self, const char *ns, const char *name,
                                 struct ak_run_target **ret, struct ak_error **reterr);
/* One request to a bastion. *ret_tree may be NULL in and out: no JSON. A bastion that is not there: 503. */
AK_MUST_USE int ak__tools_ask(struct ak_tools *self, struct ak_run_target *target,
                              const char *method, const char *path, const json_t *body,
                              ak_msec timeout, int *ret_status, struct ak_buf *ret_body,
                              struct ak_error **reterr);

/* ---- follow.c ---- */

/* Sees to it that the ready pod of the entry is followed. */
void ak__tools_follow(struct ak_tools *self, struct ak_tool_entry *e) AK_REQUIRES(self->lock);
void ak__tools_unfollow(struct ak_tools *self, struct ak_tool_entry *e) AK_REQUIRES(self->lock);

/* ---- recordings.c ---- */

/* Takes the recording `id` from the bastion of the entry, on a thread of ours. `meta` is what the bastion said. */
void ak__tools_take_recording(struct ak_tools *self, struct ak_tool_entry *e,
                              struct ak_run_target *target, const json_t *meta)
    AK_REQUIRES(self->lock);
/* Lets go what is too old or too many, on a thread of ours. */
void ak__tools_keep_recordings(struct ak_tools *self, struct ak_tool_entry *e)
    AK_REQUIRES(self->lock);

/* ---- approvals.c ---- */

struct ak_approval_ask {
    const struct ak_tools_call *call;
    const struct ak_object *tool;
    bool read_only;
    const char *class; /* of the statement */
};
/* 0: somebody has agreed to exactly this. Negative: nobody has (428), or no (403). Blocks, for
 * AK_TOOLS_HOLD_APPROVAL. */
AK_MUST_USE int ak__tools_await_approval(struct ak_tools *self, const struct ak_approval_ask *ask,
                                         struct ak_error **reterr);
/* Uses it up: with 0 it may be done, once. Blocks. */
AK_MUST_USE int ak__tools_use_approval(struct ak_tools *self, const struct ak_approval_ask *ask,
                                       struct ak_error **reterr);

/* ---- operations.c, metrics.c ---- */

/* An error in an answer of a bastion, for who asked. */
AK_MUST_USE int ak__tools_bastion_error(int status, const struct ak_buf *body,
                                        struct ak_error **reterr);
void ak__tools_count(struct ak_tools *self, const char *type, const char *verdict);
void ak__tools_count_cold(struct ak_tools *self, ak_msec took) AK_REQUIRES(self->lock);

#endif
