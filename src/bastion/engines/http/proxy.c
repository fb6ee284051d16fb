/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/http/proxy.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/json/json.h>
#include <ak/net/http_relay.h>

#include "bastion/engines/http/address.h"
#include "bastion/engines/http/renewal.h"
#include "bastion/engines/http/request.h"
#include "bastion/engines/http/types.h"
#include "engines/classify.h"

#define MAX_WAITING 64 /* requests that came before there was a credential */
#define HEAD_TIMEOUT AK_MINUTES(30)
#define IDLE_TIMEOUT AK_HOURS(24) /* the session's own idleness is what counts */
#define LAST_WORDS AK_SECONDS(1)
#define MAX_TEXT 2048
#define MAX_REMOVED 64

struct ak_http_proxy {
    const struct ak_target *target;
    const struct ak_http_type *type;
    struct ak_session *session; /* NULL: it has ended */
    struct ak_loop *loop;
    bool read_only;
    struct ak_http_server *unix_server, *tcp_server;
    struct ak_http_client *client;
    struct ak_http_credential credential;
    bool has_credential;
    struct ak_http_renewal *renewal; /* under way; NULL: none */
    struct ak_timer *last;
    struct passing *passing; /* list */
    size_t n_waiting;
    char token[AK_PROXY_TOKEN];
    char reason[256]; /* why it ended */
};

/* One request, from its head to its record. */
struct passing {
    struct ak_http_proxy *proxy;
    struct passing *next, **at;  /* who points here */
    struct ak_http_exchange *ex; /* while it waits for a credential */
    struct ak_http_relay *relay;
    struct ak_statement *statement;
    struct ak_buf path;
    size_t bytes_in;
};

/* --- answers of our own --- */

/* As Kubernetes says it, which others read as well as any JSON. */
static void answer(struct ak_http_exchange *ex, int status, const char *message)
{
    AK_AUTO(ak_buf) body = AK_BUF_INIT(8192);
    static const char *const close_it[] = {"Connection: close", NULL};
    int r = ak_buf_adds(
        &body, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\",\"message\":");

    if (r >= 0)
        r = ak_buf_add_json_string(&body, message, strlen(message));
    if (r >= 0)
        r = ak_buf_addf(&body, ",\"reason\":\"%s\",\"code\":%d}\n",
                        status == 403   ? "Forbidden"
                        : status == 503 ? "ServiceUnavailable"
                                        : "BadRequest",
                        status);
    if (r < 0)
        ak_buf_clear(&body);
    ak_http_reply_text(ex, status, "application/json", ak_buf_text(&body), body.len,
                       status == 503 ? close_it : NULL);
}

static void answer_error(struct ak_http_exchange *ex, int status, const char *what,
                         const struct ak_error *err)
{
    char text[1024];

    (void)snprintf(text, sizeof(text), "agentkube: %s%s", what, ak_error_message(err));
    answer(ex, status, text);
}

static int status_of(int code)
{
    return code == AK_E_FORBIDDEN ? 403 : code == -ENOMEM || code == -ENOBUFS ? 503 : 400;
}

/* --- one request --- */

static struct passing *passing_new(struct ak_http_proxy *proxy)
{
    struct passing *p = ak_new0(struct passing);

    if (!p)
        return NULL;
    p->proxy = proxy;
    p->path.max = AK_REQUEST_MAX_PATH;
    p->next = proxy->passing;
    p->at = &proxy->passing;
    if (p->next)
        p->next->at = &p->next;
    proxy->passing = p;
    return p;
}

static void passing_free(struct passing *p)
{
    *p->at = p->next;
    if (p->next)
        p->next->at = p->at;
    if (p->ex)
        p->proxy->n_waiting--;
    ak_buf_done(&p->path);
    ak_free(p);
}

