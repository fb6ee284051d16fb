/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server side of webhook.h. A review is a job. On the loop's thread it is decoded and seen by `quick`;
 * if that is not enough it waits in a queue for a worker, comes back in the list `finished`, and is answered
 * on the loop's thread again. A job belongs to the loop's thread, except between being taken by a worker and
 * being put into `finished`; its exchange is the loop's alone, always.
 */
#include <ak/manage/webhook.h>

#include <openssl/ssl.h>
#include <string.h>
#include <time.h>

#include <ak/base/alloc.h>
#include <ak/base/log.h>
#include <ak/base/text.h>
#include <ak/base/thread.h>
#include <ak/net/http_server.h>
#include <ak/net/tls.h>

#define LOG "webhook"
#define DEFAULT_WORKERS 4
#define MAX_WORKERS 16
#define DEFAULT_DEADLINE AK_SECONDS(8)
#define IDLE_TIMEOUT                                                                               \
    AK_SECONDS(120) /* Go's client lets go after 90 s: the first to close is never us */
#define DRAIN_TIME AK_SECONDS(1)
#define DRAIN_STEP 20
#define ARENA_FIRST 2048
#define ARENA_MAX (16u << 20)
#define ANSWER_MAX (256u << 10)

enum outcome { ALLOWED, DENIED, FAILED, OUTCOME_MAX };
static const char *const outcome_names[OUTCOME_MAX] = {"allowed", "denied", "failed"};

static const double bounds[] = {0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02,
                                0.05,   0.1,    0.2,    0.5,   1,     2,     5,    10};
#define N_BOUNDS AK_ARRAY_LEN(bounds)

struct handler_stats {
    uint64_t outcomes[OUTCOME_MAX];
    uint64_t buckets[N_BOUNDS + 1];
    double seconds;
};

struct job {
    struct ak_webhook *webhook;
    const struct ak_webhook_handler *handler;
    struct ak_http_exchange *ex; /* NULL: the client has gone, or was answered */
    struct ak_timer *timer;      /* of the deadline; NULL while `quick` runs */
    struct ak_arena arena;
    json_t *tree;
    const char *version;
    struct ak_review review;
    struct ak_review_answer answer;
    ak_msec began;
    double began_s; /* finer */
    int result;     /* of the handler */
    struct ak_error *err;
    struct job *next;
};

struct ak_webhook {
    struct ak_webhook_options options;
    struct ak_loop *loop;
    struct ak_http_route routes[AK_WEBHOOK_MAX_HANDLERS + 1];
    struct ak_http_server *server; /* of the loop's thread */
    struct ak_thread workers[MAX_WORKERS];
    int n_workers;

    struct ak_mutex lock; /* guards what follows */
    struct ak_cond work;  /* something waits, or we stop */
    struct ak_cond done;  /* a call on the loop's thread has returned */
    struct job *waiting, **waiting_end;
    size_t n_waiting, n_running;
    struct job *finished;
    bool stopping;
    uint16_t port;
    struct handler_stats stats[AK_WEBHOOK_MAX_HANDLERS];
};

/* ---- jobs ---- */

static struct job *job_free(struct job *self)
{
    if (!self)
        return NULL;
    (void)ak_timer_free(self->timer);
    ak_error_free(self->err);
    ak_arena_done(&self->arena);
    json_decref(self->tree);
    ak_free(self);
    return NULL;
}
AK_DEFINE_AUTO_PTR(job, job_free)

static double seconds_now(void)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void count(struct job *job, enum outcome outcome)
{
    struct ak_webhook *self = job->webhook;
    struct handler_stats *stats = &self->stats[job->handler - self->options.handlers];
    double seconds = seconds_now() - job->began_s;
    size_t bucket = 0;

    while (bucket < N_BOUNDS && seconds > bounds[bucket])
        bucket++;
    ak_mutex_lock(&self->lock);
    stats->outcomes[outcome]++;
    stats->buckets[bucket]++;
    stats->seconds += seconds;
    ak_mutex_unlock(&self->lock);
}

