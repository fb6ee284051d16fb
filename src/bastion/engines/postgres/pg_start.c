/* SPDX-License-Identifier: Apache-2.0 */
/* Beginning a connection: TLS by the mode, the startup message, the server's choice of how to prove the password. */
#include "bastion/engines/postgres/pg_start.h"

#include <stdio.h>
#include <string.h>

#include "bastion/engines/postgres/pg_auth.h"
#include "bastion/wire_target.h"

enum {
    AUTH_OK = 0,
    AUTH_CLEARTEXT = 3,
    AUTH_MD5 = 5,
    AUTH_SASL = 10,
    AUTH_SASL_MORE = 11,
    AUTH_SASL_FINAL = 12
};

int ak__pg_dial(const struct ak_wire_options *options, ak_msec deadline, struct ak_wire **ret,
                struct ak_error **reterr)
{
    static const uint8_t request[8] = {0, 0, 0, 8, 4, 210, 22, 47}; /* SSLRequest, 80877103 */
    AK_AUTO_PTR(ak_wire) wire = NULL;
    char answer = 0;
    int r = ak_wire_connect(options, &wire, reterr);

    if (r < 0)
        return r;
    ak_wire_set_deadline(wire, deadline);
    if (ak_wire_wants_tls(wire) && options->host[0] != '/') {
        r = ak_wire_write(wire, request, sizeof(request), reterr);
        if (r >= 0)
            r = ak_wire_read_exact(wire, &answer, 1, reterr);
        if (r < 0)
            return r;
        if (answer == 'S')
            r = ak_wire_start_tls(wire, reterr);
        else if (answer != 'N')
            r = ak_error_set(reterr, AK_E_PROTOCOL, "%s does not speak PostgreSQL's protocol",
                             ak_wire_peer(wire));
        else if (ak_wire_needs_tls(wire))
            r = ak_error_set(reterr, -EPROTONOSUPPORT,
                             "%s offers no TLS, and the Tool's TLS mode requires it",
                             ak_wire_peer(wire));
        if (r < 0)
            return r;
    }
    *ret = AK_TAKE(wire);
    return 0;
}

static int put_setting(struct ak_buf *out, const char *name, const char *value)
{
    int r = ak_pg_puts(out, name);

    return r < 0 ? r : ak_pg_puts(out, value);
}

/* CockroachDB and Redshift do not take every setting of PostgreSQL in the startup message; there SET does it later. */
static bool takes_settings(const struct ak_target *target)
{
    return target->spec->type == AK_TOOL_TYPE_POSTGRES;
}

static const char *database_of(const struct ak_target *target, const struct ak_login *login,
                               const struct ak_pg_options *o)
{
    if (o->database && o->database[0])
        return o->database;
    return ak_pg_database(target) ? ak_pg_database(target) : login->username;
}

static int put_startup(struct ak_pg *self, const struct ak_target *target,
                       const struct ak_login *login, const struct ak_pg_options *o)
{
    struct ak_buf *out = &self->out;
    char timeout[32];
    size_t mark;
    int r = ak_pg_begin(out, 0, &mark);

    (void)snprintf(timeout, sizeof(timeout), "%lld", (long long)o->statement_timeout);
    if (r >= 0)
        r = ak_pg_put32(out, AK_PG_PROTOCOL_3);
    if (r >= 0)
        r = put_setting(out, "user", login->username);
    if (r >= 0)
        r = put_setting(out, "database", database_of(target, login, o));
    for (size_t i = 0; r >= 0 && i < o->n_settings; i++)
        r = put_setting(out, o->settings[i].name, o->settings[i].value);
    if (r >= 0 && o->read_only && takes_settings(target))
        r = put_setting(out, "default_transaction_read_only", "on");
    if (r >= 0 && o->statement_timeout && takes_settings(target))
        r = put_setting(out, "statement_timeout", timeout);
    if (r >= 0)
        r = ak_pg_put8(out, 0);
    if (r >= 0)
        ak_pg_end(out, mark);
    return r;
}

/* --- authentication --- */

struct login_state {
    struct ak_pg *pg;
    const struct ak_login *login;
    struct ak_pg_scram scram;
    bool has_scram;
    bool is_proved; /* the server knew the password, or had no way to show it */
};

static int need_password(const struct login_state *s, struct ak_error **reterr)
{
    if (s->login->password)
        return 0;
    return ak_error_set(reterr, AK_E_UNAUTHORIZED,
                        "the server wants a password, and the Tool has no credentialsRef");
}

static int send_password(struct login_state *s, const char *text, size_t len,
                         struct ak_error **reterr)
{
    struct ak_buf *out = &s->pg->out;
    size_t mark;

    if (ak_pg_begin(out, 'p', &mark) < 0 || ak_buf_add(out, text, len) < 0 ||
        ak_pg_put8(out, 0) < 0)
        return ak_error_oom(reterr);
    ak_pg_end(out, mark);
    return ak_pg_flush(s->pg, reterr);
}

