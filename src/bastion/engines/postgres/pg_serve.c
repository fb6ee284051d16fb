/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of a session: it is greeted as a server would greet it, without being asked for a password; then it
 * talks to the real server through a connection that we have logged in.
 */
#include "bastion/engines/postgres/pg_engine.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "bastion/engines/postgres/pg_live.h"
#include "bastion/engines/postgres/pg_relay.h"
#include "bastion/engines/postgres/pg_serve.h"
#include "bastion/session.h"
#include "bastion/wire_relay.h"

#define GREETING_PATIENCE AK_SECONDS(30) /* until the client has said who it is */
#define LOGIN_PATIENCE AK_SECONDS(20)
#define BOUNDARY_PATIENCE                                                                          \
    AK_SECONDS(1)       /* until the message under way has ended, when the session does */
#define MAX_PREAMBLES 4 /* SSLRequest, GSSENCRequest */

struct client {
    struct ak_session *session;
    struct ak_wire *wire;
    struct ak_buf startup; /* body of its startup message */
    uint32_t protocol;
};

static void client_done(struct client *self)
{
    ak_wire_free(self->wire);
    ak_buf_done(&self->startup);
}
AK_DEFINE_AUTO(client, client_done)

static void tell(struct client *self, const char *severity, const char *sqlstate, const char *text)
{
    AK_AUTO(ak_buf) out = AK_BUF_INIT(8192);

    if (ak_pg_put_error(&out, severity, sqlstate, text, NULL) < 0)
        return;
    ak_wire_set_deadline(self->wire, ak_now() + AK_SECONDS(1));
    for (size_t sent = 0; sent < out.len;) {
        struct ak_wire_wait item = {.wire = self->wire, .want = AK_WIRE_WRITE};
        ssize_t n = ak_wire_try_write(self->wire, out.data + sent, out.len - sent, NULL);

        if (n > 0)
            sent += (size_t)n;
        else if (n != -EAGAIN || ak_wire_wait(&item, 1, NULL, ak_now() + AK_SECONDS(1), NULL) < 0)
            return;
    }
}

static void tell_end(struct client *self)
{
    char text[512];
    const char *reason = ak_session_end_reason(self->session);

    (void)snprintf(text, sizeof(text), "terminating connection: %s",
                   reason ? reason : "the session has ended");
    tell(self, "FATAL", "57P01", text);
}

/* --- the greeting --- */

/* Which database: the Tool's, unless it names none. Clients that name none ask for the one called like their user. */
static const char *choose_database(const struct ak_target *target, const struct ak_pg_wishes *w,
                                   const char **ret_refused)
{
    const char *own = ak_pg_database(target);
    const char *asked = w->database && *w->database ? w->database : NULL;

    *ret_refused = NULL;
    if (asked && w->user && strcmp(asked, w->user) == 0)
        asked = NULL;
    if (own && asked && strcmp(asked, own) != 0)
        *ret_refused = own;
    return own ? own : asked;
}

static int negotiate(struct client *self, const struct ak_pg_wishes *w, struct ak_buf *out)
{
    size_t mark;
    int r;

    if (self->protocol == AK_PG_PROTOCOL_3 && w->n_unknown == 0)
        return 0;
    r = ak_pg_begin(out, 'v', &mark);
    if (r >= 0)
        r = ak_pg_put32(out, AK_PG_PROTOCOL_3 & 0xffff);
    if (r >= 0)
        r = ak_pg_put32(out, (uint32_t)w->n_unknown);
    for (size_t i = 0; r >= 0 && i < w->n_unknown; i++)
        r = ak_pg_puts(out, w->unknown[i]);
    if (r >= 0)
        ak_pg_end(out, mark);
    return r;
}

/* AuthenticationOk, what the server reported, its key, and that it is ready. */
static int greet(struct client *self, const struct ak_pg *pg, const struct ak_pg_wishes *w,
                 struct ak_error **reterr)
{
    static const uint8_t auth_ok[4] = {0};
    AK_AUTO(ak_buf) out = AK_BUF_INIT(65536);
    struct ak_pg_reader reader = ak_pg_reader(pg->parameters.data, pg->parameters.len);
    size_t mark;
    int r = negotiate(self, w, &out);

