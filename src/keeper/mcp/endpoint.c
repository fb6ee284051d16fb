/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/mcp/endpoint.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <ak/base/alloc.h>
#include <ak/base/log.h>
#include <ak/base/text.h>
#include <ak/net/sse.h>

#include "keeper/mcp/methods.h"
#include "keeper/mcp/sessions.h"
#include "runtimes/launch.h"

#define JSON_TYPE "application/json"
#define AK_MCP_RUN_MAX 63 /* bytes of a run's name */

struct ak_mcp_stream {
    struct ak_mcp_endpoint *endpoint;
    struct ak_http_exchange *ex;
    char session[AK_MCP_SESSION_ID]; /* "": of a subscription */
    struct ak_mcp_stream *prev, *next;
};

struct ak_mcp_call {
    struct ak_mcp_endpoint *endpoint;
    struct ak_http_exchange *ex; /* NULL: nobody waits any more */
    json_t *id;
    char *tool;
    char session[AK_MCP_SESSION_ID]; /* "": without one */
    char run[AK_MCP_RUN_MAX + 1];    /* "": not said */
    enum ak_mcp_era era;
    bool cancelled;
    ak_msec began;
    struct ak_mcp_call *prev, *next;
};

struct ak_mcp_look {
    struct ak_mcp_endpoint *endpoint;
    struct ak_http_exchange *ex; /* NULL: nobody waits any more */
    json_t *id, *params;
    enum ak_mcp_era era;
};

struct ak_mcp_endpoint {
    struct ak_mcp_endpoint_options options;
    struct ak_mcp_sessions sessions;
    struct ak_mcp_stream *streams;
    struct ak_mcp_call *calls;
    size_t n_streams, n_calls, n_looks;
    struct ak_timer *keep_alive;
};

/* One POST while it is looked at. */
struct post {
    struct ak_mcp_endpoint *self;
    struct ak_http_exchange *ex;
    struct ak_mcp_message message;
    struct ak_mcp_fault fault;
    enum ak_mcp_era era;
    char session[AK_MCP_SESSION_ID];
};

/* --- answers --- */

static void reply(struct ak_mcp_endpoint *self, struct ak_http_exchange *ex, int status,
                  const struct ak_buf *body, const char *const *extra)
{
    self->options.counters->mcp_sessions = ak_mcp_sessions_count(&self->sessions);
    ak_counters_end(self->options.counters, AK_DOOR_MCP, status);
    ak_http_reply_text(ex, status, body ? JSON_TYPE : NULL, body ? ak_buf_text(body) : "",
                       body ? body->len : 0, extra);
}

static void reply_fault(struct ak_mcp_endpoint *self, struct ak_http_exchange *ex, int status,
                        const json_t *id, const struct ak_mcp_fault *fault,
                        const char *const *extra)
{
    AK_AUTO(ak_buf) body = AK_BUF_INIT(AK_MCP_MAX_REPLY);
    bool ok = ak_mcp_write_fault(id, fault, &body) >= 0;

    reply(self, ex, ok ? status : 500, ok ? &body : NULL, extra);
}

static void refuse_with(struct ak_mcp_endpoint *self, struct ak_http_exchange *ex, int status,
                        const char *text, const char *const *extra)
{
    struct ak_mcp_fault fault = {.code = AK_MCP_SERVER_ERROR, .message = text};

    reply_fault(self, ex, status, NULL, &fault, extra);
}

static void refuse(struct ak_mcp_endpoint *self, struct ak_http_exchange *ex, int status,
                   const char *text)
{
    refuse_with(self, ex, status, text, NULL);
}

/* An error of JSON-RPC is an answer like others, but where the stateless revision wants a status for it. */
static int status_of_fault(enum ak_mcp_era era, int code)
{
    if (code == AK_MCP_PARSE_ERROR || code == AK_MCP_INVALID_REQUEST)
        return 400;
    if (era == AK_MCP_SESSIONS)
        return 200;
    if (code == AK_MCP_HEADER_MISMATCH || code == AK_MCP_UNSUPPORTED_VERSION)
        return 400;
    return code == AK_MCP_METHOD_NOT_FOUND ? 404 : 200;
}

