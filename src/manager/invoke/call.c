/* SPDX-License-Identifier: Apache-2.0 */
/*
 * accept ─▶ who is it? ─(not known: AK_LANE_TOKENS)─▶ what is wanted? ─▶ AK_LANE_CALLS or AK_LANE_STARTS: may he?
 * do it ─▶ answer, or stream ─▶ audit line
 */
#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/net/http_upgrade.h>
#include <ak/net/loop.h>
#include <stdio.h>
#include <string.h>

#include "manager/invoke/call.h"

#define ARENA_FIRST 1024
#define ARENA_MAX (2u << 20)
#define MAX_NOTE 256 /* bytes of a header in the audit line */
#define JSON "application/json"
#define SMALL                                                                                      \
    (4u << 10) /* answers that are not counted as unsent: a connection holds as much anyway */

/* ---- ends */

/* Not at once: this may be a callback of what the call holds. */
void ak_invoke_end(struct ak_invoke_call *call, int status)
{
    struct ak_invoke *self = call->invoke;

    call->ex = NULL;
    self->unsent -= call->unsent;
    call->unsent = 0;
    if (call->counts_as_stream)
        self->n_streams--;
    ak_invoke_audit(call, status);
    ak_invoke_count(call, status);
    *(call->prev ? &call->prev->next : &self->calls) = call->next;
    if (call->next)
        call->next->prev = call->prev;
    call->then = self->dead;
    self->dead = call;
    ak_timer_set(self->reaper, 0);
}

static void free_call(struct ak_invoke_call *call)
{
    (void)ak_http_tunnel_free(call->tunnel);
    (void)ak_tools_close(call->use);
    (void)ak_run_target_unref(call->target);
    (void)ak_object_unref(call->agent_object);
    ak_invoke_request_done(&call->request);
    ak_buf_done(&call->operation_body);
    (void)ak_invoke_link_unref(call->link);
    (void)ak_identity_unref(call->who);
    (void)ak_secret_free(call->token);
    ak_cancel_done(&call->gone);
    ak_error_free(call->err);
    ak_buf_done(&call->body);
    ak_arena_done(&call->arena);
    ak_free(call);
}

void ak_invoke_reap(void *user)
{
    struct ak_invoke *self = user;

    ak_invoke_reap_fans(self);
    while (self->dead) {
        struct ak_invoke_call *call = self->dead;
        self->dead = call->then;
        free_call(call);
    }
}

static void cancel(struct ak_invoke_call *call)
{
    if (call->gone.fd >= 0)
        ak_cancel_now(&call->gone);
}

void ak_invoke_break_off(struct ak_invoke_call *call)
{
    if (call->follower)
        ak_invoke_follower_stop(call->follower);
    else if (call->upgrade)
        ak_invoke_end_upgrade(call, "the manager is stopping: connect again");
    else if (call->operation)
        ak_http_stream_stop(call->operation);
    else if (call->relay)
        ak_http_relay_stop(call->relay);
    else if (call->objects)
        ak_http_stream_stop(call->objects);
    else
        cancel(call);
}

/* Of a call that a thread has, or whose answer is not taken yet. */
static void on_client_gone(void *user)
{
    struct ak_invoke_call *call = user;

    call->ex = NULL;
    call->client_gone = true;
    if (call->unsent)
        ak_invoke_end(call, call->status);
    else
        cancel(call);
}

/* ---- answers */

const char *const *ak_invoke_headers(struct ak_invoke_call *call, int status)
{
    static const char *const plain[] = {"Cache-Control: no-store", NULL};
    ak_msec later = ak_error_retry_after_ms(call->err);
    const char **lines = ak_arena_alloc(&call->arena, 6 * sizeof(*lines));
    size_t n = 0;

    if (!lines)
        return plain;
    lines[n++] = plain[0];
    if (status == 401)
        lines[n++] = "WWW-Authenticate: Bearer";
    if (status == 405 && call->request.allow)
        lines[n++] = ak_arena_printf(&call->arena, "Allow: %s", call->request.allow);
    if (status == 429 || status == 503)
        lines[n++] = ak_arena_printf(&call->arena, "Retry-After: %lld",
                                     later > 0 ? (long long)((later + 999) / 1000) : 1LL);
    return lines; /* without memory a line is NULL, and the last one */
}

