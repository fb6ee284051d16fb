/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the invocation API talks to, as far as its tests need it: an API server that reviews tokens and access and has
 * a few objects, a pod's keeper with events, and a book of runs (the functions of runs.h).
 *
 * Tokens: "alice-token" (made for us), "bob-token" (of the API server), "odd-token" (of an authenticator that knows no
 * audiences), "late-token" (the API server fails), "pod-token" (of an Agent's pod). Everybody else is refused.
 */
#ifndef AK_TESTS_INVOKE_STAGE_H
#define AK_TESTS_INVOKE_STAGE_H

#include <ak/kube/client.h>
#include <stdatomic.h>

#include "manager/invoke/invoke.h"
#include "rig.h"

struct stage {
    struct rig_server api, pod;
    struct rig_loop loop; /* of the server under test */
    struct ak_kube_config *config;
    struct ak_client *client;
    struct ak_http_client *pod_client;
    struct ak_invoke *invoke;
    char config_path[64];
    atomic_bool leading;
    char leader[AK_LEADER_ADDRESS_SIZE];
    atomic_int token_reviews, access_reviews;
    atomic_int endless_streams, open_streams; /* of the pod: asked for, and open */

    struct ak_mutex lock; /* guards what follows */
    char grant[256];      /* "verb resource/sub ns name", what alice may; "*": everything */
    char last_path[512];  /* of a request for objects, or to the pod */
    char last_headers[4096];
};
extern struct stage *stage; /* the one that is set up */

void stage_begin(struct stage *self);
void stage_end(struct stage *self);
void stage_grant(const char *grant);
/* The pod's run says `n` events more, of `size` bytes each; with `last` the last one ends it. Without a call of this
 * the pod has two events, and the second one is the end. */
void stage_emit(int n, size_t size, bool last);
void stage_cut(void); /* the pod breaks off its streams */
/* Starts another replica on the same stage. */
struct ak_invoke *stage_replica(bool (*is_leading)(void *user));

/* What the book of runs was asked last, and what it does. */
struct stage_runs {
    char prompt[64], key[64], by[64];
    ak_msec timeout, hold;
    int fail_with;     /* HTTP status; 0: works */
    bool waits;        /* start_run waits until it is cancelled */
    const char *phase; /* of the record */
    int last_event;    /* 0: not in it */
    bool no_target;
    atomic_int started, cancelled, target_failures;
};
extern struct stage_runs stage_runs;

/* ---- stage_tools.c: the use of Tools (the functions of tools.h), and a bastion */

struct stage_tools {
    int fail_with;         /* HTTP status of what has to be settled before a use; 0: works */
    bool waits;            /* it waits until it is cancelled */
    bool waits_when_asked; /* the same, for an approval that the bastion wants */
    bool asks;             /* the bastion wants an approval for what comes without one */
    bool no_agent;         /* no pod is an Agent's */
    int bastion_status;    /* of operations; 200: a result of `result` bytes. -1: it breaks off */
    size_t result;
    bool refuses; /* sessions: 503 in place of 101 */
    int ends;     /* so many operations and sessions are told that the bastion ends */
    atomic_int waiting, prepared, opened, closed, failed, ended, refused, cancelled, operations;
    /* Of the last call. */
    char operation[64], caller[64], caller_ns[64], refusal[64], reason[64];
    bool read_only, engine_asked, is_approved;
    atomic_bool connected; /* a session is open in the bastion */
    ak_msec hold;
    char session_query[512];
};
extern struct stage_tools stage_tools;
void stage_on_operation(struct ak_http_exchange *ex, void *user);
/* Echoes; a client's "\x88" ends it. Says "\x82\x02hi" at once. */
void stage_on_session(struct ak_http_exchange *ex, void *user);
void stage_say(const char *bytes, size_t len); /* to the client of the last session */

/* A request; the answer's body in `said`. The HTTP status, negative: none. */
struct stage_request {
    const char *method, *path, *token, *body;
    const char *const *headers;
    struct ak_invoke *invoke; /* NULL: the stage's */
};
int stage_ask(const struct stage_request *request, char *said, size_t size);
int stage_get(const char *path, const char *token, char *said, size_t size);

#endif