static void reply_post_fault(struct post *p)
{
    reply_fault(p->self, p->ex, status_of_fault(p->era, p->fault.code), p->message.id, &p->fault,
                NULL);
}

static void reply_no_memory(struct ak_mcp_endpoint *self, struct ak_http_exchange *ex,
                            const json_t *id)
{
    struct ak_mcp_fault fault = {.code = AK_MCP_INTERNAL_ERROR, .message = "out of memory"};

    reply_fault(self, ex, 500, id, &fault, NULL);
}

static void reply_result(struct ak_mcp_endpoint *self, struct ak_http_exchange *ex,
                         const json_t *id, const json_t *result, const char *const *extra)
{
    AK_AUTO(ak_buf) body = AK_BUF_INIT(AK_MCP_MAX_REPLY);
    int r = ak_mcp_write_result(id, result, &body);

    if (r == AK_E_TOO_LARGE) {
        struct ak_mcp_fault fault = {.code = AK_MCP_INTERNAL_ERROR,
                                     .message = "the result is larger than 8 MiB"};
        reply_fault(self, ex, 200, id, &fault, NULL);
        return;
    }
    if (r < 0) {
        reply_no_memory(self, ex, id);
        return;
    }
    reply(self, ex, 200, &body, extra);
}

/* --- streams --- */

static void stream_free(struct ak_mcp_stream *s)
{
    struct ak_mcp_endpoint *self = s->endpoint;

    if (s->prev)
        s->prev->next = s->next;
    else
        self->streams = s->next;
    if (s->next)
        s->next->prev = s->prev;
    self->n_streams--;
    ak_counters_end(self->options.counters, AK_DOOR_MCP, 200);
    ak_free(s);
}

static void on_stream_closed(void *user)
{
    stream_free(user);
}

static void stream_end(struct ak_mcp_stream *s)
{
    struct ak_http_exchange *ex = s->ex;

    stream_free(s);
    ak_http_reply_end(ex);
}

static void on_keep_alive(void *user)
{
    struct ak_mcp_endpoint *self = user;
    struct ak_mcp_stream *next;

    for (struct ak_mcp_stream *s = self->streams; s; s = next) {
        next = s->next;
        if (ak_http_reply_chunk(s->ex, ": keep-alive\n\n", 14) < 0) {
            struct ak_http_exchange *ex = s->ex;

            stream_free(s);
            ak_http_reply_abort(ex);
        }
    }
    if (self->streams)
        ak_timer_set(self->keep_alive, self->options.keep_alive);
}

static const char *const stream_headers[] = {"Cache-Control: no-cache", NULL};

/* Negative: the exchange is still the caller's. */
static int stream_begin(struct ak_mcp_endpoint *self, struct ak_http_exchange *ex,
                        const char *session, const char *first, size_t len)
{
    struct ak_mcp_stream *s =
        self->n_streams < AK_MCP_MAX_STREAMS ? ak_new0(struct ak_mcp_stream) : NULL;

    if (!s)
        return -ENOBUFS;
    s->endpoint = self;
    s->ex = ex;
    (void)snprintf(s->session, sizeof(s->session), "%s", session);
    s->next = self->streams;
    if (s->next)
        s->next->prev = s;
    self->streams = s;
    self->n_streams++;
    ak_http_reply_begin_with(ex, 200, AK_SSE_CONTENT_TYPE, stream_headers);
    ak_http_on_close(ex, on_stream_closed, s);
    (void)ak_http_reply_chunk(ex, first, len);
    ak_http_drop_request(ex);
    if (self->n_streams == 1)
        ak_timer_set(self->keep_alive, self->options.keep_alive);
    return 0;
}

