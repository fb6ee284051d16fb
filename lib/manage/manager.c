/* SPDX-License-Identifier: Apache-2.0 */
#include "manager_internal.h"
#include "manager_signals.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/base/log.h>
#include <ak/base/text.h>

#define LOG "manager"
#define TICK AK_SECONDS(5)
#define DEFAULT_RESYNC AK_HOURS(10)
#define DEFAULT_STOP_DEADLINE AK_SECONDS(10)
#define COMPLAIN_EVERY 30000 /* ms: while the caches do not get ready */

/* ---- the thread in run() and the others ---- */

static void wake(struct ak_manager *self)
{
    uint64_t one = 1;

    (void)!write(self->wake_fd, &one, sizeof(one));
}

void ak_manager_stop(struct ak_manager *self)
{
    ak_mutex_lock(&self->lock);
    self->stop_wanted = true;
    ak_mutex_unlock(&self->lock);
    wake(self);
}

/* Keeps the first failure, takes `err` over, and makes run() end. */
static void fail_with(struct ak_manager *self, struct ak_error *err)
{
    ak_mutex_lock(&self->lock);
    if (!self->failure) {
        self->failure = err;
        err = NULL;
    }
    self->stop_wanted = true;
    ak_mutex_unlock(&self->lock);
    ak_error_free(err);
    wake(self);
}

struct call {
    struct ak_manager *manager;
    void (*fn)(struct ak_manager *self);
    bool returned;
};

static void run_call(void *user)
{
    struct call *call = user;
    struct ak_manager *self = call->manager;

    call->fn(self);
    ak_mutex_lock(&self->lock);
    call->returned = true;
    ak_cond_broadcast(&self->called);
    ak_mutex_unlock(&self->lock);
}

/* Runs fn on the loop's thread and waits for it. */
static int call_on_loop(struct ak_manager *self, void (*fn)(struct ak_manager *self))
{
    struct call call = {.manager = self, .fn = fn};
    int r = ak_loop_post(self->loop, run_call, &call);

    if (r < 0)
        return r;
    ak_mutex_lock(&self->lock);
    while (!call.returned)
        ak_cond_wait_until(&self->called, &self->lock, AK_MSEC_NEVER);
    ak_mutex_unlock(&self->lock);
    return 0;
}

static void run_loop(void *user)
{
    struct ak_manager *self = user;
    struct ak_error *err = NULL;

    if (ak_loop_run(self->loop, &err) < 0)
        fail_with(self, err);
}

/* ---- routing; on the loop's thread ---- */

struct ak_queue *ak_manager_queue(struct ak_manager *self, const char *controller)
{
    for (size_t i = 0; i < self->options.n_controllers; i++)
        if (ak_streq(ak_controller_name(self->controllers[i]), controller))
            return ak_controller_queue(self->controllers[i]);
    return NULL;
}

static struct ak_queue *queue_of(const char *controller, void *user)
{
    return ak_manager_queue(user, controller);
}

static void on_change(const struct ak_change *change, void *user)
{
    struct ak__feed *feed = user;
    struct ak_manager *self = feed->manager;

    if (self->routing)
        ak_route_change(self->options.routes, self->options.n_routes, change, queue_of, self,
                        self->options.user);
}

static void on_event(const struct ak_event *event, void *user)
{
    struct ak__feed *feed = user;

    ak_cache_sink(event, feed->cache);
    if (event->type == AK_EVENT_INIT_DONE)
        wake(feed->manager);
}

static void route_added(struct ak_manager *self, const struct ak_object *object)
{
    struct ak_change change = {.type = AK_CHANGE_ADDED, .after = object};

    ak_route_change(self->options.routes, self->options.n_routes, &change, queue_of, self,
                    self->options.user);
}

static void route_resync(struct ak_manager *self, const struct ak_object *object)
{
    ak_route_resync(self->options.routes, self->options.n_routes, object, queue_of, self);
}

static int each_object(struct ak_manager *self,
                       void (*fn)(struct ak_manager *self, const struct ak_object *object))
{
    for (size_t i = 0; i < self->options.n_sources; i++) {
        AK_AUTO(ak_object_list) list = {0};
        int r = ak_cache_list(self->feeds[i].cache, NULL, &list);
        if (r < 0)
            return r;
        for (size_t k = 0; k < list.len; k++)
            fn(self, list.items[k]);
    }
    return 0;
}

