/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/runs/api.h"

#include "agentlet/runs/follower.h"
#include "agentlet/runs/leftovers.h"
#include "agentlet/runs/watcher.h"

#include <ak/base/alloc.h>
#include <ak/base/buf.h>
#include <ak/base/log.h>
#include <ak/base/text.h>
#include <ak/json/json.h>
#include <ak/net/http_server.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define KEEP_ALIVE_EVERY AK_SECONDS(5)
#define MAX_CONNECTIONS 2048
#define MAX_WAITING                                                                                \
    (1u << 20) /* unsent bytes of one stream: several times what followers leave there */
#define MAX_REPLY (8u << 20)
#define DEFAULT_LIMIT 50
#define MAX_LIMIT 200
#define MAX_REASON 64
#define BOOT_BYTES 16

struct ak_run_api {
    const struct ak_settings *settings;
    const struct ak_state *state;
    struct ak_runbook *runbook;
    struct ak_http_server *server;
    struct ak_followers followers;
    struct ak_watchers watchers;
    ak_msec keep_alive_at;
    char boot_id[BOOT_BYTES * 2 + 1];
};

/* What a request is about: the part of the path after /v1/runs/. */
struct call {
    struct ak_run_api *api;
    struct ak_http_exchange *ex;
    char id[AK_RUN_ID_MAX + 1];
    struct ak_run_entry *entry; /* NULL: there is no such run */
};

/* ---- answers ---- */

static const struct {
    int code;
    int status;
    const char *reason;
    const char *retry; /* header line; NULL: none */
} failures[] = {
    {-EINVAL, 400, "BadRequest", NULL},
    {AK_E_INVALID, 400, "BadRequest", NULL},
    {AK_E_FORBIDDEN, 403, "Forbidden", NULL},
    {AK_E_NOT_FOUND, 404, "NotFound", NULL},
    {-EOPNOTSUPP, 405, "MethodNotAllowed", NULL},
    {AK_E_TOO_LARGE, 413, "RequestEntityTooLarge", NULL},
    {AK_E_THROTTLED, 429, "TooManyRequests", "Retry-After: 5"},
    {-EAGAIN, 503, "ServiceUnavailable", "Retry-After: 1"},
    {-ENOSPC, 503, "ServiceUnavailable", "Retry-After: 30"},
    {-EDQUOT, 503, "ServiceUnavailable", "Retry-After: 30"},
    {0, 500, "InternalError", NULL},
};

static void reply_json(struct ak_http_exchange *ex, int status, const json_t *value,
                       const char *extra_line)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(MAX_REPLY);
    const char *const extra[] = {"Cache-Control: no-store", extra_line, NULL};

    if (!value || ak_json_write(value, &text, NULL) < 0) {
        ak_http_reply_text(ex, 500, "text/plain; charset=utf-8", "out of memory\n", 14, NULL);
        return;
    }
    ak_http_reply_text(ex, status, "application/json", text.data, text.len, extra);
}

static json_t *make_status(int status, const char *reason, const char *message)
{
    return json_pack("{s:s, s:s, s:{}, s:s, s:s, s:s, s:i}", "kind", "Status", "apiVersion", "v1",
                     "metadata", "status", "Failure", "message", message, "reason", reason, "code",
                     status);
}

static void reply_error(struct ak_http_exchange *ex, int code, const struct ak_error *err)
{
    AK_AUTO_JSON *status = NULL;
    size_t i = 0;

    while (failures[i].code != code && failures[i].code != 0)
        i++;
    status = make_status(failures[i].status, failures[i].reason, ak_error_message(err));
    reply_json(ex, failures[i].status, status, failures[i].retry);
}

/* What the server refuses before there is a request: too large, too slow, not HTTP. */
static int write_refusal(int status, struct ak_buf *out)
{
    AK_AUTO_JSON *body = NULL;
    size_t i = 0;

    while (failures[i].status != status && failures[i].code != 0)
        i++;
    body = make_status(status, failures[i].code ? failures[i].reason : "BadRequest",
                       "the request was refused before it was read");
    return body ? ak_json_write(body, out, NULL) : -ENOMEM;
}

static void reply_record(struct call *call, int status)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_JSON *record = NULL;
    int r =
        ak_runbook_record(call->api->runbook, call->entry, AK_REQUEST_MAX_PROMPT, &record, &err);

    if (r < 0)
        reply_error(call->ex, r, err);
    else
        reply_json(call->ex, status, record, NULL);
}

