/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call and the parts of the server that work on it; private to this folder.
 *
 * A call belongs to the loop's thread, except between being put into a lane and being put into `finished`. Its
 * exchange is the loop's alone, always.
 */
#ifndef AK_MANAGER_INVOKE_CALL_H
#define AK_MANAGER_INVOKE_CALL_H

#include <ak/base/arena.h>
#include <ak/base/secret.h>
#include <ak/base/thread.h>
#include <ak/net/http_relay.h>
#include <ak/net/http_server.h>
#include <ak/net/http_tunnel.h>
#include <ak/net/http_upgrade_relay.h>
#include <stdatomic.h>

#include "manager/invoke/access.h"
#include "manager/invoke/answer.h"
#include "manager/invoke/identity.h"
#include "manager/invoke/invoke.h"
#include "manager/invoke/pool.h"
#include "manager/invoke/request.h"
#include "manager/runs/runs.h"
#include "manager/tools/tools.h"

/* Blocking work: tokens that were not seen yet; what is over soon; runs that wait for a pod; uses of Tools, which
 * wait for a bastion or a person. */
enum ak_invoke_lane { AK_LANE_TOKENS, AK_LANE_CALLS, AK_LANE_STARTS, AK_LANE_TOOLS, AK_LANE_MAX };

/* What is left to do on the loop. */
enum ak_invoke_outcome {
    AK_OUTCOME_ANSWER,  /* status and body are there, or an error */
    AK_OUTCOME_OBJECTS, /* upstream_path of the API server */
    AK_OUTCOME_STREAM,  /* upstream_path of `target` */
    AK_OUTCOME_FORWARD, /* the exchange as it is, to the leader */
    AK_OUTCOME_OPERATE, /* operation_body to the bastion of `use` */
    AK_OUTCOME_UPGRADE, /* the exchange's connection into `tunnel` */
};

struct ak_invoke_link;     /* a connection to a leader */
struct ak_invoke_fan;      /* a run that is followed */
struct ak_invoke_follower; /* one who follows it */

struct ak_invoke_call {
    struct ak_pool_item item;
    struct ak_invoke *invoke;
    struct ak_invoke_call *prev, *next; /* of all */
    struct ak_invoke_call *then;        /* in `finished`, and among the dead */
    struct ak_http_exchange *ex;        /* NULL: answered, or the client has gone */
    struct ak_arena arena;
    struct ak_cancel gone; /* the client has, or we stop; fd -1 until it may block */
    bool client_gone;

    /* Who and what. */
    struct ak_secret *token;
    struct ak_identity *who; /* NULL: not known yet */
    struct ak_invoke_request request;
    const char *idempotency_key, *last_event_id;
    const char *peer, *forwarded_for, *agent; /* for the audit line; the last two may be NULL */
    bool was_forwarded;
    bool to_leader; /* another replica has to do it */

    /* The outcome. */
    enum ak_invoke_outcome outcome;
    int result; /* negative: err says what to answer */
    struct ak_error *err;
    int status;
    struct ak_buf body;
    const char *run_id;
    const char *upstream_path;
    struct ak_run_target *target;
    struct ak_invoke_follower *follower; /* of a run that goes on */
    bool follows;                        /* that is what is wanted */
    bool is_stream;                      /* events or logs */
    bool saw_end;                        /* of its run */
    int64_t after, last_event; /* numbers of events: seen, and newest; negative: unknown */
    struct ak_invoke_link *link;
    struct ak_http_relay *relay;    /* a stream, or a forwarded call, under way */
    struct ak_http_stream *objects; /* from the API server */
    /* Uses of Tools. */
    const struct ak_object
        *agent_object; /* a reference: the Agent whose pod asks; NULL: not one's */
    struct ak_tools_use *use;
    struct ak_buf operation_body;
    struct ak_http_stream *operation; /* to the bastion, under way */
    int operation_status;             /* that the bastion gave; 0: none yet */
    bool engine_asks;                 /* the bastion wants an approval */
    bool again;                       /* it was begun once more */
    bool is_approved;                 /* and had used an approval up before */
    bool bastion_ends;                /* what it answered to the upgrade */
    const char *upgrade_lines[8];     /* of the request, that go on with it; NULL-terminated */
    struct ak_http_tunnel *tunnel;
    struct ak_http_upgrade_relay *upgrade;
    const char *content_type; /* of the answer; NULL: JSON */
    size_t unsent;            /* of AK_INVOKE_MAX_UNSENT */
    bool counts_as_stream;

    ak_msec began, put; /* put: into a lane */
    uint64_t bytes;
};

#define AK_INVOKE_N_BUCKETS 12
struct ak_invoke_stats {
    uint64_t answers[AK_INVOKE_VERB_MAX + 1]
                    [6]; /* by verb (the last: none), and by hundreds of the status */
    uint64_t buckets[AK_INVOKE_N_BUCKETS + 1];
    double seconds;
};

struct ak_invoke {
    struct ak_invoke_options options;
    struct ak_identities *identities;
    struct ak_accesses *accesses;
    struct ak_pool *pool;

