/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/http/request.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/json/json.h>

#include "bastion/engines/http/encoding.h"
#include "engines/policy.h"

#define MAX_HEADER_BYTES (32u << 10)

void ak_request_done(struct ak_request *self)
{
    ak_buf_done(&self->path);
    ak_buf_done(&self->lines);
    ak_buf_done(&self->body);
}

/* --- path --- */

/* RabbitMQ's paths have names with encoded slashes in them, and its server reads them in one way only. */
static bool is_plain(const struct ak_tool_spec *spec, const char *path)
{
    char copy[AK_REQUEST_MAX_PATH + 1];
    size_t n = 0;

    if (spec->type != AK_TOOL_TYPE_RABBITMQ)
        return ak_http_path_is_plain(path);
    for (const char *p = path; *p && *p != '?' && n < AK_REQUEST_MAX_PATH; p++) {
        bool slash = strncasecmp(p, "%2f", 3) == 0;

        copy[n++] = slash ? 'x' : *p;
        p += slash ? 2 : 0;
    }
    copy[n] = '\0';
    return ak_http_path_is_plain(copy);
}

int ak_request_path_check(const struct ak_tool_spec *spec, const char *path,
                          struct ak_error **reterr)
{
    if (!path || path[0] != '/')
        return ak_error_set(reterr, -EINVAL, "path: must begin with /");
    if (strlen(path) > AK_REQUEST_MAX_PATH)
        return ak_error_set(reterr, AK_E_TOO_LARGE, "path: has more than %u bytes",
                            AK_REQUEST_MAX_PATH);
    for (const unsigned char *p = (const unsigned char *)path; *p; p++)
        if (*p <= 0x20 || *p >= 0x7f || *p == '#')
            return ak_error_set(reterr, -EINVAL, "path: must be percent-encoded, without blanks");
    if (!is_plain(spec, path))
        return ak_error_set(reterr, -EINVAL,
                            "path: can be read in more than one way (dot segments, double or "
                            "encoded slashes, backslashes, \";\"): write it plainly");
    return 0;
}

static int add_query(struct ak_buf *out, const json_t *query, struct ak_error **reterr)
{
    bool first = !out->data || !strchr(out->data, '?');
    const char *key;
    json_t *value;
    int r = 0;

    /* jansson's objects keep the order in which they were filled. */
    json_object_foreach((json_t *)(uintptr_t)query, key, value)
    {
        if (!json_is_string(value))
            return ak_error_set(reterr, -EINVAL, "query.%s: must be a string", key);
        r = ak_buf_adds(out, first ? "?" : "&");
        if (r >= 0)
            r = ak_buf_add_url_escaped(out, key);
        if (r >= 0)
            r = ak_buf_adds(out, "=");
        if (r >= 0)
            r = ak_buf_add_url_escaped(out, json_string_value(value));
        if (r < 0)
            return ak_error_set(reterr, r, "query: %s", ak_code_text(r));
        first = false;
    }
    return 0;
}

/* --- headers --- */

static bool is_token(const char *name)
{
    if (!*name)
        return false;
    for (; *name; name++)
        if (!isalnum((unsigned char)*name) && !strchr("!#$%&'*+-.^_`|~", *name))
            return false;
    return true;
}

static int check_header(const struct ak_tool_spec *spec, const char *name, const json_t *value,
                        struct ak_error **reterr)
{
    const char *text = json_string_value(value);

    if (!is_token(name))
        return ak_error_set(reterr, -EINVAL, "headers: \"%.64s\" is not a header's name", name);
    if (!text || strlen(text) != json_string_length(value))
        return ak_error_set(reterr, -EINVAL, "headers.%s: must be a text", name);
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        if ((*p < 0x20 && *p != '\t') || *p == 0x7f)
            return ak_error_set(reterr, -EINVAL, "headers.%s: has a control character", name);
    if (ak_http_header_is_ours(spec, name))
        return ak_error_set(reterr, -EINVAL,
                            "headers.%s: is set by the Tool, or not for its callers to set", name);
    return 0;
}

static int add_headers(const struct ak_tool_spec *spec, const json_t *headers,
                       struct ak_request *out, struct ak_error **reterr)
{
    size_t n = 0;
    const char *name, *line;
    json_t *value;
    int r = 0;