static void reply_plain(struct ak_http_exchange *ex, int status, const char *text)
{
    ak_http_reply_text(ex, status, "text/plain; charset=utf-8", text, strlen(text), NULL);
}

/* Ends the exchange with an HTTP error: the failurePolicy decides. */
static void fail(struct job *job, int status, const char *text)
{
    struct ak_http_exchange *ex = AK_TAKE(job->ex);

    count(job, FAILED);
    if (ex)
        reply_plain(ex, status, text);
}

static void answer(struct job *job)
{
    AK_AUTO(ak_buf) body = AK_BUF_INIT(ANSWER_MAX);

    if (!job->ex)
        return; /* too late, and counted as such */
    if (job->result < 0 || ak_review_encode(&job->review, job->version, &job->answer, &body) < 0) {
        ak_debug(LOG, "a review failed", AK_STR("path", job->handler->path), AK_ERR(job->err));
        fail(job, 500, "the review failed\n");
        return;
    }
    count(job, job->answer.denied ? DENIED : ALLOWED);
    ak_http_reply_text(AK_TAKE(job->ex), 200, "application/json", body.data, body.len, NULL);
}

static void on_deadline(void *user)
{
    fail(user, 504, "the review took too long\n");
}

static void on_client_gone(void *user)
{
    struct job *job = user;

    job->ex = NULL;
    ak_timer_clear(job->timer);
    count(job, FAILED);
}

/* ---- workers ---- */

/* What workers put down is answered. On the loop's thread. */
static void collect_finished(void *user)
{
    struct ak_webhook *self = user;

    ak_mutex_lock(&self->lock);
    struct job *list = self->finished;
    self->finished = NULL;
    ak_mutex_unlock(&self->lock);
    while (list) {
        struct job *job = list;
        list = job->next;
        answer(job);
        (void)job_free(job);
    }
}

static struct job *take_waiting_locked(struct ak_webhook *self) AK_REQUIRES(self->lock)
{
    struct job *job = self->waiting;

    self->waiting = job->next;
    if (!self->waiting)
        self->waiting_end = &self->waiting;
    self->n_waiting--;
    self->n_running++;
    return job;
}

static void put_finished_locked(struct ak_webhook *self, struct job *job) AK_REQUIRES(self->lock)
{
    job->next = self->finished;
    self->finished = job;
    self->n_running--;
}

/* The next job, or NULL when we stop. */
static struct job *next_job(struct ak_webhook *self)
{
    struct job *job = NULL;

    ak_mutex_lock(&self->lock);
    while (!self->waiting && !self->stopping)
        ak_cond_wait_until(&self->work, &self->lock, AK_MSEC_NEVER);
    if (!self->stopping)
        job = take_waiting_locked(self);
    ak_mutex_unlock(&self->lock);
    return job;
}

static void work(void *user)
{
    struct ak_webhook *self = user;
    struct job *job;

    while ((job = next_job(self)) != NULL) {
        if (ak_now() < job->review.deadline)
            job->result =
                job->handler->slow(&job->review, &job->answer, self->options.user, &job->err);
        else
            job->result = -ETIMEDOUT;
        ak_mutex_lock(&self->lock);
        put_finished_locked(self, job);
        ak_mutex_unlock(&self->lock);
        /* Without memory for the message its deadline answers it, and the next message collects it. */
        (void)!ak_loop_post(self->loop, collect_finished, self);
    }
}

/* false: too many wait. */
static bool put_waiting(struct ak_webhook *self, struct job *job)
{
    bool room;

    ak_mutex_lock(&self->lock);
    room = self->n_waiting < AK_WEBHOOK_MAX_WAITING;
    if (room) {
        *self->waiting_end = job;
        self->waiting_end = &job->next;
        self->n_waiting++;
        ak_cond_signal(&self->work);
    }
    ak_mutex_unlock(&self->lock);
    return room;
}

/* ---- requests ---- */

