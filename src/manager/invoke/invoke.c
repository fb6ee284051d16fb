/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/invoke/invoke.h"

#include <ak/base/alloc.h>
#include <ak/base/log.h>
#include <ak/base/text.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "manager/invoke/call.h"

#define LOG "invoke"
#define IDLE_TIMEOUT                                                                               \
    AK_SECONDS(120) /* Go's client lets go after 90 s: the first to close is never us */
#define REQUEST_TIMEOUT AK_SECONDS(15) /* head and body */
#define MAX_HEADER (16u << 10)
#define MAX_BODIES (16u << 20) /* of all requests, before anybody knows who sends them */
#define DRAIN_TIME AK_SECONDS(1)
#define DRAIN_STEP 20
#define WANTED_FILES 16384

static const struct ak_pool_lane lanes[AK_LANE_MAX] = {
    [AK_LANE_TOKENS] = {"invoke-token", 4, 64},
    [AK_LANE_CALLS] = {"invoke-call", 8, 256},
    /* Each may wait for minutes, and holds a prompt. */
    [AK_LANE_STARTS] = {"invoke-start", 64, 64},
    /* Each may wait for a bastion or a person. */
    [AK_LANE_TOOLS] = {"invoke-tool", 64, 256},
};

static const struct ak_http_route routes[] = {
    {NULL, "*", ak_invoke_on_request},
    {NULL, NULL, NULL},
};

/* ---- functions on the loop's thread */

struct visit {
    struct ak_invoke *invoke;
    void (*fn)(struct visit *visit);
    size_t left;
    int result;
    struct ak_error *err;
    bool returned;
};

static void run_visit(void *user)
{
    struct visit *visit = user;
    struct ak_invoke *self = visit->invoke;

    visit->fn(visit);
    ak_mutex_lock(&self->lock);
    visit->returned = true;
    ak_cond_broadcast(&self->done);
    ak_mutex_unlock(&self->lock);
}

static int visit_loop(struct visit *visit)
{
    struct ak_invoke *self = visit->invoke;

    if (ak_loop_is_here(self->options.loop)) {
        visit->fn(visit);
        return 0;
    }
    int r = ak_loop_post(self->options.loop, run_visit, visit);
    if (r < 0)
        return r;
    ak_mutex_lock(&self->lock);
    while (!visit->returned)
        ak_cond_wait_until(&self->done, &self->lock, AK_MSEC_NEVER);
    ak_mutex_unlock(&self->lock);
    return 0;
}

/* What the HTTP server refuses before anybody here sees it. */
static int write_error(int status, struct ak_buf *out)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    int r = ak_invoke_error(&err, status, "%s", ak_invoke_words_of(status));

    return ak_invoke_write_status(err, r, out);
}

static void open_server(struct visit *visit)
{
    struct ak_invoke *self = visit->invoke;
    const struct ak_http_server_options options = {
        .bind_address = self->options.bind_address,
        .port = self->options.port,
        .routes = routes,
        .user = self,
        .max_body = AK_INVOKE_MAX_BODY,
        .max_bodies = MAX_BODIES,
        .max_header = MAX_HEADER,
        .max_connections = AK_INVOKE_MAX_CONNECTIONS,
        .make_room = true,
        .idle_timeout = IDLE_TIMEOUT,
        .request_timeout = REQUEST_TIMEOUT,
        .error_body = write_error,
        .error_type = "application/json",
        .write_timeout = AK_INVOKE_WRITE_TIMEOUT,
    };

    visit->result = ak_http_server_new(self->options.loop, &options, &self->server, &visit->err);
    if (visit->result < 0)
        return;
    ak_mutex_lock(&self->lock);
    self->port = ak_http_server_port(self->server);
    ak_mutex_unlock(&self->lock);
}

/* Who follows something, or waits for a pod, goes on at another replica. */
static void break_off(struct visit *visit)
{
    struct ak_invoke_call *next;

    for (struct ak_invoke_call *call = visit->invoke->calls; call; call = next) {
        next = call->next;
        ak_invoke_break_off(call);
    }
}

static void drain_server(struct visit *visit)
{
    visit->left = ak_http_server_drain(visit->invoke->server);
}

/* The threads have ended: what they had is here, or was never begun. */
static void close_server(struct visit *visit)
{
    struct ak_invoke *self = visit->invoke;

    ak_invoke_collect(self);
    break_off(visit); /* what collecting began */
    self->server = ak_http_server_free(self->server);
    while (self->calls)
        ak_invoke_end(self->calls, 0);
    ak_timer_clear(self->reaper);
    ak_invoke_reap(self);
    self->link = ak_invoke_link_unref(self->link);
}

