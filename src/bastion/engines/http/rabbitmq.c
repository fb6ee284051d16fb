/* SPDX-License-Identifier: Apache-2.0 */
/* Type rabbitmq, by the management API. */
#include <stdio.h>
#include <string.h>

#include <ak/base/text.h>
#include <ak/json/json.h>

#include "bastion/engines/http/provision.h"
#include "bastion/engines/http/proxy.h"
#include "bastion/engines/http/request.h"
#include "bastion/engines/http/rows.h"
#include "bastion/engines/http/types.h"

#define MAX_PATH 8192

static const char *vhost_of(const struct ak_upstream *upstream)
{
    const char *vhost = upstream->target->spec->config->virtual_host;

    return ak_is_empty(vhost) ? "/" : vhost;
}

/* PREFIX/vhost[/name][suffix] */
static int make_path(const struct ak_upstream *upstream, struct ak_buf *out, const char *prefix,
                     const char *name, const char *suffix, struct ak_error **reterr)
{
    int r = ak_buf_addf(out, "%s/", prefix);

    if (r >= 0)
        r = ak_buf_add_url_escaped(out, vhost_of(upstream));
    if (r >= 0 && name)
        r = ak_buf_adds(out, "/");
    if (r >= 0 && name)
        r = ak_buf_add_url_escaped(out, name);
    if (r >= 0)
        r = ak_buf_adds(out, suffix);
    return r < 0 ? ak_error_set(reterr, r, "path: %s", ak_code_text(r)) : 0;
}

/* A list of objects as rows with these columns. */
static int rows_of(const json_t *list, const char *const *columns, struct ak_call *call,
                   struct ak_error **reterr)
{
    AK_AUTO(ak_rows) rows = {0};
    int r = ak_rows_init(&rows, call, reterr);

    for (size_t i = 0; r >= 0 && columns[i]; i++)
        r = ak_rows_add_column(&rows, columns[i], "any", reterr);
    for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
        json_t *item = json_array_get(list, i), *row = json_array();
        AK_AUTO(ak_buf) text = AK_BUF_INIT(AK_UPSTREAM_MAX_JSON);

        for (size_t k = 0; row && columns[k]; k++) {
            json_t *value = json_object_get(item, columns[k]);

            if (json_array_append_new(row, value ? json_incref(value) : json_null()) < 0) {
                json_decref(row);
                row = NULL;
            }
        }
        r = row ? ak_json_write(row, &text, reterr) : 0;
        if (r < 0)
            json_decref(row);
        else
            r = ak_rows_add(&rows, row, text.len, reterr);
    }
    return r < 0 ? r : ak_rows_finish(&rows, call, reterr);
}

static int call_list(struct ak_upstream *upstream, struct ak_session *session, struct ak_call *call,
                     struct ak_error **reterr)
{
    static const char *const columns[] = {
        "name",  "messages", "messages_ready", "messages_unacknowledged", "consumers",
        "state", NULL};
    AK_AUTO(ak_buf) path = AK_BUF_INIT(MAX_PATH);
    AK_AUTO_JSON *list = NULL;
    int r = make_path(upstream, &path, "/api/queues", NULL, "", reterr);

    (void)session;
    if (r >= 0)
        r = ak_upstream_ask(upstream, call, "GET", ak_buf_text(&path), NULL, &list, reterr);
    return r < 0 ? r : rows_of(list, columns, call, reterr);
}

static int call_get(struct ak_upstream *upstream, struct ak_session *session, struct ak_call *call,
                    struct ak_error **reterr)
{
    static const char *const columns[] = {
        "payload",     "payload_encoding", "routing_key",   "exchange",
        "redelivered", "properties",       "message_count", NULL};
    json_int_t count = json_integer_value(json_object_get(call->arguments, "count"));
    bool requeue = !json_is_false(json_object_get(call->arguments, "requeue"));
    const char *queue = ak_json_text(call->arguments, "queue", NULL);
    AK_AUTO(ak_buf) path = AK_BUF_INIT(MAX_PATH);
    AK_AUTO_JSON *list = NULL, *body = NULL;
    int r;

    (void)session;
    if (ak_is_empty(queue))
        return ak_error_set(reterr, -EINVAL, "queue: must be a name");
    count = AK_MIN(count > 0 ? count : 1, call->max_rows);
    body = json_pack("{s:I, s:s, s:s, s:I}", "count", count, "ackmode",
                     requeue ? "ack_requeue_true" : "ack_requeue_false", "encoding", "auto",
                     "truncate", (json_int_t)call->max_bytes);
    r = body ? make_path(upstream, &path, "/api/queues", queue, "/get", reterr)
             : ak_error_oom(reterr);
    if (r >= 0)
        r = ak_upstream_ask(upstream, call, "POST", ak_buf_text(&path), body, &list, reterr);
    return r < 0 ? r : rows_of(list, columns, call, reterr);
}

static int call_publish(struct ak_upstream *upstream, struct ak_session *session,
                        struct ak_call *call, struct ak_error **reterr)
{
    const char *exchange = ak_json_text(call->arguments, "exchange", NULL);
    const char *key = ak_json_text(call->arguments, "routingKey", NULL);
    json_t *payload = json_object_get(call->arguments, "payload");
    AK_AUTO(ak_buf) path = AK_BUF_INIT(MAX_PATH);
    AK_AUTO_JSON *tree = NULL, *body = NULL;
    int r;

