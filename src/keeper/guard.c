/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/guard.h"

#include <string.h>
#include <strings.h>

#include <ak/base/text.h>

static const char *const local_names[] = {"localhost", "127.0.0.1", "[::1]"};

static bool is_port(const char *text)
{
    size_t len = strspn(text, "0123456789");

    return len > 0 && len <= 5 && !text[len];
}

bool ak_guard_is_local_host(const char *host)
{
    for (size_t i = 0; host && i < AK_ARRAY_LEN(local_names); i++) {
        size_t len = strlen(local_names[i]);

        if (strncasecmp(host, local_names[i], len) == 0)
            return !host[len] || (host[len] == ':' && is_port(host + len + 1));
    }
    return false;
}

static bool is_local_origin(const char *origin)
{
    if (ak_has_prefix(origin, "http://"))
        return ak_guard_is_local_host(origin + 7);
    return ak_has_prefix(origin, "https://") && ak_guard_is_local_host(origin + 8);
}

const char *ak_guard_refusal(const char *host, const char *origin, bool local_pages)
{
    if (!ak_guard_is_local_host(host))
        return "the Host header must be localhost, 127.0.0.1 or [::1]";
    if (origin && !(local_pages && is_local_origin(origin)))
        return "requests of web pages are not taken";
    return NULL;
}
