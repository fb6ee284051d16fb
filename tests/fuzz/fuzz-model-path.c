/* SPDX-License-Identifier: Apache-2.0 */
/* Paths of model calls: the first byte is the dialect, the rest path and query. Nothing that is taken may leave what
 * the base URL names, however a server decodes it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "keeper/guard.h"
#include "keeper/model_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* As a server might: decoded once, backslashes are slashes. */
static void decode(char *text)
{
    char *to = text;

    for (const char *from = text; *from && *from != '?'; to++) {
        bool coded = *from == '%' && digit(from[1]) >= 0 && digit(from[2]) >= 0;

        *to = coded ? (char)(digit(from[1]) * 16 + digit(from[2])) : *from;
        from += coded ? 3 : 1;
        if (*to == '\\')
            *to = '/';
        if (!*to)
            *to = '_';
    }
    *to = '\0';
}

static void expect_inside(char *path)
{
    decode(path);
    for (char *at = path; at; at = strchr(at + 1, '/')) {
        size_t len = strcspn(at + 1, "/");

        if (*at != '/' || (len == 1 && at[1] == '.') || (len == 2 && at[1] == '.' && at[2] == '.'))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum ak_provider_dialect dialect = size ? data[0] % AK_DIALECT_MAX : AK_DIALECT_OPENAI;
    AK_AUTO_TEXT char *path = ak_strndup((const char *)data + (size ? 1 : 0), size ? size - 1 : 0);
    AK_AUTO(ak_buf) out = AK_BUF_INIT(AK_MODEL_MAX_PATH);
    char *query = strchr(path, '?');

    (void)ak_guard_is_local_host(path);
    if (query)
        *query++ = '\0';
    if (ak_model_path(path, query ? query : "", dialect, &out, NULL) < 0)
        return 0;
    if (out.data[0] != '/')
        abort();
    query = strchr(out.data, '?');
    if (dialect == AK_DIALECT_GOOGLE && query &&
        (ak_has_prefix(query, "?key=") || strstr(query, "&key=")))
        abort();
    expect_inside(out.data);
    return 0;
}
