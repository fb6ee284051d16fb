/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The door for the manager: TLS 1.3 with a client certificate that the manager's authority signed (the
 * server's context sees to that), and behind it the agentlet on its Unix socket. GET /v1/identity is
 * ours: it says which pod this is by the pod's own token, and by which key the pod is known from then
 * on. Everything else under /v1/ is the agentlet's. Thread: loop.
 */
#ifndef AK_KEEPER_LINK_H
#define AK_KEEPER_LINK_H

#include <ak/net/http_server.h>
#include <ak/net/loop.h>

#include "keeper/counters.h"
#include "keeper/settings.h"

struct ak_link;
struct ak_link *ak_link_free(struct ak_link *self); /* after the server whose exchanges it has */
AK_MUST_USE int ak_link_new(const struct ak_keeper_settings *settings, struct ak_loop *loop,
                            struct ak_keeper_counters *counters, struct ak_link **ret,
                            struct ak_error **reterr);
AK_DEFINE_AUTO_PTR(ak_link, ak_link_free)
/* "sha256//BASE64" of the key of our certificate. Copied. */
AK_MUST_USE int ak_link_set_pin(struct ak_link *self, const char *pin);
/* Both take the exchange over. */
void ak_link_identity(struct ak_link *self, struct ak_http_exchange *ex);
void ak_link_relay(struct ak_link *self, struct ak_http_exchange *ex);
/* Does somebody listen on the agentlet's socket? Does not block. */
bool ak_link_is_up(const struct ak_link *self);

#endif