/* ---- queries ---- */

/* The value of a parameter, as text of at most size - 1 bytes; false: it is not there. */
static bool find_parameter(const struct ak_http_exchange *ex, const char *name, char *out,
                           size_t size)
{
    size_t name_len = strlen(name);

    for (const char *p = ak_http_query(ex); *p; p += strcspn(p, "&"), p += *p == '&') {
        size_t len = strcspn(p, "&");

        if (len <= name_len || strncmp(p, name, name_len) != 0 || p[name_len] != '=')
            continue;
        (void)snprintf(out, size, "%.*s", (int)AK_MIN(len - name_len - 1, size - 1),
                       p + name_len + 1);
        return true;
    }
    return false;
}

static int number_parameter(const struct ak_http_exchange *ex, const char *name, uint64_t max,
                            uint64_t *ret, struct ak_error **reterr)
{
    char text[32];
    uint64_t value = 0;

    if (!find_parameter(ex, name, text, sizeof(text)))
        return 0;
    if (ak_parse_u64(text, &value) < 0)
        return ak_error_set(reterr, -EINVAL, "%s: must be a number", name);
    *ret = AK_MIN(value, max);
    return 1;
}

static int flag_parameter(const struct ak_http_exchange *ex, const char *name, bool *ret,
                          struct ak_error **reterr)
{
    char text[8];

    if (!find_parameter(ex, name, text, sizeof(text)))
        return 0;
    if (ak_parse_bool(text, ret) < 0)
        return ak_error_set(reterr, -EINVAL, "%s: must be true or false", name);
    return 1;
}

/* ---- runs ---- */

static void put_run(struct call *call)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    bool created = false;
    size_t len = 0;
    const char *body = ak_http_body(call->ex, &len);
    int r = ak_runbook_put(call->api->runbook, call->id, body, len, &call->entry, &created, &err);

    if (r < 0)
        reply_error(call->ex, r, err);
    else
        reply_record(call, created ? 201 : 200);
}

static void get_run(struct call *call)
{
    reply_record(call, 200);
}

static bool is_reason(const char *text)
{
    size_t len = strlen(text);

    return len > 0 && len <= MAX_REASON &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") == len;
}

static void cancel_run(struct call *call)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_JSON *body = NULL;
    size_t len = 0;
    const char *text = ak_http_body(call->ex, &len);
    const char *reason = NULL;
    int r = len > 0 ? ak_json_parse(text, len, &body, &err) : 0;

    reason = ak_json_text(body, "reason", NULL);
    if (r >= 0 && ((body && !json_is_object(body)) || (reason && !is_reason(reason))))
        r = ak_error_set(&err, -EINVAL, "reason: must be a word of letters");
    if (r < 0) {
        reply_error(call->ex, r, err);
        return;
    }
    ak_runbook_cancel(call->api->runbook, call->entry, reason, ak_json_text(body, "message", NULL));
    reply_record(call, 200);
}

static void follow_file(struct call *call, struct ak_follow_options *options)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    int r = flag_parameter(call->ex, "follow", &options->follow, &err);

    if (r >= 0)
        r = ak_followers_add(&call->api->followers, call->ex, call->entry, options, &err);
    if (r < 0)
        reply_error(call->ex, r, err);
}

static void get_events(struct call *call)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    struct ak_follow_options options = {.which = AK_RUN_EVENTS, .follow = true, .tail = -1};
    const char *last = ak_http_header(call->ex, "last-event-id");
    int r = number_parameter(call->ex, "after", UINT64_MAX, &options.after, &err);

    if (r == 0 && !ak_is_empty(last) && ak_parse_u64(last, &options.after) < 0)
        r = ak_error_set(&err, -EINVAL, "Last-Event-ID: must be a number");
    if (r < 0)
        reply_error(call->ex, r, err);
    else
        follow_file(call, &options);
}

static void get_logs(struct call *call)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    struct ak_follow_options options = {.which = AK_RUN_LOG, .tail = -1};
    uint64_t tail = 0;
    int r = number_parameter(call->ex, "tail", INT32_MAX, &tail, &err);

    if (r > 0)
        options.tail = (int64_t)tail;
    if (r < 0)
        reply_error(call->ex, r, err);
    else
        follow_file(call, &options);
}

static void get_transcript(struct call *call)
{
    struct ak_follow_options options = {.which = AK_RUN_TRANSCRIPT, .tail = -1};

    follow_file(call, &options);
}

/* ---- the whole ---- */

