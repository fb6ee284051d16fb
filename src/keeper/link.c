/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/link.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/base/log.h>
#include <ak/net/http_relay.h>

#include "door/answers.h"
#include "door/credential.h"

#define JSON_TYPE "application/json"
#define HEAD_TIMEOUT AK_SECONDS(30)
/* A run that says nothing for long has a log without bytes. An agentlet that died closes its end of the socket. */
#define IDLE_TIMEOUT AK_HOURS(24)

struct ak_link {
    const struct ak_keeper_settings *settings;
    struct ak_loop *loop;
    struct ak_keeper_counters *counters;
    struct ak_http_client *agentlet;
    struct ak_credential_file token;
    char *pin;
    bool away; /* the agentlet was not there the last time, and it was said */
};

/* --- who we are --- */

void ak_link_identity(struct ak_link *self, struct ak_http_exchange *ex)
{
    static const char *const extra[] = {"Cache-Control: no-store", NULL};
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO(ak_buf) body = {.max = AK_DOOR_IDENTITY_MAX, .wipe = true};
    int r = ak_door_write_identity(&self->token, self->settings->pod_uid, self->pin, &body, &err);

    ak_counters_begin(self->counters, AK_DOOR_RELAY);
    ak_counters_end(self->counters, AK_DOOR_RELAY, r < 0 ? 503 : 200);
    if (r >= 0) {
        ak_http_reply_text(ex, 200, JSON_TYPE, ak_buf_text(&body), body.len, extra);
        return;
    }
    ak_warn("keeper", "the pod's token cannot be read, the manager cannot trust this pod",
            AK_ERR(err));
    ak_door_reply_status(ex, 503, "ServiceUnavailable", ak_error_message(err));
}

/* --- the agentlet --- */

static void on_failed(struct ak_http_exchange *ex, int code, const struct ak_error *err, void *user)
{
    struct ak_link *self = user;

    if (!self->away)
        ak_warn("keeper", "the agentlet does not answer", AK_ERR(err));
    self->away = true;
    if (code == -ETIMEDOUT)
        ak_door_reply_status(ex, 504, "Timeout", "the agentlet is too slow");
    else
        ak_door_reply_status(ex, 503, "ServiceUnavailable",
                             "the agentlet is not there at the moment");
}

static void on_end(int status, uint64_t bytes, int code, void *user)
{
    struct ak_link *self = user;

    (void)bytes;
    if (status && self->away) {
        ak_info("keeper", "the agentlet answers again");
        self->away = false;
    }
    if (!status && code != AK_E_CANCELLED)
        status = code == -ETIMEDOUT ? 504 : 503;
    ak_counters_end(self->counters, AK_DOOR_RELAY, status);
}

void ak_link_relay(struct ak_link *self, struct ak_http_exchange *ex)
{
    const struct ak_http_relay_options options = {.head_timeout = HEAD_TIMEOUT,
                                                  .idle_timeout = IDLE_TIMEOUT,
                                                  .failed = on_failed,
                                                  .end = on_end};
    AK_AUTO_PTR(ak_error) err = NULL;
    int r;

    ak_counters_begin(self->counters, AK_DOOR_RELAY);
    r = ak_http_relay_start(ex, self->agentlet, self->loop, &options, self, NULL, &err);
    if (r >= 0)
        return;
    ak_counters_end(self->counters, AK_DOOR_RELAY, r == -ENOMEM ? 503 : 400);
    if (r == -ENOMEM)
        ak_door_reply_status(ex, 503, "ServiceUnavailable", "out of memory");
    else
        ak_door_reply_status(ex, 400, "BadRequest", ak_error_message(err));
}

bool ak_link_is_up(const struct ak_link *self)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(self->settings->link);
    int fd, r;

    if (len >= sizeof(address.sun_path))
        return false;
    memcpy(address.sun_path, self->settings->link, len + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    r = connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? errno : 0;
    (void)close(fd);
    return r == 0 || r == EAGAIN; /* a full backlog is somebody who listens too */
}

/* --- start and end --- */

int ak_link_set_pin(struct ak_link *self, const char *pin)
{
    char *copy = ak_strdup(pin);

    if (!copy)
        return -ENOMEM;
    ak_free(self->pin);
    self->pin = copy;
    return 0;
}

struct ak_link *ak_link_free(struct ak_link *self)
{
    if (!self)
        return NULL;
    (void)ak_http_client_free(self->agentlet);
    ak_credential_file_done(&self->token);
    ak_free(self->pin);
    ak_free(self);
    return NULL;
}

int ak_link_new(const struct ak_keeper_settings *settings, struct ak_loop *loop,
                struct ak_keeper_counters *counters, struct ak_link **ret, struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_link) self = ak_new0(struct ak_link);
    const struct ak_http_target target = {.base_url = "http://agentlet",
                                          .unix_path = settings->link,
                                          .connect_timeout = AK_SECONDS(5)};
    int r;

    if (!self)
        return ak_error_oom(reterr);
    self->settings = settings;
    self->loop = loop;
    self->counters = counters;
    ak_credential_file_init(&self->token, settings->token_file);
    r = ak_http_client_new(&target, &self->agentlet, reterr);
    if (r < 0)
        return r;
    *ret = AK_TAKE(self);
    return 0;
}
