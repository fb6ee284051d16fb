/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of a session: it is greeted as the real server would greet it and logged in without a password; then it
 * talks to the server through a connection that we have logged in, with what both sides can do in common.
 */
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "bastion/engines/mysql/auth.h"
#include "bastion/engines/mysql/mysql_engine.h"
#include "bastion/engines/mysql/query.h"
#include "bastion/engines/mysql/relay.h"
#include "bastion/session.h"
#include "bastion/wire_boundary.h"

#define GREETING_PATIENCE AK_SECONDS(30) /* until the client has said who it is */
#define LOGIN_PATIENCE AK_SECONDS(20)
#define LAST_WORDS_PATIENCE AK_SECONDS(1)
#define HELLO_MAX (64u << 10)
#define MAX_CONNECTIONS 256 /* of one session */

/* What a client is offered, as far as the server has it. Not here: several statements in a text, files of the client,
 * compression, and what changes how answers end. */
#define OFFERED                                                                                    \
    (AK_MYSQL_LONG_PASSWORD | AK_MYSQL_FOUND_ROWS | AK_MYSQL_LONG_FLAG | AK_MYSQL_WITH_DATABASE |  \
     AK_MYSQL_NO_SCHEMA | AK_MYSQL_ODBC | AK_MYSQL_IGNORE_SPACE | AK_MYSQL_PROTOCOL_41 |           \
     AK_MYSQL_INTERACTIVE | AK_MYSQL_TRANSACTIONS | AK_MYSQL_SECURE_CONNECTION |                   \
     AK_MYSQL_MULTI_RESULTS | AK_MYSQL_PS_MULTI_RESULTS | AK_MYSQL_PLUGIN_AUTH |                   \
     AK_MYSQL_SESSION_TRACK)
/* ... and of those, what is asked of the server because the client asked for it. */
#define PASSED_ON                                                                                  \
    (AK_MYSQL_FOUND_ROWS | AK_MYSQL_NO_SCHEMA | AK_MYSQL_ODBC | AK_MYSQL_IGNORE_SPACE |            \
     AK_MYSQL_INTERACTIVE | AK_MYSQL_SESSION_TRACK)

/* Connections of a session to the server, by the server's numbers. */
struct live {
    struct ak_mutex lock; /* guards the rest */
    uint32_t ids[MAX_CONNECTIONS];
    size_t n;
};

struct client {
    const struct ak_target *target;
    struct ak_session *session;
    struct ak_wire *wire;
    struct ak_mysql *db;
    struct ak_login login;
    struct live *live;
    struct ak_mysql_hello hello;
    struct ak_buf message;
    uint8_t sequence; /* of the next packet, during the login */
    uint8_t scramble[AK_MYSQL_SCRAMBLE];
};

static void client_done(struct client *self)
{
    ak_mysql_free(self->db);
    ak_wire_free(self->wire);
    ak_login_done(&self->login);
    ak_buf_done(&self->message);
}
AK_DEFINE_AUTO(client, client_done)

/* ---- connections of a session ---- */

static void *make_live(void *user)
{
    struct live *live = ak_new0(struct live);

    (void)user;
    if (live)
        ak_mutex_init(&live->lock);
    return live;
}

static void free_live(void *data)
{
    struct live *live = data;

    if (!live)
        return;
    ak_mutex_done(&live->lock);
    ak_free(live);
}

static bool live_has(struct live *live, uint32_t id)
{
    bool has = false;

    ak_mutex_lock(&live->lock);
    for (size_t i = 0; i < live->n; i++)
        has = has || live->ids[i] == id;
    ak_mutex_unlock(&live->lock);
    return has;
}

static int live_add(struct live *live, uint32_t id)
{
    int r = -ENOBUFS;

    ak_mutex_lock(&live->lock);
    if (live->n < MAX_CONNECTIONS) {
        live->ids[live->n++] = id;
        r = 0;
    }
    ak_mutex_unlock(&live->lock);
    return r;
}

static void live_remove(struct live *live, uint32_t id)
{
    ak_mutex_lock(&live->lock);
    for (size_t i = 0; i < live->n; i++)
        if (live->ids[i] == id) {
            live->ids[i] = live->ids[--live->n];
            break;
        }
    ak_mutex_unlock(&live->lock);
}

/* ---- the client's login ---- */