static void passing_end(struct passing *p, int64_t bytes, int code, int status)
{
    struct ak_http_proxy *proxy = p->proxy;
    char text[16] = "";

    if (status)
        (void)snprintf(text, sizeof(text), "%d", status);
    if (p->statement) {
        ak_statement_end(AK_TAKE(p->statement), -1, (uint64_t)bytes,
                         code < 0        ? code
                         : status >= 400 ? ak_upstream_code(status)
                                         : 0,
                         text);
        if (proxy->session) {
            ak_session_moved(proxy->session, p->bytes_in, (uint64_t)bytes);
            ak_session_busy(proxy->session, false);
        }
    }
    passing_free(p);
}

static void on_relay_end(int status, uint64_t bytes, int code, void *user)
{
    passing_end(user, (int64_t)bytes, code, status);
}

static void on_relay_failed(struct ak_http_exchange *ex, int code, const struct ak_error *err,
                            void *user)
{
    struct passing *p = user;
    char text[1024];

    if (code == AK_E_CANCELLED) {
        (void)snprintf(text, sizeof(text), "agentkube: the session has ended: %s",
                       p->proxy->reason);
        answer(ex, 503, text);
        return;
    }
    answer_error(ex, code == -ETIMEDOUT ? 504 : 502, "no answer from the system: ", err);
}

static bool keep_reply_header(const char *name, const char *value, void *user)
{
    (void)value;
    (void)user;
    /* A login's cookie is as good as the login. */
    return strncasecmp(name, "Set-Cookie", 10) != 0;
}

struct removed {
    const struct ak_tool_spec *spec;
    const char *names[MAX_REMOVED + 1];
    size_t n;
};

static int take_removed(const char *name, const char *value, void *user)
{
    struct removed *self = user;

    (void)value;
    if (strncasecmp(name, "Impersonate-", 12) == 0)
        return AK_E_FORBIDDEN;
    if (!ak_http_header_is_ours(self->spec, name))
        return 0;
    if (self->n == MAX_REMOVED)
        return AK_E_TOO_LARGE;
    self->names[self->n++] = name;
    return 0;
}

static int start_relay(struct passing *p, struct ak_http_exchange *ex, struct ak_error **reterr)
{
    struct ak_http_proxy *self = p->proxy;
    struct removed removed = {.spec = self->target->spec};
    const struct ak_http_relay_options options = {.path = ak_buf_text(&p->path),
                                                  .remove = removed.names,
                                                  .add = self->credential.lines,
                                                  .head_timeout = HEAD_TIMEOUT,
                                                  .idle_timeout = IDLE_TIMEOUT,
                                                  .keep_reply_header = keep_reply_header,
                                                  .failed = on_relay_failed,
                                                  .end = on_relay_end};
    int r = ak_http_each_header(ex, take_removed, &removed);

    if (r == AK_E_FORBIDDEN)
        return ak_error_set(reterr, r, "the credential of the Tool cannot act for others");
    if (r < 0)
        return ak_error_set(reterr, r, "headers: %s", ak_code_text(r));
    return ak_http_relay_start(ex, self->client, self->loop, &options, p, &p->relay, reterr);
}

static void relay(struct passing *p, struct ak_http_exchange *ex)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    int r = start_relay(p, ex, &err);

    if (r >= 0)
        return;
    answer_error(ex, status_of(r), "", err);
    passing_end(p, 0, r, 0);
}

/* --- a credential --- */

static void on_waiting_gone(void *user)
{
    passing_end(user, 0, AK_E_CANCELLED, 0);
}

static void let_pass(struct ak_http_proxy *self, int code, const struct ak_error *err)
{
    struct passing *next;

    for (struct passing *p = self->passing; p; p = next) {
        struct ak_http_exchange *ex = p->ex;

        next = p->next;
        if (!ex)
            continue;
        p->ex = NULL;
        self->n_waiting--;
        ak_http_on_close(ex, NULL, NULL);
        if (code >= 0) {
            relay(p, ex);
        } else {
            answer_error(ex, 502, "the Tool's credential: ", err);
            passing_end(p, 0, code, 0);
        }
    }
}