static const struct ak_webhook_handler *handler_of(const struct ak_webhook *self, const char *path)
{
    for (size_t i = 0; i < self->options.n_handlers; i++)
        if (ak_streq(self->options.handlers[i].path, path))
            return &self->options.handlers[i];
    return NULL;
}

static int decode(struct job *job)
{
    size_t len;
    const char *body = ak_http_body(job->ex, &len);
    int r = ak_review_decode(body, len, job->handler->skip, &job->arena, &job->review,
                             &job->version, &job->tree, &job->err);

    job->review.deadline = job->began + job->webhook->options.deadline;
    job->answer.arena = &job->arena;
    return r;
}

/* Leaves the job to a worker; NULL if it was taken. */
static struct job *defer(struct ak_webhook *self, struct job *job)
{
    job->timer = ak_timer_new(self->loop, on_deadline, job);
    if (!job->timer) {
        fail(job, 500, "no memory\n");
        return job;
    }
    ak_timer_set(job->timer, self->options.deadline);
    ak_http_on_close(job->ex, on_client_gone, job);
    if (put_waiting(self, job))
        return NULL;
    fail(job, 429, "too many reviews are waiting\n");
    return job;
}

static struct job *job_new(struct ak_webhook *self, struct ak_http_exchange *ex)
{
    struct job *job = ak_new0(struct job);

    if (!job)
        return NULL;
    ak_arena_init(&job->arena, ARENA_FIRST, ARENA_MAX);
    job->webhook = self;
    job->handler = handler_of(self, ak_http_path(ex));
    job->ex = ex;
    job->began = ak_now();
    job->began_s = seconds_now();
    return job;
}

static void refuse_body(struct job *job)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(4096);
    int status = ak_error_code(job->err) == AK_E_TOO_LARGE ? 413 : 400;

    if (ak_error_code(job->err) == -ENOMEM ||
        ak_buf_addf(&text, "%s\n", ak_error_message(job->err)) < 0)
        fail(job, 500, "no memory\n");
    else
        fail(job, status, ak_buf_text(&text));
}

static bool is_json(const char *content_type)
{
    size_t len = content_type ? strcspn(content_type, "; ") : 0;

    return len == strlen("application/json") && strncmp(content_type, "application/json", len) == 0;
}

static void on_review(struct ak_http_exchange *ex, void *user)
{
    struct ak_webhook *self = user;

    if (!is_json(ak_http_header(ex, "Content-Type"))) {
        reply_plain(ex, 415, "Content-Type must be application/json\n");
        return;
    }
    AK_AUTO_PTR(job) job = job_new(self, ex);
    if (!job) {
        reply_plain(ex, 500, "no memory\n");
        return;
    }
    if (decode(job) < 0) {
        refuse_body(job);
        return;
    }
    job->result = AK_REVIEW_LATER;
    if (job->handler->quick)
        job->result =
            job->handler->quick(&job->review, &job->answer, self->options.user, &job->err);
    if (job->result == AK_REVIEW_LATER && job->handler->slow)
        job = defer(self, job);
    else
        answer(job);
}

/* ---- calls on the loop's thread ---- */

struct call {
    struct ak_webhook *webhook;
    void (*fn)(struct call *call);
    struct ak_tls_context *tls;
    size_t left;
    int result;
    struct ak_error *err;
    bool returned;
};

static void run_call(void *user)
{
    struct call *call = user;
    struct ak_webhook *self = call->webhook;

    call->fn(call);
    ak_mutex_lock(&self->lock);
    call->returned = true;
    ak_cond_broadcast(&self->done);
    ak_mutex_unlock(&self->lock);
}

static int call_on_loop(struct call *call)
{
    struct ak_webhook *self = call->webhook;
    int r = 0;

    if (ak_loop_is_here(self->loop)) {
        call->fn(call);
        return 0;
    }
    r = ak_loop_post(self->loop, run_call, call);
    if (r < 0)
        return r;
    ak_mutex_lock(&self->lock);
    while (!call->returned)
        ak_cond_wait_until(&self->done, &self->lock, AK_MSEC_NEVER);
    ak_mutex_unlock(&self->lock);
    return 0;
}

