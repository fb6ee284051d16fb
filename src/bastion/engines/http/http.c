/* SPDX-License-Identifier: Apache-2.0 */
/* Types http and elasticsearch: requests by their rules. */
#include <stdio.h>
#include <string.h>

#include <ak/base/text.h>
#include <ak/json/json.h>

#include "bastion/engines/http/provision.h"
#include "bastion/engines/http/request.h"
#include "bastion/engines/http/rows.h"
#include "bastion/engines/http/types.h"
#include "engines/policy.h"

/* --- http --- */

static int probe_http(struct ak_upstream *upstream, struct ak_probe_result *ret,
                      struct ak_error **reterr)
{
    const struct ak_http_request req = {.method = "GET", .path = "/"};
    AK_AUTO(ak_fetch_reply) reply = {0};
    AK_AUTO_JSON *tree = NULL;
    const char *server;
    char words[512];
    int r = ak_upstream_fetch(upstream, &req, 4096, &reply, reterr);

    if (r < 0)
        return r;
    if (reply.body.len && !reply.is_cut &&
        ak_json_parse(reply.body.data, reply.body.len, &tree, NULL) < 0)
        tree = NULL;
    ak_upstream_words(reply.status, tree, ak_buf_text(&reply.body), reply.body.len, words,
                      sizeof(words));
    ak_http_probe_status(ret, reply.status, words);
    server = ak_fetch_header(&reply, "Server");
    (void)snprintf(ret->server, sizeof(ret->server), "%.100s", server ? server : "HTTP server");
    return 0;
}

static const struct ak_http_operation http_operations[] = {{"http_request", ak_request_call},
                                                           {NULL, NULL}};

const struct ak_http_type ak_http_type_http = {
    .type = AK_TOOL_TYPE_HTTP,
    .operations = http_operations,
    .probe = probe_http,
    .client = ak_http_curl_client,
};

/* --- elasticsearch --- */

/* A key that only searches some indices may not ask the cluster for its name; who it is it may ask. */
static int probe_who(struct ak_upstream *upstream, struct ak_probe_result *ret,
                     struct ak_error **reterr)
{
    AK_AUTO_JSON *tree = NULL;
    char words[512];
    int status = 0;
    int r =
        ak_upstream_json(upstream, "GET", "/_security/_authenticate", NULL, &status, &tree, reterr);

    if (r < 0)
        return r;
    ak_upstream_words(status, tree, NULL, 0, words, sizeof(words));
    ak_http_probe_status(ret, status, words);
    return 0;
}

static int probe_elasticsearch(struct ak_upstream *upstream, struct ak_probe_result *ret,
                               struct ak_error **reterr)
{
    AK_AUTO_JSON *tree = NULL;
    const char *version;
    char words[512];
    int status = 0;
    int r = ak_upstream_json(upstream, "GET", "/", NULL, &status, &tree, reterr);

    if (r < 0)
        return r;
    version = tree ? ak_json_text(tree, "version", "number", NULL) : NULL;
    (void)snprintf(ret->server, sizeof(ret->server), "Elasticsearch%s%.64s", version ? " " : "",
                   version ? version : "");
    ak_upstream_words(status, tree, NULL, 0, words, sizeof(words));
    ak_http_probe_status(ret, status, words);
    return status == 403 ? probe_who(upstream, ret, reterr) : 0;
}

/* An index, an alias, a pattern or several with commas: one part of a path, nothing that leads elsewhere. */
static bool is_index(const char *name)
{
    return name && *name && name[0] != '_' && name[0] != '.' &&
           !strpbrk(name, "/\\?#%<>\"| \t\r\n") && strlen(name) <= 1024;
}