static struct ak_mcp_stream *find_stream(struct ak_mcp_endpoint *self, const char *session)
{
    for (struct ak_mcp_stream *s = self->streams; s; s = s->next)
        if (ak_streq(s->session, session))
            return s;
    return NULL;
}

void ak_mcp_endpoint_end_streams(struct ak_mcp_endpoint *self)
{
    while (self->streams)
        stream_end(self->streams);
}

/* --- tools/call --- */

static void call_free(struct ak_mcp_call *c)
{
    struct ak_mcp_endpoint *self = c->endpoint;

    if (c->prev)
        c->prev->next = c->next;
    else if (self->calls == c)
        self->calls = c->next;
    if (c->next)
        c->next->prev = c->prev;
    self->n_calls--;
    json_decref(c->id);
    ak_free(c->tool);
    ak_free(c);
}

static void call_log(const struct ak_mcp_call *c, const char *verdict)
{
    ak_info("keeper", "tool call", AK_STR("tool", c->tool), AK_STR("verdict", verdict),
            AK_INT("milliseconds", ak_now() - c->began));
}

static void call_cancel(struct ak_mcp_call *c)
{
    const struct ak_mcp_tools *tools = c->endpoint->options.tools;

    if (c->cancelled)
        return;
    c->cancelled = true;
    if (tools->cancel)
        tools->cancel(c, tools->user);
}

static void on_caller_gone(void *user)
{
    struct ak_mcp_call *c = user;

    c->ex = NULL;
    ak_counters_end(c->endpoint->options.counters, AK_DOOR_MCP, 0);
    call_cancel(c);
}

void ak_mcp_call_answer(struct ak_mcp_call *self, const json_t *result)
{
    AK_AUTO_JSON *whole = NULL;

    call_log(self, self->cancelled                                    ? "cancelled"
                   : json_is_true(json_object_get(result, "isError")) ? "error"
                                                                      : "ok");
    if (self->ex && self->era == AK_MCP_NO_SESSIONS && !json_object_get(result, "resultType")) {
        whole = json_copy((json_t *)(uintptr_t)result);
        if (!whole || json_object_set_new(whole, "resultType", json_string("complete")) < 0) {
            reply_no_memory(self->endpoint, self->ex, self->id);
            self->ex = NULL;
        }
    }
    if (self->ex)
        reply_result(self->endpoint, self->ex, self->id, whole ? whole : result, NULL);
    call_free(self);
}

void ak_mcp_call_fail(struct ak_mcp_call *self, const char *text)
{
    AK_AUTO_JSON *result =
        json_pack("{s[{ssss}]sb}", "content", "type", "text", "text", text, "isError", 1);

    if (result) {
        ak_mcp_call_answer(self, result);
        return;
    }
    if (self->ex)
        reply_no_memory(self->endpoint, self->ex, self->id);
    call_free(self);
}

const char *ak_mcp_call_run(const struct ak_mcp_call *self)
{
    return self->run;
}

static struct ak_mcp_call *call_new(struct post *p, const char *tool)
{
    struct ak_mcp_endpoint *self = p->self;
    struct ak_mcp_call *c = ak_new0(struct ak_mcp_call);
    const char *run = ak_http_header(p->ex, AK_RUN_ID_HEADER);

    if (!c)
        return NULL;
    c->tool = ak_strndup(tool, AK_MCP_MAX_METHOD);
    c->endpoint = self;
    c->ex = p->ex;
    c->id = json_incref(p->message.id);
    c->era = p->era;
    c->began = ak_now();
    if (run && strlen(run) <= AK_MCP_RUN_MAX)
        (void)snprintf(c->run, sizeof(c->run), "%s", run);
    memcpy(c->session, p->session, sizeof(c->session));
    c->next = self->calls;
    if (c->next)
        c->next->prev = c;
    self->calls = c;
    self->n_calls++;
    if (c->tool)
        return c;
    call_free(c);
    return NULL;
}