static int list(struct ak_run_api *self, uint64_t limit, json_t *items, struct ak_error **reterr)
{
    for (size_t i = ak_runbook_count(self->runbook); i-- > 0 && json_array_size(items) < limit;) {
        json_t *record = NULL;
        int r = ak_runbook_record(self->runbook, ak_runbook_at(self->runbook, i),
                                  AK_RECORD_LIST_PROMPT, &record, reterr);

        if (r == AK_E_NOT_FOUND) {
            *reterr = ak_error_free(*reterr);
            continue;
        }
        if (r < 0)
            return r;
        if (json_array_append_new(items, record) < 0)
            return ak_error_oom(reterr);
    }
    return 0;
}

static void list_runs(struct call *call)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_JSON *items = json_array();
    AK_AUTO_JSON *reply = NULL;
    uint64_t limit = DEFAULT_LIMIT;
    int r = number_parameter(call->ex, "limit", MAX_LIMIT, &limit, &err);

    if (r >= 0)
        r = items ? list(call->api, limit, items, &err) : ak_error_oom(&err);
    if (r < 0) {
        reply_error(call->ex, r, err);
        return;
    }
    reply = json_pack("{s:O}", "items", items);
    reply_json(call->ex, 200, reply, NULL);
}

static void watch_runs(struct call *call)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    int r = ak_watchers_add(&call->api->watchers, call->ex, &err);

    if (r < 0)
        reply_error(call->ex, r, err);
}

static void get_state(struct call *call)
{
    struct ak_run_api *self = call->api;
    char started[AK_RFC3339_SIZE], active[AK_RFC3339_SIZE];
    size_t sessions = ak_leftovers_sessions();
    ak_msec last = sessions > 0 ? ak_wall_now() : ak_runbook_last_activity(self->runbook);
    AK_AUTO_JSON *reply = json_pack(
        "{s:s, s:s, s:s, s:i, s:i, s:i, s:s}", "phase", ak_phase_to_string(self->state->phase),
        "bootID", self->boot_id, "startTime", ak_format_rfc3339(self->state->started_wall, started),
        "activeRuns", ak_runbook_is_busy(self->runbook) ? 1 : 0, "queuedRuns",
        (int)ak_runbook_queued(self->runbook), "sessions", (int)sessions, "lastActivityTime",
        ak_format_rfc3339(last, active));

    reply_json(call->ex, 200, reply, NULL);
}

/* ---- routing ---- */

static const struct route {
    const char *method;
    const char *path; /* of runs: what follows /v1/runs/ID */
    bool of_run;
    bool needs_run;
    void (*handle)(struct call *call);
} routes[] = {
    {"GET", "/v1/runs", false, false, list_runs},
    {"GET", "/v1/watch", false, false, watch_runs},
    {"GET", "/v1/state", false, false, get_state},
    {"PUT", "", true, false, put_run},
    {"GET", "", true, true, get_run},
    {"POST", "/cancel", true, true, cancel_run},
    {"GET", "/events", true, true, get_events},
    {"GET", "/logs", true, true, get_logs},
    {"GET", "/transcript", true, true, get_transcript},
};

static const struct route *find_route(const char *path, bool of_run, const char *method,
                                      bool *ret_path_known)
{
    for (size_t i = 0; i < AK_ARRAY_LEN(routes); i++) {
        if (routes[i].of_run != of_run || strcmp(routes[i].path, path) != 0)
            continue;
        *ret_path_known = true;
        if (strcmp(routes[i].method, method) == 0)
            return &routes[i];
    }
    return NULL;
}

/* Cuts the run's id out of the path; what follows it is returned. NULL: it is no path of a run. */
static const char *split_path(const char *path, char id[static AK_RUN_ID_MAX + 1])
{
    static const char prefix[] = "/v1/runs/";
    size_t len = 0;

    if (!ak_has_prefix(path, prefix))
        return NULL;
    path += strlen(prefix);
    len = strcspn(path, "/");
    if (len > AK_RUN_ID_MAX)
        return NULL;
    memcpy(id, path, len);
    id[len] = '\0';
    return path + len;
}