static void on_renewed(struct ak_http_credential *credential, int code, const struct ak_error *err,
                       void *user)
{
    struct ak_http_proxy *self = user;

    self->renewal = NULL;
    if (code >= 0) {
        ak_http_credential_done(&self->credential);
        self->credential = *credential;
        *credential = (struct ak_http_credential){0};
        self->has_credential = true;
    } else if (self->has_credential) {
        self->credential.renew_at = ak_now() + AK_SECONDS(30); /* the old one until then */
    }
    let_pass(self, code, err);
}

static int renew(struct ak_http_proxy *self, struct ak_error **reterr)
{
    if (self->renewal)
        return 0;
    return ak_http_renewal_start(self->target, self->read_only, self->loop, on_renewed, self,
                                 &self->renewal, reterr);
}

static void wait_for_credential(struct passing *p, struct ak_http_exchange *ex)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    struct ak_http_proxy *self = p->proxy;
    int r = self->n_waiting < MAX_WAITING
                ? renew(self, &err)
                : ak_error_set(&err, -ENOBUFS, "too many requests wait for it");

    if (r < 0) {
        answer_error(ex, 503, "the Tool's credential: ", err);
        passing_end(p, 0, r, 0);
        return;
    }
    p->ex = ex;
    self->n_waiting++;
    ak_http_on_close(ex, on_waiting_gone, p);
}

/* --- what may pass --- */

void ak_http_proxy_text(const char *method, const char *path, const char *query, char *buf,
                        size_t size)
{
    size_t n = (size_t)snprintf(buf, size, "%s %s", method, path);
    char mark = '?';

    while (n < size && *query) {
        size_t len = strcspn(query, "&"), name = strcspn(query, "=&");

        n += (size_t)snprintf(buf + n, size - n, "%c%.*s%s", mark, (int)AK_MIN(name, (size_t)256),
                              query, name < len ? "=..." : "");
        query += len;
        query += *query == '&';
        mark = '&';
    }
}

/* GETs that reach into pods and services can do there what they like. */
static bool is_inner_proxy(const struct ak_target *target, const char *path)
{
    return target->spec->type == AK_TOOL_TYPE_KUBERNETES &&
           (strstr(path, "/proxy/") || ak_has_suffix(path, "/proxy"));
}

static int begin(struct passing *p, const struct ak_http_exchange *ex, const char *path,
                 struct ak_error **reterr)
{
    struct ak_http_proxy *self = p->proxy;
    const char *method = ak_http_method(ex);
    enum ak_statement_class class = is_inner_proxy(self->target, path)
                                        ? AK_CLASS_UNKNOWN
                                        : ak_classify_http(self->target->spec->type, method, path);
    char text[MAX_TEXT];
    int r;

    ak_http_proxy_text(method, path, ak_http_query(ex), text, sizeof(text));
    r = ak_statement_begin(self->session, class, text, strlen(text), &p->statement, reterr);
    if (r < 0)
        return r;
    ak_session_busy(self->session, true);
    if (self->read_only && class != AK_CLASS_READ)
        return ak_error_set(reterr, AK_E_FORBIDDEN,
                            "%s is refused: this caller of the Tool may only read", method);
    r = ak_request_check(self->target->spec, method, path, self->read_only, reterr);
    if (r >= 0 && self->type->admit)
        r = self->type->admit(self->target, self->read_only, method, &p->path, reterr);
    return r;
}

static int take_path(struct passing *p, const struct ak_http_exchange *ex, const char *path,
                     struct ak_error **reterr)
{
    const char *query = ak_http_query(ex), *method = ak_http_method(ex);
    int r;

