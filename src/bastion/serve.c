/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/serve.h"

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <openssl/rand.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/base/log.h>
#include <ak/base/text.h>
#include <ak/json/json.h>

#include "bastion/client_files.h"
#include "bastion/link.h"
#include "bastion/recordings.h"
#include "bastion/session_table.h"
#include "door/answers.h"

#define LOG "bastion"
#define CLIENT_EVERY                                                                               \
    100 /* ms between two tries to reach the client's container, until it is there */
#define LOOK_AT_LEAST                                                                              \
    AK_MINUTES(1) /* though nothing is due: what had no memory to say so is found then */
#define STATE_EVERY AK_SECONDS(1)  /* not more often */
#define END_SESSIONS AK_SECONDS(5) /* for sessions to explain and end */
#define END_TAKEN AK_SECONDS(3)    /* then for the manager to take the audit */
#define RELAY_CONNECTIONS 256
#define PROBE_CONNECTIONS 32
#define KEEP_ALIVE AK_MINUTES(5)

struct serve {
    struct ak_bastion b; /* first: the routes' user */
    struct event *signals;
    int signal_fd;
    bool stopping; /* sessions have ended; what is left is told */
};

/* --- answers --- */

static const struct {
    int code, status;
    const char *reason;
} answers[] = {
    {AK_E_FORBIDDEN, 403, "Forbidden"},
    {AK_E_NOT_FOUND, 404, "NotFound"},
    {-EBUSY, 429, "TooManyRequests"},
    {AK_E_CANCELLED, 503, "Ending"},
    {-ENOMEM, 503, "ServiceUnavailable"},
    {-ENOBUFS, 503, "ServiceUnavailable"},
    {AK_E_PROTOCOL, 503, "ServiceUnavailable"},
    {-ETIMEDOUT, 504, "Timeout"},
    {AK_E_INVALID, 400, "BadRequest"},
    {-EINVAL, 400, "BadRequest"},
    {AK_E_TOO_LARGE, 413, "RequestEntityTooLarge"},
};

static const char *reason_of(int status)
{
    switch (status) {
    case 403:
        return "Forbidden";
    case 404:
        return "NotFound";
    case 422:
        return "Invalid";
    case 428:
        return "ApprovalNeeded";
    case 429:
        return "TooManyRequests";
    case 503:
        return "ServiceUnavailable";
    case 504:
        return "Timeout";
    default:
        return status >= 500 ? "InternalError" : "BadRequest";
    }
}

void ak_bastion_refuse(struct ak_http_exchange *ex, int status, const struct ak_error *err,
                       const char *details)
{
    static const char *const later[] = {"Retry-After: 1", NULL};
    AK_AUTO(ak_buf) body = AK_BUF_INIT(AK_DOOR_STATUS_MAX);
    const char *reason = status ? reason_of(status) : "InternalError";

    for (size_t i = 0; !status && i < AK_ARRAY_LEN(answers); i++)
        if (answers[i].code == ak_error_code(err)) {
            status = answers[i].status;
            reason = answers[i].reason;
        }
    status = status ? status : 500;
    bool again = status == 429 || status == 503;
    if (ak_door_write_status(status, reason, ak_error_message(err), again, details, &body) < 0)
        ak_buf_clear(&body);
    ak_http_reply_text(ex, status, "application/json", ak_buf_text(&body), body.len,
                       again ? later : NULL);
}

static void reply_plain(struct ak_http_exchange *ex, int status, const char *text)
{
    ak_http_reply_text(ex, status, "text/plain; charset=utf-8", text, strlen(text), NULL);
}

/* --- state --- */