static ak_msec resync_due(const struct ak_manager *self)
{
    ak_msec period = self->options.resync ? self->options.resync : DEFAULT_RESYNC;
    uint32_t random = 0;

    if (period < 0)
        return AK_MSEC_NEVER;
    (void)!getrandom(&random, sizeof(random), 0);
    return ak_now() + period - period / 10 + (ak_msec)(random % 1000) * (period / 5) / 1000;
}

/* The controllers run: from now on changes reach them, and first everything that there is. */
static void begin_routing(struct ak_manager *self)
{
    self->routing = true;
    self->next_resync = resync_due(self);
    self->need_replay = each_object(self, route_added) < 0;
}

static void end_routing(struct ak_manager *self)
{
    self->routing = false;
}

static uint64_t count_dropped(struct ak_manager *self)
{
    uint64_t dropped = 0;

    for (size_t i = 0; i < self->options.n_controllers; i++) {
        struct ak_queue_stats st;
        ak_queue_stats(ak_controller_queue(self->controllers[i]), &st);
        dropped += st.dropped;
    }
    return dropped;
}

/* Mends what a lack of memory may have broken, and does the resync. */
static void on_tick(void *user)
{
    struct ak_manager *self = user;

    ak_timer_set(self->tick, TICK);
    ak__manager_settle(self);
    for (size_t i = 0; i < self->options.n_sources; i++)
        if (ak_cache_needs_relist(self->feeds[i].cache))
            ak_watch_relist(self->feeds[i].watch);
    if (!self->routing)
        return;
    if (self->need_replay || count_dropped(self) != self->dropped) {
        self->dropped = count_dropped(self);
        self->need_replay = each_object(self, route_added) < 0;
    }
    if (ak_now() >= self->next_resync) {
        (void)!each_object(self, route_resync);
        self->next_resync = resync_due(self);
    }
}

/* ---- stages ---- */

static void on_deadline(void *user)
{
    struct ak_manager *self = user;

    ak_warn(LOG, "stopping takes too long, abandoning requests");
    ak_cancel_now(&self->cancel);
}

static int start_http(struct ak_manager *self, struct ak_error **reterr)
{
    int r = ak__manager_http_start(self, reterr);

    if (r < 0)
        return r;
    ak_timer_set(self->tick, TICK);
    r = ak_thread_start(&self->loop_thread, "loop", run_loop, self);
    return r < 0 ? ak_error_set(reterr, r, "cannot start the loop's thread") : 0;
}

static void stop_http(struct ak_manager *self)
{
    ak_loop_stop(self->loop);
    ak_thread_join(&self->loop_thread);
    ak__manager_http_stop(self);
}

static void start_watches(struct ak_manager *self)
{
    for (size_t i = 0; i < self->options.n_sources; i++)
        ak_watch_start(self->feeds[i].watch);
}

static void stop_watches(struct ak_manager *self)
{
    for (size_t i = 0; i < self->options.n_sources; i++)
        ak_watch_stop(self->feeds[i].watch);
}

static int start_caches(struct ak_manager *self, struct ak_error **reterr)
{
    int r = call_on_loop(self, start_watches);

    return r < 0 ? ak_error_set(reterr, r, "cannot start the watches") : 0;
}

static void stop_caches(struct ak_manager *self)
{
    (void)!call_on_loop(self, stop_watches);
}

static int start_services(struct ak_manager *self, struct ak_error **reterr)
{
    if (!self->options.start_services)
        return 0;
    return self->options.start_services(self, self->options.user, reterr);
}

static void stop_services(struct ak_manager *self)
{
    if (self->options.stop_services)
        self->options.stop_services(self, self->options.user);
}

static bool is_stopping(struct ak_manager *self, bool from_now)
{
    bool stopping;

    ak_mutex_lock(&self->lock);
    self->stopping |= from_now;
    stopping = self->stopping;
    ak_mutex_unlock(&self->lock);
    return stopping;
}