    if (ak_http_header(ex, "Upgrade"))
        return ak_error_set(reterr, -EINVAL,
                            "connections that leave HTTP (exec, attach, port-forward, WebSocket) "
                            "do not pass");
    if (ak_streq(method, "TRACE") || ak_streq(method, "TRACK") || ak_streq(method, "CONNECT"))
        return ak_error_set(reterr, AK_E_FORBIDDEN, "%s does not pass", method);
    r = ak_request_path_check(p->proxy->target->spec, path, reterr);
    if (r < 0)
        return r;
    r = ak_buf_addf(&p->path, "%s%s%s", path, *query ? "?" : "", query);
    return r < 0 ? ak_error_set(reterr, r, "path: %s", ak_code_text(r)) : 0;
}

static void pass(struct ak_http_proxy *self, struct ak_http_exchange *ex, const char *path)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    struct passing *p = passing_new(self);
    int r;

    if (!p) {
        answer(ex, 503, "agentkube: out of memory");
        return;
    }
    (void)ak_http_body(ex, &p->bytes_in);
    r = take_path(p, ex, path, &err);
    if (r >= 0)
        r = begin(p, ex, path, &err);
    if (r < 0) {
        answer_error(ex, status_of(r), "", err);
        passing_end(p, 0, r, 0);
        return;
    }
    if (self->has_credential && ak_now() >= self->credential.renew_at)
        (void)renew(self, NULL); /* tried again with the next request */
    if (self->has_credential)
        relay(p, ex);
    else
        wait_for_credential(p, ex);
}

static void refuse_ended(struct ak_http_proxy *self, struct ak_http_exchange *ex)
{
    char text[512];

    (void)snprintf(text, sizeof(text), "agentkube: the session has ended: %s", self->reason);
    answer(ex, 503, text);
}

static void on_unix(struct ak_http_exchange *ex, void *user)
{
    struct ak_http_proxy *self = user;

    if (self->session)
        pass(self, ex, ak_http_path(ex));
    else
        refuse_ended(self, ex);
}

static void on_tcp(struct ak_http_exchange *ex, void *user)
{
    struct ak_http_proxy *self = user;
    const char *path = ak_http_path(ex);
    size_t len = strlen(self->token);

    if (strlen(path) < len + 2 || CRYPTO_memcmp(path + 1, self->token, len) != 0 ||
        path[len + 1] != '/')
        answer(ex, 403, "agentkube: this address belongs to a session");
    else if (self->session)
        pass(self, ex, path + len + 1);
    else
        refuse_ended(self, ex);
}

/* --- start and end --- */

static const struct ak_http_route unix_routes[] = {{NULL, "*", on_unix}, {NULL, NULL, NULL}};
static const struct ak_http_route tcp_routes[] = {{NULL, "*", on_tcp}, {NULL, NULL, NULL}};

static int listen_on(struct ak_http_proxy *self, const char *unix_path,
                     const struct ak_http_route *routes, struct ak_http_server **ret,
                     struct ak_error **reterr)
{
    const struct ak_http_server_options options = {.bind_address = unix_path ? NULL : "127.0.0.1",
                                                   .unix_path = unix_path,
                                                   .unix_mode = 0660,
                                                   .routes = routes,
                                                   .user = self,
                                                   .max_body = AK_PROXY_MAX_BODY,
                                                   .max_bodies = AK_PROXY_MAX_BODY,
                                                   .max_header = 64u << 10,
                                                   .max_connections = AK_PROXY_MAX_CONNECTIONS,
                                                   .idle_timeout = AK_MINUTES(5)};

    return ak_http_server_new(self->loop, &options, ret, reterr);
}

static int make_token(struct ak_http_proxy *self, struct ak_error **reterr)
{
    unsigned char raw[(AK_PROXY_TOKEN - 1) / 2];

    if (RAND_bytes(raw, sizeof(raw)) != 1)
        return ak_error_set(reterr, -EIO, "no random bytes");
    for (size_t i = 0; i < sizeof(raw); i++)
        (void)snprintf(self->token + 2 * i, 3, "%02x", raw[i]);
    return 0;
}