static int add_session(struct ak_session *s, struct ak_buf *out)
{
    char since[AK_RFC3339_SIZE], active[AK_RFC3339_SIZE];
    ak_msec wall = ak_wall_now(), now = ak_now();
    int r;

    ak_mutex_lock(&s->lock);
    ak_msec ago = now - s->active;
    bool busy = s->busy > 0 || s->statements;
    uint64_t in = s->bytes_in, bytes_out = s->bytes_out, statements = s->n_statements;
    ak_mutex_unlock(&s->lock);
    r = ak_buf_addf(out,
                    "{\"id\":\"%s\",\"kind\":\"%s\",\"startTime\":\"%s\","
                    "\"lastActivityTime\":\"%s\",\"busy\":%s,\"readOnly\":%s,\"bytesIn\":%llu,"
                    "\"bytesOut\":%llu,\"statements\":%llu,\"caller\":",
                    s->id, ak_session_kind_name(s->kind), ak_format_rfc3339(s->since_wall, since),
                    ak_format_rfc3339(wall - ago, active), busy ? "true" : "false",
                    s->read_only ? "true" : "false", (unsigned long long)in,
                    (unsigned long long)bytes_out, (unsigned long long)statements);
    if (r >= 0) /* the journal reads it on other threads, and reading changes nothing */
        r = ak_json_write(s->caller.tree, out, NULL);
    return r < 0 ? r : ak_buf_adds(out, "}");
}

int ak_bastion_write_state(struct ak_bastion *self, struct ak_buf *out)
{
    char start[AK_RFC3339_SIZE], used[AK_RFC3339_SIZE];
    const struct ak_audit_counts audit = ak_audit_counts(&self->audit);
    int r = ak_buf_addf(out, "{\"bootID\":\"%s\",\"startTime\":\"%s\",\"lastUsed\":\"%s\",",
                        self->boot_id, ak_format_rfc3339_micro(self->started_wall, start),
                        ak_format_rfc3339_micro(self->last_used_wall, used));

    if (r >= 0)
        r = ak_buf_addf(out,
                        "\"auditHead\":%llu,\"auditAcked\":%llu,\"auditDropped\":%llu,"
                        "\"ending\":%s,\"sessions\":[",
                        (unsigned long long)audit.head, (unsigned long long)audit.acked,
                        (unsigned long long)audit.dropped, self->ending ? "true" : "false");
    for (struct ak_session *s = self->sessions; r >= 0 && s; s = s->next) {
        r = s == self->sessions ? 0 : ak_buf_adds(out, ",");
        if (r >= 0)
            r = add_session(s, out);
    }
    return r < 0 ? r : ak_buf_adds(out, "]}");
}

void ak_bastion_changed(struct ak_bastion *self)
{
    self->changed = true;
    ak_bastion_look(self);
}

/* --- routes --- */

static void on_identity(struct ak_http_exchange *ex, void *user)
{
    static const char *const extra[] = {"Cache-Control: no-store", NULL};
    struct ak_bastion *self = user;
    AK_AUTO(ak_buf) body = {.max = AK_DOOR_IDENTITY_MAX, .wipe = true};
    AK_AUTO_PTR(ak_error) err = NULL;

    if (ak_door_write_identity(&self->token, self->settings->pod_uid, ak_tls_context_pin(self->tls),
                               &body, &err) < 0)
        ak_bastion_refuse(ex, 503, err, NULL);
    else
        ak_http_reply_text(ex, 200, "application/json", ak_buf_text(&body), body.len, extra);
}

static void on_state(struct ak_http_exchange *ex, void *user)
{
    AK_AUTO(ak_buf) body = AK_BUF_INIT(1u << 20);

    if (ak_bastion_write_state(user, &body) < 0)
        reply_plain(ex, 500, "out of memory\n");
    else
        ak_http_reply_text(ex, 200, "application/json", ak_buf_text(&body), body.len, NULL);
}

static json_t *body_of(struct ak_http_exchange *ex)
{
    size_t len;
    const char *text = ak_http_body(ex, &len);
    json_t *tree = NULL;

    if (len == 0)
        return json_object();
    return ak_json_parse(text, len, &tree, NULL) < 0 ? NULL : tree;
}

static void on_end(struct ak_http_exchange *ex, void *user)
{
    AK_AUTO_JSON *body = body_of(ex);
    const char *reason = ak_json_text(body, "reason", NULL);

    ak_bastion_end(user, reason ? reason : "it was ended");
    ak_http_reply_text(ex, 202, "application/json", "{}", 2, NULL);
}