    if (r >= 0)
        r = ak_pg_put_message(&out, 'R', auth_ok, sizeof(auth_ok));
    while (r >= 0 && reader.at < reader.end) {
        r = ak_pg_begin(&out, 'S', &mark);
        for (int i = 0; r >= 0 && i < 2; i++)
            r = ak_pg_puts(&out, ak_pg_gets(&reader));
        if (r >= 0)
            ak_pg_end(&out, mark);
    }
    if (r >= 0 && pg->has_key) {
        r = ak_pg_begin(&out, 'K', &mark);
        if (r >= 0)
            r = ak_pg_put32(&out, pg->pid);
        if (r >= 0)
            r = ak_pg_put32(&out, pg->key);
        if (r >= 0)
            ak_pg_end(&out, mark);
    }
    if (r >= 0)
        r = ak_pg_put_message(&out, 'Z', &pg->state, 1);
    return r < 0 ? ak_error_oom(reterr) : ak_wire_write(self->wire, out.data, out.len, reterr);
}

static int log_in(struct client *self, const struct ak_target *target, struct ak_pg_wishes *w,
                  struct ak_pg **ret, struct ak_error **reterr)
{
    const bool read_only = ak_session_read_only(self->session);
    AK_AUTO(ak_login) login = {0};
    struct ak_pg_server_error refused = {.sqlstate = ""};
    const char *own = NULL;
    struct ak_pg_options options = {.cancel = ak_session_cancel(self->session),
                                    .deadline = ak_now() + LOGIN_PATIENCE,
                                    .database = choose_database(target, w, &own),
                                    .read_only = read_only,
                                    .settings = w->settings,
                                    .n_settings = w->n};
    int r;

    if (own)
        return ak_error_set(reterr, AK_E_FORBIDDEN, "database \"%s\": the Tool is for \"%s\"",
                            w->database, own);
    r = ak_login_read(target, read_only, &login, reterr);
    if (r >= 0)
        r = ak_pg_connect(target, &login, &options, ret, &refused, reterr);
    if (r < 0)
        return r;
    ak_wire_set_deadline((*ret)->wire, AK_MSEC_NEVER);
    return 0;
}

/* --- the relay --- */

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

static void on_end(void *user, void *statement, int64_t rows, uint64_t bytes, int code,
                   const char *sqlstate)
{
    (void)user;
    ak_statement_end(statement, rows, bytes, code, sqlstate);
}

static void on_busy(void *user, bool busy)
{
    struct client *self = user;

    ak_session_busy(self->session, busy);
}

static const struct ak_pg_hooks hooks = {.begin = on_begin, .end = on_end, .busy = on_busy};

static void on_moved(void *user, uint64_t from_client, uint64_t from_server)
{
    const struct ak_pg_relay *relay = user;
    struct client *self = relay->user;

    ak_session_moved(self->session, from_client, from_server);
}

static const struct ak_relay_protocol protocol = {
    .from_client = ak_pg_relay_from_client,
    .from_server = ak_pg_relay_from_server,
    .is_client_paused = ak_pg_relay_is_paused,
    .moved = on_moved,
};

