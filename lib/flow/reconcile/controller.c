/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/flow/reconcile.h>

#include <stdio.h>
#include <time.h>

#include <ak/base/alloc.h>
#include <ak/base/log.h>

#define DEFAULT_WORKERS 4
#define MAX_WORKERS 256

const double ak_reconcile_bounds[AK_RECONCILE_BUCKETS] = {
    0.005, 0.01, 0.025, 0.05, 0.1,  0.15, 0.2,  0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6,
    0.7,   0.8,  0.9,   1,    1.25, 1.5,  1.75, 2,    2.5, 3,    3.5, 4,    4.5, 5,
    6,     7,    8,     9,    10,   15,   20,   25,   30,  40,   50,  60};

struct ak_controller {
    struct ak_controller_options options;
    struct ak_queue *queue;
    struct ak_thread *threads;
    int n_threads;

    struct ak_mutex lock; /* guards stats */
    struct ak_controller_stats stats;
};

/* What the code of a reconcile means for its key. */
enum outcome {
    OUTCOME_DONE,
    OUTCOME_TERMINAL,
    OUTCOME_BEHIND,
    OUTCOME_CANCELLED,
    OUTCOME_FAILED,
};

static enum outcome judge(int code)
{
    if (code >= 0)
        return OUTCOME_DONE;
    if (ak_code_is_terminal(code))
        return OUTCOME_TERMINAL;
    switch (code) {
    case AK_E_CONFLICT:
    case AK_E_GONE:
    case AK_E_ALREADY_EXISTS:
        return OUTCOME_BEHIND;
    case AK_E_CANCELLED:
        return OUTCOME_CANCELLED;
    default: /* throttled too: its Retry-After is in the error */
        return OUTCOME_FAILED;
    }
}

static void log_failure(const struct ak_controller *self, enum ak_log_level level, const char *msg,
                        const struct ak_request *req, int code, const struct ak_error *err)
{
    const char *text = err ? NULL : ak_code_text(code);

    ak_log(level, self->options.name, msg, AK_STR("kind", self->options.kind),
           AK_STR("namespace", req->ns[0] ? req->ns : NULL), AK_STR("name", req->name),
           AK_STR("cause", ak_cause_to_string(req->cause)), AK_INT("attempt", req->attempt),
           AK_STR("code", text), AK_ERR(err));
}

static void note(struct ak_controller *self, enum outcome outcome, ak_msec again_after,
                 double seconds)
{
    struct ak_controller_stats *st = &self->stats;
    size_t i = 0;

    while (i < AK_RECONCILE_BUCKETS && seconds > ak_reconcile_bounds[i])
        i++;
    ak_mutex_lock(&self->lock);
    st->busy--;
    st->time_count++;
    st->time_sum += seconds;
    st->time_buckets[i]++;
    if (outcome == OUTCOME_TERMINAL)
        st->terminal++;
    else if (outcome == OUTCOME_FAILED)
        st->error++;
    else if (outcome != OUTCOME_DONE)
        st->behind++;
    else if (again_after >= 0)
        st->requeue_after++;
    else
        st->success++;
    ak_mutex_unlock(&self->lock);
}

/* The one place where the result of a reconcile is acted on. */
static void settle(struct ak_controller *self, const struct ak_request *req, int code,
                   const struct ak_result *result, const struct ak_error *err, double seconds)
{
    enum outcome outcome = judge(code);

    note(self, outcome, result->again_after, seconds);
    switch (outcome) {
    case OUTCOME_DONE:
        ak_queue_done(self->queue, req, result->again_after);
        break;
    case OUTCOME_TERMINAL:
        log_failure(self, AK_LOG_ERROR, "reconcile failed, waiting for a change", req, code, err);
        ak_queue_done(self->queue, req, -1);
        break;
    case OUTCOME_BEHIND:
        log_failure(self, AK_LOG_DEBUG, "the cache is behind, trying again", req, code, err);
        ak_queue_retry(self->queue, req, 0);
        break;
    case OUTCOME_CANCELLED:
        log_failure(self, AK_LOG_DEBUG, "reconcile was cancelled", req, code, err);
        ak_queue_retry(self->queue, req, 0);
        break;
    case OUTCOME_FAILED:
        log_failure(self, AK_LOG_ERROR, "reconcile failed, trying again", req, code, err);
        ak_queue_retry(self->queue, req, ak_error_retry_after_ms(err));
        break;
    }
}

