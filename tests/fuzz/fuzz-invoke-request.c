/* SPDX-License-Identifier: Apache-2.0 */
/* A call of the invocation API: the first line is method, path and query, the second the Authorization header, the
 * third the Idempotency-Key; the rest is the body. What is accepted stays within its limits. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/json/json.h>

#include "manager/invoke/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *take_line(char **rest)
{
    char *line = *rest, *end = strchr(line, '\n');

    *rest = end ? end + 1 : line + strlen(line);
    if (end)
        *end = 0;
    return line;
}

static void check(const struct ak_invoke_request *q)
{
    if ((q->ns && !ak_is_dns_label(q->ns)) || (q->name && !ak_is_dns_subdomain(q->name)) ||
        (q->id && !ak_is_dns_label(q->id)) || q->hold < 0 || q->hold > AK_INVOKE_MAX_HOLD ||
        q->tail < -1 || q->after < -1 || (q->route->access_verb && !q->resource) ||
        (q->prompt && strlen(q->prompt) > AK_INVOKE_MAX_PROMPT))
        abort();
}

static void parse(char *first, const char *body, size_t len)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO(ak_arena) arena = {0};
    struct ak_invoke_request q;
    char *path = strchr(first, ' '), *query = path ? strchr(path, '?') : NULL;

    if (!path)
        return;
    *path++ = 0;
    if (query)
        *query++ = 0;
    ak_arena_init(&arena, 256, 4u << 20);
    const struct ak_invoke_text text = {
        .method = first,
        .path = path,
        .query = query ? query : "",
        .content_type = "application/json",
        .body = body,
        .body_len = len,
    };
    int r = ak_invoke_request_parse(&text, &arena, &q, &err);
    if (r >= 0)
        check(&q);
    else if (r != -ENOMEM && ak_error_http_status(err) < 400)
        abort();
    ak_invoke_request_done(&q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    size_t len = 0;
    char *copy = ak_strndup((const char *)data, size), *rest = copy;

    if (!ready)
        ak_json_setup();
    ready = true;
    if (!copy)
        return 0;
    char *first = take_line(&rest), *token = take_line(&rest), *key = take_line(&rest);
    const char *bearer = ak_invoke_bearer(token, &len);
    if (bearer && (!len || strlen(bearer) < len))
        abort();
    if (ak_invoke_check_key(key, NULL) >= 0 && strlen(key) > AK_INVOKE_MAX_KEY)
        abort();
    parse(first, rest, strlen(rest));
    ak_free(copy);
    return 0;
}