static void refuse_call(struct post *p, struct ak_mcp_call *c, int code, const struct ak_error *err)
{
    if (code == AK_E_NOT_FOUND) {
        call_log(c, "unknown");
        call_free(c);
        ak_http_on_close(p->ex, NULL, NULL);
        (void)ak_mcp_fault_set(&p->fault, AK_MCP_INVALID_PARAMS, "unknown tool");
        reply_post_fault(p);
        return;
    }
    ak_mcp_call_fail(c, err ? ak_error_message(err) : ak_code_text(code));
}

static void run_call(struct post *p)
{
    const struct ak_mcp_tools *tools = p->self->options.tools;
    const char *name = json_string_value(json_object_get(p->message.params, "name"));
    json_t *arguments = json_object_get(p->message.params, "arguments");
    AK_AUTO_PTR(ak_error) err = NULL;
    struct ak_mcp_call *c;
    int r;

    if (!name || (arguments && !json_is_object(arguments))) {
        (void)ak_mcp_fault_set(&p->fault, AK_MCP_INVALID_PARAMS,
                               "tools/call needs a name, and arguments that are an object");
        reply_post_fault(p);
        return;
    }
    if (p->self->n_calls >= AK_MCP_MAX_CALLS) {
        refuse(p->self, p->ex, 503, "too many tool calls are under way");
        return;
    }
    c = call_new(p, name);
    if (!c) {
        reply_no_memory(p->self, p->ex, p->message.id);
        return;
    }
    ak_http_on_close(p->ex, on_caller_gone, c);
    r = tools->call ? tools->call(c, name, arguments, tools->user, &err) : AK_E_NOT_FOUND;
    if (r < 0)
        refuse_call(p, c, r, err);
}

/* --- POST --- */

static void run_initialize(struct post *p)
{
    const char *wish = ak_json_text(p->message.params, "protocolVersion", NULL);
    struct ak_mcp_session *session;
    AK_AUTO_JSON *result = NULL;
    char header[AK_MCP_SESSION_ID + 20];
    const char *const extra[] = {header, NULL};

    if (!wish) {
        (void)ak_mcp_fault_set(&p->fault, AK_MCP_INVALID_PARAMS,
                               "initialize needs a protocolVersion");
        reply_post_fault(p);
        return;
    }
    result =
        ak_mcp_initialize_result(ak_mcp_version_for(wish), p->self->options.tools->watch != NULL);
    session = result ? ak_mcp_sessions_begin(&p->self->sessions, ak_mcp_version_for(wish)) : NULL;
    if (!session) {
        reply_no_memory(p->self, p->ex, p->message.id);
        return;
    }
    (void)snprintf(header, sizeof(header), "Mcp-Session-Id: %s", session->id);
    reply_result(p->self, p->ex, p->message.id, result, extra);
}

/* A client of this revision asks for lists again when their ttlMs is over: all that it gets is that we heard it. */
static void run_listen(struct post *p)
{
    AK_AUTO_JSON *ack = json_pack("{sssss{s{sO}s{}}}", "jsonrpc", "2.0", "method",
                                  "notifications/subscriptions/acknowledged", "params", "_meta",
                                  AK_MCP_META_SUBSCRIPTION, p->message.id, "notifications");
    AK_AUTO(ak_buf) text = AK_BUF_INIT(AK_MCP_MAX_REPLY), event = AK_BUF_INIT(AK_MCP_MAX_REPLY);

    if (!ack || ak_json_write(ack, &text, NULL) < 0 ||
        ak_sse_write(&event, "message", NULL, ak_buf_text(&text), text.len) < 0) {
        reply_no_memory(p->self, p->ex, p->message.id);
        return;
    }
    if (stream_begin(p->self, p->ex, "", event.data, event.len) < 0)
        refuse(p->self, p->ex, 503, "too many streams are open");
}

/* --- tools/list, and what answers at once --- */

