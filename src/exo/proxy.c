/* SPDX-License-Identifier: Apache-2.0 */
#include "exo/proxy.h"

#include <stdio.h>
#include <string.h>

#include <ak/base/text.h>
#include <ak/kube/exec.h>

#include "exo/objects.h"

#define MAX_HEADER (64u << 10) /* a token with many groups is long */

/* What is sent, in memory that is wiped: one of the lines is the token. */
struct request {
    struct ak_buf path, body, token_line, key_line, event_line, query_line;
    const char *lines[5];
    struct ak_call call;
};

static void request_done(struct request *self)
{
    ak_buf_done(&self->path);
    ak_buf_done(&self->body);
    ak_buf_done(&self->token_line);
    ak_buf_done(&self->key_line);
    ak_buf_done(&self->event_line);
    ak_buf_done(&self->query_line);
}
AK_DEFINE_AUTO(request, request_done)

static int explain_token(const struct ak_exo *self, int code, struct ak_error **reterr)
{
    const char *system = self->options->operator_namespace;

    if (code == AK_E_NOT_FOUND) /* nothing that the user named */
        return ak_error_set(
            reterr, AK_E_SERVER,
            "there is no ServiceAccount " AK_EXO_ACCOUNT
            " in namespace \"%s\" (is the operator of this version installed there? "
            "exo doctor says more)",
            system);
    if (code != AK_E_FORBIDDEN)
        return ak_error_wrap(reterr, code, "get a token for the manager");
    return ak_error_set(
        reterr, code,
        "this kubeconfig has a client certificate and no token, and may not have one made. An "
        "administrator can allow it:"
        "\n  kubectl -n %s create role exo-token --verb=create --resource=serviceaccounts/token "
        "--resource-name=" AK_EXO_ACCOUNT
        "\n  kubectl -n %s create rolebinding exo-token --role=exo-token --user=USER",
        system, system);
}

/* TokenRequest: for whom nothing but a certificate speaks. */
static int mint(struct ak_exo *self, struct ak_secret **ret, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) path = AK_BUF_INIT(AK_PROXY_MAX_PATH);
    AK_AUTO_JSON *answer = NULL;
    AK_AUTO_JSON *request = json_pack("{ssss s{s[s]si}}", "apiVersion", "authentication.k8s.io/v1",
                                      "kind", "TokenRequest", "spec", "audiences", "agentkube",
                                      "expirationSeconds", AK_PROXY_TOKEN_SECONDS);

    if (!request || ak_buf_adds(&path, "/api/v1/namespaces/") < 0 ||
        ak_buf_add_url_escaped(&path, self->options->operator_namespace) < 0 ||
        ak_buf_adds(&path, "/serviceaccounts/" AK_EXO_ACCOUNT "/token") < 0)
        return ak_error_oom(reterr);
    int r = ak_objects_send(self, "POST", ak_buf_text(&path), NULL, request, &answer, reterr);
    if (r < 0)
        return explain_token(self, r, reterr);
    const char *token = ak_json_text(answer, "status", "token", NULL);
    if (!token)
        return ak_error_set(reterr, AK_E_PROTOCOL, "the apiserver made no token");
    *ret = ak_secret_new(token, strlen(token));
    return *ret ? 0 : ak_error_oom(reterr);
}

static int get_token(struct ak_exo *self, const struct ak_cancel *cancel, struct ak_error **reterr)
{
    if (self->token && ak_now() - self->token_since < AK_SECONDS(AK_PROXY_TOKEN_SECONDS) / 2)
        return 0;
    ak_proxy_forget(self);
    int r = ak_kube_config_token(self->config, cancel, &self->token, reterr);
    self->token_since = ak_now();
    return r < 0 || self->token ? r : mint(self, &self->token, reterr);
}

void ak_proxy_forget(struct ak_exo *self)
{
    self->token = ak_secret_free(self->token);
}

static int add_lines(const struct ak_exo *self, const struct ak_proxy_call *call,
                     struct request *req)
{
    size_t n = 0;
    int r = ak_buf_adds(&req->token_line, "X-Agentkube-Authorization: Bearer ");

    if (r >= 0)
        r = ak_buf_adds(&req->token_line, ak_secret_peek(self->token, NULL));
    req->lines[n++] = ak_buf_text(&req->token_line);
    if (r >= 0 && call->key) {
        r = ak_buf_addf(&req->key_line, "Idempotency-Key: %s", call->key);
        req->lines[n++] = ak_buf_text(&req->key_line);
    }
    if (r >= 0 && call->last_event) {
        r = ak_buf_addf(&req->event_line, "Last-Event-ID: %s", call->last_event);
        req->lines[n++] = ak_buf_text(&req->event_line);
    }
    return r;
}

static int prepare(struct ak_exo *self, const struct ak_proxy_call *call, struct request *req,
                   struct ak_error **reterr)
{
    *req = (struct request){
        .path = AK_BUF_INIT(2 * AK_PROXY_MAX_PATH),
        .body = AK_BUF_INIT(1u << 20),
        .token_line = {.max = MAX_HEADER, .wipe = true},
        .key_line = AK_BUF_INIT(1024),
        .event_line = AK_BUF_INIT(256),
        .query_line = AK_BUF_INIT(2 * AK_PROXY_MAX_PATH),
    };
    ak_mutex_lock(&self->token_lock);
    int r = get_token(self, call->cancel, reterr);
    if (r >= 0)
        r = add_lines(self, call, req);
    ak_mutex_unlock(&self->token_lock);
    if (r < 0)
        return reterr && *reterr
                   ? r
                   : ak_error_set(reterr, r, "the headers of the request: %s", ak_code_text(r));
    if (call->body) {
        r = ak_json_write(call->body, &req->body, reterr);
        if (r < 0)
            return r;
    }
    if (ak_buf_adds(&req->path, "/api/v1/namespaces/") < 0 ||
        ak_buf_add_url_escaped(&req->path, self->options->operator_namespace) < 0 ||
        ak_buf_addf(&req->path, "/services/http:" AK_EXO_NAME ":invoke/proxy/api/v1%s",
                    call->path) < 0)
        return ak_error_set(reterr, AK_E_TOO_LARGE, "the address is too long");
    req->call = (struct ak_call){
        .method = call->method,
        .path = ak_buf_text(&req->path),
        .accept = call->accept,
        .body = call->body ? ak_buf_text(&req->body) : NULL,
        .body_len = req->body.len,
        .timeout = call->timeout,
        .cancel = call->cancel,
        .headers = req->lines,
    };
    return 0;
}

