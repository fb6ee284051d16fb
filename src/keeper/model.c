/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/model.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <ak/base/alloc.h>
#include <ak/base/log.h>
#include <ak/base/text.h>
#include <ak/net/http_relay.h>

#include "door/credential.h"
#include "keeper/model_request.h"
#include "keeper/provider_error.h"

#define MAX_LOGGED_PATH 512
#define MAX_BETAS (16u << 10)
#define MAX_CA_FILE (1u << 20)

struct ak_model {
    const struct ak_keeper_settings *settings;
    struct ak_loop *loop;
    struct ak_keeper_counters *counters;
    const struct ak_provider *provider; /* NULL: one that we do not know */
    struct ak_http_client *client;      /* NULL: there is no upstream */
    struct ak_credential_file key;
    bool key_failed; /* and it was said */
};

/* One call, from its head to its line in the log. */
struct call {
    struct ak_model *model;
    ak_msec began;
    bool has_head;
    bool failed; /* there was no answer of the provider's, and ours has this status: */
    int failed_status;
    size_t bytes_in;
    char method[16], path[MAX_LOGGED_PATH], run[64];
};

static enum ak_provider_dialect dialect_of(const struct ak_model *self)
{
    return self->provider ? self->provider->dialect : AK_DIALECT_OPENAI;
}

static void reply_error(struct ak_model *self, struct ak_http_exchange *ex, int status,
                        const char *message)
{
    AK_AUTO(ak_buf) body = AK_BUF_INIT(AK_PROVIDER_ERROR_MAX);

    if (ak_provider_error_write(dialect_of(self), status, message, &body) < 0)
        ak_buf_clear(&body);
    ak_http_reply_text(ex, status, "application/json", ak_buf_text(&body), body.len, NULL);
}

/* --- the line in the log --- */

static void call_log(const struct call *c, int status, uint64_t bytes, int code)
{
    ak_info("keeper", "model call", AK_STR("method", c->method), AK_STR("path", c->path),
            AK_INT("status", status), AK_INT("bytesIn", c->bytes_in), AK_INT("bytesOut", bytes),
            AK_INT("milliseconds", ak_now() - c->began), AK_STR("run", c->run[0] ? c->run : NULL),
            AK_STR("broken", code < 0 ? ak_code_text(code) : NULL));
}

static struct call *call_new(struct ak_model *self, const struct ak_http_exchange *ex)
{
    struct call *c = ak_new0(struct call);
    const char *run = ak_http_header(ex, AK_MODEL_RUN_HEADER);

    if (!c)
        return NULL;
    c->model = self;
    c->began = ak_now();
    (void)snprintf(c->method, sizeof(c->method), "%s", ak_http_method(ex));
    (void)snprintf(c->path, sizeof(c->path), "%s", ak_http_path(ex));
    if (ak_is_dns_label(run ? run : ""))
        (void)snprintf(c->run, sizeof(c->run), "%s", run);
    (void)ak_http_body(ex, &c->bytes_in);
    return c;
}

static void call_end(struct call *c, int status, uint64_t bytes, int code)
{
    struct ak_keeper_counters *counters = c->model->counters;

    call_log(c, status, bytes, code);
    counters->model_bytes_in += c->bytes_in;
    counters->model_bytes_out += bytes;
    ak_counters_end(counters, AK_DOOR_MODEL, status);
    ak_free(c);
}

static void refuse(struct call *c, struct ak_http_exchange *ex, int status, const char *message)
{
    struct ak_model *self = c->model;

    call_end(c, status, 0, 0);
    reply_error(self, ex, status, message);
}

void ak_model_refuse(struct ak_model *self, struct ak_http_exchange *ex, int status,
                     const char *message)
{
    struct call *c = call_new(self, ex);

    ak_counters_begin(self->counters, AK_DOOR_MODEL);
    if (c)
        refuse(c, ex, status, message);
    else {
        ak_counters_end(self->counters, AK_DOOR_MODEL, status);
        reply_error(self, ex, status, message);
    }
}

/* --- the provider --- */

static bool on_reply_header(const char *name, const char *value, void *user)
{
    struct call *c = user;

    (void)name;
    (void)value;
    if (!c->has_head)
        ak_counters_model_head(c->model->counters, ak_now() - c->began);
    c->has_head = true;
    return true;
}

static void on_failed(struct ak_http_exchange *ex, int code, const struct ak_error *err, void *user)
{
    struct call *c = user;
    AK_AUTO(ak_buf) text = AK_BUF_INIT(1024);
    int r;

    c->failed = true;
    c->failed_status = code == -ETIMEDOUT ? 504 : 502;
    r = ak_buf_addf(&text, "agentkube keeper: no answer from the model provider: %s",
                    err ? ak_error_message(err) : ak_code_text(code));
    reply_error(c->model, ex, c->failed_status,
                r < 0 ? "agentkube keeper: no answer from the model provider" : ak_buf_text(&text));
}

static void on_end(int status, uint64_t bytes, int code, void *user)
{
    struct call *c = user;

    call_end(c, c->failed ? c->failed_status : status, bytes, code);
}

static int add_beta(const char *name, const char *value, void *user)
{
    struct ak_buf *out = user;

    if (strcasecmp(name, "anthropic-beta") != 0 || !*value)
        return 0;
    if (out->len && ak_buf_adds(out, ",") < 0)
        return -ENOMEM;
    return ak_buf_adds(out, value);
}