static void run_method(struct post *p)
{
    AK_AUTO_JSON *result = NULL;
    int r = ak_mcp_method_run(&p->message, p->era, p->self->options.tools, &result, &p->fault);

    if (r == -EPROTO)
        reply_post_fault(p);
    else if (r < 0)
        reply_no_memory(p->self, p->ex, p->message.id);
    else
        reply_result(p->self, p->ex, p->message.id, result, NULL);
}

static void on_looker_gone(void *user)
{
    struct ak_mcp_look *look = user;

    look->ex = NULL;
    ak_counters_end(look->endpoint->options.counters, AK_DOOR_MCP, 0);
}

static void look_free(struct ak_mcp_look *look)
{
    look->endpoint->n_looks--;
    json_decref(look->id);
    json_decref(look->params);
    ak_free(look);
}

void ak_mcp_look_ready(struct ak_mcp_look *self)
{
    struct post p = {.self = self->endpoint, .ex = self->ex, .era = self->era};

    p.message = (struct ak_mcp_message){
        .kind = AK_MCP_REQUEST, .id = self->id, .method = "tools/list", .params = self->params};
    if (self->ex) {
        ak_http_on_close(self->ex, NULL, NULL);
        run_method(&p);
    }
    ak_mcp_fault_done(&p.fault);
    look_free(self);
}

static void run_list(struct post *p)
{
    const struct ak_mcp_tools *tools = p->self->options.tools;
    struct ak_mcp_look *look =
        tools->refresh && p->self->n_looks < AK_MCP_MAX_CALLS ? ak_new0(struct ak_mcp_look) : NULL;

    if (!look) {
        run_method(p); /* with what is known */
        return;
    }
    *look = (struct ak_mcp_look){.endpoint = p->self,
                                 .ex = p->ex,
                                 .id = json_incref(p->message.id),
                                 .params = json_incref(p->message.params),
                                 .era = p->era};
    p->self->n_looks++;
    ak_http_on_close(p->ex, on_looker_gone, look);
    if (tools->refresh(look, tools->user) > 0)
        ak_mcp_look_ready(look);
}

/* Everybody with a stream of a session. */
static void on_tools_changed(void *arg)
{
    static const char event[] = "event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":"
                                "\"notifications/tools/list_changed\"}\n\n";
    struct ak_mcp_endpoint *self = arg;

    for (struct ak_mcp_stream *s = self->streams; s; s = s->next)
        if (s->session[0])
            (void)ak_http_reply_chunk(s->ex, event, sizeof(event) - 1);
}

static void run_request(struct post *p)
{
    const char *method = p->message.method;

    if (ak_streq(method, "tools/call"))
        run_call(p);
    else if (ak_streq(method, "tools/list"))
        run_list(p);
    else if (ak_streq(method, "subscriptions/listen") && p->era == AK_MCP_NO_SESSIONS)
        run_listen(p);
    else
        run_method(p);
}

static void run_notification(struct post *p)
{
    json_t *id = json_object_get(p->message.params, "requestId");
    struct ak_mcp_call *next;

    if (ak_streq(p->message.method, "notifications/cancelled") && id)
        for (struct ak_mcp_call *c = p->self->calls; c; c = next) {
            next = c->next;
            if (json_equal(c->id, id) && strcmp(c->session, p->session) == 0) {
                call_cancel(c); /* may end it, and only it */
                break;
            }
        }
    reply(p->self, p->ex, 202, NULL, NULL);
}

/* The session of the request, by name. Answers and returns false if there is none. */
static bool find_session(struct ak_mcp_endpoint *self, struct ak_http_exchange *ex,
                         char ret[static AK_MCP_SESSION_ID])
{
    const char *version = ak_http_header(ex, "MCP-Protocol-Version");
    const char *id = ak_http_header(ex, "Mcp-Session-Id");
    const struct ak_mcp_session *session;

    if (version && !ak_mcp_version_find(version)) {
        refuse(self, ex, 400, "unsupported protocol version");
        return false;
    }
    if (!id) {
        refuse(self, ex, 400, "Mcp-Session-Id: must be sent; initialize gives one out");
        return false;
    }
    session = ak_mcp_sessions_find(&self->sessions, id);
    if (!session) {
        refuse(self, ex, 404, "there is no such session; initialize begins one");
        return false;
    }
    memcpy(ret, session->id, AK_MCP_SESSION_ID);
    return true;
}