static int cleartext(struct login_state *s, struct ak_error **reterr)
{
    struct ak_wire_options options;
    const char *text;
    size_t len;

    ak_wire_options_of(s->pg->wire, &options);
    if (!ak_wire_is_tls(s->pg->wire) && options.mode != AK_SSL_MODE_DISABLE &&
        options.host[0] != '/')
        return ak_error_set(
            reterr, AK_E_UNAUTHORIZED,
            "the server wants the password as it is, over a connection without TLS; "
            "set the TLS mode to require, or to disable if the network is trusted");
    text = ak_secret_peek(s->login->password, &len);
    if (memchr(text, 0, len))
        return ak_error_set(reterr, -EINVAL, "the password has a NUL character");
    return send_password(s, text, len, reterr);
}

static int md5(struct login_state *s, struct ak_pg_reader *body, struct ak_error **reterr)
{
    const uint8_t *salt = ak_pg_get_bytes(body, 4);
    char answer[AK_PG_MD5_SIZE];
    int r;

    if (!salt)
        return ak_error_set(reterr, AK_E_PROTOCOL, "the server's MD5 request has no salt");
    r = ak_pg_md5(s->login->password, s->login->username, salt, answer, reterr);
    return r < 0 ? r : send_password(s, answer, strlen(answer), reterr);
}

static int sasl(struct login_state *s, struct ak_pg_reader *body, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) first = AK_BUF_INIT(AK_PG_SCRAM_MAX);
    uint8_t end_point[AK_WIRE_END_POINT_MAX];
    size_t bound = ak_wire_end_point(s->pg->wire, end_point), mark;
    struct ak_buf *out = &s->pg->out;
    bool plain = false, plus = false;
    const char *name;
    int r;

    if (s->has_scram)
        return ak_error_set(reterr, AK_E_PROTOCOL, "the server asked twice");
    while (*(name = ak_pg_gets(body))) {
        plain = plain || strcmp(name, "SCRAM-SHA-256") == 0;
        plus = plus || strcmp(name, "SCRAM-SHA-256-PLUS") == 0;
    }
    plus = plus && bound;
    if (!plain && !plus)
        return ak_error_set(
            reterr, -ENOTSUP,
            "the server offers no way to log in that is known here (SCRAM-SHA-256)");
    r = ak_pg_scram_first(&s->scram, end_point, plus ? bound : 0, bound > 0, NULL, &first, reterr);
    s->has_scram = true;
    if (r < 0)
        return r;
    if (ak_pg_begin(out, 'p', &mark) < 0 ||
        ak_pg_puts(out, plus ? "SCRAM-SHA-256-PLUS" : "SCRAM-SHA-256") < 0 ||
        ak_pg_put32(out, (uint32_t)first.len) < 0 || ak_buf_add(out, first.data, first.len) < 0)
        return ak_error_oom(reterr);
    ak_pg_end(out, mark);
    return ak_pg_flush(s->pg, reterr);
}

static int sasl_more(struct login_state *s, struct ak_pg_reader *body, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) answer = AK_BUF_INIT(AK_PG_SCRAM_MAX);
    int r;

    if (!s->has_scram || s->scram.is_final)
        return ak_error_set(reterr, AK_E_PROTOCOL, "the server goes on with what was not begun");
    r = ak_pg_scram_continue(&s->scram, s->login->password, (const char *)body->at,
                             (size_t)(body->end - body->at), &answer, reterr);
    if (r < 0)
        return r;
    if (ak_pg_put_message(&s->pg->out, 'p', answer.data, answer.len) < 0)
        return ak_error_oom(reterr);
    return ak_pg_flush(s->pg, reterr);
}

static int sasl_final(struct login_state *s, struct ak_pg_reader *body, struct ak_error **reterr)
{
    int r;

    if (!s->has_scram)
        return ak_error_set(reterr, AK_E_PROTOCOL, "the server ends what was not begun");
    r = ak_pg_scram_final(&s->scram, (const char *)body->at, (size_t)(body->end - body->at),
                          reterr);
    s->is_proved = r >= 0;
    return r;
}

static int on_auth(struct login_state *s, struct ak_error **reterr)
{
    struct ak_pg_reader body = ak_pg_reader(s->pg->body.data, s->pg->body.len);
    const uint32_t kind = ak_pg_get32(&body);
    int r;

    if (kind == AUTH_OK && !body.broken) {
        if (s->has_scram && !s->is_proved)
            return ak_error_set(reterr, AK_E_UNAUTHORIZED,
                                "the server did not prove that it knows the password");
        return 0;
    }
    r = need_password(s, reterr);
    if (r < 0)
        return r;
    switch (kind) {
    case AUTH_CLEARTEXT:
        return cleartext(s, reterr);
    case AUTH_MD5:
        return md5(s, &body, reterr);
    case AUTH_SASL:
        return sasl(s, &body, reterr);
    case AUTH_SASL_MORE:
        return sasl_more(s, &body, reterr);
    case AUTH_SASL_FINAL:
        return sasl_final(s, &body, reterr);
    default:
        return ak_error_set(reterr, -ENOTSUP,
                            "the server wants a way to log in that is not known here (%u)", kind);
    }
}

