/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/invoke/answer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <ak/base/text.h>

#define MAX_MESSAGE 2048

static const struct {
    int status, code;
    const char *reason;
} rows[] = {
    {400, AK_E_INVALID, "BadRequest"},
    {401, AK_E_UNAUTHORIZED, "Unauthorized"},
    {403, AK_E_FORBIDDEN, "Forbidden"},
    {404, AK_E_NOT_FOUND, "NotFound"},
    {405, AK_E_INVALID, "MethodNotAllowed"},
    {409, AK_E_CONFLICT, "Conflict"},
    {410, AK_E_GONE, "Gone"},
    {408, -ETIMEDOUT, "Timeout"},
    {413, AK_E_TOO_LARGE, "RequestEntityTooLarge"},
    {415, AK_E_INVALID, "UnsupportedMediaType"},
    {422, AK_E_INVALID, "Invalid"},
    {426, AK_E_INVALID, "UpgradeRequired"},
    {428, AK_E_FORBIDDEN, "ApprovalRequired"},
    {417, AK_E_INVALID, "ExpectationFailed"},
    {429, AK_E_THROTTLED, "TooManyRequests"},
    {431, AK_E_TOO_LARGE, "RequestHeaderFieldsTooLarge"},
    {500, AK_E_SERVER, "InternalError"},
    {501, AK_E_INVALID, "NotImplemented"},
    {502, AK_E_PROTOCOL, "BadGateway"},
    {503, AK_E_SERVER, "ServiceUnavailable"},
    {504, -ETIMEDOUT, "Timeout"},
    {505, AK_E_INVALID, "HTTPVersionNotSupported"},
};

/* Codes without a row of their own above, or with another status there. */
static const struct {
    int code, status;
} statuses[] = {
    {-EINVAL, 400},    {AK_E_ALREADY_EXISTS, 409}, {AK_E_CANCELLED, 503},
    {-ENOMEM, 503},    {AK_E_PROTOCOL, 503},       {-ENOBUFS, 429},
    {-EAGAIN, 503},    {AK_E_TERMINAL, 409},       {-EKEYREJECTED, 503},
    {-ETIMEDOUT, 504},
};

static int code_of(int status)
{
    for (size_t i = 0; i < AK_ARRAY_LEN(rows); i++)
        if (rows[i].status == status)
            return rows[i].code;
    return AK_E_SERVER;
}

const char *ak_invoke_reason_of(int status)
{
    for (size_t i = 0; i < AK_ARRAY_LEN(rows); i++)
        if (rows[i].status == status)
            return rows[i].reason;
    return "InternalError";
}

const char *ak_invoke_words_of(int status)
{
    static const struct {
        int status;
        const char *words;
    } words[] = {
        {400, "this is not an HTTP request"},      {408, "the request did not come in time"},
        {413, "the body is longer than 1088 KiB"}, {431, "the header is longer than 16 KiB"},
        {503, "too many bodies are on their way"},
    };

    for (size_t i = 0; i < AK_ARRAY_LEN(words); i++)
        if (words[i].status == status)
            return words[i].words;
    return "the HTTP server cannot do that";
}

static int make_error(struct ak_error **reterr, int status, ak_msec retry_after, const char *fmt,
                      va_list ap) AK_PRINTF(4, 0);

static int make_error(struct ak_error **reterr, int status, ak_msec retry_after, const char *fmt,
                      va_list ap)
{
    char message[MAX_MESSAGE];

    (void)vsnprintf(message, sizeof(message), fmt, ap);
    int r = ak_error_set(reterr, code_of(status), "%s", message);
    if (reterr)
        ak_error_set_http(*reterr, status, ak_invoke_reason_of(status), retry_after);
    return r;
}

int ak_invoke_error(struct ak_error **reterr, int status, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    int r = make_error(reterr, status, 0, fmt, ap);
    va_end(ap);
    return r;
}

int ak_invoke_error_later(struct ak_error **reterr, int status, ak_msec retry_after,
                          const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    int r = make_error(reterr, status, retry_after, fmt, ap);
    va_end(ap);
    return r;
}

int ak_invoke_error_of_server(struct ak_error **reterr, int code)
{
    int status = ak_error_http_status(*reterr);
    ak_msec later = ak_error_retry_after_ms(*reterr);
    char message[MAX_MESSAGE];

    if (code == -ENOMEM)
        return code;
    (void)snprintf(message, sizeof(message), "%s", ak_error_message(*reterr));
    if (status == 401 || status == 403)
        return ak_invoke_error(reterr, 500, "the manager lacks a right of its own: %s", message);
    if (status >= 400 && status < 500)
        return ak_invoke_error_later(reterr, status, later, "%s", message);
    if (code == AK_E_TOO_LARGE)
        return ak_invoke_error(reterr, 413, "%s", message);
    return ak_invoke_error_later(reterr, 503, later ? later : AK_SECONDS(1),
                                 "the API server did not answer this: %s", message);
}

int ak_invoke_status_of(const struct ak_error *err, int code)
{
    int status = ak_error_http_status(err);

    if (status >= 400 && status < 600)
        return status;
    for (size_t i = 0; i < AK_ARRAY_LEN(statuses); i++)
        if (statuses[i].code == code)
            return statuses[i].status;
    for (size_t i = 0; i < AK_ARRAY_LEN(rows); i++)
        if (rows[i].code == code)
            return rows[i].status;
    return 500;
}

int ak_invoke_write_status(const struct ak_error *err, int code, struct ak_buf *out)
{
    int status = ak_invoke_status_of(err, code);
    const char *said = ak_error_message(err), *reason = ak_error_reason(err);
    const char *message = *said ? said : ak_code_text(code);
    ak_msec later = ak_error_retry_after_ms(err);
    int r = ak_buf_adds(out, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},"
                             "\"status\":\"Failure\",\"message\":");

    if (r >= 0)
        r = ak_buf_add_json_string(out, message, strlen(message));
    if (r >= 0)
        r = ak_buf_adds(out, ",\"reason\":");
    reason = *reason ? reason : ak_invoke_reason_of(status);
    if (r >= 0)
        r = ak_buf_add_json_string(out, reason, strlen(reason));
    if (r >= 0 && later > 0)
        r = ak_buf_addf(out, ",\"details\":{\"retryAfterSeconds\":%lld}",
                        (long long)((later + 999) / 1000));
    return r < 0 ? r : ak_buf_addf(out, ",\"code\":%d}\n", status);
}
