/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts a program together and runs it: caches fed by watches, controllers fed by routes, leader
 * election, health and metrics endpoints, signals, and an orderly end. Start and stop order are data
 * (enum ak_stage); stop is the reverse, with a deadline: then requests that still run are abandoned.
 * It is the program's frame, so it logs the few lines of a life (synced, leading, stopping) at info.
 *
 *     static const struct ak_source sources[] = { {.kind = &foo_kind}, {.kind = &deployment_kind, ...} };
 *     static const struct ak_route routes[] = { {&foo_kind, ..., "foo", AK_CAUSE_CHANGED}, ... };
 *     static const struct ak_controller_options controllers[] = { {.name = "foo", .reconcile = ...} };
 *     struct ak_manager_options o = { .config = config, .sources = sources, ... };
 *     r = ak_manager_new(&o, &manager, &err);   then ak_manager_run(manager, &err);
 */
#ifndef AK_MANAGE_MANAGER_H
#define AK_MANAGE_MANAGER_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/flow/apply.h>
#include <ak/flow/cache.h>
#include <ak/flow/reconcile.h>
#include <ak/flow/route.h>
#include <ak/flow/watch.h>
#include <ak/kube/config.h>
#include <ak/kube/events.h>
#include <ak/manage/leader.h>
#include <ak/manage/metrics.h>
#include <ak/net/http_server.h>

/* One watched collection and its cache. Static data. */
struct ak_source {
    const struct ak_kind *kind;
    const char *label_selector;
    const struct ak_index *indexes;
    size_t n_indexes;
};

enum ak_stage {                    /* start order; stop is the reverse */
                AK_STAGE_HTTP,     /* probes and metrics answer first */
                AK_STAGE_CACHES,   /* watches; on every replica, so that a new leader is warm */
                AK_STAGE_SERVICES, /* what all replicas serve (webhook, invoke) */
                AK_STAGE_LEADER,
                AK_STAGE_CONTROLLERS, /* only while leading */
                AK_STAGE_MAX
};

struct ak_manager;
struct ak_manager_options {
    struct ak_kube_config *config; /* borrowed */
    const char *name;              /* field manager, Lease name, event source */
    const char *namespace_;        /* of the Lease */
    const char *identity;
    const char *watch_namespace; /* NULL: all */
    const struct ak_source *sources;
    size_t n_sources;
    const struct ak_route *routes;
    size_t n_routes;
    const struct ak_controller_options *controllers; /* .user is replaced by options.user if NULL */
    size_t n_controllers;
    void *user; /* for reconcile, routes' keys(), collect and services */
    bool leader_elect;
    struct ak_leader_options leader;                   /* timings and address only */
    const char *bind_address;                          /* NULL: all */
    int metrics_port, probe_port;                      /* negative: off; 0: any free one */
    void (*collect)(struct ak_metrics *m, void *user); /* more metrics; may be NULL */
    ak_msec stop_deadline;                             /* 0: 10 s */
    /* How long services, probes and metrics are served on after leadership was given back: who has not heard
     * yet that this replica is not ready any more still gets answers. 0: not at all. */
    ak_msec linger;
    /* Every object's own key is run again this often (+-10 %); 0: 10 h, negative: never. */
    ak_msec resync;
    /* AK_STAGE_SERVICES: what every replica serves. Called on the thread of ak_manager_run(), after the
     * caches are synced; may be NULL. */
    int (*start_services)(struct ak_manager *m, void *user, struct ak_error **reterr);
    void (*stop_services)(struct ak_manager *m, void *user);
};
AK_PUBLIC struct ak_manager *ak_manager_free(struct ak_manager *self);
AK_PUBLIC AK_MUST_USE int ak_manager_new(const struct ak_manager_options *options,
                                         struct ak_manager **ret, struct ak_error **reterr);
AK_DEFINE_AUTO_PTR(ak_manager, ak_manager_free)
/* Blocks SIGTERM and SIGINT for the process, runs until one of them comes, leadership is lost, or
 * ak_manager_stop(). 0 on an orderly end; leadership lost is AK_E_CANCELLED with an error. A second signal
 * ends the process at once. */
AK_PUBLIC AK_MUST_USE int ak_manager_run(struct ak_manager *self, struct ak_error **reterr);
AK_PUBLIC void ak_manager_stop(struct ak_manager *self); /* Thread: any */

/* For reconcilers and collectors. Thread: any. */
AK_PUBLIC struct ak_cache *ak_manager_cache(struct ak_manager *self, const struct ak_kind *kind);
AK_PUBLIC struct ak_client *ak_manager_client(struct ak_manager *self);
AK_PUBLIC struct ak_events *ak_manager_events(struct ak_manager *self);
AK_PUBLIC const struct ak_apply *ak_manager_apply(struct ak_manager *self);
AK_PUBLIC struct ak_queue *ak_manager_queue(struct ak_manager *self, const char *controller);
/* Where the leader says that it is reached (options.leader.address of that process). false: there is none
 * that says so. */
AK_PUBLIC bool ak_manager_find_leader(struct ak_manager *self,
                                      char ret[static AK_LEADER_ADDRESS_SIZE]);
AK_PUBLIC bool ak_manager_is_synced(struct ak_manager *self);
AK_PUBLIC struct ak_loop *ak_manager_loop(struct ak_manager *self);
/* The ports that are really bound; 0: off, or not started yet. */
AK_PUBLIC uint16_t ak_manager_metrics_port(struct ak_manager *self);
AK_PUBLIC uint16_t ak_manager_probe_port(struct ak_manager *self);
#endif