int ak_proxy_explain(const struct ak_exo *self, int code, struct ak_error **reterr)
{
    const char *system = self->options->operator_namespace;
    const char *message = reterr ? ak_error_message(*reterr) : "";

    if (code == AK_E_NOT_FOUND && ak_has_prefix(message, "services \""))
        return ak_error_set(
            reterr, AK_E_SERVER,
            "the manager is not installed in namespace \"%s\" (no Service " AK_EXO_NAME
            "; exo doctor says more)",
            system);
    if (code == AK_E_FORBIDDEN && strstr(message, "services/proxy"))
        return ak_error_wrap(
            reterr, code,
            "you may not reach the manager through the apiserver (it takes get and create on "
            "services/proxy \"http:" AK_EXO_NAME ":invoke\" in namespace \"%s\")",
            system);
    if (strstr(message, "no endpoints available") ||
        strstr(message, "error trying to reach service"))
        return ak_error_wrap(reterr, code, "the manager does not answer (exo doctor says more)");
    return code;
}

int ak_proxy_do(struct ak_exo *self, const struct ak_proxy_call *call, json_t **ret,
                struct ak_error **reterr)
{
    AK_AUTO(request) req = {0};
    int r = prepare(self, call, &req, reterr);

    if (r < 0)
        return r;
    r = ak_client_call(self->client, &req.call, ret, reterr);
    return r < 0 ? ak_proxy_explain(self, r, reterr) : 0;
}

int ak_proxy_stream(struct ak_exo *self, struct ak_loop *loop, const struct ak_proxy_call *call,
                    const struct ak_http_stream_ops *ops, void *user, struct ak_http_stream **ret,
                    struct ak_error **reterr)
{
    AK_AUTO(request) req = {0};
    int r = prepare(self, call, &req, reterr);

    return r < 0 ? r : ak_client_stream_call(self->client, loop, &req.call, ops, user, ret, reterr);
}

int ak_proxy_text(struct ak_exo *self, const struct ak_proxy_call *call, struct ak_buf *out,
                  struct ak_error **reterr)
{
    AK_AUTO(request) req = {0};
    int r = prepare(self, call, &req, reterr);

    if (r < 0)
        return r;
    r = ak_client_call_raw(self->client, &req.call, out, reterr);
    return r < 0 ? ak_proxy_explain(self, r, reterr) : 0;
}

/* The apiserver's proxy loses the query of a request that asks for an upgrade (1.20 does): the manager takes it from a
 * header, too. */
static int repeat_query(const struct ak_proxy_call *call, struct request *req)
{
    const char *query = strchr(call->path, '?');
    size_t n = 0;
    int r = query ? ak_buf_addf(&req->query_line, "X-Agentkube-Query: %s", query + 1) : 0;

    while (req->lines[n])
        n++;
    if (query)
        req->lines[n] = ak_buf_text(&req->query_line);
    return r;
}

int ak_proxy_channels(struct ak_exo *self, const struct ak_proxy_call *call,
                      struct ak_exec_options *io, int *ret_exit_code, struct ak_error **reterr)
{
    AK_AUTO(request) req = {0};
    int r = prepare(self, call, &req, reterr);

    if (r < 0)
        return r;
    r = repeat_query(call, &req);
    if (r < 0)
        return ak_error_set(reterr, r, "the address: %s", ak_code_text(r));
    io->path = req.call.path;
    io->headers = req.lines;
    r = ak_exec(self->client, io, ret_exit_code, reterr);
    return r < 0 ? ak_proxy_explain(self, r, reterr) : 0;
}

int ak_proxy_ready(struct ak_exo *self, struct ak_error **reterr)
{
    const struct ak_proxy_call call = {.method = "GET", .path = "/whoami"};
    return ak_proxy_do(self, &call, NULL, reterr);
}

const char *ak_proxy_runs_path(struct ak_exo *self, const char *agent, const char *id,
                               const char *sub)
{
    AK_AUTO(ak_buf) path = AK_BUF_INIT(AK_PROXY_MAX_PATH);
    int r = ak_buf_adds(&path, "/namespaces/");

    if (r >= 0)
        r = ak_buf_add_url_escaped(&path, self->ns);
    if (r >= 0 && agent)
        r = ak_buf_adds(&path, "/agents/");
    if (r >= 0 && agent)
        r = ak_buf_add_url_escaped(&path, agent);
    if (r >= 0)
        r = ak_buf_adds(&path, id ? "/runs/" : "/runs");
    if (r >= 0 && id)
        r = ak_buf_add_url_escaped(&path, id);
    if (r >= 0 && sub)
        r = ak_buf_addf(&path, "/%s", sub);
    return r < 0 ? NULL : ak_arena_strdup(self->arena, ak_buf_text(&path));
}