static int start_workers(struct ak_manager *self, struct ak_error **reterr)
{
    int r = 0;

    if (is_stopping(self, false))
        return 0; /* told to stop in the moment in which we became the leader: no failure */
    self->running = true;
    for (size_t i = 0; i < self->options.n_controllers && r >= 0; i++)
        r = ak_controller_start(self->controllers[i], reterr);
    if (r < 0)
        return r;
    r = call_on_loop(self, begin_routing);
    return r < 0 ? ak_error_set(reterr, r, "cannot start routing") : 0;
}

/* A stop that comes while the leader's thread still starts them waits until they have started: a worker that
 * nobody has recorded yet would never be joined. */
static int start_controllers(struct ak_manager *self, struct ak_error **reterr)
{
    int r;

    ak_mutex_lock(&self->controllers_lock);
    r = start_workers(self, reterr);
    ak_mutex_unlock(&self->controllers_lock);
    return r;
}

static void stop_workers(struct ak_manager *self)
{
    (void)!call_on_loop(self, end_routing);
    for (size_t i = 0; i < self->options.n_controllers; i++)
        ak_queue_shutdown(ak_controller_queue(self->controllers[i]));
    for (size_t i = 0; i < self->options.n_controllers; i++)
        ak_controller_stop(self->controllers[i]);
}

/* Only the first caller does it: run() on a stop, or the leader's thread when the Lease is lost. */
static void stop_controllers(struct ak_manager *self)
{
    (void)is_stopping(self, true);
    ak_mutex_lock(&self->controllers_lock);
    if (self->running)
        stop_workers(self);
    self->running = false;
    ak_mutex_unlock(&self->controllers_lock);
}

static void on_leading(void *user)
{
    struct ak_manager *self = user;
    struct ak_error *err = NULL;

    ak_info(LOG, "became the leader", AK_STR("identity", self->identity));
    if (start_controllers(self, &err) < 0)
        fail_with(self, err);
}

static void on_not_leading(void *user)
{
    struct ak_manager *self = user;
    struct ak_error *err = NULL;
    if (!is_stopping(self, false)) {
        ak_cancel_now(&self->cancel); /* what is on its way may not arrive any more */
        (void)ak_error_set(&err, AK_E_CANCELLED,
                           "lost the Lease \"%s/%s\" to another, or could not renew it",
                           self->options.leader.namespace_, self->options.leader.name);
    }
    stop_controllers(self);
    if (err)
        fail_with(self, err);
}

static int start_leader(struct ak_manager *self, struct ak_error **reterr)
{
    return self->leader ? ak_leader_start(self->leader, reterr) : 0;
}

static void stop_leader(struct ak_manager *self)
{
    if (self->leader)
        ak_leader_stop(self->leader);
}

/* With leader election the leader's thread does it, when the Lease is ours. */
static int start_controllers_now(struct ak_manager *self, struct ak_error **reterr)
{
    return self->leader ? 0 : start_controllers(self, reterr);
}

static const struct stage {
    const char *name;
    int (*start)(struct ak_manager *self, struct ak_error **reterr);
    void (*stop)(struct ak_manager *self);
    bool wait_for_sync; /* before the next stage */
} stages[AK_STAGE_MAX] = {
    [AK_STAGE_HTTP] = {"http", start_http, stop_http, false},
    [AK_STAGE_CACHES] = {"caches", start_caches, stop_caches, true},
    [AK_STAGE_SERVICES] = {"services", start_services, stop_services, false},
    [AK_STAGE_LEADER] = {"leader", start_leader, stop_leader, false},
    [AK_STAGE_CONTROLLERS] = {"controllers", start_controllers_now, stop_controllers, false},
};

/* ---- run ---- */

static bool is_stop_wanted(struct ak_manager *self)
{
    bool wanted;

    ak_mutex_lock(&self->lock);
    wanted = self->stop_wanted;
    ak_mutex_unlock(&self->lock);
    return wanted;
}

static void complain_about_caches(struct ak_manager *self)
{
    for (size_t i = 0; i < self->options.n_sources; i++) {
        struct ak_watch_stats st;
        if (ak_cache_is_synced(self->feeds[i].cache))
            continue;
        ak_watch_stats(self->feeds[i].watch, &st);
        ak_warn(LOG, "still waiting for the first list",
                AK_STR("resource", self->feeds[i].source->kind->resource.plural),
                AK_STR("state", st.state),
                AK_STR("error", st.last_error[0] ? st.last_error : NULL));
    }
}