    json_object_foreach((json_t *)(uintptr_t)headers, name, value)
    {
        r = check_header(spec, name, value, reterr);
        if (r < 0)
            return r;
        if (strcasecmp(name, "Content-Type") == 0) {
            out->content_type = json_string_value(value);
            continue;
        }
        if (n++ == AK_REQUEST_MAX_HEADERS)
            return ak_error_set(reterr, AK_E_TOO_LARGE, "headers: more than %d",
                                AK_REQUEST_MAX_HEADERS);
        /* For the client library "Name:" takes a header away, "Name;" is an empty one. */
        r = *json_string_value(value)
                ? ak_buf_addf(&out->lines, "%s: %s", name, json_string_value(value))
                : ak_buf_addf(&out->lines, "%s;", name);
        if (r >= 0)
            r = ak_buf_add(&out->lines, "", 1);
        if (r < 0)
            return ak_error_set(reterr, r, "headers: %s", ak_code_text(r));
    }
    line = out->lines.data;
    for (size_t i = 0; i < n; i++, line += strlen(line) + 1)
        out->headers[i] = line;
    return 0;
}

/* --- body --- */

static bool looks_like_json(const char *text)
{
    text += strspn(text, " \t\r\n");
    return *text == '{' || *text == '[';
}

static int add_body(const json_t *body, struct ak_request *out, struct ak_error **reterr)
{
    const char *type = "application/json";
    int r;

    if (json_is_null(body) || !body) {
        out->content_type = NULL;
        return 0;
    }
    if (json_is_string(body)) {
        r = ak_buf_add(&out->body, json_string_value(body), json_string_length(body));
        if (!looks_like_json(json_string_value(body)))
            type = "text/plain; charset=utf-8";
    } else if (json_is_object(body) || json_is_array(body)) {
        r = ak_json_write(body, &out->body, reterr);
    } else {
        return ak_error_set(reterr, -EINVAL, "body: must be a string, an object or a list");
    }
    if (r < 0)
        return ak_error_set(reterr, r, "body: %s", ak_code_text(r));
    if (!out->content_type)
        out->content_type = type;
    return 0;
}

static bool is_method(const char *method)
{
    static const char *const known[] = {"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"};

    for (size_t i = 0; i < AK_ARRAY_LEN(known); i++)
        if (ak_streq(known[i], method))
            return true;
    return false;
}

int ak_request_make(const struct ak_tool_spec *spec, const json_t *arguments,
                    struct ak_request *ret, struct ak_error **reterr)
{
    AK_AUTO(ak_request)
    out = {.path = {.max = AK_REQUEST_MAX_PATH},
           .lines = {.max = MAX_HEADER_BYTES},
           .body = {.max = AK_REQUEST_MAX_BODY}};
    const char *path = ak_json_text(arguments, "path", NULL);
    int r;

    out.method = ak_json_text(arguments, "method", NULL);
    if (!is_method(out.method))
        return ak_error_set(reterr, -EINVAL,
                            "method: must be GET, HEAD, OPTIONS, POST, PUT, PATCH or DELETE");
    r = ak_request_path_check(spec, path, reterr);
    if (r < 0)
        return r;
    r = ak_buf_adds(&out.path, path);
    if (r < 0)
        return ak_error_set(reterr, r, "path: %s", ak_code_text(r));
    r = add_query(&out.path, json_object_get(arguments, "query"), reterr);
    if (r >= 0)
        r = add_headers(spec, json_object_get(arguments, "headers"), &out, reterr);
    if (r >= 0)
        r = add_body(json_object_get(arguments, "body"), &out, reterr);
    if (r < 0)
        return r;
    *ret = out;
    out = (struct ak_request){0};
    return 0;
}

int ak_request_check(const struct ak_tool_spec *spec, const char *method, const char *path,
                     bool read_only, struct ak_error **reterr)
{
    bool has_rules = spec->type == AK_TOOL_TYPE_HTTP || spec->type == AK_TOOL_TYPE_ELASTICSEARCH;
    size_t rule;

    if (has_rules && !ak_http_rule_allows(spec, method, path, &rule))
        return ak_error_set(reterr, AK_E_FORBIDDEN,
                            "%s %.*s is not in spec.permissions.requests of the Tool", method,
                            (int)strcspn(path, "?"), path);
    if (read_only && ak_classify_http(spec->type, method, path) != AK_CLASS_READ)
        return ak_error_set(reterr, AK_E_FORBIDDEN,
                            "%s is refused: this caller of the Tool may only read", method);
    return 0;
}

/* --- the answer --- */

static const char *const hidden[] = {
    "Set-Cookie",        "Set-Cookie2",        "Connection",         "Keep-Alive",
    "Transfer-Encoding", "Proxy-Authenticate", "Proxy-Authorization"};