static double now_seconds(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void work(void *user)
{
    struct ak_controller *self = user;
    struct ak_request req;

    while (ak_queue_take(self->queue, &req) == 0) {
        AK_AUTO_PTR(ak_error) err = NULL;
        struct ak_result result = {.again_after = -1};
        double begin = now_seconds();
        int r;

        ak_mutex_lock(&self->lock);
        self->stats.busy++;
        ak_mutex_unlock(&self->lock);
        ak_log_set_reconcile(req.reconcile_id);
        r = self->options.reconcile(self->options.user, &req, &result, &err);
        settle(self, &req, r, &result, err, now_seconds() - begin);
        ak_log_set_reconcile(0);
    }
}

struct ak_controller *ak_controller_free(struct ak_controller *self)
{
    if (!self)
        return NULL;
    if (self->queue)
        ak_controller_stop(self);
    ak_queue_free(self->queue);
    ak_free(self->threads);
    ak_mutex_done(&self->lock);
    ak_free(self);
    return NULL;
}

int ak_controller_new(const struct ak_controller_options *options, struct ak_controller **ret,
                      struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_controller) self = ak_new0(struct ak_controller);
    struct ak_queue_options queue = {
        .name = options->name,
        .retry_first = options->retry_first,
        .retry_max = options->retry_max,
    };
    int r;

    if (!self)
        return ak_error_oom(reterr);
    ak_mutex_init(&self->lock);
    self->options = *options;
    if (self->options.workers <= 0)
        self->options.workers = DEFAULT_WORKERS;
    if (self->options.workers > MAX_WORKERS)
        return ak_error_set(reterr, -EINVAL, "controller \"%s\": %d workers, at most %d",
                            options->name, options->workers, MAX_WORKERS);
    self->threads = ak_calloc((size_t)self->options.workers, sizeof(*self->threads));
    if (!self->threads)
        return ak_error_oom(reterr);
    r = ak_queue_new(&queue, &self->queue, reterr);
    if (r < 0)
        return r;
    *ret = AK_TAKE(self);
    return 0;
}

struct ak_queue *ak_controller_queue(struct ak_controller *self)
{
    return self->queue;
}

const char *ak_controller_name(const struct ak_controller *self)
{
    return self->options.name;
}

int ak_controller_start(struct ak_controller *self, struct ak_error **reterr)
{
    int r;

    while (self->n_threads < self->options.workers) {
        r = ak_thread_start(&self->threads[self->n_threads], self->options.name, work, self);
        if (r < 0) {
            ak_controller_stop(self);
            return ak_error_set(reterr, r, "controller \"%s\": cannot start a worker",
                                self->options.name);
        }
        self->n_threads++;
    }
    ak_mutex_lock(&self->lock);
    self->stats.workers = self->n_threads;
    ak_mutex_unlock(&self->lock);
    return 0;
}

void ak_controller_stop(struct ak_controller *self)
{
    ak_queue_shutdown(self->queue);
    while (self->n_threads > 0)
        ak_thread_join(&self->threads[--self->n_threads]);
    ak_mutex_lock(&self->lock);
    self->stats.workers = 0;
    ak_mutex_unlock(&self->lock);
}

void ak_controller_stats(struct ak_controller *self, struct ak_controller_stats *ret)
{
    ak_mutex_lock(&self->lock);
    *ret = self->stats;
    ak_mutex_unlock(&self->lock);
}