static void handle_with_session(struct post *p)
{
    if (p->message.kind == AK_MCP_REQUEST && ak_streq(p->message.method, "initialize")) {
        run_initialize(p);
        return;
    }
    if (!find_session(p->self, p->ex, p->session))
        return;
    if (p->message.kind == AK_MCP_REQUEST)
        run_request(p);
    else if (p->message.kind == AK_MCP_NOTIFICATION)
        run_notification(p);
    else
        reply(p->self, p->ex, 202, NULL, NULL); /* we ask nothing, so an answer is late at best */
}

static void handle_stateless(struct post *p)
{
    struct ak_mcp_headers headers = {.version = ak_http_header(p->ex, "MCP-Protocol-Version"),
                                     .method = ak_http_header(p->ex, "Mcp-Method"),
                                     .name = ak_http_header(p->ex, "Mcp-Name")};

    if (p->message.kind != AK_MCP_REQUEST) {
        run_notification(p);
        return;
    }
    if (!ak_mcp_method_exists(p->message.method, AK_MCP_NO_SESSIONS)) {
        (void)ak_mcp_fault_set(&p->fault, AK_MCP_METHOD_NOT_FOUND, "method not found");
        reply_post_fault(p);
        return;
    }
    if (ak_mcp_check_headers(&p->message, &headers, &p->fault) < 0) {
        int code = p->fault.code;

        reply_fault(p->self, p->ex,
                    code == AK_MCP_INVALID_PARAMS ? 400 : status_of_fault(p->era, code),
                    p->message.id, &p->fault, NULL);
        return;
    }
    run_request(p);
}

static bool is_stateless(const struct post *p)
{
    const char *version = ak_http_header(p->ex, "MCP-Protocol-Version");

    return ak_streq(version, AK_MCP_STATELESS) || ak_mcp_meta_version(&p->message) ||
           ak_streq(p->message.method, "server/discover");
}

/* Does the value of a Content-Type or Accept header name this media type? */
static bool names_type(const char *value, const char *type)
{
    const char *at = value ? strcasestr(value, type) : NULL;
    char after = at ? at[strlen(type)] : 'x';

    return at && (at == value || strchr(" ,\t", at[-1])) && (!after || strchr(" ;,\t", after));
}

static bool accepts(const char *accept, const char *type)
{
    char any[32];

    (void)snprintf(any, sizeof(any), "%.*s*", (int)(strchr(type, '/') - type) + 1, type);
    return !accept || names_type(accept, type) || names_type(accept, any) ||
           names_type(accept, "*/*");
}

static void handle_message(struct ak_mcp_endpoint *self, struct ak_http_exchange *ex)
{
    AK_AUTO(ak_mcp_message) message = {0};
    struct post p = {.self = self, .ex = ex, .era = AK_MCP_SESSIONS};
    size_t len;
    const char *body = ak_http_body(ex, &len);
    int r = ak_mcp_message_read(body, len, &message, &p.fault);

    p.message = message;
    if (r == -ENOMEM)
        reply_no_memory(self, ex, NULL);
    else if (r < 0)
        reply_fault(self, ex, 400, message.id, &p.fault, NULL);
    else if (is_stateless(&p)) {
        p.era = AK_MCP_NO_SESSIONS;
        handle_stateless(&p);
    } else
        handle_with_session(&p);
    ak_mcp_fault_done(&p.fault);
}

