/* SPDX-License-Identifier: Apache-2.0 */
#include "client_internal.h"

#include <string.h>

#include <ak/base/text.h>

#define MAX_EXCERPT 200

/* The beginning of a text, on one line, for a message. */
static int add_excerpt(struct ak_buf *out, const char *text, size_t len)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < len && i < MAX_EXCERPT; i++) {
        char c = text[i];

        if ((unsigned char)c < 0x20 || c == 0x7f)
            c = ' ';
        r = ak_buf_add(out, &c, 1);
    }
    return r;
}

static ak_msec retry_seconds(const json_t *status)
{
    json_t *seconds = ak_json_at(status, "details", "retryAfterSeconds", NULL);
    json_int_t n = json_is_integer(seconds) ? json_integer_value(seconds) : 0;

    return n > 0 ? AK_SECONDS(AK_MIN(n, 3600)) : 0;
}

static int code_of(int status, const char *reason, ak_msec retry_after)
{
    if (status < 400) /* a redirect, which no apiserver sends */
        return AK_E_PROTOCOL;
    if (status == 503 && retry_after > 0)
        return AK_E_THROTTLED;
    return ak_code_from_http(status, reason);
}

int ak__status_error(int status, ak_msec retry_after, const char *body, size_t len,
                     struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO(ak_buf) excerpt = {.max = MAX_EXCERPT + 1};
    json_t *tree = NULL;
    const char *reason = "", *message = NULL;
    int code;

    if (len && ak_json_parse(body, len, &tree, NULL) >= 0 &&
        ak_streq(ak_json_text(tree, "kind", NULL), "Status")) {
        message = ak_json_text(tree, "message", NULL);
        if (ak_json_text(tree, "reason", NULL))
            reason = ak_json_text(tree, "reason", NULL);
        if (!retry_after)
            retry_after = retry_seconds(tree);
    }
    code = code_of(status, reason, retry_after);
    if (!ak_is_empty(message)) {
        code = ak_error_set(&err, code, "%s", message);
    } else if (len == 0) {
        code = ak_error_set(&err, code, "the server answered with HTTP status %d", status);
    } else {
        (void)add_excerpt(&excerpt, body, len);
        code = ak_error_set(&err, code, "the server answered with HTTP status %d: %s", status,
                            ak_buf_text(&excerpt));
    }
    ak_error_set_http(err, status, reason, retry_after);
    json_decref(tree);
    if (reterr) {
        (void)ak_error_free(*reterr);
        *reterr = AK_TAKE(err);
    }
    return code;
}
