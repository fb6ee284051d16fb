/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The probes' HTTP endpoint: GET and HEAD of a few paths, one request a connection, nothing else of
 * HTTP. Whoever reaches the pod may call it, the agent included, so everything has a limit:
 * AK_ENDPOINT_CONNECTIONS at a time (the oldest makes room for a new one, so that idle ones cannot
 * keep the kubelet out), AK_ENDPOINT_REQUEST bytes and AK_ENDPOINT_TIMEOUT for each. Thread: one.
 */
#ifndef AK_AGENTLET_ENDPOINT_H
#define AK_AGENTLET_ENDPOINT_H

#include "agentlet/poller.h"

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/time.h>
#include <stddef.h>
#include <stdint.h>

#define AK_ENDPOINT_CONNECTIONS 32
#define AK_ENDPOINT_REQUEST 4096u
#define AK_ENDPOINT_REPLY 8192u
#define AK_ENDPOINT_TIMEOUT AK_SECONDS(5)

/* Adds the answer's body and returns the HTTP status. */
typedef int (*ak_endpoint_fn)(void *user, struct ak_buf *body);

struct ak_endpoint_route {
    const char *path; /* NULL ends the table */
    const char *content_type;
    ak_endpoint_fn fn;
};

struct ak_endpoint;

struct ak_endpoint_connection {
    struct ak_endpoint *endpoint;
    int fd; /* -1: free */
    ak_msec deadline;
    struct ak_buf request;
    struct ak_buf reply;
};

struct ak_endpoint {
    struct ak_poller *poller;
    const struct ak_endpoint_route *routes;
    void *user;
    int fd; /* the listener; -1: none */
    uint16_t port;
    struct ak_endpoint_connection connections[AK_ENDPOINT_CONNECTIONS];
};

/*
 * Listens on "[ADDRESS]:PORT"; without an address on all, IPv6 included where there is IPv6.
 * -EINVAL if that is no such text. self must not move afterwards.
 */
AK_MUST_USE int ak_endpoint_init(struct ak_endpoint *self, struct ak_poller *poller,
                                 const char *listen_on, const struct ak_endpoint_route *routes,
                                 void *user, struct ak_error **reterr);
void ak_endpoint_done(struct ak_endpoint *self);
ak_msec ak_endpoint_deadline(const struct ak_endpoint *self);
void ak_endpoint_tick(struct ak_endpoint *self, ak_msec now); /* closes what is too slow */

#endif
