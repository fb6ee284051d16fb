/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to the manager's invocation API, through the apiserver's service proxy: nothing but the
 * kubeconfig is needed. The proxy strips Authorization, so who we are goes into a header of its own: the
 * kubeconfig's token, or, where there is none (client certificates), one that the apiserver makes for the
 * ServiceAccount agentkube-cli and that is good for ten minutes.
 */
#ifndef AK_EXO_PROXY_H
#define AK_EXO_PROXY_H

#include <ak/net/loop.h>

#include "exo/exo.h"

#define AK_PROXY_MAX_PATH 4096
#define AK_PROXY_TOKEN_SECONDS 600 /* asked for again when half of it is over */

struct ak_proxy_call {
    const char *method;
    const char *path;       /* behind /api/v1, escaped, query included: "/namespaces/x/runs" */
    const json_t *body;     /* or NULL */
    const char *accept;     /* NULL: application/json */
    const char *key;        /* Idempotency-Key, or NULL */
    const char *last_event; /* Last-Event-ID, or NULL */
    ak_msec timeout;        /* 0: 30 s; of a stream the silence between two bytes */
    const struct ak_cancel *cancel;
};
/* Errors say which of the links broke: the proxy's right, the Service, the manager, or what the manager
 * said. *ret may be NULL. Blocks. */
AK_MUST_USE int ak_proxy_do(struct ak_exo *self, const struct ak_proxy_call *call, json_t **ret,
                            struct ak_error **reterr);
/* The same for an answer that goes on; on the loop's thread. */
AK_MUST_USE int ak_proxy_stream(struct ak_exo *self, struct ak_loop *loop,
                                const struct ak_proxy_call *call,
                                const struct ak_http_stream_ops *ops, void *user,
                                struct ak_http_stream **ret, struct ak_error **reterr);
/* The same for an answer that is no JSON: its body, as it is. */
AK_MUST_USE int ak_proxy_text(struct ak_exo *self, const struct ak_proxy_call *call,
                              struct ak_buf *out, struct ak_error **reterr);
/* The same for channels as of pods/exec (<ak/kube/exec.h>): sets path and headers of `io`, and blocks until their
 * end. Thread: any, several at a time. */
struct ak_exec_options;
AK_MUST_USE int ak_proxy_channels(struct ak_exo *self, const struct ak_proxy_call *call,
                                  struct ak_exec_options *io, int *ret_exit_code,
                                  struct ak_error **reterr);
/* Is there a manager that knows us? */
AK_MUST_USE int ak_proxy_ready(struct ak_exo *self, struct ak_error **reterr);
/* Drops the token, so that the next request gets a fresh one. */
void ak_proxy_forget(struct ak_exo *self);
/* Says what a failed request means here; `code` and *reterr as ak_proxy_do gives them. Returns the code. */
int ak_proxy_explain(const struct ak_exo *self, int code, struct ak_error **reterr);

/* "/namespaces/NS/agents/AGENT/runs/ID/SUB", each part escaped; id and sub may be NULL, agent NULL gives
 * /namespaces/NS/runs. In the arena; NULL on no memory. */
const char *ak_proxy_runs_path(struct ak_exo *self, const char *agent, const char *id,
                               const char *sub);

#endif