int ak_invoke_status_body(struct ak_invoke_call *call, struct ak_buf *out)
{
    int status = ak_invoke_status_of(call->err, call->result);

    ak_buf_clear(out);
    if (ak_invoke_write_status(call->err, call->result, out) < 0)
        ak_buf_clear(out);
    return status;
}

static void on_taken(void *user)
{
    struct ak_invoke_call *call = user;

    ak_http_reply_end(AK_TAKE(call->ex));
    ak_invoke_end(call, call->status);
}

static const char *type_of(const struct ak_invoke_call *call)
{
    return call->content_type && call->result >= 0 ? call->content_type : JSON;
}

/* The answer is counted until the client has it. */
static void reply_large(struct ak_invoke_call *call)
{
    struct ak_invoke *self = call->invoke;
    const char *const *headers = ak_invoke_headers(call, call->status);
    const char *all[8] = {ak_arena_printf(&call->arena, "Content-Length: %zu", call->body.len)};

    for (size_t i = 0; headers[i]; i++)
        all[i + 1] = headers[i];
    call->unsent = call->body.len;
    self->unsent += call->unsent;
    ak_http_on_close(call->ex, on_client_gone, call);
    ak_http_reply_begin_with(call->ex, call->status, type_of(call), all[0] ? all : NULL);
    if (ak_http_reply_chunk(call->ex, call->body.data, call->body.len) < 0) {
        ak_http_reply_abort(AK_TAKE(call->ex));
        ak_invoke_end(call, call->status);
        return;
    }
    ak_buf_done(&call->body);
    ak_http_on_drain(call->ex, 0, on_taken, call);
}

void ak_invoke_reply(struct ak_invoke_call *call)
{
    struct ak_invoke *self = call->invoke;

    if (call->result >= 0 && call->body.len > SMALL &&
        self->unsent + call->body.len > AK_INVOKE_MAX_UNSENT)
        call->result = ak_invoke_error_later(&call->err, 429, AK_SECONDS(1),
                                             "too many answers wait for their readers");
    if (call->result < 0)
        call->status = ak_invoke_status_body(call, &call->body);
    call->bytes = call->body.len;
    if (!call->ex) {
        ak_invoke_end(call, call->status);
        return;
    }
    if (call->body.len > SMALL) {
        reply_large(call);
        return;
    }
    ak_http_reply_text(AK_TAKE(call->ex), call->status, type_of(call), ak_buf_text(&call->body),
                       call->body.len, ak_invoke_headers(call, call->status));
    ak_invoke_end(call, call->status);
}

static void refuse(struct ak_invoke_call *call, int code)
{
    call->outcome = AK_OUTCOME_ANSWER;
    call->result = code;
    ak_invoke_reply(call);
}

/* ---- threads */

static bool is_stopping(struct ak_invoke *self)
{
    ak_mutex_lock(&self->lock);
    bool stopping = self->stopping;
    ak_mutex_unlock(&self->lock);
    return stopping;
}

void ak_invoke_put(struct ak_invoke_call *call, enum ak_invoke_lane lane,
                   void (*run)(struct ak_pool_item *item))
{
    int r = call->gone.fd < 0 ? ak_cancel_init(&call->gone) : 0;

    call->item.run = run;
    call->put = ak_now();
    if (r >= 0)
        r = ak_pool_put(call->invoke->pool, lane, &call->item);
    if (r == -ENOBUFS)
        r = ak_invoke_error_later(&call->err, 429, AK_SECONDS(1), "too many calls are waiting");
    else if (r < 0)
        r = ak_invoke_error_later(&call->err, 503, AK_SECONDS(1),
                                  "this replica is stopping, or "
                                  "out of resources");
    if (r < 0)
        refuse(call, r);
}