static void on_ack(struct ak_http_exchange *ex, void *user)
{
    struct ak_bastion *self = user;
    AK_AUTO_JSON *body = body_of(ex);
    const json_t *seq = json_object_get(body, "seq");

    if (!json_is_integer(seq) || json_integer_value(seq) < 0) {
        reply_plain(ex, 400, "seq: must be a number\n");
        return;
    }
    if (ak_audit_ack(&self->audit, (uint64_t)json_integer_value(seq)) < 0) {
        reply_plain(ex, 400, "seq: there is no such record\n");
        return;
    }
    ak_bastion_look(self);
    ak_http_reply_text(ex, 200, "application/json", "{}", 2, NULL);
}

static void on_session(struct ak_http_exchange *ex, void *user)
{
    AK_AUTO_JSON *body = body_of(ex);
    const char *reason = ak_json_text(body, "reason", NULL);
    const char *rest = ak_http_path(ex) + strlen("/v1/sessions/");
    AK_AUTO_TEXT char *id = ak_strndup(rest, strcspn(rest, "/"));
    struct ak_session *session = id ? ak_session_find(user, id) : NULL;
    AK_AUTO_PTR(ak_error) err = NULL;

    if (!session || !ak_has_suffix(rest, "/kill")) {
        (void)ak_error_set(&err, AK_E_NOT_FOUND, "there is no such session");
        ak_bastion_refuse(ex, 404, err, NULL);
        return;
    }
    ak_session_end(session, reason ? reason : "it was ended");
    ak_http_reply_text(ex, 202, "application/json", "{}", 2, NULL);
}

static const struct ak_http_route relay_routes[] = {
    {"GET", "/v1/identity", on_identity},
    {"GET", "/v1/state", on_state},
    {"GET", "/v1/watch", ak_watch_handle},
    {"POST", "/v1/operations", ak_operation_handle},
    {"GET", "/v1/exec", ak_stream_exec},
    {"GET", "/v1/forward", ak_stream_forward},
    {"POST", "/v1/sessions/*", on_session},
    {"POST", "/v1/audit/ack", on_ack},
    {"POST", "/v1/end", on_end},
    {NULL, "/v1/recordings/*", ak_recordings_handle},
    {0}};

static void on_healthz(struct ak_http_exchange *ex, void *user)
{
    (void)user;
    reply_plain(ex, 200, "ok\n");
}

static void on_readyz(struct ak_http_exchange *ex, void *user)
{
    const struct ak_bastion *self = user;

    if (self->ending)
        reply_plain(ex, 503, "ending\n");
    else
        reply_plain(ex, 200, "ok\n");
}

static void on_metrics(struct ak_http_exchange *ex, void *user)
{
    struct ak_bastion *self = user;
    AK_AUTO(ak_buf) out = AK_BUF_INIT(64u << 10);

    const struct ak_audit_counts audit = ak_audit_counts(&self->audit);

    (void)!ak_buf_addf(&out,
                       "# TYPE agentkube_bastion_sessions gauge\nagentkube_bastion_sessions %zu\n"
                       "# TYPE agentkube_bastion_audit_records_total counter\n"
                       "agentkube_bastion_audit_records_total %llu\n"
                       "# TYPE agentkube_bastion_audit_dropped_total counter\n"
                       "agentkube_bastion_audit_dropped_total %llu\n",
                       self->n_sessions, (unsigned long long)audit.head,
                       (unsigned long long)audit.dropped);
    ak_http_reply_text(ex, 200, "text/plain; version=0.0.4; charset=utf-8", ak_buf_text(&out),
                       out.len, NULL);
}

static const struct ak_http_route probe_routes[] = {{"GET", "/healthz", on_healthz},
                                                    {"GET", "/readyz", on_readyz},
                                                    {"GET", "/metrics", on_metrics},
                                                    {0}};

/* --- time --- */

/* When it could be idle for too long: what is busy now has all of its time from the end of that. */
static ak_msec idle_at(const struct ak_bastion_settings *set, struct ak_session *s, ak_msec now)
{
    ak_mutex_lock(&s->lock);
    ak_msec active = s->busy > 0 || s->statements ? now : s->active;
    ak_mutex_unlock(&s->lock);
    return s->kind == AK_SESSION_OPERATION ? AK_MSEC_NEVER : active + set->idle_timeout;
}

