/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/error.h>

#include <ak/base/alloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define REASON_SIZE 48
/* One message: an apiserver's answer to an invalid object can be long, a log line should not be. */
#define MESSAGE_MAX ((size_t)4096)

struct ak_error {
    int code;
    int http_status;
    int64_t retry_after_ms;
    const char *file;
    int line;
    const char *message; /* in the same allocation */
    char reason[REASON_SIZE];
};

/* Shared and never changed or freed: to report that memory is short must not need memory. */
static struct ak_error oom = {.code = -ENOMEM, .file = "", .message = "out of memory"};

/* "prefix: message", or only one of the two where the other is NULL. */
AK_PRINTF(1, 0)
static struct ak_error *make(const char *fmt, va_list ap, const char *rest)
{
    struct ak_error *err;
    size_t room = MESSAGE_MAX, n;
    va_list again;
    char *text;
    int len;

    va_copy(again, ap);
    len = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (len < 0)
        return NULL;
    n = (size_t)len + (rest ? 2 + strlen(rest) : 0);
    room = AK_MIN(room, n + 1);
    err = ak_calloc(1, sizeof(*err) + room);
    if (!err)
        return NULL;
    text = (char *)(err + 1);
    (void)vsnprintf(text, room, fmt, ap);
    n = strlen(text);
    if (rest)
        (void)snprintf(text + n, room - n, ": %s", rest);
    err->message = text;
    return err;
}

int ak_error_oom(struct ak_error **reterr)
{
    if (reterr) {
        (void)ak_error_free(*reterr);
        *reterr = &oom;
    }
    return -ENOMEM;
}

int ak_error_set_at(struct ak_error **reterr, int code, const char *file, int line, const char *fmt,
                    ...)
{
    struct ak_error *err;
    va_list ap;

    if (!reterr)
        return code;
    va_start(ap, fmt);
    err = make(fmt, ap, NULL);
    va_end(ap);
    if (!err)
        return ak_error_oom(reterr);
    err->code = code;
    err->file = file;
    err->line = line;
    (void)ak_error_free(*reterr);
    *reterr = err;
    return code;
}

int ak_error_wrap(struct ak_error **reterr, int code, const char *fmt, ...)
{
    struct ak_error *old = reterr ? *reterr : NULL, *err;
    va_list ap;

    if (!reterr || old == &oom)
        return old ? -ENOMEM : code;
    va_start(ap, fmt);
    err = make(fmt, ap, old ? old->message : NULL);
    va_end(ap);
    if (!err) /* the cause without its context is still worth more than "out of memory" */
        return old ? old->code : ak_error_oom(reterr);
    err->code = old ? old->code : code;
    err->file = "";
    if (old) {
        err->http_status = old->http_status;
        err->retry_after_ms = old->retry_after_ms;
        err->file = old->file;
        err->line = old->line;
        memcpy(err->reason, old->reason, sizeof(err->reason));
        (void)ak_error_free(old);
    }
    *reterr = err;
    return err->code;
}

void ak_error_set_http(struct ak_error *err, int http_status, const char *reason,
                       int64_t retry_after_ms)
{
    if (!err || err == &oom)
        return;
    err->http_status = http_status;
    err->retry_after_ms = retry_after_ms;
    (void)snprintf(err->reason, sizeof(err->reason), "%s", reason ? reason : "");
}

struct ak_error *ak_error_free(struct ak_error *err)
{
    if (err != &oom)
        ak_free(err);
    return NULL;
}

int ak_error_code(const struct ak_error *err)
{
    return err ? err->code : 0;
}

int ak_error_http_status(const struct ak_error *err)
{
    return err ? err->http_status : 0;
}

const char *ak_error_reason(const struct ak_error *err)
{
    return err ? err->reason : "";
}

int64_t ak_error_retry_after_ms(const struct ak_error *err)
{
    return err ? err->retry_after_ms : 0;
}

const char *ak_error_message(const struct ak_error *err)
{
    return err ? err->message : "";
}

const char *ak_error_file(const struct ak_error *err)
{
    return err ? err->file : "";
}

int ak_error_line(const struct ak_error *err)
{
    return err ? err->line : 0;
}

static const struct {
    int code;
    const char *text;
} code_texts[] = {
    {AK_E_NOT_FOUND, "not found"},
    {AK_E_CONFLICT, "conflict"},
    {AK_E_ALREADY_EXISTS, "already exists"},
    {AK_E_GONE, "gone"},
    {AK_E_UNAUTHORIZED, "unauthorized"},
    {AK_E_FORBIDDEN, "forbidden"},
    {AK_E_INVALID, "invalid"},
    {AK_E_THROTTLED, "throttled"},
    {AK_E_SERVER, "server error"},
    {AK_E_TERMINAL, "terminal"},
    {AK_E_CANCELLED, "cancelled"},
    {AK_E_TOO_LARGE, "too large"},
    {AK_E_PROTOCOL, "protocol error"},
};

const char *ak_code_text(int code)
{
    const char *text;

    if (code >= 0)
        return "success";
    for (size_t i = 0; i < AK_ARRAY_LEN(code_texts); i++)
        if (code_texts[i].code == code)
            return code_texts[i].text;
    text = strerrordesc_np(-code);
    return text ? text : "unknown error";
}

static const struct {
    int status;
    int code;
} http_codes[] = {
    {401, AK_E_UNAUTHORIZED}, {403, AK_E_FORBIDDEN},
    {404, AK_E_NOT_FOUND},    {408, AK_E_SERVER}, /* as good as a broken connection: try again */
    {409, AK_E_CONFLICT},     {410, AK_E_GONE},
    {413, AK_E_TOO_LARGE},    {429, AK_E_THROTTLED},
};

int ak_code_from_http(int http_status, const char *reason)
{
    if (http_status >= 200 && http_status < 300)
        return 0;
    if (http_status == 409 && reason && strcmp(reason, "AlreadyExists") == 0)
        return AK_E_ALREADY_EXISTS;
    for (size_t i = 0; i < AK_ARRAY_LEN(http_codes); i++)
        if (http_codes[i].status == http_status)
            return http_codes[i].code;
    if (http_status >= 400 && http_status < 500)
        return AK_E_INVALID;
    return http_status >= 500 && http_status < 600 ? AK_E_SERVER : AK_E_PROTOCOL;
}

bool ak_code_is_terminal(int code)
{
    return code == AK_E_TERMINAL || code == AK_E_INVALID || code == AK_E_TOO_LARGE ||
           code == -EINVAL || code == -ERANGE;
}