/* The lines for the relay: at most two, and where they end. */
static int make_lines(struct ak_model *self, const struct ak_http_exchange *ex,
                      const struct ak_secret *key, struct ak_buf *out,
                      const char *ret_lines[static 3])
{
    AK_AUTO(ak_buf) betas = AK_BUF_INIT(MAX_BETAS);
    size_t n = 0;
    int r = ak_http_each_header(ex, add_beta, &betas);

    if (r >= 0)
        r = ak_model_credential_lines(self->provider, key, ak_buf_text(&betas), out, &n);
    if (r < 0)
        return r;
    ret_lines[0] = out->data;
    ret_lines[1] = n > 1 ? out->data + strlen(out->data) + 1 : NULL;
    return 0;
}

static int start_relay(struct call *c, struct ak_http_exchange *ex, const char *path,
                       const struct ak_secret *key, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = {.max = 2 * AK_CREDENTIAL_MAX + MAX_BETAS, .wipe = true};
    const char *lines[3] = {NULL, NULL, NULL};
    const struct ak_http_relay_options options = {.path = path,
                                                  .remove = ak_model_removed_headers,
                                                  .add = lines,
                                                  .head_timeout = AK_MODEL_HEAD_TIMEOUT,
                                                  .idle_timeout = AK_MODEL_IDLE_TIMEOUT,
                                                  .keep_reply_header = on_reply_header,
                                                  .failed = on_failed,
                                                  .end = on_end};
    int r = key ? make_lines(c->model, ex, key, &text, lines) : 0;

    if (r < 0)
        return ak_error_set(reterr, r, "request headers: %s", ak_code_text(r));
    return ak_http_relay_start(ex, c->model->client, c->model->loop, &options, c, NULL, reterr);
}

/* The reason is for who runs the cluster; the agent gets the same words, which name a file at most. */
static int read_key(struct ak_model *self, const struct ak_secret **ret, struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    int r = ak_credential_file_read(&self->key, ret, &err);

    if (r >= 0) {
        self->key_failed = false;
        return 0;
    }
    if (!self->key_failed)
        ak_warn("keeper", "the agent's key cannot be read, its model calls are refused",
                AK_ERR(err));
    self->key_failed = true;
    return ak_error_set(reterr, r, "agentkube keeper: the agent's key cannot be read: %s",
                        ak_error_message(err));
}

static bool is_refused_method(const char *method)
{
    return ak_streq(method, "TRACE") || ak_streq(method, "CONNECT") || ak_streq(method, "TRACK");
}

static void relay(struct call *c, struct ak_http_exchange *ex)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO(ak_buf) path = AK_BUF_INIT(AK_MODEL_MAX_PATH);
    const struct ak_secret *key = NULL;
    struct ak_model *self = c->model;
    int r;

    if (ak_model_path(ak_http_path(ex), ak_http_query(ex), dialect_of(self), &path, &err) < 0) {
        refuse(c, ex, 400, ak_error_message(err));
        return;
    }
    if (read_key(self, &key, &err) < 0) {
        refuse(c, ex, 503, ak_error_message(err));
        return;
    }
    r = start_relay(c, ex, ak_buf_text(&path), key, &err);
    if (r < 0)
        refuse(c, ex, r == -ENOMEM ? 503 : 400, ak_error_message(err));
}

void ak_model_handle(struct ak_model *self, struct ak_http_exchange *ex)
{
    struct call *c = call_new(self, ex);

    ak_counters_begin(self->counters, AK_DOOR_MODEL);
    if (!c) {
        ak_counters_end(self->counters, AK_DOOR_MODEL, 503);
        reply_error(self, ex, 503, "agentkube keeper: out of memory");
    } else if (is_refused_method(c->method)) {
        refuse(c, ex, 405, "agentkube keeper: this method is not relayed");
    } else if (!self->client) {
        refuse(c, ex, 503,
               "agentkube keeper: it is not known where the model is: set spec.model.provider or "
               "spec.model.baseURL of the Agent");
    } else {
        relay(c, ex);
    }
}

/* --- start and end --- */

static int add_file(const char *path, struct ak_buf *out, struct ak_error **reterr)
{
    int r = ak_buf_add_file(out, path);

    if (r >= 0)
        r = ak_buf_adds(out, "\n");
    return r < 0 ? ak_error_set(reterr, r, "\"%s\": %s", path, ak_code_text(r)) : 0;
}

static int make_client(struct ak_model *self, struct ak_error **reterr)
{
    const struct ak_keeper_settings *s = self->settings;
    AK_AUTO(ak_buf) ca = AK_BUF_INIT(MAX_CA_FILE);
    struct ak_http_target target = {.base_url = s->upstream,
                                    .proxy_url = s->https_proxy,
                                    .no_proxy = s->no_proxy,
                                    .user_agent = NULL};
    int r;

    if (!s->upstream[0])
        return 0;
    if (s->upstream_ca[0]) {
        r = add_file(s->upstream_ca, &ca, reterr);
        if (r < 0)
            return ak_error_wrap(reterr, r, "AGENTKUBE_MODEL_CA_FILE");
        target.extra_ca_pem = ak_buf_text(&ca);
    }
    return ak_http_client_new(&target, &self->client, reterr);
}

struct ak_model *ak_model_free(struct ak_model *self)
{
    if (!self)
        return NULL;
    (void)ak_http_client_free(self->client);
    ak_credential_file_done(&self->key);
    ak_free(self);
    return NULL;
}

int ak_model_new(const struct ak_keeper_settings *settings, struct ak_loop *loop,
                 struct ak_keeper_counters *counters, struct ak_model **ret,
                 struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_model) self = ak_new0(struct ak_model);
    int r;

    if (!self)
        return ak_error_oom(reterr);
    self->settings = settings;
    self->loop = loop;
    self->counters = counters;
    self->provider = ak_provider_find(settings->provider);
    ak_credential_file_init(&self->key, settings->key_file);
    r = make_client(self, reterr);
    if (r < 0)
        return r;
    *ret = AK_TAKE(self);
    return 0;
}