/* Ends it if it is time; when to look again. */
static ak_msec look_at_session(struct ak_bastion *self, struct ak_session *s, ak_msec now)
{
    const struct ak_bastion_settings *set = self->settings;
    ak_msec idle = idle_at(set, s, now);
    ak_msec longest = set->max_session ? s->since + set->max_session : AK_MSEC_NEVER;
    char span[32], reason[128];

    if (now < longest && now < idle)
        return AK_MIN(longest, idle);
    if (now >= longest)
        (void)snprintf(reason, sizeof(reason), "it lasted %s, the longest that is allowed",
                       ak_format_duration(set->max_session, span));
    else
        (void)snprintf(reason, sizeof(reason), "it was idle for %s",
                       ak_format_duration(set->idle_timeout, span));
    ak_session_end(s, reason);
    return AK_MSEC_NEVER;
}

/* Sessions that must end do; when the next one may have to. */
static ak_msec look_at_sessions(struct ak_bastion *self, ak_msec now)
{
    ak_msec due = AK_MSEC_NEVER;
    struct ak_session *next;

    for (struct ak_session *s = self->sessions; s; s = next) {
        next = s->next;
        if (!ak_cancel_is_set(&s->cancel))
            due = AK_MIN(due, look_at_session(self, s, now));
    }
    if (self->sessions || self->ending)
        return due;
    due = self->last_used + self->settings->idle_timeout;
    if (now >= due)
        ak_bastion_end(self, "nobody used it");
    return due;
}

static ak_msec tell_state(struct ak_bastion *self, ak_msec now)
{
    if (!self->changed)
        return AK_MSEC_NEVER;
    if (now - self->told < STATE_EVERY)
        return self->told + STATE_EVERY;
    self->changed = false;
    self->told = now;
    ak_watch_pump(self, true);
    return AK_MSEC_NEVER;
}

static bool is_taken(struct ak_bastion *self)
{
    const struct ak_audit_counts audit = ak_audit_counts(&self->audit);

    return audit.acked >= audit.head && ak_recordings_left(self) == 0;
}

static ak_msec go_on_ending(struct serve *serve, ak_msec now)
{
    struct ak_bastion *self = &serve->b;

    if (!self->ending)
        return AK_MSEC_NEVER;
    if (!serve->stopping && ((!self->sessions && !self->workers) || now >= self->end_deadline)) {
        serve->stopping = true;
        self->end_deadline = now + END_TAKEN;
    }
    if (serve->stopping && (is_taken(self) || now >= self->end_deadline)) {
        ak_audit_print(&self->audit);
        ak_watch_end(self);
        ak_loop_stop(self->loop);
    }
    return self->end_deadline;
}

static void connect_client(struct ak_bastion *self);

/* Whatever is due by now; then it sleeps until the next thing is, or somebody calls ak_bastion_look(). */
static void on_tick(void *user)
{
    struct serve *serve = user;
    struct ak_bastion *self = &serve->b;
    ak_msec now = ak_now(), due = now + LOOK_AT_LEAST;

    ak_workers_reap(self);
    connect_client(self);
    if (!self->had_client && !self->ending)
        due = now + CLIENT_EVERY;
    due = AK_MIN(due, look_at_sessions(self, now));
    due = AK_MIN(due, go_on_ending(serve, now));
    due = AK_MIN(due, tell_state(self, now));
    ak_timer_set(self->tick, AK_MAX(due - now, 1));
}

void ak_bastion_look(struct ak_bastion *self)
{
    ak_timer_set(self->tick, 0);
}

void ak_bastion_end(struct ak_bastion *self, const char *reason)
{
    struct ak_session *next;

    if (self->ending)
        return;
    self->ending = true;
    self->end_deadline = ak_now() + END_SESSIONS;
    (void)snprintf(self->end_reason, sizeof(self->end_reason), "%s", reason);
    ak_info(LOG, "ending", AK_STR("reason", reason));
    ak_bastion_changed(self);
    for (struct ak_session *s = self->sessions; s; s = next) {
        next = s->next;
        ak_session_end(s, reason);
    }
}