static int search_body(const struct ak_call *call, json_t **ret, struct ak_error **reterr)
{
    static const struct {
        const char *argument, *member;
    } copied[] = {{"query", "query"}, {"sort", "sort"}, {"aggregations", "aggs"}};
    json_int_t rows = json_integer_value(json_object_get(call->arguments, "maxRows"));
    json_int_t size = rows > 0 ? AK_MIN(rows, call->max_rows) : call->max_rows;
    json_t *body = json_pack("{s:I}", "size", AK_MIN(size, (json_int_t)10000));

    for (size_t i = 0; body && i < AK_ARRAY_LEN(copied); i++) {
        json_t *value = json_object_get(call->arguments, copied[i].argument);

        if (value && json_object_set(body, copied[i].member, value) < 0) {
            json_decref(body);
            body = NULL;
        }
    }
    *ret = body;
    return body ? 0 : ak_error_oom(reterr);
}

static int search_rows(const json_t *tree, struct ak_call *call, struct ak_error **reterr)
{
    AK_AUTO(ak_rows) rows = {0};
    json_t *hits = ak_json_at(tree, "hits", "hits", NULL), *hit, *aggregations;
    size_t i;
    int r = ak_rows_init(&rows, call, reterr);

    if (r >= 0)
        r = ak_rows_add_column(&rows, "_index", "keyword", reterr);
    if (r >= 0)
        r = ak_rows_add_column(&rows, "_id", "keyword", reterr);
    if (r >= 0)
        r = ak_rows_add_column(&rows, "_source", "object", reterr);
    for (i = 0; r == 0 && i < json_array_size(hits); i++) {
        AK_AUTO(ak_buf) text = AK_BUF_INIT(AK_UPSTREAM_MAX_JSON);

        hit = json_array_get(hits, i);
        r = ak_json_write(hit, &text, reterr);
        if (r >= 0)
            r = ak_rows_add(&rows,
                            json_pack("[O?, O?, O?]", json_object_get(hit, "_index"),
                                      json_object_get(hit, "_id"), json_object_get(hit, "_source")),
                            text.len, reterr);
    }
    if (r >= 0)
        r = ak_rows_finish(&rows, call, reterr);
    aggregations = json_object_get(tree, "aggregations");
    if (r >= 0 && aggregations &&
        json_object_set(call->ret_result, "aggregations", aggregations) < 0)
        r = ak_error_oom(reterr);
    return r < 0 ? r : 0;
}

static int call_search(struct ak_upstream *upstream, struct ak_session *session,
                       struct ak_call *call, struct ak_error **reterr)
{
    const char *index = ak_json_text(call->arguments, "index", NULL);
    AK_AUTO_JSON *body = NULL, *tree = NULL;
    AK_AUTO(ak_buf) path = AK_BUF_INIT(4096);
    char words[1024];
    int status = 0, r;

    (void)session;
    if (!is_index(index))
        return ak_error_set(reterr, -EINVAL, "index: must be the name of an index or a pattern");
    r = ak_buf_addf(&path, "/%s/_search", index);
    if (r < 0)
        return ak_error_set(reterr, r, "index: %s", ak_code_text(r));
    r = ak_request_check(upstream->target->spec, "POST", ak_buf_text(&path), call->read_only,
                         reterr);
    if (r >= 0)
        r = search_body(call, &body, reterr);
    if (r >= 0)
        r = ak_upstream_json(upstream, "POST", ak_buf_text(&path), body, &status, &tree, reterr);
    if (r < 0)
        return r;
    if (status != 200 || !tree) {
        ak_upstream_words(status, tree, NULL, 0, words, sizeof(words));
        (void)snprintf(call->ret_server_code, sizeof(call->ret_server_code), "%d", status);
        return ak_error_set(reterr, ak_upstream_code(status), "%s", words);
    }
    return search_rows(tree, call, reterr);
}

static const struct ak_http_operation elasticsearch_operations[] = {
    {"search", call_search}, {"http_request", ak_request_call}, {NULL, NULL}};

const struct ak_http_type ak_http_type_elasticsearch = {
    .type = AK_TOOL_TYPE_ELASTICSEARCH,
    .operations = elasticsearch_operations,
    .probe = probe_elasticsearch,
    .client = ak_http_curl_client,
    .provision = ak_http_elasticsearch_provision,
    .deprovision = ak_http_elasticsearch_deprovision,
};