/* Waits for a signal or a wish to stop (true), or until the caches are synced (false). */
static bool wait_for_stop(struct ak_manager *self, const struct ak__signals *s, bool until_synced)
{
    struct pollfd fds[] = {{.fd = s->fd, .events = POLLIN},
                           {.fd = self->wake_fd, .events = POLLIN}};
    struct signalfd_siginfo info;
    uint64_t n;

    while (!is_stop_wanted(self)) {
        if (until_synced && ak_manager_is_synced(self))
            return false;
        if (poll(fds, AK_ARRAY_LEN(fds), until_synced ? COMPLAIN_EVERY : -1) == 0)
            complain_about_caches(self);
        (void)!read(self->wake_fd, &n, sizeof(n));
        if (read(s->fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
            ak_info(LOG, "stopping", AK_STR("signal", strsignal((int)info.ssi_signo)));
            return true;
        }
    }
    return true;
}

static int start_stages(struct ak_manager *self, const struct ak__signals *s, size_t *ret_started,
                        struct ak_error **reterr)
{
    ak_msec begin = ak_now();

    for (*ret_started = 0; *ret_started < AK_STAGE_MAX;) {
        const struct stage *stage = &stages[*ret_started];
        int r = stage->start(self, reterr);
        (*ret_started)++; /* one that failed half way is stopped too */
        if (r < 0)
            return ak_error_wrap(reterr, r, "start %s", stage->name);
        if (!stage->wait_for_sync)
            continue;
        if (wait_for_stop(self, s, true))
            return 0;
        ak_info(LOG, "caches are synced", AK_INT("milliseconds", ak_now() - begin));
    }
    (void)wait_for_stop(self, s, false);
    return 0;
}

static void arm_deadline(struct ak_manager *self)
{
    const struct ak_manager_options *o = &self->options;

    ak_timer_set(self->deadline,
                 o->linger + (o->stop_deadline > 0 ? o->stop_deadline : DEFAULT_STOP_DEADLINE));
}

/* Only after an orderly life: who failed has nothing to offer. A second signal cuts it short. */
static void linger(struct ak_manager *self)
{
    ak_msec until = ak_now() + self->options.linger;
    bool failed;

    ak_mutex_lock(&self->lock);
    failed = self->failure != NULL;
    ak_mutex_unlock(&self->lock);
    for (ak_msec left = failed ? 0 : self->options.linger; left > 0; left = until - ak_now())
        (void)poll(NULL, 0, (int)AK_MIN(left, AK_SECONDS(60)));
}

static void stop_stages(struct ak_manager *self, size_t started)
{
    (void)is_stopping(self, true);
    if (self->loop_thread.started)
        (void)!call_on_loop(self, arm_deadline);
    while (started > 0) {
        if (started == AK_STAGE_SERVICES + 1)
            linger(self);
        stages[--started].stop(self);
    }
    ak_timer_clear(self->deadline);
}

int ak_manager_run(struct ak_manager *self, struct ak_error **reterr)
{
    struct ak__signals signals;
    struct ak_error *failure;
    size_t started;
    int r;

    r = ak__signals_begin(&signals, reterr);
    if (r < 0)
        return r;
    r = start_stages(self, &signals, &started, reterr);
    ak__signals_arm_second(&signals);
    stop_stages(self, started);
    ak__signals_end(&signals);
    ak_mutex_lock(&self->lock);
    failure = AK_TAKE(self->failure);
    ak_mutex_unlock(&self->lock);
    if (r >= 0 && failure) {
        r = ak_error_code(failure);
        if (reterr)
            *reterr = AK_TAKE(failure);
    }
    ak_error_free(failure);
    return r;
}

/* ---- made and freed ---- */

struct ak_manager *ak_manager_free(struct ak_manager *self)
{
    if (!self)
        return NULL;
    for (size_t i = 0; self->controllers && i < self->options.n_controllers; i++)
        ak_controller_free(self->controllers[i]);
    ak_free(self->controllers);
    ak_leader_free(self->leader);
    for (size_t i = 0; self->feeds && i < self->options.n_sources; i++) {
        ak_watch_free(self->feeds[i].watch);
        ak_cache_free(self->feeds[i].cache);
    }
    ak_free(self->feeds);
    ak_timer_free(self->tick);
    ak_timer_free(self->deadline);
    ak_events_free(self->events);
    ak_client_free(self->leader_client);
    ak_client_free(self->client);
    ak_loop_free(self->loop);
    ak_cancel_done(&self->cancel);
    if (self->wake_fd >= 0)
        (void)close(self->wake_fd);
    ak_error_free(self->failure);
    ak_cond_done(&self->called);
    ak_mutex_done(&self->controllers_lock);
    ak_mutex_done(&self->lock);
    ak_free(self);
    return NULL;
}

static bool has_source(const struct ak_manager_options *o, const struct ak_kind *kind)
{
    for (size_t i = 0; i < o->n_sources; i++)
        if (o->sources[i].kind == kind)
            return true;
    return false;
}

static bool has_controller(const struct ak_manager_options *o, const char *name)
{
    for (size_t i = 0; i < o->n_controllers; i++)
        if (ak_streq(o->controllers[i].name, name))
            return true;
    return false;
}

/* A row that can never fire is a mistake that nobody would notice. */
static int check_routes(const struct ak_manager_options *o, struct ak_error **reterr)
{
    for (size_t i = 0; i < o->n_routes; i++) {
        if (!has_source(o, o->routes[i].kind))
            return ak_error_set(reterr, -EINVAL, "routes[%zu]: %s is not among the sources", i,
                                o->routes[i].kind->resource.plural);
        if (!has_controller(o, o->routes[i].controller))
            return ak_error_set(reterr, -EINVAL, "routes[%zu]: no controller \"%s\"", i,
                                o->routes[i].controller);
    }
    return 0;
}

static void set_names(struct ak_manager *self)
{
    const struct ak_manager_options *o = &self->options;
    const char *server = ak_kube_config_server(o->config), *host = strstr(server, "://");
    char machine[65] = "localhost";
    uint32_t random = 0;

    host = host ? host + 3 : server;
    (void)snprintf(self->host, sizeof(self->host), "%.*s", (int)strcspn(host, "/"), host);
    if (o->identity) {
        (void)snprintf(self->identity, sizeof(self->identity), "%s", o->identity);
        return;
    }
    (void)gethostname(machine, sizeof(machine) - 1);
    (void)!getrandom(&random, sizeof(random), 0);
    (void)snprintf(self->identity, sizeof(self->identity), "%s_%08x", machine, random);
}

static int make_clients(struct ak_manager *self, struct ak_error **reterr)
{
    struct ak_manager_options *o = &self->options;
    int r;

    r = ak_cancel_init(&self->cancel);
    if (r < 0)
        return ak_error_set(reterr, r, "eventfd");
    r = ak_client_new(o->config, &self->client, reterr);
    if (r < 0)
        return r;
    ak_client_set_cancel(self->client, &self->cancel);
    r = ak_events_new(self->client, o->name, self->identity, &self->events, reterr);
    if (r < 0)
        return r;
    self->apply = (struct ak_apply){.client = self->client, .manager = o->name};
    if (!o->leader_elect)
        return 0;
    r = ak_client_new(o->config, &self->leader_client, reterr);
    if (r < 0)
        return r;
    o->leader.namespace_ = o->namespace_;
    o->leader.name = o->leader.name ? o->leader.name : o->name;
    o->leader.identity = self->identity;
    o->leader.started = on_leading;
    o->leader.stopped = on_not_leading;
    o->leader.user = self;
    r = ak_leader_new(self->leader_client, &o->leader, &self->leader, reterr);
    self->apply.may_write = ak_leader_may_write;
    self->apply.user = self->leader;
    return r;
}

static int make_feeds(struct ak_manager *self, struct ak_error **reterr)
{
    const struct ak_manager_options *o = &self->options;

    self->feeds = ak_calloc(o->n_sources ? o->n_sources : 1, sizeof(*self->feeds));
    if (!self->feeds)
        return ak_error_oom(reterr);
    for (size_t i = 0; i < o->n_sources; i++) {
        struct ak__feed *feed = &self->feeds[i];
        struct ak_watch_options w = {
            .kind = o->sources[i].kind,
            .namespace_ = o->sources[i].kind->resource.namespaced ? o->watch_namespace : NULL,
            .label_selector = o->sources[i].label_selector,
            .manager = o->name,
        };
        int r;
        feed->manager = self;
        feed->source = &o->sources[i];
        r = ak_cache_new(feed->source->kind, feed->source->indexes, feed->source->n_indexes,
                         on_change, feed, &feed->cache, reterr);
        if (r >= 0)
            r = ak_watch_new(self->loop, self->client, &w, on_event, feed, &feed->watch, reterr);
        if (r < 0)
            return r;
    }
    return 0;
}

static int make_controllers(struct ak_manager *self, struct ak_error **reterr)
{
    const struct ak_manager_options *o = &self->options;

    self->controllers =
        ak_calloc(o->n_controllers ? o->n_controllers : 1, sizeof(struct ak_controller *));
    if (!self->controllers)
        return ak_error_oom(reterr);
    for (size_t i = 0; i < o->n_controllers; i++) {
        struct ak_controller_options c = o->controllers[i];
        int r;
        c.user = c.user ? c.user : o->user;
        r = ak_controller_new(&c, &self->controllers[i], reterr);
        if (r < 0)
            return r;
    }
    return 0;
}

int ak_manager_new(const struct ak_manager_options *options, struct ak_manager **ret,
                   struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_manager) self = NULL;
    int r;

    r = check_routes(options, reterr);
    if (r < 0)
        return r;
    self = ak_new0(struct ak_manager);
    if (!self)
        return ak_error_oom(reterr);
    self->options = *options;
    self->cancel.fd = -1;
    ak_mutex_init(&self->lock);
    ak_mutex_init(&self->controllers_lock);
    ak_cond_init(&self->called);
    self->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->wake_fd < 0)
        return ak_error_set(reterr, -errno, "eventfd");
    set_names(self);
    r = make_clients(self, reterr);
    if (r >= 0)
        r = ak_loop_new(&self->loop, reterr);
    if (r >= 0)
        r = make_feeds(self, reterr);
    if (r >= 0)
        r = make_controllers(self, reterr);
    if (r < 0)
        return r;
    self->tick = ak_timer_new(self->loop, on_tick, self);
    self->deadline = ak_timer_new(self->loop, on_deadline, self);
    if (!self->tick || !self->deadline)
        return ak_error_oom(reterr);
    *ret = AK_TAKE(self);
    return 0;
}