/* --- the client --- */

static void on_hold(struct bufferevent *bev, short what, void *user)
{
    struct ak_bastion *self = user;

    if (!(what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)))
        return;
    bufferevent_free(bev);
    self->hold = NULL;
    self->failed |= !self->ending;
    /* Where both see the same folder. A container's own is gone with its pod, which ends now. */
    (void)ak_client_files_sweep(AK_CLIENT_FILES_DIR);
    ak_bastion_end(self, "the container of the client program has ended");
}

static void connect_client(struct ak_bastion *self)
{
    uint8_t head[AK_LINK_HEAD];
    int fd;

    if (self->hold || self->had_client || self->ending)
        return;
    fd = ak__link_dial(self->settings->target.link_dir, NULL);
    if (fd < 0)
        return;
    self->hold = bufferevent_socket_new(ak_loop_base(self->loop), fd, BEV_OPT_CLOSE_ON_FREE);
    if (!self->hold) {
        (void)close(fd);
        return;
    }
    self->had_client = true;
    bufferevent_setcb(self->hold, NULL, NULL, on_hold, self);
    (void)bufferevent_enable(self->hold, EV_READ | EV_WRITE);
    ak_link_write_head(AK_LINK_HOLD, 0, head);
    (void)bufferevent_write(self->hold, head, sizeof(head));
    ak_info(LOG, "the client program's container is there");
}

static void quit_client(struct ak_bastion *self)
{
    uint8_t head[AK_LINK_HEAD];

    if (!self->hold)
        return;
    ak_link_write_head(AK_LINK_QUIT, 0, head);
    /* The loop has ended: this goes out at once or not at all. */
    (void)!write(bufferevent_getfd(self->hold), head, sizeof(head));
    bufferevent_free(self->hold);
    self->hold = NULL;
}

/* --- start and end --- */

static void on_audit(void *user)
{
    struct ak_bastion *self = user;

    atomic_store(&self->audit_posted, false);
    ak_audit_print(&self->audit);
    ak_watch_pump(self, false);
}

/* Thread: any. */
static void wake_audit(void *user)
{
    struct ak_bastion *self = user;

    if (!atomic_exchange(&self->audit_posted, true) && ak_loop_post(self->loop, on_audit, self) < 0)
        atomic_store(&self->audit_posted, false);
}

static void on_signal(evutil_socket_t fd, short what, void *user)
{
    struct serve *self = user;
    struct signalfd_siginfo info;

    (void)what;
    if (read(fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    if (self->b.ending)
        self->b.end_deadline = 0; /* asked twice */
    ak_bastion_look(&self->b);
    ak_bastion_end(&self->b, "the bastion is being stopped");
}

static int open_signals(struct serve *self, struct ak_error **reterr)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)signal(SIGPIPE, SIG_IGN);
    if (pthread_sigmask(SIG_BLOCK, &set, NULL) == 0)
        self->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (self->signal_fd < 0)
        return ak_error_set(reterr, -errno, "cannot read signals");
    self->signals = event_new(ak_loop_base(self->b.loop), self->signal_fd, EV_READ | EV_PERSIST,
                              on_signal, self);
    return self->signals && event_add(self->signals, NULL) >= 0 ? 0 : ak_error_oom(reterr);
}

static int open_server(struct serve *self, const struct ak_listen *at,
                       struct ak_http_server_options options, struct ak_http_server **ret,
                       struct ak_error **reterr)
{
    options.bind_address = at->host[0] ? at->host : NULL;
    options.port = at->port;
    options.user = &self->b;
    return ak_http_server_new(self->b.loop, &options, ret, reterr);
}

