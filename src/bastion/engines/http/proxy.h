/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP proxy of one session: a client says plain requests to a Unix socket (or, where its program speaks TCP only,
 * to 127.0.0.1 below a path that only it was told), and they go to the system with the credential, after the Tool's
 * rules. Answers stream; a request is held whole (AK_PROXY_MAX_BODY). Each request is a statement in the audit,
 * without the values of its query. Upgrades are refused; so are headers that would make the credential act for others.
 *
 * Thread: loop, all of it. A credential that a server gives (bigquery) or that ends is made on a thread of its own.
 */
#ifndef AK_BASTION_HTTP_PROXY_H
#define AK_BASTION_HTTP_PROXY_H

#include "bastion/engine.h"
#include "bastion/session.h"

#define AK_PROXY_MAX_BODY (64u << 20)
#define AK_PROXY_MAX_CONNECTIONS 128
#define AK_PROXY_TOKEN 33 /* bytes of the path's secret part, its NUL included */

struct ak_http_proxy;
/* Cuts what is still open. The session is not used any more when it returns. */
struct ak_http_proxy *ak_http_proxy_free(struct ak_http_proxy *self);
AK_DEFINE_AUTO_PTR(ak_http_proxy, ak_http_proxy_free)
/* unix_path NULL: none; wants_tcp: 127.0.0.1 too. */
AK_MUST_USE int ak_http_proxy_new(const struct ak_target *target, struct ak_session *session,
                                  struct ak_loop *loop, const char *unix_path, bool wants_tcp,
                                  struct ak_http_proxy **ret, struct ak_error **reterr);
/* Tells every client why (503 where there was no answer yet), and frees itself when that was sent, within
 * AK_ENGINE_LAST_WORDS. The session is not used any more when it returns. */
void ak_http_proxy_end(struct ak_http_proxy *self);

uint16_t ak_http_proxy_port(const struct ak_http_proxy *self); /* of 127.0.0.1; 0: none */
const char *ak_http_proxy_token(
    const struct ak_http_proxy *self); /* first part of every path there */

/* "GET /path?a=...&b=..." into buf: what is kept of a request; the values of the query are left out. */
void ak_http_proxy_text(const char *method, const char *path, const char *query, char *buf,
                        size_t size);

#endif