    (void)session;
    if (!key || !json_is_string(payload))
        return ak_error_set(reterr, -EINVAL, "routingKey and payload: must be texts");
    body = json_pack("{s:{}, s:s, s:O, s:s}", "properties", "routing_key", key, "payload", payload,
                     "payload_encoding", "string");
    r = body ? make_path(upstream, &path, "/api/exchanges",
                         ak_is_empty(exchange) ? "amq.default" : exchange, "/publish", reterr)
             : ak_error_oom(reterr);
    if (r >= 0)
        r = ak_upstream_ask(upstream, call, "POST", ak_buf_text(&path), body, &tree, reterr);
    if (r < 0)
        return r;
    call->ret_rows = json_is_true(json_object_get(tree, "routed"));
    call->ret_result = json_pack("{s:b, s:I}", "routed", (int)call->ret_rows, "rowCount",
                                 (json_int_t)call->ret_rows);
    return call->ret_result ? 0 : ak_error_oom(reterr);
}

/* --- probe --- */

/* whoami answers 401 to a wrong password, and in other words to a user without a tag of the management plugin. */
static int probe(struct ak_upstream *upstream, struct ak_probe_result *ret,
                 struct ak_error **reterr)
{
    AK_AUTO(ak_buf) path = AK_BUF_INIT(MAX_PATH);
    AK_AUTO_JSON *who = NULL, *overview = NULL, *queues = NULL;
    const char *version;
    char words[512];
    int status = 0,
        r = ak_upstream_json(upstream, "GET", "/api/whoami", NULL, &status, &who, reterr);

    if (r < 0)
        return r;
    (void)snprintf(ret->server, sizeof(ret->server), "RabbitMQ");
    ak_upstream_words(status, who, NULL, 0, words, sizeof(words));
    ak_http_probe_status(ret, status, words);
    if (status != 200) {
        const char *why = who ? ak_json_text(who, "reason", NULL) : NULL;

        ret->authenticated = status == 401 && why && strstr(why, "anagement");
        if (why)
            ak_http_probe_message(ret, "%s", why);
        return 0;
    }
    r = ak_upstream_json(upstream, "GET", "/api/overview", NULL, &status, &overview, reterr);
    version = overview ? ak_json_text(overview, "rabbitmq_version", NULL) : NULL;
    if (r >= 0 && version)
        (void)snprintf(ret->server, sizeof(ret->server), "RabbitMQ %.64s", version);
    if (r >= 0)
        r = make_path(upstream, &path, "/api/queues", NULL, "?page=1&page_size=1", reterr);
    if (r >= 0)
        r = ak_upstream_json(upstream, "GET", ak_buf_text(&path), NULL, &status, &queues, reterr);
    if (r < 0)
        return r;
    ret->authorised = status == 200;
    if (status != 200) {
        ak_upstream_words(status, queues, NULL, 0, words, sizeof(words));
        ak_http_probe_message(ret, "virtual host \"%s\": %s", vhost_of(upstream), words);
    }
    return 0;
}

/* --- rabbitmqadmin --- */

static int client(const struct ak_target *target, const struct ak_http_proxy *proxy,
                  const char *socket_path, const char *const *args, bool tty,
                  struct ak_arena *arena, struct ak_client_command *ret, struct ak_error **reterr)
{
    const char *vhost = target->spec->config->virtual_host;
    const char **argv;
    char *text, *path;
    size_t n = 0, at = 0;

    (void)socket_path;
    if (!proxy)
        return ak_error_set(reterr, AK_E_PROTOCOL, "the session has no proxy");
    while (args && args[n])
        n++;
    argv = ak_arena_alloc(arena, (n + 8) * sizeof(*argv));
    path = ak_arena_printf(arena, "/tmp/rabbitmqadmin-%.8s.conf", ak_http_proxy_token(proxy) + 24);
    text = ak_arena_printf(arena,
                           "[default]\nhostname = 127.0.0.1\nport = %u\npath_prefix = /%s\n"
                           "declare_vhost = %s\nvhost = %s\n",
                           ak_http_proxy_port(proxy), ak_http_proxy_token(proxy),
                           ak_is_empty(vhost) ? "/" : vhost, ak_is_empty(vhost) ? "/" : vhost);
    if (!argv || !path || !text)
        return ak_error_oom(reterr);
    if (tty && !n) {
        argv[at++] = "sh";
    } else {
        argv[at++] = "rabbitmqadmin";
        argv[at++] = "-c";
        argv[at++] = path;
        argv[at++] = "-N";
        argv[at++] = "default";
        for (size_t i = 0; i < n; i++)
            argv[at++] = args[i];
    }
    *ret = (struct ak_client_command){.argv = argv};
    ret->files[ret->n_files++] =
        (struct ak_client_file){.path = path, .data = text, .len = strlen(text)};
    return 0;
}

static const struct ak_http_operation operations[] = {{"list_queues", call_list},
                                                      {"get_messages", call_get},
                                                      {"publish", call_publish},
                                                      {"http_request", ak_request_call},
                                                      {NULL, NULL}};

const struct ak_http_type ak_http_type_rabbitmq = {
    .type = AK_TOOL_TYPE_RABBITMQ,
    .operations = operations,
    .probe = probe,
    .client = client,
    .wants_tcp = true,
    .provision = ak_http_rabbitmq_provision,
    .deprovision = ak_http_rabbitmq_deprovision,
};
