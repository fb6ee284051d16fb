/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/engines.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <ak/base/text.h>

#include "bastion/engines/http/proxy.h"
#include "bastion/engines/http/types.h"
#include "bastion/session.h"

static const struct ak_http_type *const types[] = {
    &ak_http_type_http,     &ak_http_type_elasticsearch, &ak_http_type_clickhouse,
    &ak_http_type_rabbitmq, &ak_http_type_kubernetes,    &ak_http_type_snowflake,
    &ak_http_type_bigquery,
};

const struct ak_http_type *ak_http_type_of(enum ak_tool_type type)
{
    for (size_t i = 0; i < AK_ARRAY_LEN(types); i++)
        if (types[i]->type == type)
            return types[i];
    return NULL;
}

static int no_type(const struct ak_target *target, struct ak_error **reterr)
{
    return ak_error_set(reterr, -EINVAL, "type %s is not spoken to over HTTP", target->info->name);
}

/* --- probe --- */

void ak_http_probe_message(struct ak_probe_result *self, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(self->message, sizeof(self->message), fmt, ap);
    va_end(ap);
}

void ak_http_probe_status(struct ak_probe_result *self, int status, const char *words)
{
    self->reachable = true;
    self->authenticated = status != 401 && status != 407 && status < 500;
    self->authorised = self->authenticated && status != 403;
    self->message[0] = '\0';
    if (status == 401 || status == 403 || status == 407 || status >= 500)
        ak_http_probe_message(self, "HTTP %d: %s", status, words);
}

static int probe(const struct ak_target *target, const struct ak_cancel *cancel, ak_msec deadline,
                 struct ak_probe_result *ret, struct ak_error **reterr)
{
    const struct ak_fetch_limits limits = {.deadline = deadline, .cancel = cancel};
    const struct ak_http_type *type = ak_http_type_of(target->spec->type);
    AK_AUTO_PTR(ak_upstream) upstream = NULL;
    AK_AUTO_PTR(ak_error) err = NULL;
    int r;

    if (!type)
        return no_type(target, reterr);
    r = ak_upstream_new(target, NULL, false, &limits, &upstream, &err);
    if (r >= 0)
        r = type->probe(upstream, ret, &err);
    if (r == -ENOMEM)
        return ak_error_oom(reterr);
    if (r >= 0)
        return 0;
    ret->reachable = r == AK_E_UNAUTHORIZED; /* of who gives the token */
    ret->authenticated = ret->authorised = false;
    ak_http_probe_message(ret, "%s", ak_error_message(err));
    return 0;
}

/* --- one operation --- */

static int call(const struct ak_target *target, struct ak_session *session, struct ak_call *call_,
                struct ak_error **reterr)
{
    const struct ak_fetch_limits limits = {.deadline = call_->deadline,
                                           .cancel = ak_session_cancel(session)};
    const struct ak_http_type *type = ak_http_type_of(target->spec->type);
    const struct ak_http_operation *op = type ? type->operations : NULL;
    AK_AUTO_PTR(ak_upstream) upstream = NULL;
    int r;

    while (op && op->name && !ak_streq(op->name, call_->operation->name))
        op++;
    if (!op || !op->name)
        return no_type(target, reterr);
    r = ak_upstream_new(target, NULL, call_->read_only, &limits, &upstream, reterr);
    return r < 0 ? r : op->call(upstream, session, call_, reterr);
}

/* --- proxy --- */

static int listen_(const struct ak_target *target, struct ak_session *session, struct ak_loop *loop,
                   const char *unix_path, void **ret, struct ak_error **reterr)
{
    const struct ak_http_type *type = ak_http_type_of(target->spec->type);
    struct ak_http_proxy *proxy = NULL;
    int r;

    if (!type)
        return no_type(target, reterr);
    r = ak_http_proxy_new(target, session, loop, unix_path, type->wants_tcp, &proxy, reterr);
    if (r >= 0)
        *ret = proxy;
    return r;
}

static void unlisten(void *listening)
{
    ak_http_proxy_end(listening);
}

static int client(const struct ak_target *target, struct ak_session *session,
                  const char *socket_path, const char *const *args, bool tty,
                  struct ak_arena *arena, struct ak_client_command *ret, struct ak_error **reterr)
{
    const struct ak_http_type *type = ak_http_type_of(target->spec->type);

    if (!type)
        return no_type(target, reterr);
    return type->client(target, ak_session_listening(session), socket_path, args, tty, arena, ret,
                        reterr);
}

/* --- provision --- */

static int as_admin(const struct ak_target *target, const struct ak_cancel *cancel,
                    ak_msec deadline, bool remove, struct ak_provision_result *ret,
                    struct ak_error **reterr)
{
    const struct ak_fetch_limits limits = {.deadline = deadline, .cancel = cancel};
    const struct ak_http_type *type = ak_http_type_of(target->spec->type);
    AK_AUTO_PTR(ak_upstream) admin = NULL;
    AK_AUTO(ak_login) login = {0};
    int r;

    if (!type)
        return no_type(target, reterr);
    if (!type->provision) {
        ret->done = true;
        return 0;
    }
    r = ak_login_read_admin(target, &login, reterr);
    if (r >= 0)
        r = ak_upstream_new(target, &login, false, &limits, &admin, reterr);
    if (r >= 0)
        r = (remove ? type->deprovision : type->provision)(admin, ret, reterr);
    if (r >= 0)
        ret->done = ret->n_unenforceable == 0;
    return r;
}

static int provision(const struct ak_target *target, const struct ak_cancel *cancel,
                     ak_msec deadline, struct ak_provision_result *ret, struct ak_error **reterr)
{
    return as_admin(target, cancel, deadline, false, ret, reterr);
}

static int deprovision(const struct ak_target *target, const struct ak_cancel *cancel,
                       ak_msec deadline, struct ak_provision_result *ret, struct ak_error **reterr)
{
    return as_admin(target, cancel, deadline, true, ret, reterr);
}

const struct ak_engine ak_engine_http = {
    .family = "http",
    .probe = probe,
    .call = call,
    .listen = listen_,
    .unlisten = unlisten,
    .client = client,
    .provision = provision,
    .deprovision = deprovision,
};