static void open_server(struct call *call)
{
    struct ak_webhook *self = call->webhook;
    const struct ak_http_server_options options = {
        .bind_address = self->options.bind_address,
        .port = self->options.port,
        .tls = call->tls,
        .routes = self->routes,
        .user = self,
        .max_body = AK_WEBHOOK_MAX_BODY,
        .max_connections = AK_WEBHOOK_MAX_CONNECTIONS,
        .idle_timeout = IDLE_TIMEOUT,
    };

    if (self->server) {
        ak_http_server_set_tls(self->server, call->tls);
        return;
    }
    call->result = ak_http_server_new(self->loop, &options, &self->server, &call->err);
    if (call->result < 0)
        return;
    ak_mutex_lock(&self->lock);
    self->port = ak_http_server_port(self->server);
    ak_mutex_unlock(&self->lock);
}

static void drain_server(struct call *call)
{
    call->left = ak_http_server_drain(call->webhook->server);
}

static void close_server(struct call *call)
{
    struct ak_webhook *self = call->webhook;

    self->server = ak_http_server_free(self->server);
    collect_finished(self);
}

/* ---- the public side ---- */

static int start_workers(struct ak_webhook *self, struct ak_error **reterr)
{
    int wanted =
        self->options.workers > 0 ? AK_MIN(self->options.workers, MAX_WORKERS) : DEFAULT_WORKERS;

    for (; self->n_workers < wanted; self->n_workers++) {
        int r = ak_thread_start(&self->workers[self->n_workers], "webhook", work, self);
        if (r < 0)
            return ak_error_set(reterr, r, "start a worker of the webhook");
    }
    return 0;
}

static bool has_slow(const struct ak_webhook_options *options)
{
    for (size_t i = 0; i < options->n_handlers; i++)
        if (options->handlers[i].slow)
            return true;
    return false;
}

int ak_webhook_new(struct ak_loop *loop, const struct ak_webhook_options *options,
                   struct ak_webhook **ret, struct ak_error **reterr)
{
    if (options->n_handlers > AK_WEBHOOK_MAX_HANDLERS)
        return ak_error_set(reterr, -EINVAL, "more than %d handlers", AK_WEBHOOK_MAX_HANDLERS);
    AK_AUTO_PTR(ak_webhook) self = ak_new0(struct ak_webhook);
    if (!self)
        return ak_error_oom(reterr);
    self->options = *options;
    self->loop = loop;
    self->waiting_end = &self->waiting;
    ak_mutex_init(&self->lock);
    ak_cond_init(&self->work);
    ak_cond_init(&self->done);
    if (!self->options.deadline)
        self->options.deadline = DEFAULT_DEADLINE;
    for (size_t i = 0; i < options->n_handlers; i++)
        self->routes[i] = (struct ak_http_route){
            .method = "POST", .path = options->handlers[i].path, .handler = on_review};
    int r = has_slow(options) ? start_workers(self, reterr) : 0;
    if (r < 0)
        return r;
    *ret = AK_TAKE(self);
    return 0;
}

static void stop_workers(struct ak_webhook *self)
{
    ak_mutex_lock(&self->lock);
    self->stopping = true;
    ak_cond_broadcast(&self->work);
    ak_mutex_unlock(&self->lock);
    for (int i = 0; i < self->n_workers; i++)
        ak_thread_join(&self->workers[i]);
}

/* Reviews that are under way may end; new connections go to other replicas. */
static void drain(struct ak_webhook *self)
{
    ak_msec until = ak_now() + DRAIN_TIME;
    struct ak_cancel never = {.fd = -1};

    for (;;) {
        struct call call = {.webhook = self, .fn = drain_server};
        if (call_on_loop(&call) < 0 || !call.left || ak_now() >= until)
            return;
        (void)ak_cancel_sleep(&never, DRAIN_STEP);
    }
}

