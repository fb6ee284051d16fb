/* SPDX-License-Identifier: Apache-2.0 */
#include "door/answers.h"

#include <string.h>

#define JSON_TYPE "application/json"

int ak_door_write_identity(struct ak_credential_file *token, const char *pod_uid, const char *pin,
                           struct ak_buf *out, struct ak_error **reterr)
{
    const struct ak_secret *secret = NULL;
    const char *text;
    size_t len;
    int r = ak_credential_file_read(token, &secret, reterr);

    if (r < 0)
        return r;
    if (!secret || !pin)
        return ak_error_set(reterr, -ENOENT, "this pod has no token");
    text = ak_secret_peek(secret, &len);
    r = ak_buf_adds(out, "{\"podUID\":");
    if (r >= 0)
        r = ak_buf_add_json_string(out, pod_uid, strlen(pod_uid));
    if (r >= 0)
        r = ak_buf_addf(out, ",\"pin\":\"%s\",\"token\":", pin);
    if (r >= 0)
        r = ak_buf_add_json_string(out, text, len);
    if (r >= 0)
        r = ak_buf_adds(out, "}");
    return r < 0 ? ak_error_set(reterr, r, "identity: %s", ak_code_text(r)) : 0;
}

static int add_details(int retry_after, const char *details, struct ak_buf *out)
{
    int r = ak_buf_adds(out, "\"details\":{");

    if (r >= 0 && retry_after)
        r = ak_buf_addf(out, "\"retryAfterSeconds\":%d%s", retry_after, details ? "," : "");
    if (r >= 0 && details)
        r = ak_buf_adds(out, details);
    return r < 0 ? r : ak_buf_adds(out, "},");
}

int ak_door_write_status(int code, const char *reason, const char *message, int retry_after,
                         const char *details, struct ak_buf *out)
{
    int r = ak_buf_addf(out,
                        "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},"
                        "\"status\":\"Failure\",\"reason\":\"%s\",\"code\":%d,",
                        reason, code);

    if (r >= 0 && (retry_after || details))
        r = add_details(retry_after, details, out);
    if (r >= 0)
        r = ak_buf_adds(out, "\"message\":");
    if (r >= 0)
        r = ak_buf_add_json_string(out, message, strlen(message));
    return r < 0 ? r : ak_buf_adds(out, "}");
}

void ak_door_reply_status(struct ak_http_exchange *ex, int code, const char *reason,
                          const char *message)
{
    static const char *const extra[] = {"Retry-After: 1", NULL};
    AK_AUTO(ak_buf) body = AK_BUF_INIT(AK_DOOR_STATUS_MAX);
    bool later = code == 503 || code == 429;

    if (ak_door_write_status(code, reason, message, later ? 1 : 0, NULL, &body) < 0)
        ak_buf_clear(&body);
    ak_http_reply_text(ex, code, JSON_TYPE, ak_buf_text(&body), body.len, later ? extra : NULL);
}
