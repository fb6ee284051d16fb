/* SPDX-License-Identifier: Apache-2.0 */
/* Where a server of a pod listens, as its environment says it. */
#ifndef AK_DOOR_LISTEN_H
#define AK_DOOR_LISTEN_H

#include <ak/base/compiler.h>
#include <stdbool.h>
#include <stdint.h>

#define AK_LISTEN_HOST 64

struct ak_listen {
    char host[AK_LISTEN_HOST]; /* "": all addresses */
    uint16_t port;             /* 0: any free one */
};
/* "127.0.0.1:8085", "[::1]:8085", or ":8084" for all addresses. -EINVAL: something else. */
AK_MUST_USE int ak_listen_parse(const char *text, struct ak_listen *ret);

#endif