/* ---- what others ask for ---- */

struct ak_cache *ak_manager_cache(struct ak_manager *self, const struct ak_kind *kind)
{
    for (size_t i = 0; i < self->options.n_sources; i++)
        if (self->feeds[i].source->kind == kind)
            return self->feeds[i].cache;
    return NULL;
}

struct ak_client *ak_manager_client(struct ak_manager *self)
{
    return self->client;
}

struct ak_events *ak_manager_events(struct ak_manager *self)
{
    return self->events;
}

const struct ak_apply *ak_manager_apply(struct ak_manager *self)
{
    return &self->apply;
}

bool ak_manager_find_leader(struct ak_manager *self, char ret[static AK_LEADER_ADDRESS_SIZE])
{
    return self->leader && ak_leader_find_address(self->leader, ret);
}

bool ak_manager_is_synced(struct ak_manager *self)
{
    for (size_t i = 0; i < self->options.n_sources; i++)
        if (!ak_cache_is_synced(self->feeds[i].cache))
            return false;
    return true;
}

struct ak_loop *ak_manager_loop(struct ak_manager *self)
{
    return self->loop;
}

uint16_t ak_manager_metrics_port(struct ak_manager *self)
{
    if (self->metrics_server)
        return ak_http_server_port(self->metrics_server);
    return self->probe_server && self->options.metrics_port == self->options.probe_port
               ? ak_http_server_port(self->probe_server)
               : 0;
}

uint16_t ak_manager_probe_port(struct ak_manager *self)
{
    return self->probe_server ? ak_http_server_port(self->probe_server) : 0;
}
