/* SPDX-License-Identifier: Apache-2.0 */
/* What the types of the HTTP family differ in: a table of functions for each, in the file of its name. */
#ifndef AK_BASTION_HTTP_TYPES_H
#define AK_BASTION_HTTP_TYPES_H

#include "bastion/engine.h"
#include "bastion/engines/http/upstream.h"

struct ak_http_proxy;

struct ak_http_operation {
    const char *name; /* of the type's operations in src/engines; NULL ends a table */
    int (*call)(struct ak_upstream *upstream, struct ak_session *session, struct ak_call *call,
                struct ak_error **reterr);
};

struct ak_http_type {
    enum ak_tool_type type;
    const struct ak_http_operation *operations;
    /* Negative: no answer came; the caller makes a result of it. */
    int (*probe)(struct ak_upstream *upstream, struct ak_probe_result *ret,
                 struct ak_error **reterr);
    /* The program for exec and connect; see struct ak_engine. */
    int (*client)(const struct ak_target *target, const struct ak_http_proxy *proxy,
                  const char *socket_path, const char *const *args, bool tty,
                  struct ak_arena *arena, struct ak_client_command *ret, struct ak_error **reterr);
    /* Its program speaks TCP only: the proxy also listens on 127.0.0.1, for who knows the session's token. */
    bool wants_tcp;
    /*
     * A request of a client, before it goes on: changes path and query (a copy that it may replace), or refuses with
     * AK_E_FORBIDDEN. NULL: nothing beyond rules and methods. Pure.
     */
    int (*admit)(const struct ak_target *target, bool read_only, const char *method,
                 struct ak_buf *path, struct ak_error **reterr);
    /* As the administrator; NULL: not provisioned here. */
    int (*provision)(struct ak_upstream *admin, struct ak_provision_result *ret,
                     struct ak_error **reterr);
    int (*deprovision)(struct ak_upstream *admin, struct ak_provision_result *ret,
                       struct ak_error **reterr);
};

extern const struct ak_http_type ak_http_type_http, ak_http_type_elasticsearch,
    ak_http_type_clickhouse, ak_http_type_rabbitmq, ak_http_type_kubernetes, ak_http_type_snowflake,
    ak_http_type_bigquery;
/* NULL: not of this family. */
const struct ak_http_type *ak_http_type_of(enum ak_tool_type type);

/* What an HTTP status says about a probe: 401 not authenticated, 403 not authorised, 5xx neither said. */
void ak_http_probe_status(struct ak_probe_result *self, int status, const char *words);
void ak_http_probe_message(struct ak_probe_result *self, const char *fmt, ...) AK_PRINTF(2, 3);

/* curl against the session's proxy; what http, elasticsearch, clickhouse, snowflake and bigquery have. */
AK_MUST_USE int ak_http_curl_client(const struct ak_target *target,
                                    const struct ak_http_proxy *proxy, const char *socket_path,
                                    const char *const *args, bool tty, struct ak_arena *arena,
                                    struct ak_client_command *ret, struct ak_error **reterr);

#endif