static void handle_post(struct ak_mcp_endpoint *self, struct ak_http_exchange *ex)
{
    size_t len;

    (void)ak_http_body(ex, &len);
    if (!names_type(ak_http_header(ex, "Content-Type"), JSON_TYPE))
        refuse(self, ex, 415, "Content-Type: must be application/json");
    else if (!accepts(ak_http_header(ex, "Accept"), JSON_TYPE))
        refuse(self, ex, 406, "Accept: must allow application/json and text/event-stream");
    else if (len > AK_MCP_MAX_MESSAGE)
        refuse(self, ex, 413, "a message may have 4 MiB");
    else
        handle_message(self, ex);
}

static void handle_get(struct ak_mcp_endpoint *self, struct ak_http_exchange *ex)
{
    static const char hello[] = ": open\n\n";
    char session[AK_MCP_SESSION_ID];

    if (!accepts(ak_http_header(ex, "Accept"), AK_SSE_CONTENT_TYPE)) {
        refuse(self, ex, 406, "Accept: must allow text/event-stream");
        return;
    }
    if (!find_session(self, ex, session))
        return;
    if (find_stream(self, session))
        refuse(self, ex, 409, "the session has a stream already");
    else if (stream_begin(self, ex, session, hello, sizeof(hello) - 1) < 0)
        refuse(self, ex, 503, "too many streams are open");
}

static void handle_delete(struct ak_mcp_endpoint *self, struct ak_http_exchange *ex)
{
    char session[AK_MCP_SESSION_ID];
    struct ak_mcp_stream *stream;
    struct ak_mcp_session *found;

    if (!find_session(self, ex, session))
        return;
    while ((stream = find_stream(self, session)))
        stream_end(stream);
    found = ak_mcp_sessions_find(&self->sessions, session);
    if (found)
        ak_mcp_sessions_end(&self->sessions, found);
    reply(self, ex, 204, NULL, NULL);
}

void ak_mcp_endpoint_handle(struct ak_mcp_endpoint *self, struct ak_http_exchange *ex)
{
    static const char *const allow[] = {"Allow: GET, POST, DELETE", NULL, "Allow: POST", NULL};
    const char *method = ak_http_method(ex);
    bool stateless = ak_streq(ak_http_header(ex, "MCP-Protocol-Version"), AK_MCP_STATELESS);

    ak_counters_begin(self->options.counters, AK_DOOR_MCP);
    if (ak_streq(method, "POST"))
        handle_post(self, ex);
    else if (stateless)
        refuse_with(self, ex, 405, "only POST is known in this revision", allow + 2);
    else if (ak_streq(method, "GET"))
        handle_get(self, ex);
    else if (ak_streq(method, "DELETE"))
        handle_delete(self, ex);
    else
        refuse_with(self, ex, 405, "only GET, POST and DELETE are known here", allow);
}

struct ak_mcp_endpoint *ak_mcp_endpoint_free(struct ak_mcp_endpoint *self)
{
    if (!self)
        return NULL;
    if (self->options.tools && self->options.tools->stop)
        self->options.tools->stop(self->options.tools->user);
    while (self->calls)
        call_free(self->calls);
    while (self->streams)
        stream_free(self->streams);
    (void)ak_timer_free(self->keep_alive);
    ak_free(self);
    return NULL;
}

int ak_mcp_endpoint_new(const struct ak_mcp_endpoint_options *options, struct ak_mcp_endpoint **ret,
                        struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_mcp_endpoint) self = ak_new0(struct ak_mcp_endpoint);
    const struct ak_mcp_tools *tools = options->tools;

    if (!self)
        return ak_error_oom(reterr);
    self->options = *options;
    if (!self->options.keep_alive)
        self->options.keep_alive = AK_MCP_KEEP_ALIVE;
    ak_mcp_sessions_init(&self->sessions, options->pod_uid);
    self->keep_alive = ak_timer_new(options->loop, on_keep_alive, self);
    if (!self->keep_alive)
        return ak_error_oom(reterr);
    if (tools->start) {
        int r = tools->start(options->loop, tools->user, reterr);

        if (r < 0)
            return r;
    }
    if (tools->watch)
        tools->watch(on_tools_changed, self, tools->user);
    *ret = AK_TAKE(self);
    return 0;
}