void ak_invoke_hand_back(struct ak_invoke_call *call)
{
    struct ak_invoke *self = call->invoke;

    ak_mutex_lock(&self->lock);
    bool posted = self->posted;
    self->posted = true;
    call->then = self->finished;
    self->finished = call;
    ak_mutex_unlock(&self->lock);
    if (posted || ak_loop_post(self->options.loop, ak_invoke_collect, self) >= 0)
        return;
    /* Without memory for the message the next call that comes back sends it. */
    ak_mutex_lock(&self->lock);
    self->posted = false;
    ak_mutex_unlock(&self->lock);
}

/* ---- stages */

static int make_unauthorized(struct ak_invoke_call *call)
{
    return ak_invoke_error(&call->err, 401, "%s",
                           call->token
                               ? "the token is not valid (or not for this cluster, or too old)"
                               : "a bearer token is needed: Authorization: Bearer TOKEN, or "
                                 "X-Agentkube-Authorization behind the API server's proxy");
}

static int check_served(struct ak_invoke_call *call)
{
    const char *served = call->invoke->options.watch_namespace;

    if (!served || !call->request.resource || ak_streq(served, call->request.ns))
        return 0;
    return ak_invoke_error(&call->err, 403, "this manager serves the namespace \"%s\" only",
                           served);
}

/* The leader does it: is that us, and if not, may it be passed on? */
static int check_leader(struct ak_invoke_call *call)
{
    const struct ak_invoke_options *o = &call->invoke->options;

    if (!call->request.route->leader || !o->is_leading || o->is_leading(o->user))
        return 0;
    call->to_leader = true;
    return call->was_forwarded
               ? ak_invoke_error_later(&call->err, 503, AK_SECONDS(1),
                                       "the leader is changing: this replica is not it any more")
               : 0;
}

static int read_request(struct ak_invoke_call *call)
{
    struct ak_invoke_text text = {
        .method = ak_http_method(call->ex),
        .path = ak_http_path(call->ex),
        .query = ak_http_query(call->ex),
        .content_type = ak_http_header(call->ex, "Content-Type"),
    };
    const char *key = ak_http_header(call->ex, "Idempotency-Key");
    const char *query = ak_http_header(call->ex, "X-Agentkube-Query");

    if (query && ak_http_wants_upgrade(call->ex, "websocket"))
        text.query = query; /* API servers lose that of the URL on the way */

    text.body = ak_http_body(call->ex, &text.body_len);
    int r = ak_invoke_request_parse(&text, &call->arena, &call->request, &call->err);
    if (r >= 0 && call->request.route->verb == AK_INVOKE_START_RUN && key) {
        r = ak_invoke_check_key(key, &call->err);
        call->idempotency_key = ak_arena_strdup(&call->arena, key);
        if (r >= 0 && !call->idempotency_key)
            r = ak_error_oom(&call->err);
    }
    if (r >= 0 && call->request.route->upgrades)
        r = ak_invoke_read_upgrade(call);
    if (r >= 0)
        r = check_served(call);
    return r < 0 ? r : check_leader(call);
}

static enum ak_invoke_lane lane_of(const struct ak_invoke_call *call)
{
    enum ak_invoke_verb verb = call->request.route->verb;

    if (call->to_leader)
        return AK_LANE_CALLS;
    if (verb == AK_INVOKE_START_RUN)
        return AK_LANE_STARTS;
    return ak_invoke_is_use(verb) ? AK_LANE_TOOLS : AK_LANE_CALLS;
}

/* The caller is known. */
static void go_on(struct ak_invoke_call *call)
{
    if (call->who->refused) {
        refuse(call, make_unauthorized(call));
        return;
    }
    int r = read_request(call);
    if (r < 0) {
        refuse(call, r);
        return;
    }
    if (ak_invoke_act_here(call)) {
        ak_invoke_reply(call);
        return;
    }
    enum ak_invoke_lane lane = lane_of(call);
    if (lane != AK_LANE_CALLS) /* it may wait for long, and its text is there twice */
        ak_http_drop_request(call->ex);
    ak_invoke_put(call, lane, ak_invoke_act);
}

static void ask_who(struct ak_pool_item *item)
{
    struct ak_invoke_call *call = AK_CONTAINER_OF(item, struct ak_invoke_call, item);

    call->result = ak_identities_ask(call->invoke->identities, call->token, &call->gone, &call->who,
                                     &call->err);
    ak_invoke_hand_back(call);
}

