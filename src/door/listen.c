/* SPDX-License-Identifier: Apache-2.0 */
#include "door/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include <ak/base/text.h>

static bool is_address(const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];

    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

int ak_listen_parse(const char *text, struct ak_listen *ret)
{
    const char *colon = strrchr(text, ':');
    const char *host = text;
    size_t len = colon ? (size_t)(colon - text) : 0;

    if (!colon || ak_parse_u16(colon + 1, &ret->port) < 0)
        return -EINVAL;
    if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
        host++;
        len -= 2;
    }
    if (len >= sizeof(ret->host))
        return -EINVAL;
    memcpy(ret->host, host, len);
    ret->host[len] = '\0';
    return len == 0 || is_address(ret->host) ? 0 : -EINVAL;
}
