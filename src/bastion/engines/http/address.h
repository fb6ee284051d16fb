/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a Tool's system is as an HTTP server, and how its certificate is checked.
 *
 * The scheme: that of config.url; else http with TLS mode `disable`, and where no mode asks for TLS on a port that is
 * not usually TLS's (never for snowflake and bigquery, whose usual port is 443); else https. The modes over https:
 * verify-full, and nothing said, check chain and name; verify-ca the chain; require, prefer and allow the chain if
 * there is a CA, else nothing, as for a database.
 */
#ifndef AK_BASTION_HTTP_ADDRESS_H
#define AK_BASTION_HTTP_ADDRESS_H

#include "bastion/engine.h"
#include "bastion/engines/http/kubeconfig.h"
#include <ak/net/http_client.h>

#define AK_HTTP_ADDRESS_MAX 2304 /* bytes of a base URL */

/* Base URL of the system, without a trailing slash. Not for kubernetes. AK_E_INVALID: the spec does not say where. */
AK_MUST_USE int ak_http_address_url(const struct ak_tool_spec *spec,
                                    const struct ak_engine_info *info,
                                    char ret[static AK_HTTP_ADDRESS_MAX], struct ak_error **reterr);
/* A client for the system; kubeconfig as in credential.h. */
AK_MUST_USE int ak_http_address_client(const struct ak_target *target,
                                       const struct ak_kubeconfig *kubeconfig,
                                       struct ak_http_client **ret, struct ak_error **reterr);
/* A client for another server of the same system: the origin of `url`, checked in the same way. */
AK_MUST_USE int ak_http_address_client_of(const struct ak_target *target, const char *url,
                                          struct ak_http_client **ret, struct ak_error **reterr);

#endif