static int send_message(struct client *self, const struct ak_buf *payload, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) out = AK_BUF_INIT(HELLO_MAX + AK_MYSQL_HEADER);

    if (ak_mysql_put_packet(&out, self->sequence++, payload->data, payload->len) < 0)
        return ak_error_oom(reterr);
    return ak_wire_write(self->wire, out.data, out.len, reterr);
}

static int receive_message(struct client *self, struct ak_error **reterr)
{
    uint8_t head[AK_MYSQL_HEADER], part[1024];
    size_t left;
    int r = ak_wire_read_exact(self->wire, head, sizeof(head), reterr);

    if (r < 0)
        return r;
    left = (size_t)head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16;
    if (left > HELLO_MAX || head[3] != self->sequence)
        return ak_error_set(reterr, AK_E_PROTOCOL, "the client's login packet cannot be read");
    self->sequence++;
    ak_buf_clear(&self->message);
    for (size_t n; left && r >= 0; left -= n) {
        n = AK_MIN(left, sizeof(part));
        r = ak_wire_read_exact(self->wire, part, n, reterr);
        if (r >= 0 && ak_buf_add(&self->message, part, n) < 0)
            r = ak_error_oom(reterr);
    }
    return r;
}

static int put_greeting(const struct client *self, struct ak_buf *out)
{
    const struct ak_mysql_greeting *g = ak_mysql_greeting(self->db);
    const uint32_t offered = (g->capabilities | AK_MYSQL_LONG_PASSWORD) & OFFERED;
    static const uint8_t zeros[10];
    int r = ak_mysql_put_int(out, 10, 1);

    if (r >= 0)
        r = ak_buf_add(out, g->version, strlen(g->version) + 1);
    if (r >= 0)
        r = ak_mysql_put_int(out, g->thread_id, 4);
    if (r >= 0)
        r = ak_buf_add(out, self->scramble, 8);
    if (r >= 0)
        r = ak_mysql_put_int(out, 0, 1);
    if (r >= 0)
        r = ak_mysql_put_int(out, offered & 0xffff, 2);
    if (r >= 0)
        r = ak_mysql_put_int(out, g->charset, 1);
    if (r >= 0)
        r = ak_mysql_put_int(out, g->status, 2);
    if (r >= 0)
        r = ak_mysql_put_int(out, offered >> 16, 2);
    if (r >= 0)
        r = ak_mysql_put_int(out, AK_MYSQL_SCRAMBLE + 1, 1);
    if (r >= 0)
        r = ak_buf_add(out, zeros, sizeof(zeros));
    if (r >= 0)
        r = ak_buf_add(out, self->scramble + 8, AK_MYSQL_SCRAMBLE - 8);
    if (r >= 0)
        r = ak_mysql_put_int(out, 0, 1);
    return r < 0 ? r : ak_buf_add(out, AK_MYSQL_NATIVE, sizeof(AK_MYSQL_NATIVE));
}

static int greet(struct client *self, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) payload = AK_BUF_INIT(512);

    if (RAND_bytes(self->scramble, sizeof(self->scramble)) != 1)
        return ak_error_set(reterr, -EIO, "no random bytes");
    for (size_t i = 0; i < sizeof(self->scramble); i++)
        self->scramble[i] = (uint8_t)('0' + self->scramble[i] % 64); /* no NUL, it ends there */
    if (put_greeting(self, &payload) < 0)
        return ak_error_oom(reterr);
    return send_message(self, &payload, reterr);
}

/*
 * Whatever a client proves is well: who reached this socket was let in before. But a plugin of its own wants to be
 * asked, and to hear that it was right.
 */
static int satisfy(struct client *self, struct ak_error **reterr)
{
    const char *plugin = ak_streq(self->hello.plugin, AK_MYSQL_CACHING_SHA2) ? AK_MYSQL_CACHING_SHA2
                                                                             : AK_MYSQL_NATIVE;
    AK_AUTO(ak_buf) payload = AK_BUF_INIT(256);
    int r;

    if (!(self->hello.capabilities & AK_MYSQL_PLUGIN_AUTH) || !self->hello.plugin[0] ||
        ak_streq(self->hello.plugin, AK_MYSQL_NATIVE))
        return 0;
    r = ak_mysql_put_int(&payload, 0xfe, 1);
    if (r >= 0)
        r = ak_buf_add(&payload, plugin, strlen(plugin) + 1);
    if (r >= 0)
        r = ak_buf_add(&payload, self->scramble, sizeof(self->scramble));
    if (r >= 0)
        r = ak_mysql_put_int(&payload, 0, 1);
    if (r < 0)
        return ak_error_oom(reterr);
    r = send_message(self, &payload, reterr);
    if (r >= 0)
        r = receive_message(self, reterr);
    /* A whole hash, not the byte that stands for an empty password: it waits for "the server remembers it". */
    if (r < 0 || !ak_streq(plugin, AK_MYSQL_CACHING_SHA2) || self->message.len < 2)
        return r;
    ak_buf_clear(&payload);
    if (ak_buf_add(&payload, "\1\3", 2) < 0)
        return ak_error_oom(reterr);
    return send_message(self, &payload, reterr);
}