static int open_servers(struct serve *self, struct ak_error **reterr)
{
    const struct ak_bastion_settings *s = self->b.settings;
    const struct ak_tls_server_options tls = {.self_signed_name = "agentkube-bastion",
                                              .client_ca_pem = s->manager_ca,
                                              .client_name = s->manager_name,
                                              .tls13_only = true};
    const struct ak_http_server_options probe = {
        .routes = probe_routes, .max_connections = PROBE_CONNECTIONS, .make_room = true};
    struct ak_http_server_options relay = {.routes = relay_routes,
                                           .max_body = AK_BODY_MAX,
                                           .max_bodies = 8 * AK_BODY_MAX,
                                           .max_connections = RELAY_CONNECTIONS,
                                           .max_header = 64u << 10,
                                           .make_room = true,
                                           .request_timeout = AK_SECONDS(30),
                                           .idle_timeout = KEEP_ALIVE};
    int r = ak_tls_context_new_server(&tls, &self->b.tls, reterr);

    if (r < 0)
        return ak_error_wrap(reterr, r, "AGENTKUBE_MANAGER_CA");
    relay.tls = self->b.tls;
    r = open_server(self, &s->relay, relay, &self->b.relay_server, reterr);
    if (r >= 0)
        r = open_server(self, &s->probe, probe, &self->b.probe_server, reterr);
    return r;
}

static int make_parts(struct serve *self, struct ak_error **reterr)
{
    struct ak_bastion *b = &self->b;
    unsigned char random[16];

    if (RAND_bytes(random, sizeof(random)) != 1)
        return ak_error_set(reterr, -EIO, "no random numbers");
    for (size_t i = 0; i < sizeof(random); i++)
        (void)snprintf(b->boot_id + 2 * i, 3, "%02x", random[i]);
    b->engine = ak_engine_of(b->settings->target.info);
    b->started_wall = b->last_used_wall = ak_wall_now();
    b->last_used = ak_now();
    b->tick = ak_timer_new(b->loop, on_tick, self);
    ak_credential_file_init(&b->token, b->settings->token_file);
    if (!b->tick)
        return ak_error_oom(reterr);
    ak_timer_set(b->tick, 0);
    return 0;
}

static void close_all(struct serve *self)
{
    struct ak_bastion *b = &self->b;

    (void)ak_http_server_free(b->probe_server);
    (void)ak_http_server_free(b->relay_server);
    /* Engines see their cancel; whoever does not come back by then is not waited for. */
    for (ak_msec until = ak_now() + AK_SECONDS(3); b->workers && ak_now() < until;) {
        ak_workers_reap(b);
        if (b->workers)
            (void)poll(NULL, 0, 10);
    }
    quit_client(b);
    if (b->workers) /* their thread uses what would be freed here */
        return;
    ak_audit_print(&b->audit);
    ak_recordings_done(b);
    (void)ak_timer_free(b->tick);
    (void)ak_tls_context_unref(b->tls);
    ak_credential_file_done(&b->token);
    if (self->signals)
        event_free(self->signals);
    if (self->signal_fd >= 0)
        (void)close(self->signal_fd);
    if (b->loop)
        ak_loop_settle(b->loop); /* everybody's connections are closed */
    (void)ak_loop_free(b->loop);
    ak_audit_done(&b->audit);
}

int ak_bastion_serve(const struct ak_bastion_settings *settings, struct ak_error **reterr)
{
    static struct serve self; /* threads that hang are left behind, and still look at it */
    struct ak_bastion *b = &self.b;
    int r;

    self = (struct serve){.signal_fd = -1, .b = {.settings = settings}};
    r = ak_audit_init(&b->audit, &settings->target, b->boot_id, STDOUT_FILENO, wake_audit, b);
    r = r < 0 ? ak_error_oom(reterr) : ak_loop_new(&b->loop, reterr);
    if (r >= 0)
        r = open_signals(&self, reterr);
    if (r >= 0)
        r = make_parts(&self, reterr);
    if (r >= 0)
        r = open_servers(&self, reterr);
    if (r >= 0) {
        ak_info(LOG, "serving", AK_STR("version", AK_VERSION),
                AK_STR("namespace", settings->target.ns), AK_STR("name", settings->target.name),
                AK_STR("type", settings->target.info->name),
                AK_INT("relayPort", ak_http_server_port(b->relay_server)),
                AK_INT("probePort", ak_http_server_port(b->probe_server)));
        r = ak_loop_run(b->loop, reterr);
    }
    if (r >= 0 && b->failed)
        r = ak_error_set(reterr, AK_E_PROTOCOL, "%s", b->end_reason);
    close_all(&self);
    return r;
}