    /* Of the loop's thread. */
    struct ak_http_server *server;
    struct ak_timer *reaper; /* frees the dead, outside of callbacks */
    struct ak_invoke_call *calls, *dead;
    struct ak_invoke_link *link; /* the last one; may be NULL */
    struct ak_invoke_fan *fans;
    size_t n_fans;
    atomic_size_t n_streams, unsent; /* written here, read for metrics */

    struct ak_mutex lock; /* guards what follows */
    struct ak_cond done;  /* a function on the loop's thread has returned */
    struct ak_invoke_call *finished;
    bool posted; /* a message to collect them is under way */
    bool stopping;
    uint16_t port;
    struct ak_invoke_stats stats;
};

/* ---- call.c: the life of a call. Thread: loop, where nothing else is said ---- */

void ak_invoke_on_request(struct ak_http_exchange *ex, void *user); /* user: struct ak_invoke */
/* On a lane's thread: the call is the loop's again, and goes on there. */
void ak_invoke_hand_back(struct ak_invoke_call *call);
/* Collects what threads handed back. */
void ak_invoke_collect(void *user);
/* Answers the error of the call (result and err), or what is in status and body. */
void ak_invoke_reply(struct ak_invoke_call *call);
/* It is over: the audit line, and memory is given back soon. `status` 0: nothing was answered. */
void ak_invoke_end(struct ak_invoke_call *call, int status);
void ak_invoke_reap(void *user);
/* Breaks off what is under way. */
void ak_invoke_break_off(struct ak_invoke_call *call);
/* Fills the Status object of result and err: HTTP status, and body. */
int ak_invoke_status_body(struct ak_invoke_call *call, struct ak_buf *out);
/* Header lines that every answer has, and those of this error; in the call's arena. */
const char *const *ak_invoke_headers(struct ak_invoke_call *call, int status);

/* ---- actions.c: what calls do; on a lane's thread, blocks ---- */

void ak_invoke_act(struct ak_pool_item *item);
/* On the loop: calls that need nobody. False: it is not one of those. */
bool ak_invoke_act_here(struct ak_invoke_call *call);

/* ---- streams.c ---- */

void ak_invoke_stream(struct ak_invoke_call *call);
void ak_invoke_pass_objects(struct ak_invoke_call *call);

/* ---- follow.c ---- */

/* The events of a run that goes on, after event `after`. Negative: nothing has begun, and err says why. */
AK_MUST_USE int ak_invoke_follow(struct ak_invoke_call *call);
void ak_invoke_follower_stop(struct ak_invoke_follower *self);
/* Frees those that nobody follows any more. */
void ak_invoke_reap_fans(struct ak_invoke *self);

/* ---- forward.c ---- */

void ak_invoke_forward(struct ak_invoke_call *call);
struct ak_invoke_link *ak_invoke_link_unref(struct ak_invoke_link *self); /* NULL is fine */

struct ak_http_client *ak_invoke_link_client(struct ak_invoke_link *self);
/* The connection to whoever leads now: call->link. */
AK_MUST_USE int ak_invoke_find_link(struct ak_invoke_call *call);

/* ---- tool_actions.c: what calls about Tools do; on a lane's thread, blocks ---- */

int ak_invoke_operate(struct ak_invoke_call *call);
int ak_invoke_open_session(struct ak_invoke_call *call); /* exec, forward */
int ak_invoke_list_sessions(struct ak_invoke_call *call);
int ak_invoke_kill_session(struct ak_invoke_call *call);
int ak_invoke_probe(struct ak_invoke_call *call);
int ak_invoke_explain(struct ak_invoke_call *call);
int ak_invoke_approvals(struct ak_invoke_call *call);
int ak_invoke_decide(struct ak_invoke_call *call);
int ak_invoke_recordings(struct ak_invoke_call *call);
int ak_invoke_recording(struct ak_invoke_call *call);
int ak_invoke_self_tools(struct ak_invoke_call *call);
/* The caller has to be a pod of an Agent: finds it, and its namespace for the request. */
int ak_invoke_find_self(struct ak_invoke_call *call);
/* A use that did not come about: a line of the Tools' audit log. */
void ak_invoke_use_refused(struct ak_invoke_call *call);
/* Opens the tunnel to the leader. An ak_pool_item's. */
void ak_invoke_open_to_leader(struct ak_pool_item *item);

/* ---- tool_streams.c ---- */

void ak_invoke_send_operation(struct ak_invoke_call *call);
void ak_invoke_upgrade(struct ak_invoke_call *call);
/* On the loop, before anything else of it: what an upgrade needs of its request. 426 if it asks for none. */
int ak_invoke_read_upgrade(struct ak_invoke_call *call);
/* Ends the upgraded connection, saying why. */
void ak_invoke_end_upgrade(struct ak_invoke_call *call, const char *why);

/* ---- call.c, for streams ---- */

/* Into a lane; if that does not work the call is answered. */
void ak_invoke_put(struct ak_invoke_call *call, enum ak_invoke_lane lane,
                   void (*run)(struct ak_pool_item *item));

/* ---- audit.c ---- */

void ak_invoke_audit(const struct ak_invoke_call *call, int status);
/* Counts it. */
void ak_invoke_count(struct ak_invoke_call *call, int status);

/* The document, made from api/openapi.yaml. */
extern const char ak_invoke_openapi[];
extern const size_t ak_invoke_openapi_len;

#endif
