/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AK_KUBE_CLIENT_INTERNAL_H
#define AK_KUBE_CLIENT_INTERNAL_H

#include <ak/kube/client.h>

/* Makes the error of an HTTP answer that is not 2xx: code, reason and message from its Status object, or
 * the beginning of the body when it is something else (a proxy's page). Returns the code. */
int ak__status_error(int status, ak_msec retry_after, const char *body, size_t len,
                     struct ak_error **reterr);

#endif