static void free_jobs(struct job *list)
{
    while (list) {
        struct job *next = list->next;
        (void)job_free(list);
        list = next;
    }
}

void ak_webhook_stop(struct ak_webhook *self)
{
    struct call call = {.webhook = self, .fn = close_server};
    struct ak_cancel never = {.fd = -1};

    if (self->server)
        drain(self);
    stop_workers(self);
    while (self->server && call_on_loop(&call) == -ENOMEM) /* memory comes back */
        (void)ak_cancel_sleep(&never, DRAIN_STEP);
}

struct ak_webhook *ak_webhook_free(struct ak_webhook *self)
{
    if (!self)
        return NULL;
    ak_webhook_stop(self);
    free_jobs(self->waiting);
    free_jobs(self->finished);
    ak_cond_done(&self->work);
    ak_cond_done(&self->done);
    ak_mutex_done(&self->lock);
    ak_free(self);
    return NULL;
}

int ak_webhook_use_certs(struct ak_webhook *self, const struct ak_certs *certs,
                         struct ak_error **reterr)
{
    struct call call = {.webhook = self, .fn = open_server};
    SSL_CTX *ctx = NULL;
    int r = ak_certs_tls(certs, &ctx, reterr);

    if (r >= 0)
        r = ak_tls_context_new_from(ctx, &call.tls, reterr);
    SSL_CTX_free(ctx);
    if (r < 0)
        return r;
    r = call_on_loop(&call);
    (void)ak_tls_context_unref(call.tls);
    if (r < 0)
        return ak_error_set(reterr, r, "cannot reach the loop");
    if (call.result < 0 && reterr)
        *reterr = call.err;
    else
        ak_error_free(call.err);
    return call.result;
}

uint16_t ak_webhook_port(struct ak_webhook *self)
{
    ak_mutex_lock(&self->lock);
    uint16_t port = self->port;
    ak_mutex_unlock(&self->lock);
    return port;
}

/* ---- metrics ---- */

struct snapshot {
    struct handler_stats stats[AK_WEBHOOK_MAX_HANDLERS];
    size_t n_waiting, n_running;
};

static void add_counts(const struct ak_webhook *self, const struct snapshot *s,
                       struct ak_metrics *m)
{
    ak_metrics_family(m, "agentkube_webhook_reviews_total", "counter",
                      "Admission reviews by path and outcome; failed: no answer in time.");
    for (size_t i = 0; i < self->options.n_handlers; i++)
        for (int o = 0; o < OUTCOME_MAX; o++)
            ak_metrics_sample(m, "agentkube_webhook_reviews_total", (double)s->stats[i].outcomes[o],
                              "webhook", self->options.handlers[i].path, "outcome",
                              outcome_names[o], NULL);
    ak_metrics_family(m, "agentkube_webhook_waiting", "gauge", "Reviews that wait for a worker.");
    ak_metrics_sample(m, "agentkube_webhook_waiting", (double)s->n_waiting, NULL);
    ak_metrics_family(m, "agentkube_webhook_running", "gauge", "Reviews that a worker looks at.");
    ak_metrics_sample(m, "agentkube_webhook_running", (double)s->n_running, NULL);
}

void ak_webhook_metrics(struct ak_webhook *self, struct ak_metrics *m)
{
    static const char name[] = "controller_runtime_webhook_latency_seconds";
    struct snapshot s;

    ak_mutex_lock(&self->lock);
    memcpy(s.stats, self->stats, sizeof(s.stats));
    s.n_waiting = self->n_waiting;
    s.n_running = self->n_running;
    ak_mutex_unlock(&self->lock);
    add_counts(self, &s, m);
    ak_metrics_family(m, name, "histogram", "Time until an admission review was answered.");
    for (size_t i = 0; i < self->options.n_handlers; i++)
        ak_metrics_histogram(m, name, bounds, s.stats[i].buckets, N_BOUNDS, s.stats[i].seconds,
                             "webhook", self->options.handlers[i].path, NULL);
}
