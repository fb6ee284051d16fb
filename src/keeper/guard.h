/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may use the loopback endpoints, as far as a request shows it. Everybody in the pod may; a web
 * page that a browser in the pod has open may not. Such a page reaches 127.0.0.1 under a name of its
 * own (DNS rebinding), which is then in Host, or from an origin of its own, which is then in Origin.
 */
#ifndef AK_KEEPER_GUARD_H
#define AK_KEEPER_GUARD_H

#include <ak/base/compiler.h>
#include <stdbool.h>

/* "localhost", "127.0.0.1" or "[::1]", with any port or none. NULL is not. */
bool ak_guard_is_local_host(const char *host);
/* What is wrong with these two headers (either may be NULL: not sent), as a text for people; NULL: nothing.
 * MCP wants pages of this machine to be let in; the model is not for pages at all. */
const char *ak_guard_refusal(const char *host, const char *origin, bool local_pages);

#endif