static void finish(struct ak_invoke_call *call)
{
    switch (call->outcome) {
    case AK_OUTCOME_OBJECTS:
        ak_invoke_pass_objects(call);
        return;
    case AK_OUTCOME_STREAM:
        ak_invoke_stream(call);
        return;
    case AK_OUTCOME_FORWARD:
        ak_invoke_forward(call);
        return;
    case AK_OUTCOME_OPERATE:
        ak_invoke_send_operation(call);
        return;
    case AK_OUTCOME_UPGRADE:
        ak_invoke_upgrade(call);
        return;
    case AK_OUTCOME_ANSWER:
        break;
    }
    ak_invoke_reply(call);
}

/* On the loop's thread: a call comes back from a lane. */
static void come_back(struct ak_invoke_call *call)
{
    if (call->result < 0 || !call->ex)
        ak_invoke_reply(call);
    else if (!call->request.route)
        go_on(call);
    else
        finish(call);
}

void ak_invoke_collect(void *user)
{
    struct ak_invoke *self = user;

    ak_mutex_lock(&self->lock);
    struct ak_invoke_call *list = AK_TAKE(self->finished);
    self->posted = false;
    ak_mutex_unlock(&self->lock);
    while (list) {
        struct ak_invoke_call *call = list;
        list = call->then;
        come_back(call);
    }
}

/* ---- the beginning */

static int take_token(struct ak_invoke_call *call)
{
    size_t len = 0;
    const char *own = ak_http_header(call->ex, "X-Agentkube-Authorization");
    const char *token =
        ak_invoke_bearer(own ? own : ak_http_header(call->ex, "Authorization"), &len);

    if (!token)
        return 0;
    call->token = ak_secret_new(token, len);
    return call->token ? 1 : -ENOMEM;
}

static const char *copy_note(struct ak_invoke_call *call, const char *header)
{
    const char *value = ak_http_header(call->ex, header);

    return value ? ak_arena_strndup(&call->arena, value, AK_MIN(strlen(value), MAX_NOTE)) : NULL;
}

static struct ak_invoke_call *new_call(struct ak_invoke *self, struct ak_http_exchange *ex)
{
    struct ak_invoke_call *call = ak_new0(struct ak_invoke_call);

    if (!call)
        return NULL;
    ak_arena_init(&call->arena, ARENA_FIRST, ARENA_MAX);
    call->body = (struct ak_buf)AK_BUF_INIT(AK_JSON_MAX_BYTES);
    call->operation_body = (struct ak_buf)AK_BUF_INIT(AK_JSON_MAX_BYTES);
    call->gone.fd = -1;
    call->invoke = self;
    call->ex = ex;
    call->began = ak_now();
    call->peer = ak_arena_strdup(&call->arena, ak_http_peer(ex));
    call->forwarded_for = copy_note(call, "X-Forwarded-For");
    call->agent = copy_note(call, "User-Agent");
    call->last_event_id = copy_note(call, "Last-Event-ID");
    call->was_forwarded = ak_http_header(ex, "X-Agentkube-Forwarded");
    call->next = self->calls;
    if (call->next)
        call->next->prev = call;
    self->calls = call;
    ak_http_on_close(ex, on_client_gone, call);
    return call;
}

void ak_invoke_on_request(struct ak_http_exchange *ex, void *user)
{
    static const char no_memory[] =
        "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\","
        "\"reason\":\"ServiceUnavailable\",\"code\":503}\n";
    struct ak_invoke *self = user;
    struct ak_invoke_call *call = new_call(self, ex);

    if (!call) {
        ak_http_reply_text(ex, 503, JSON, no_memory, strlen(no_memory), NULL);
        return;
    }
    int r = take_token(call);
    if (r == 0)
        r = make_unauthorized(call);
    else if (r > 0 && is_stopping(self))
        r = ak_invoke_error_later(&call->err, 503, AK_SECONDS(1), "this replica is stopping");
    if (r < 0)
        refuse(call, r);
    else if (ak_identities_find(self->identities, call->token, &call->who) > 0)
        go_on(call);
    else
        ak_invoke_put(call, AK_LANE_TOKENS, ask_who);
}