static bool is_hidden(const char *name)
{
    for (size_t i = 0; i < AK_ARRAY_LEN(hidden); i++)
        if (strcasecmp(hidden[i], name) == 0)
            return true;
    return false;
}

static int take_headers(const struct ak_fetch_reply *reply, json_t *out)
{
    const char *end = reply->head.len ? reply->head.data + reply->head.len : reply->head.data;

    for (const char *line = reply->head.data; line < end; line += strlen(line) + 1) {
        char name[128];
        const char *colon = strchr(line, ':');
        json_t *value;
        int n;

        if (!colon || colon - line >= (ptrdiff_t)sizeof(name))
            continue;
        n = snprintf(name, sizeof(name), "%.*s", (int)(colon - line), line);
        for (int i = 0; i < n; i++)
            name[i] = (char)tolower((unsigned char)name[i]);
        if (is_hidden(name) || json_object_get(out, name))
            continue;
        value = json_string(colon + 2);
        /* What is not UTF-8 is left out. */
        if (value && json_object_set_new(out, name, value) < 0)
            return -ENOMEM;
    }
    return 0;
}

/* Length without the half of a character that a cut has left. */
static size_t whole_characters(const char *text, size_t len)
{
    for (size_t back = 1; back <= 3 && back <= len; back++) {
        unsigned char c = (unsigned char)text[len - back];

        if ((c & 0xc0) == 0x80)
            continue;
        if (c >= 0xc0 && (size_t)(c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2) > back)
            return len - back;
        break;
    }
    return len;
}

static int add_base64(const struct ak_buf *body, json_t *out, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(body->len / 3 * 4 + 8);
    int r = ak_base64_add(&text, body->data, body->len);

    if (r < 0 || json_object_set_new(out, "body", json_string(ak_buf_text(&text))) < 0 ||
        json_object_set_new(out, "bodyEncoding", json_string("base64")) < 0)
        return ak_error_oom(reterr);
    return 0;
}

static int take_body(const struct ak_fetch_reply *reply, json_t *out, struct ak_error **reterr)
{
    const char *type = ak_fetch_header(reply, "Content-Type");
    const struct ak_buf *body = &reply->body;
    size_t len = reply->is_cut ? whole_characters(ak_buf_text(body), body->len) : body->len;
    json_t *value = NULL;

    if (type && strcasestr(type, "json") && !reply->is_cut && body->len &&
        ak_json_parse(body->data, body->len, &value, NULL) == -ENOMEM)
        return ak_error_oom(reterr);
    if (!value)
        value = json_stringn(ak_buf_text(body), len);
    if (!value)
        return add_base64(body, out, reterr);
    return json_object_set_new(out, "body", value) < 0 ? ak_error_oom(reterr) : 0;
}

int ak_request_result(const struct ak_fetch_reply *reply, json_t **ret, struct ak_error **reterr)
{
    AK_AUTO_JSON *out = json_pack("{s:i, s:{}, s:b}", "status", reply->status, "headers",
                                  "truncated", reply->is_cut);
    int r;

    if (!out || take_headers(reply, json_object_get(out, "headers")) < 0)
        return ak_error_oom(reterr);
    r = take_body(reply, out, reterr);
    if (r < 0)
        return r;
    *ret = AK_TAKE(out);
    return 0;
}

int ak_request_call(struct ak_upstream *upstream, struct ak_session *session, struct ak_call *call,
                    struct ak_error **reterr)
{
    const struct ak_tool_spec *spec = upstream->target->spec;
    AK_AUTO(ak_request) request = {0};
    AK_AUTO(ak_fetch_reply) reply = {0};
    struct ak_http_request req = {0};
    int r = ak_request_make(spec, call->arguments, &request, reterr);

    (void)session;
    if (r >= 0)
        r = ak_request_check(spec, request.method, ak_buf_text(&request.path), call->read_only,
                             reterr);
    if (r < 0)
        return r;
    req.method = request.method;
    req.path = ak_buf_text(&request.path);
    req.headers = request.headers;
    req.content_type = request.content_type;
    req.body = request.content_type ? ak_buf_text(&request.body) : NULL;
    req.body_len = request.body.len;
    r = ak_upstream_fetch(upstream, &req, (size_t)call->max_bytes, &reply, reterr);
    if (r >= 0)
        r = ak_request_result(&reply, &call->ret_result, reterr);
    if (r < 0)
        return r;
    call->ret_bytes = (int64_t)reply.body.len;
    (void)snprintf(call->ret_server_code, sizeof(call->ret_server_code), "%d", reply.status);
    return 0;
}