static int read_hello(struct client *self, struct ak_error **reterr)
{
    int r = receive_message(self, reterr);

    if (r >= 0)
        r = ak_mysql_parse_hello((const uint8_t *)ak_buf_text(&self->message), self->message.len,
                                 &self->hello, reterr);
    if (r >= 0 && self->hello.wants_tls)
        r = ak_error_set(reterr, AK_E_PROTOCOL,
                         "TLS is not spoken on this side; it is on the way to the server");
    return r < 0 ? r : satisfy(self, reterr);
}

/* The database that the client asks for, else the Tool's. What may be done there is up to the server. */
static int log_in(struct client *self, enum ak_mysql_guard guard, struct ak_error **reterr)
{
    const struct ak_tool_config *config = self->target->spec->config;
    const struct ak_mysql_how how = {
        .capabilities = self->hello.capabilities & PASSED_ON & OFFERED,
        .charset = self->hello.charset,
        .database = self->hello.database[0] ? self->hello.database
                    : config                ? config->database_name
                                            : NULL,
    };
    int r = ak_mysql_login(self->db, &self->login, &how, reterr);

    if (r >= 0 && guard == AK_MYSQL_GUARD_STRICT)
        r = ak_mysql_do(self->db, "SET SESSION TRANSACTION READ ONLY", reterr);
    return r;
}

static void say_err(struct client *self, uint8_t sequence, uint16_t code, const char *state,
                    const char *text)
{
    AK_AUTO(ak_buf) out = AK_BUF_INIT(1024);

    if (ak_mysql_put_err(&out, sequence, code, state, text) >= 0)
        (void)ak_wire_say(self->wire, out.data, out.len, ak_now() + LAST_WORDS_PATIENCE);
}

/* The client could not be connected: why, in the server's own words if there are any. */
static void say_refusal(struct client *self, int code, const struct ak_error *why)
{
    const char *reason = ak_session_end_reason(self->session);
    const struct ak_mysql_err *err = self->db ? ak_mysql_refusal(self->db) : NULL;
    char text[512];

    if (err && err->code) {
        say_err(self, self->sequence, err->code, err->state, err->message);
        return;
    }
    snprintf(text, sizeof(text), "agentkube: %s",
             code == AK_E_CANCELLED && reason ? reason : ak_error_message(why));
    say_err(self, self->sequence, 1105, "HY000", text);
}

/* ---- the relay ---- */

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

static void on_end(void *user, void *statement, int64_t rows, uint64_t bytes, uint16_t code)
{
    char text[8] = "";

    (void)user;
    if (code && code != UINT16_MAX)
        snprintf(text, sizeof(text), "%u", code);
    ak_statement_end(statement, rows, bytes,
                     code == 0            ? 0
                     : code == UINT16_MAX ? AK_E_CANCELLED
                                          : AK_E_INVALID,
                     text[0] ? text : NULL);
}

static void on_busy(void *user, bool busy)
{
    struct client *self = user;

    ak_session_busy(self->session, busy);
}

static bool is_ours(void *user, uint32_t thread_id)
{
    struct client *self = user;

    return live_has(self->live, thread_id);
}

static const struct ak_mysql_hooks hooks = {on_begin, on_end, on_busy, is_ours};

static void on_moved(void *user, uint64_t from_client, uint64_t from_server)
{
    const struct ak_mysql_relay *relay = user;
    struct client *self = relay->user;

    ak_session_moved(self->session, from_client, from_server);
}

static const struct ak_relay_protocol protocol = {
    .from_client = ak_mysql_relay_from_client,
    .from_server = ak_mysql_relay_from_server,
    .is_client_paused = ak_mysql_relay_is_paused,
    .moved = on_moved,
};

