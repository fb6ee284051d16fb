/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A book of runs with everything around it but Kubernetes: an API server that knows one Agent and its pod, and a
 * keeper with an agentlet behind it, both scripted and both on real sockets. The journal has what they were told, in
 * order: "W:r-1=Pending" (a write of the status, with the newest run), "P:r-1" (a run given to the pod), "C:r-1" (its
 * cancel).
 */
#ifndef AK_TESTS_RUNS_STAGE_H
#define AK_TESTS_RUNS_STAGE_H

#include <ak/base/thread.h>
#include <ak/flow/cache.h>
#include <ak/manage/manager.h>
#include <ak/net/tls.h>

#include "manager/runs/runs.h"
#include "rig.h"

#define STAGE_POD "pod-1"

enum stage_fault {
    STAGE_FINE,
    STAGE_REFUSED, /* nothing was done, and that is said */
    STAGE_LOST,    /* it was done, and the answer is lost */
};

struct stage {
    struct rig_server api, keeper;
    struct rig_loop loop; /* the manager's */
    struct ak_tls_context *tls;
    struct ak_kube_config *config;
    struct ak_manager *manager;
    struct ak_cache *agents, *pods;
    struct ak_runs *runs;

    struct ak_mutex lock; /* guards what follows */
    json_t *agent, *pod, *secret;
    json_t *known; /* the agentlet's records, by id */
    char journal[4096];
    char token_uid[64];             /* of which pod the token is */
    enum stage_fault patch;         /* of the next write */
    int put_status;                 /* of the next PUT; 0: as it should be */
    enum stage_fault put;           /* of the next PUT */
    unsigned reviews, live_pods;    /* TokenReviews; GETs of the pod */
    unsigned version;               /* of the Agent, as the cache is shown it */
    struct ak_http_exchange *watch; /* of the keeper's loop */
};
extern struct stage *stage;

int stage_begin(void **state);
int stage_end(void **state);
/* Shows the caches what the API server has. */
void stage_show_agent(void);
void stage_show_pod(void);                   /* ready */
void stage_hide_pod(void);                   /* in the cache only */
const struct ak_object *stage_agent(void);   /* a reference, from the cache */
const struct ak_object *stage_the_pod(void); /* the same; NULL */
void stage_start_keeper(void);
void stage_stop_keeper(void);
/* The agentlet's word on a run, on the stream as well. */
void stage_says(const char *id, const char *phase, const char *reason);
void stage_spec(const char *key, json_t *value);
/* A copy of the journal in `buf`; cleared. */
const char *stage_journal(char *buf, size_t size);
/* The newest run in the status. */
const json_t *stage_newest(void);
void stage_wait_phase(const char *id, const char *phase); /* in the status, advancing meanwhile */
/* One step of the reconcile. Returns what ak_runs_advance() does. */
int stage_advance(void);

#endif
