/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/provider_error.h"

#include <string.h>

static const struct {
    int status;
    const char *types[AK_DIALECT_MAX];
} rows[] = {
    {400, {"invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"}},
    {403, {"permission_error", "permission_error", "PERMISSION_DENIED"}},
    {405, {"invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"}},
    {413, {"invalid_request_error", "request_too_large", "INVALID_ARGUMENT"}},
    {502, {"server_error", "api_error", "UNAVAILABLE"}},
    {503, {"server_error", "api_error", "UNAVAILABLE"}},
    {504, {"server_error", "timeout_error", "DEADLINE_EXCEEDED"}},
};

static const char *type_of(enum ak_provider_dialect dialect, int status)
{
    for (size_t i = 0; i < AK_ARRAY_LEN(rows); i++)
        if (rows[i].status == status)
            return rows[i].types[dialect];
    return "server_error";
}

int ak_provider_error_write(enum ak_provider_dialect dialect, int status, const char *message,
                            struct ak_buf *out)
{
    const char *type = type_of(dialect, status);
    int r;

    if (dialect == AK_DIALECT_ANTHROPIC)
        r = ak_buf_addf(out, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":", type);
    else if (dialect == AK_DIALECT_GOOGLE)
        r = ak_buf_addf(out, "{\"error\":{\"code\":%d,\"status\":\"%s\",\"message\":", status,
                        type);
    else
        r = ak_buf_addf(
            out, "{\"error\":{\"type\":\"%s\",\"code\":null,\"param\":null,\"message\":", type);
    if (r >= 0)
        r = ak_buf_add_json_string(out, message, strlen(message));
    return r < 0 ? r : ak_buf_adds(out, "}}");
}
