/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AK_KUBE_CLIENT_INTERNAL_H
#define AK_KUBE_CLIENT_INTERNAL_H

#include <ak/kube/client.h>
#include <ak/net/http_tunnel.h>

/* Makes the error of an HTTP answer that is not 2xx: code, reason and message from its Status object, or
 * the beginning of the body when it is something else (a proxy's page). Returns the code. */
int ak__status_error(int status, ak_msec retry_after, const char *body, size_t len,
                     struct ak_error **reterr);

/* Sends a call that asks for an upgrade (its headers say to what) and lets fn work with the connection, which is gone
 * when fn has returned; what fn returned is returned. Errors as ak_client_call(). Thread: any (blocking). */
AK_MUST_USE int ak__client_upgrade(struct ak_client *self, const struct ak_call *call,
                                   int (*fn)(struct ak_http_tunnel *tunnel, void *user,
                                             struct ak_error **reterr),
                                   void *user, struct ak_error **reterr);

#endif
