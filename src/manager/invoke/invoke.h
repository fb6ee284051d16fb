/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The invocation API: HTTP and JSON on one port, for people, programs and exo. docs/api.md says what it offers.
 *
 * Reads:  TokenReviews and SubjectAccessReviews for every caller, objects of the five kinds, the book of runs, pods'
 *         keepers (streams).
 * Writes: spec.paused of Agents (pause, resume), field manager AK_INVOKE_MANAGER; runs, through the book of runs.
 * Wakes:  nothing itself.
 * Never:  answers somebody whom the API server does not know, not even that a path does not exist; puts a token, a
 *         prompt or an answer into a log line.
 *
 * Every replica serves it. What changes something is done by the leader: another replica passes the request on
 * as it came, token included, and the leader asks for itself who the caller is.
 *
 * A call lives on the loop's thread. What may block is done by a thread of a lane (pool.h) in between; streams go
 * from socket to socket on the loop.
 */
#ifndef AK_MANAGER_INVOKE_INVOKE_H
#define AK_MANAGER_INVOKE_INVOKE_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/time.h>
#include <ak/kube/client.h>
#include <ak/manage/leader.h>
#include <ak/manage/metrics.h>
#include <ak/net/loop.h>
#include <stdbool.h>
#include <stdint.h>

#define AK_INVOKE_MANAGER "agentkube-manager-invoke"
#define AK_INVOKE_ADDRESS_ANNOTATION "agentkube.io/invoke-address" /* of the Lease */
#define AK_INVOKE_MAX_CONNECTIONS 2048
#define AK_INVOKE_MAX_STREAMS 1536         /* followed at a time */
#define AK_INVOKE_MAX_STREAMS_OF_USER 1024 /* the same, by one user */
#define AK_INVOKE_MAX_UNSENT (32u << 20)   /* bytes of answers that clients have not taken yet */
#define AK_INVOKE_WRITE_TIMEOUT AK_SECONDS(30) /* a client that takes nothing for so long is cut */

struct ak_runs;
struct ak_tools;
struct ak_invoke;
struct ak_invoke_options {
    struct ak_client *client;
    struct ak_loop *loop;
    const struct ak_clock *clock;
    struct ak_runs *runs;
    struct ak_tools *tools;
    const char *bind_address;       /* NULL: all */
    uint16_t port;                  /* 0: any free one */
    const char *watch_namespace;    /* NULL: all are served */
    bool (*is_leading)(void *user); /* NULL: always */
    bool (*find_leader)(char ret[static AK_LEADER_ADDRESS_SIZE],
                        void *user); /* NULL: nobody knows */
    void *user;
};
/* Thread: as start. Stops first. */
struct ak_invoke *ak_invoke_free(struct ak_invoke *self);
AK_MUST_USE int ak_invoke_new(const struct ak_invoke_options *options, struct ak_invoke **ret,
                              struct ak_error **reterr);
AK_DEFINE_AUTO_PTR(ak_invoke, ak_invoke_free)
/* Opens the port. Thread: any, while the loop runs; or the loop's. */
AK_MUST_USE int ak_invoke_start(struct ak_invoke *self, struct ak_error **reterr);
/* Ends streams and what waits for pods, lets the rest finish for a second, closes the port. */
void ak_invoke_stop(struct ak_invoke *self);
uint16_t ak_invoke_port(struct ak_invoke *self); /* 0: not open */
void ak_invoke_metrics(struct ak_invoke *self, struct ak_metrics *m);

/* "10.0.0.7:8082", "[fd00::7]:8082" into ret: what a replica with this address writes into the Lease. False: it has
 * none that others could use (no `pod_ip`, and bound to everything). */
bool ak_invoke_address(const char *pod_ip, const char *bind_address, int port,
                       char ret[static AK_LEADER_ADDRESS_SIZE]);

#endif