/* ---- the public side */

/* Each stream is two sockets. */
static void allow_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= WANTED_FILES)
        return;
    limit.rlim_cur = AK_MIN(limit.rlim_max, (rlim_t)WANTED_FILES);
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        ak_debug(LOG, "the limit of open files stays as it is");
}

int ak_invoke_new(const struct ak_invoke_options *options, struct ak_invoke **ret,
                  struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_invoke) self = ak_new0(struct ak_invoke);

    if (!self)
        return ak_error_oom(reterr);
    self->options = *options;
    ak_mutex_init(&self->lock);
    ak_cond_init(&self->done);
    self->reaper = ak_timer_new(options->loop, ak_invoke_reap, self);
    if (!self->reaper)
        return ak_error_oom(reterr);
    int r = ak_identities_new(options->client, options->clock, &self->identities, reterr);
    if (r >= 0)
        r = ak_accesses_new(options->client, options->clock, &self->accesses, reterr);
    if (r >= 0)
        r = ak_pool_new(lanes, AK_LANE_MAX, &self->pool, reterr);
    if (r < 0)
        return r;
    *ret = AK_TAKE(self);
    return 0;
}

int ak_invoke_start(struct ak_invoke *self, struct ak_error **reterr)
{
    struct visit visit = {.invoke = self, .fn = open_server};

    allow_files();
    int r = visit_loop(&visit);
    if (r < 0)
        return ak_error_set(reterr, r, "cannot reach the loop");
    if (visit.result < 0) {
        if (reterr)
            *reterr = visit.err;
        else
            ak_error_free(visit.err);
        return ak_error_wrap(reterr, visit.result, "invocation API, port %d", self->options.port);
    }
    ak_info(LOG, "serving calls", AK_INT("port", ak_invoke_port(self)));
    return 0;
}

/* Retries what only memory can hinder. */
static void must_visit(struct ak_invoke *self, void (*fn)(struct visit *visit), size_t *ret_left)
{
    const struct ak_cancel never = {.fd = -1};

    for (;;) {
        struct visit visit = {.invoke = self, .fn = fn};
        int r = visit_loop(&visit);
        if (r != -ENOMEM && r != -ENOBUFS) {
            if (ret_left)
                *ret_left = visit.left;
            return;
        }
        (void)ak_cancel_sleep(&never, DRAIN_STEP);
    }
}

void ak_invoke_stop(struct ak_invoke *self)
{
    const struct ak_cancel never = {.fd = -1};
    ak_msec until = ak_now() + DRAIN_TIME;
    size_t left = 1;

    ak_mutex_lock(&self->lock);
    bool done = self->stopping;
    self->stopping = true;
    ak_mutex_unlock(&self->lock);
    if (done || !self->server)
        return;
    must_visit(self, break_off, NULL);
    while (left && ak_now() < until) {
        must_visit(self, drain_server, &left);
        if (left)
            (void)ak_cancel_sleep(&never, DRAIN_STEP);
    }
    must_visit(self, break_off, NULL);
    ak_pool_stop(self->pool);
    must_visit(self, close_server, NULL);
}

struct ak_invoke *ak_invoke_free(struct ak_invoke *self)
{
    if (!self)
        return NULL;
    ak_invoke_stop(self);
    (void)ak_pool_free(self->pool);
    (void)ak_accesses_free(self->accesses);
    (void)ak_identities_free(self->identities);
    (void)ak_timer_free(self->reaper);
    ak_cond_done(&self->done);
    ak_mutex_done(&self->lock);
    ak_free(self);
    return NULL;
}

uint16_t ak_invoke_port(struct ak_invoke *self)
{
    ak_mutex_lock(&self->lock);
    uint16_t port = self->port;
    ak_mutex_unlock(&self->lock);
    return port;
}

bool ak_invoke_address(const char *pod_ip, const char *bind_address, int port,
                       char ret[static AK_LEADER_ADDRESS_SIZE])
{
    const char *host = ak_is_empty(pod_ip) ? bind_address : pod_ip;
    bool everything = ak_streq(host, "0.0.0.0") || ak_streq(host, "::");

    if (ak_is_empty(host) || everything || port <= 0)
        return false;
    int n =
        snprintf(ret, AK_LEADER_ADDRESS_SIZE, strchr(host, ':') ? "[%s]:%d" : "%s:%d", host, port);
    return n > 0 && n < AK_LEADER_ADDRESS_SIZE;
}