static int log_in(struct ak_http_proxy *self, struct ak_error **reterr)
{
    AK_AUTO(ak_login) login = {0};
    AK_AUTO(ak_kubeconfig) kubeconfig = {0};
    const struct ak_fetch_limits limits = {.deadline = ak_now()};
    const struct ak_kubeconfig *given = NULL;
    int r = ak_upstream_login(self->target, self->read_only, &login, &kubeconfig, reterr);

    if (r < 0)
        return r;
    if (kubeconfig.server)
        given = &kubeconfig;
    r = ak_http_address_client(self->target, given, &self->client, reterr);
    if (r < 0)
        return r;
    if (ak_http_credential_is_remote(self->target))
        return renew(self, reterr);
    r = ak_http_credential_make(self->target, &login, given, self->read_only, &limits,
                                &self->credential, reterr);
    self->has_credential = r >= 0;
    return r;
}

int ak_http_proxy_new(const struct ak_target *target, struct ak_session *session,
                      struct ak_loop *loop, const char *unix_path, bool wants_tcp,
                      struct ak_http_proxy **ret, struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_http_proxy) self = ak_new0(struct ak_http_proxy);
    int r;

    if (!self)
        return ak_error_oom(reterr);
    self->target = target;
    self->type = ak_http_type_of(target->spec->type);
    self->session = session;
    self->loop = loop;
    self->read_only = ak_session_read_only(session);
    r = make_token(self, reterr);
    if (r >= 0)
        r = log_in(self, reterr);
    if (r >= 0 && unix_path)
        r = listen_on(self, unix_path, unix_routes, &self->unix_server, reterr);
    if (r >= 0 && wants_tcp)
        r = listen_on(self, NULL, tcp_routes, &self->tcp_server, reterr);
    if (r < 0)
        return r;
    *ret = AK_TAKE(self);
    return 0;
}

static void stop_all(struct ak_http_proxy *self)
{
    const char *reason = self->session ? ak_session_end_reason(self->session) : NULL;
    struct passing *p;

    (void)snprintf(self->reason, sizeof(self->reason), "%s", reason ? reason : "it was closed");
    while ((p = self->passing)) {
        struct ak_http_exchange *ex = p->ex;

        if (p->relay) {
            ak_http_relay_stop(p->relay); /* ends in on_relay_end() */
            continue;
        }
        if (ex) {
            ak_http_on_close(ex, NULL, NULL);
            refuse_ended(self, ex);
        }
        passing_end(p, 0, AK_E_CANCELLED, 0);
    }
    self->session = NULL;
    ak_http_renewal_forget(AK_TAKE(self->renewal));
}

struct ak_http_proxy *ak_http_proxy_free(struct ak_http_proxy *self)
{
    if (!self)
        return NULL;
    stop_all(self);
    (void)ak_timer_free(self->last);
    (void)ak_http_server_free(self->unix_server);
    (void)ak_http_server_free(self->tcp_server);
    (void)ak_http_client_free(self->client);
    ak_http_credential_done(&self->credential);
    OPENSSL_cleanse(self->token, sizeof(self->token));
    ak_free(self);
    return NULL;
}

static void on_last(void *user)
{
    (void)ak_http_proxy_free(user);
}

void ak_http_proxy_end(struct ak_http_proxy *self)
{
    stop_all(self);
    self->last = ak_timer_new(self->loop, on_last, self);
    if (!self->last) {
        (void)ak_http_proxy_free(self);
        return;
    }
    if (self->unix_server)
        (void)ak_http_server_drain(self->unix_server);
    if (self->tcp_server)
        (void)ak_http_server_drain(self->tcp_server);
    ak_timer_set(self->last, LAST_WORDS);
}

uint16_t ak_http_proxy_port(const struct ak_http_proxy *self)
{
    return self->tcp_server ? ak_http_server_port(self->tcp_server) : 0;
}

const char *ak_http_proxy_token(const struct ak_http_proxy *self)
{
    return self->token;
}
