/* SPDX-License-Identifier: Apache-2.0 */
/* Paths of requests, against a rule for what is below /a/. Nothing that passes may be elsewhere, however a server reads
 * it: decoded once or twice, backslashes as slashes, cut at a semicolon. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "engines/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void decode(char *text)
{
    char *to = text;

    for (const char *from = text; *from && *from != '?'; to++) {
        bool coded = *from == '%' && digit(from[1]) >= 0 && digit(from[2]) >= 0;

        *to = coded ? (char)(digit(from[1]) * 16 + digit(from[2])) : *from;
        from += coded ? 3 : 1;
        if (*to == '\\')
            *to = '/';
        if (!*to || *to == ';')
            abort();
    }
    *to = '\0';
}

static void expect_below(const char *path)
{
    if (!ak_has_prefix(path, "/a/") || !path[3])
        abort();
    for (const char *at = path; at; at = strchr(at + 1, '/')) {
        size_t len = strcspn(at + 1, "/");

        if ((!len && at[1]) || (len == 1 && at[1] == '.') ||
            (len == 2 && at[1] == '.' && at[2] == '.'))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *paths[] = {"/a/*"};
    struct ak_tool_request_rule rule = {.paths = {paths, 1}};
    struct ak_tool_permissions permissions = {.requests = {&rule, 1}};
    const struct ak_tool_spec spec = {.type = AK_TOOL_TYPE_HTTP, .permissions = &permissions};
    AK_AUTO_TEXT char *path = ak_strndup((const char *)data, size);
    size_t index = 0;

    (void)ak_classify_http(AK_TOOL_TYPE_ELASTICSEARCH, "POST", path);
    (void)ak_classify_http(AK_TOOL_TYPE_KUBERNETES, "GET", path);
    if (!ak_http_rule_allows(&spec, "GET", path, &index)) {
        if (index != SIZE_MAX)
            abort();
        return 0;
    }
    if (index != 0 || !ak_http_path_is_plain(path))
        abort();
    decode(path);
    expect_below(path);
    decode(path);
    expect_below(path);
    return 0;
}