static int dispatch(struct call *call, struct ak_error **reterr)
{
    const char *path = ak_http_path(call->ex);
    const char *rest = split_path(path, call->id);
    bool path_known = false;
    const struct route *route =
        find_route(rest ? rest : path, rest != NULL, ak_http_method(call->ex), &path_known);

    if (!path_known)
        return ak_error_set(reterr, AK_E_NOT_FOUND, "there is no \"%s\"", path);
    if (!route)
        return ak_error_set(reterr, -EOPNOTSUPP, "\"%s\" does not take %s", path,
                            ak_http_method(call->ex));
    if (rest && !ak_is_dns_label(call->id))
        return ak_error_set(reterr, -EINVAL, "\"%s\": the id of a run must be a DNS label",
                            call->id);
    call->entry = rest ? ak_runbook_find(call->api->runbook, call->id) : NULL;
    if (route->needs_run && !call->entry)
        return ak_error_set(reterr, AK_E_NOT_FOUND, "there is no run \"%s\" here", call->id);
    route->handle(call);
    return 0;
}

static int check_peer(const struct ak_run_api *self, const struct ak_http_exchange *ex,
                      struct ak_error **reterr)
{
    uid_t uid = 0;
    uint64_t wanted = self->settings->keeper_uid;
    int r = ak_http_peer_credentials(ex, &uid, NULL);

    if (wanted == AK_SETTINGS_NO_UID)
        wanted = geteuid();
    if (r < 0 || uid != wanted)
        return ak_error_set(reterr, AK_E_FORBIDDEN, "only the keeper may ask for runs");
    return 0;
}

static void on_request(struct ak_http_exchange *ex, void *user)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    struct call call = {.api = user, .ex = ex};
    int r = check_peer(call.api, ex, &err);

    if (r >= 0)
        r = dispatch(&call, &err);
    if (r < 0)
        reply_error(ex, r, err);
}

/* ---- life ---- */

static void on_change(void *user, struct ak_run_entry *entry, bool news)
{
    struct ak_run_api *self = user;

    if (news)
        ak_followers_wake(&self->followers, entry);
    else
        ak_watchers_wake(&self->watchers);
}

ak_msec ak_run_api_deadline(const struct ak_run_api *self)
{
    return self->followers.first || self->watchers.first ? self->keep_alive_at : AK_MSEC_NEVER;
}

void ak_run_api_tick(struct ak_run_api *self, ak_msec now)
{
    if (now < self->keep_alive_at)
        return;
    self->keep_alive_at = now + KEEP_ALIVE_EVERY;
    ak_followers_keep_alive(&self->followers, now);
    ak_watchers_keep_alive(&self->watchers, now);
}

size_t ak_run_api_drain(struct ak_run_api *self)
{
    return self ? ak_http_server_drain(self->server) : 0;
}

struct ak_run_api *ak_run_api_free(struct ak_run_api *self)
{
    if (!self)
        return NULL;
    ak_runbook_on_change(self->runbook, NULL, NULL);
    self->server = ak_http_server_free(self->server);
    ak_free(self);
    return NULL;
}

static void make_boot_id(struct ak_run_api *self)
{
    unsigned char bytes[BOOT_BYTES] = {0};

    if (getrandom(bytes, sizeof(bytes), 0) < 0)
        memcpy(bytes, &(pid_t){getpid()},
               sizeof(pid_t)); /* never seen: the pool is ready at boot */
    for (size_t i = 0; i < sizeof(bytes); i++)
        (void)snprintf(self->boot_id + 2 * i, 3, "%02x", bytes[i]);
}

int ak_run_api_new(const struct ak_settings *settings, const struct ak_state *state,
                   struct ak_runbook *runbook, struct ak_poller *poller, struct ak_run_api **ret,
                   struct ak_error **reterr)
{
    static const struct ak_http_route all[] = {{NULL, "/*", on_request}, {NULL, NULL, NULL}};
    struct ak_run_api *self = ak_new0(struct ak_run_api);
    const struct ak_http_server_options options = {
        .unix_path = settings->link,
        .unix_mode = 0660,
        .routes = all,
        .user = self,
        .max_body = AK_REQUEST_MAX + 4096,
        .max_connections = MAX_CONNECTIONS,
        .max_waiting = MAX_WAITING,
        .error_body = write_refusal,
        .error_type = "application/json",
    };
    int r = 0;

    if (!self)
        return ak_error_oom(reterr);
    self->settings = settings;
    self->state = state;
    self->runbook = runbook;
    self->followers.runbook = runbook;
    self->watchers.runbook = runbook;
    make_boot_id(self);
    ak_runbook_on_change(runbook, on_change, self);
    r = ak_http_server_new(poller->loop, &options, &self->server, reterr);
    if (r < 0) {
        (void)ak_run_api_free(self);
        return r;
    }
    *ret = self;
    return 0;
}