/* What the server has begun to say is said to its end, so that our last words are not taken for a part of it. */
static bool reach_boundary(struct client *self, struct ak_pg *pg, struct ak_pg_relay *relay)
{
    AK_AUTO(ak_buf) to_server = AK_BUF_INIT(AK_RELAY_MAX), to_client = AK_BUF_INIT(AK_RELAY_MAX);
    const ak_msec deadline = ak_now() + BOUNDARY_PATIENCE;
    uint8_t data[8192];

    while (!ak_pg_relay_is_between(relay) && ak_now() < deadline) {
        struct ak_wire_wait in = {.wire = pg->wire, .want = AK_WIRE_READ};
        const size_t want = AK_MIN(sizeof(data), AK_MAX((size_t)relay->server.left, 1));
        ssize_t n;

        if (ak_wire_wait(&in, 1, NULL, deadline, NULL) < 0)
            return false;
        n = ak_wire_try_read(pg->wire, data, want, NULL);
        if (n < 0 && n != -EAGAIN)
            return false;
        if (n > 0 &&
            ak_pg_relay_from_server(relay, data, (size_t)n, &to_server, &to_client, NULL) < 0)
            return false;
        for (size_t sent = 0; sent < to_client.len;) {
            struct ak_wire_wait out = {.wire = self->wire, .want = AK_WIRE_WRITE};
            ssize_t m;

            if (ak_wire_wait(&out, 1, NULL, deadline, NULL) < 0)
                return false;
            m = ak_wire_try_write(self->wire, to_client.data + sent, to_client.len - sent, NULL);
            if (m < 0 && m != -EAGAIN)
                return false;
            sent += m > 0 ? (size_t)m : 0;
        }
        ak_buf_clear(&to_client);
    }
    return ak_pg_relay_is_between(relay);
}

static int relay(struct client *self, const struct ak_target *target, struct ak_pg *pg,
                 struct ak_error **reterr)
{
    AK_AUTO(ak_pg_relay) state = {0};
    struct ak_wire_options upstream;
    struct ak__pg_live live = {.pid = pg->pid, .key = pg->key, .upstream = &upstream};
    int r;

    if (ak_pg_relay_init(&state, target->spec->type, ak_session_read_only(self->session), &hooks,
                         self) < 0)
        return ak_error_oom(reterr);
    ak_wire_options_of(pg->wire, &upstream);
    if (pg->has_key)
        ak__pg_live_add(&live);
    r = ak_wire_relay(self->wire, pg->wire, &protocol, &state, ak_session_cancel(self->session),
                      reterr);
    /* Who is gone does not want the answer any more; and what runs on would hold its locks. */
    if (state.n_units && r != AK_RELAY_SERVER_ENDED)
        ak_pg_cancel(pg);
    if (r == AK_E_CANCELLED && reach_boundary(self, pg, &state))
        tell_end(self);
    if (pg->has_key)
        ak__pg_live_remove(&live);
    pg->is_broken = pg->is_broken || r < 0 || r == AK_RELAY_SERVER_ENDED;
    return r < 0 && r != AK_E_CANCELLED ? r : 0;
}

static const char *sqlstate_of(int code)
{
    switch (code) {
    case AK_E_UNAUTHORIZED:
        return "28000";
    case AK_E_FORBIDDEN:
        return "42501";
    case AK_E_INVALID:
        return "08004";
    default:
        return "08001";
    }
}

int ak__pg_serve(const struct ak_target *target, struct ak_session *session, int fd,
                 struct ak_error **reterr)
{
    AK_AUTO(client) self = {.session = session, .startup = AK_BUF_INIT(AK_PG_MAX_STARTUP)};
    AK_AUTO_PTR(ak_pg) pg = NULL;
    AK_AUTO_PTR(ak_error) why = NULL;
    struct ak_pg_wishes wishes = {.n = 0};
    int r = ak_wire_from_fd(fd, ak_session_cancel(session), &self.wire, reterr);

    if (r < 0)
        return r;
    ak_wire_set_deadline(self.wire, ak_now() + GREETING_PATIENCE);
    r = ak__pg_read_startup(self.wire, &self.startup, &self.protocol, reterr);
    if (r == AK_E_CANCELLED)
        tell_end(&self);
    else if (r == -EPROTONOSUPPORT)
        tell(&self, "FATAL", "0A000", "unsupported frontend protocol; 3.0 is spoken here");
    if (r <= 0)
        return r;
    r = ak__pg_read_wishes(&self.startup, &wishes, &why);
    if (r >= 0)
        r = log_in(&self, target, &wishes, &pg, &why);
    if (r >= 0)
        r = greet(&self, pg, &wishes, &why);
    if (r == AK_E_CANCELLED)
        tell_end(&self);
    else if (r < 0)
        tell(&self, "FATAL", sqlstate_of(r), ak_error_message(why));
    if (r < 0)
        return ak_error_set(reterr, r, "%s", ak_error_message(why));
    return relay(&self, target, pg, reterr);
}