static void explain_end(struct client *self, struct ak_mysql_relay *state)
{
    const char *reason = ak_session_end_reason(self->session);
    AK_AUTO(ak_buf) out = AK_BUF_INIT(1024);
    char text[512];

    if (!ak_wire_reach_boundary(self->wire, ak_mysql_wire(self->db), &protocol, state,
                                ak_mysql_relay_missing, ak_now() + LAST_WORDS_PATIENCE))
        return;
    snprintf(text, sizeof(text), "Connection was killed: agentkube: %s",
             reason ? reason : "the session has ended");
    if (ak_mysql_relay_last_words(state, text, &out) >= 0)
        (void)ak_wire_say(self->wire, out.data, out.len, ak_now() + LAST_WORDS_PATIENCE);
}

static int relay(struct client *self, enum ak_mysql_guard guard, struct ak_error **reterr)
{
    AK_AUTO(ak_mysql_relay) state = {0};
    const uint32_t id = ak_mysql_greeting(self->db)->thread_id;
    bool was_running;
    int r;

    if (ak_mysql_relay_init(&state, guard, &hooks, self) < 0)
        return ak_error_oom(reterr);
    r = ak_wire_relay(self->wire, ak_mysql_wire(self->db), &protocol, &state,
                      ak_session_cancel(self->session), reterr);
    was_running = state.is_answering;
    if (r == AK_E_CANCELLED)
        explain_end(self, &state);
    /* Who is gone does not want the answer any more; and what runs on would hold its locks. */
    if (was_running && r != AK_RELAY_SERVER_ENDED)
        ak_mysql_kill_query(self->target, &self->login, id);
    return r < 0 && r != AK_E_CANCELLED ? r : 0;
}

static int connect_client(struct client *self, enum ak_mysql_guard *ret_guard,
                          struct ak_error **reterr)
{
    const bool read_only = ak_session_read_only(self->session);
    AK_AUTO(ak_buf) out = AK_BUF_INIT(64);
    int r = ak_login_read(self->target, read_only, &self->login, reterr);

    *ret_guard = !read_only              ? AK_MYSQL_GUARD_NONE
                 : self->login.is_minted ? AK_MYSQL_GUARD_READER
                                         : AK_MYSQL_GUARD_STRICT;
    if (r >= 0)
        r = ak_mysql_open(self->target, ak_session_cancel(self->session), ak_now() + LOGIN_PATIENCE,
                          &self->db, reterr);
    if (r >= 0)
        r = greet(self, reterr);
    if (r >= 0)
        r = read_hello(self, reterr);
    if (r >= 0) {
        ak_mysql_set_deadline(self->db, ak_now() + LOGIN_PATIENCE);
        r = log_in(self, *ret_guard, reterr);
    }
    if (r < 0)
        return r;
    ak_mysql_set_deadline(self->db, AK_MSEC_NEVER);
    if (ak_mysql_put_ok(&out, self->sequence, ak_mysql_greeting(self->db)->status) < 0)
        return ak_error_oom(reterr);
    return ak_wire_write(self->wire, out.data, out.len, reterr);
}

int ak__mysql_serve(const struct ak_target *target, struct ak_session *session, int fd,
                    struct ak_error **reterr)
{
    AK_AUTO(client)
    self = {.target = target, .session = session, .message = AK_BUF_INIT(HELLO_MAX)};
    AK_AUTO_PTR(ak_error) why = NULL;
    enum ak_mysql_guard guard;
    uint32_t id;
    int r = ak_wire_from_fd(fd, ak_session_cancel(session), &self.wire, reterr);

    if (r < 0)
        return r;
    self.live = ak_session_data(session, make_live, NULL, free_live);
    if (!self.live)
        return ak_error_oom(reterr);
    ak_wire_set_deadline(self.wire, ak_now() + GREETING_PATIENCE);
    r = connect_client(&self, &guard, &why);
    if (r < 0) {
        say_refusal(&self, r, why);
        if (reterr)
            *reterr = AK_TAKE(why);
        return r;
    }
    id = ak_mysql_greeting(self.db)->thread_id;
    if (live_add(self.live, id) < 0) {
        say_err(&self, 0, 1040, "08004", "agentkube: too many connections of one session");
        return ak_error_set(reterr, -ENOBUFS, "too many connections of one session");
    }
    r = relay(&self, guard, reterr);
    live_remove(self.live, id);
    return r;
}