static int on_key(struct ak_pg *self)
{
    struct ak_pg_reader body = ak_pg_reader(self->body.data, self->body.len);

    self->pid = ak_pg_get32(&body);
    self->key = ak_pg_get32(&body);
    self->has_key = !body.broken;
    return 0;
}

static int log_in(struct ak_pg *self, const struct ak_login *login, struct ak_error **reterr)
{
    struct login_state s = {.pg = self, .login = login};
    int r = ak_pg_flush(self, reterr);

    while (r >= 0 && !self->state) {
        r = ak_pg_next(self, reterr);
        if (r == 'R')
            r = on_auth(&s, reterr);
        else if (r == 'K')
            r = on_key(self);
        else if (r == 'E')
            r = ak_pg_server_failed(self, reterr);
        else if (r >= 0 && r != 'Z' && r != 'v')
            r = ak_error_set(reterr, AK_E_PROTOCOL, "%s does not speak PostgreSQL's protocol",
                             ak_wire_peer(self->wire));
    }
    ak_pg_scram_done(&s.scram);
    return r;
}

static int try_connect(const struct ak_target *target, const struct ak_login *login,
                       const struct ak_wire_options *wire, const struct ak_pg_options *options,
                       struct ak_pg **ret, struct ak_pg_server_error *ret_error,
                       struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_pg) self = ak__pg_new();
    int r;

    if (!self)
        return ak_error_oom(reterr);
    r = ak__pg_dial(wire, options->deadline, &self->wire, reterr);
    if (r < 0)
        return r;
    if (put_startup(self, target, login, options) < 0)
        return ak_error_oom(reterr);
    r = log_in(self, login, reterr);
    if (r < 0) {
        if (ret_error)
            *ret_error = self->error;
        return r;
    }
    *ret = AK_TAKE(self);
    return 0;
}

/* After the login, for servers that do not take it with the startup message. */
static int set_later(struct ak_pg *self, const struct ak_target *target,
                     const struct ak_pg_options *o, struct ak_error **reterr)
{
    char sql[96];
    int r = 0;

    if (takes_settings(target))
        return 0;
    if (o->statement_timeout) {
        (void)snprintf(sql, sizeof(sql), "SET statement_timeout = %lld",
                       (long long)o->statement_timeout);
        r = ak_pg_run(self, sql, NULL, NULL, reterr);
    }
    if (r >= 0 && o->read_only && target->spec->type == AK_TOOL_TYPE_COCKROACHDB)
        r = ak_pg_run(self, "SET default_transaction_read_only = on", NULL, NULL, reterr);
    return r;
}

/* A server's refusal by pg_hba.conf may be about TLS: `allow` then tries with it. */
static bool may_want_tls(const struct ak_pg_server_error *error)
{
    return strcmp(error->sqlstate, "28000") == 0;
}

int ak_pg_connect(const struct ak_target *target, const struct ak_login *login,
                  const struct ak_pg_options *options, struct ak_pg **ret,
                  struct ak_pg_server_error *ret_error, struct ak_error **reterr)
{
    AK_AUTO(ak_arena) arena = {0};
    AK_AUTO_PTR(ak_pg) self = NULL;
    struct ak_pg_server_error refused = {.sqlstate = ""};
    struct ak_wire_options wire;
    int r;

    if (!login->username || !login->username[0])
        return ak_error_set(reterr, -EINVAL, "spec.config.username: is needed to log in");
    ak_arena_init(&arena, 1024, 65536);
    r = ak_wire_options_for(target, options->cancel, &arena, &wire, reterr);
    if (r < 0)
        return r;
    wire.timeout = AK_MIN(AK_MAX(options->deadline - ak_now(), 1), AK_SECONDS(10));
    r = try_connect(target, login, &wire, options, &self, &refused, reterr);
    if (r < 0 && wire.mode == AK_SSL_MODE_ALLOW && may_want_tls(&refused)) {
        if (reterr)
            *reterr = ak_error_free(*reterr);
        wire.mode = AK_SSL_MODE_REQUIRE;
        r = try_connect(target, login, &wire, options, &self, &refused, reterr);
    }
    if (ret_error)
        *ret_error = refused;
    if (r < 0)
        return r;
    r = set_later(self, target, options, reterr);
    if (r < 0)
        return r;
    *ret = AK_TAKE(self);
    return 0;
}
