/* SPDX-License-Identifier: Apache-2.0 */
/* A client of a session: its commands go over a connection that we have logged in. */
#include <stdio.h>
#include <string.h>

#include <ak/base/text.h>

#include "bastion/engines/redis/connection.h"
#include "bastion/engines/redis/redis_engine.h"
#include "bastion/engines/redis/relay.h"
#include "bastion/session.h"
#include "bastion/wire_boundary.h"

#define LOGIN_PATIENCE AK_SECONDS(20)
#define LAST_WORDS_PATIENCE AK_SECONDS(1)

struct client {
    struct ak_session *session;
    struct ak_wire *wire;
};

static void client_done(struct client *self)
{
    ak_wire_free(self->wire);
}
AK_DEFINE_AUTO(client, client_done)

static int on_begin(void *user, enum ak_statement_class class_, const char *text, size_t len,
                    void **ret_statement, struct ak_error **reterr)
{
    struct client *self = user;
    struct ak_statement *statement = NULL;
    int r = ak_statement_begin(self->session, class_, text, len, &statement, reterr);

    if (r >= 0)
        *ret_statement = statement;
    return r;
}

static void on_end(void *user, void *statement, uint64_t bytes, int code, const char *server_code)
{
    (void)user;
    ak_statement_end(statement, -1, bytes, code,
                     server_code && server_code[0] ? server_code : NULL);
}

static void on_busy(void *user, bool busy)
{
    struct client *self = user;

    ak_session_busy(self->session, busy);
}

static const struct ak_redis_hooks hooks = {on_begin, on_end, on_busy};

static void on_moved(void *user, uint64_t from_client, uint64_t from_server)
{
    const struct ak_redis_relay *relay = user;
    struct client *self = relay->user;

    ak_session_moved(self->session, from_client, from_server);
}

static const struct ak_relay_protocol protocol = {
    .from_client = ak_redis_relay_from_client,
    .from_server = ak_redis_relay_from_server,
    .is_client_paused = ak_redis_relay_is_paused,
    .moved = on_moved,
};

static void say_error(struct client *self, const char *text)
{
    char line[640];
    int n = snprintf(line, sizeof(line) - 2, "-ERR agentkube: %.600s", text);

    for (int i = 0; i < n; i++)
        if (line[i] == '\r' || line[i] == '\n')
            line[i] = ' ';
    (void)snprintf(line + n, 3, "\r\n");
    (void)ak_wire_say(self->wire, line, (size_t)n + 2, ak_now() + LAST_WORDS_PATIENCE);
}

static const char *end_reason(const struct client *self)
{
    const char *reason = ak_session_end_reason(self->session);

    return reason ? reason : "the session has ended";
}

static int relay(struct client *self, struct ak_redis *db, bool only_reads,
                 struct ak_error **reterr)
{
    AK_AUTO(ak_redis_relay) state = {0};
    int r = ak_redis_relay_init(&state, only_reads, &hooks, self);

    if (r < 0)
        return ak_error_oom(reterr);
    r = ak_wire_relay(self->wire, ak_redis_wire(db), &protocol, &state,
                      ak_session_cancel(self->session), reterr);
    if (r == AK_E_CANCELLED &&
        ak_wire_reach_boundary(self->wire, ak_redis_wire(db), &protocol, &state,
                               ak_redis_relay_missing, ak_now() + LAST_WORDS_PATIENCE))
        say_error(self, end_reason(self));
    return r < 0 && r != AK_E_CANCELLED ? r : 0;
}

int ak__redis_serve(const struct ak_target *target, struct ak_session *session, int fd,
                    struct ak_error **reterr)
{
    AK_AUTO(client) self = {.session = session};
    AK_AUTO(ak_login) login = {0};
    AK_AUTO_PTR(ak_redis) db = NULL;
    AK_AUTO_PTR(ak_error) why = NULL;
    const bool read_only = ak_session_read_only(session);
    int r = ak_wire_from_fd(fd, ak_session_cancel(session), &self.wire, reterr);

    if (r < 0)
        return r;
    r = ak_login_read(target, read_only, &login, &why);
    if (r >= 0)
        r = ak_redis_open(target, ak_session_cancel(session), ak_now() + LOGIN_PATIENCE, &db, &why);
    if (r >= 0)
        r = ak_redis_login(db, &login, &why);
    if (r >= 0)
        r = ak_redis_select(db, target, &why);
    if (r < 0) {
        say_error(&self, r == AK_E_CANCELLED ? end_reason(&self) : ak_error_message(why));
        if (reterr)
            *reterr = AK_TAKE(why);
        return r;
    }
    ak_redis_set_deadline(db, AK_MSEC_NEVER);
    return relay(&self, db, read_only && !login.is_minted, reterr);
}
