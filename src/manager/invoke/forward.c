/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that only the leader does, passed on to it as they came. It asks again who the caller is, so nothing
 * hangs on this header: it only says that the request must not be passed on once more. On the loop's thread. */
#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <stdio.h>

#include "manager/invoke/call.h"

#define FORWARDED "X-Agentkube-Forwarded: 1"
#define HEAD_TIMEOUT AK_SECONDS(60) /* beside what the request itself waits for a pod */
#define MAX_REPLY_SILENCE AK_SECONDS(60)

struct ak_invoke_link {
    int refs;
    char address[AK_LEADER_ADDRESS_SIZE];
    struct ak_http_client *client;
};

struct ak_invoke_link *ak_invoke_link_unref(struct ak_invoke_link *self)
{
    if (self && --self->refs == 0) {
        (void)ak_http_client_free(self->client);
        ak_free(self);
    }
    return NULL;
}

struct ak_http_client *ak_invoke_link_client(struct ak_invoke_link *self)
{
    return self->client;
}

static int new_link(const char *address, struct ak_invoke_link **ret, struct ak_error **reterr)
{
    char url[AK_LEADER_ADDRESS_SIZE + 16];
    const struct ak_http_target target = {.base_url = url,
                                          .user_agent = "agentkube-manager/" AK_VERSION,
                                          .connect_timeout = AK_SECONDS(3)};
    struct ak_invoke_link *self = ak_new0(struct ak_invoke_link);

    if (!self)
        return ak_error_oom(reterr);
    self->refs = 1;
    (void)snprintf(self->address, sizeof(self->address), "%s", address);
    (void)snprintf(url, sizeof(url), "http://%s", address);
    int r = ak_http_client_new(&target, &self->client, reterr);
    if (r < 0) {
        (void)ak_invoke_link_unref(self);
        return r;
    }
    *ret = self;
    return 0;
}

/* The link to whoever leads now. Connections to an earlier leader end with the calls that use them. */
int ak_invoke_find_link(struct ak_invoke_call *call)
{
    struct ak_invoke *self = call->invoke;
    const struct ak_invoke_options *o = &self->options;
    char address[AK_LEADER_ADDRESS_SIZE];

    if (!o->find_leader || !o->find_leader(address, o->user))
        return ak_invoke_error_later(
            &call->err, 503, AK_SECONDS(2),
            "no replica leads at the moment, or the leader serves no calls");
    if (self->link && !ak_streq(self->link->address, address))
        self->link = ak_invoke_link_unref(self->link);
    if (!self->link) {
        int r = new_link(address, &self->link, &call->err);
        if (r < 0)
            return r;
    }
    self->link->refs++;
    call->link = self->link;
    return 0;
}

static void on_failed(struct ak_http_exchange *ex, int code, const struct ak_error *err, void *user)
{
    struct ak_invoke_call *call = user;

    call->result =
        ak_invoke_error_later(&call->err, 503, AK_SECONDS(2), "the leader does not answer: %s",
                              err ? ak_error_message(err) : ak_code_text(code));
    call->status = ak_invoke_status_body(call, &call->body);
    ak_http_reply_text(ex, call->status, "application/json", ak_buf_text(&call->body),
                       call->body.len, ak_invoke_headers(call, call->status));
}

static void on_end(int status, uint64_t bytes, int code, void *user)
{
    struct ak_invoke_call *call = user;

    (void)code;
    call->relay = NULL;
    call->bytes = bytes;
    ak_invoke_end(call, status ? status : call->status);
}

void ak_invoke_forward(struct ak_invoke_call *call)
{
    const char *came = call->forwarded_for;

    if (call->request.route->upgrades) { /* a connection of its own, which a thread opens */
        call->result = ak_invoke_find_link(call);
        if (call->result < 0)
            ak_invoke_reply(call);
        else
            ak_invoke_put(call, AK_LANE_TOOLS, ak_invoke_open_to_leader);
        return;
    }
    const char *add[] = {
        FORWARDED,
        ak_arena_printf(&call->arena, "X-Forwarded-For: %s%s%s", came ? came : "", came ? ", " : "",
                        call->peer ? call->peer : "unknown"),
        NULL,
    };
    const struct ak_http_relay_options options = {
        .add = add,
        .head_timeout = HEAD_TIMEOUT + AK_SECONDS(call->request.hold),
        .idle_timeout = MAX_REPLY_SILENCE,
        .failed = on_failed,
        .end = on_end,
    };

    call->result = ak_invoke_find_link(call);
    if (call->result >= 0)
        call->result = ak_http_relay_start(call->ex, call->link->client, call->invoke->options.loop,
                                           &options, call, &call->relay, &call->err);
    if (call->result < 0)
        ak_invoke_reply(call);
    else
        call->ex = NULL; /* the relay's */
}
