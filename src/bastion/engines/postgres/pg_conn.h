/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection to a PostgreSQL server as a client: start, TLS by the Tool's mode, login, messages in and out,
 * cancelling, and simple statements of our own with small results. Blocking; a connection belongs to one
 * thread.
 */
#ifndef AK_BASTION_PG_CONN_H
#define AK_BASTION_PG_CONN_H

#include "bastion/engine.h"
#include "bastion/engines/postgres/pg_protocol.h"
#include "bastion/wire.h"

#define AK_PG_MAX_REPLY                                                                            \
    (1u                                                                                            \
     << 20) /* of a message that is kept whole: descriptions, errors, rows of our own statements */
#define AK_PG_MAX_PARAMETERS 64 /* that the server reports at its start */
#define AK_PG_MAX_SETTINGS 64   /* that a client asks for in its startup message */

struct ak_pg_setting {
    const char *name, *value;
};

struct ak_pg_options {
    const struct ak_cancel *cancel;
    ak_msec
        deadline; /* of connecting and logging in, and then of the connection until it is set anew */
    const char *database;      /* NULL: the Tool's, else the one that is named like the user */
    bool read_only;            /* transactions are READ ONLY unless they say otherwise */
    ak_msec statement_timeout; /* 0: the server's own */
    const struct ak_pg_setting *settings; /* more of the startup message; may be NULL */
    size_t n_settings;
};

struct ak_pg {
    struct ak_wire *wire;
    struct ak_buf out;        /* what is built and not sent yet */
    struct ak_buf body;       /* of the message that was read last */
    struct ak_buf parameters; /* name NUL value NUL ... as the server reported them */
    size_t n_parameters;
    uint32_t pid;
    uint32_t key;
    bool has_key;
    char state;                      /* of the last ReadyForQuery: I T E; 0: not ready yet */
    bool is_broken;                  /* nothing more can be said on it */
    struct ak_pg_server_error error; /* the server's last one; sqlstate "": none */
};
struct ak_pg *ak_pg_free(struct ak_pg *self); /* says Terminate if it can; returns NULL */
AK_DEFINE_AUTO_PTR(ak_pg, ak_pg_free)

/*
 * Connects, sets up TLS and logs in. AK_E_UNAUTHORIZED: login refused, and then the server was reached; others
 * as ak_wire_connect(); the server's words are in *reterr. *ret_error (may be NULL) is filled when it was the
 * server who refused.
 */
AK_MUST_USE int ak_pg_connect(const struct ak_target *target, const struct ak_login *login,
                              const struct ak_pg_options *options, struct ak_pg **ret,
                              struct ak_pg_server_error *ret_error, struct ak_error **reterr);
/* The database that the Tool names; NULL: none. */
const char *ak_pg_database(const struct ak_target *target);
const char *ak_pg_parameter(const struct ak_pg *self, const char *name); /* NULL: not reported */
/* "PostgreSQL 15.5", from what it reported. */
void ak_pg_server_name(const struct ak_pg *self, const struct ak_target *target, char *buf,
                       size_t size);

/* Sends what is in self->out. */
AK_MUST_USE int ak_pg_flush(struct ak_pg *self, struct ak_error **reterr);
/* The head of the next message: its body is read with ak_pg_read_body() or skipped with ak_pg_skip() before the
 * next. */
AK_MUST_USE int ak_pg_read_head(struct ak_pg *self, char *ret_type, uint32_t *ret_len,
                                struct ak_error **reterr);
AK_MUST_USE int ak_pg_read_body(struct ak_pg *self, uint32_t len,
                                struct ak_error **reterr); /* into self->body */
AK_MUST_USE int ak_pg_skip(struct ak_pg *self, uint32_t len, struct ak_error **reterr);
/*
 * The next message that matters, whole in self->body; its type is returned. ParameterStatus and notices are
 * taken on the way; ErrorResponse fills self->error and is returned like others, ReadyForQuery sets
 * self->state.
 */
AK_MUST_USE int ak_pg_next(struct ak_pg *self, struct ak_error **reterr);
/* Notes what an asynchronous message says; true: it was one, and nothing else need be done. */
AK_MUST_USE int ak_pg_take_async(struct ak_pg *self, char type, struct ak_error **reterr);
/* self->error as an error: AK_E_UNAUTHORIZED (28...), AK_E_FORBIDDEN (42501), -ETIMEDOUT (57014), else
 * AK_E_INVALID. */
AK_MUST_USE int ak_pg_server_failed(const struct ak_pg *self, struct ak_error **reterr);

/* Asks the server, on a connection of its own, to end what it does on this one. Best effort, at most 2 s,
 * whatever was cancelled. */
void ak_pg_cancel(const struct ak_pg *self);
/* The same for a connection that is known by its key only. `upstream`: where it went. */
void ak_pg_cancel_at(const struct ak_wire_options *upstream, uint32_t pid, uint32_t key);

/* A row of a statement of our own; values are NUL-terminated, NULL is NULL. Negative ends it. */
typedef int (*ak_pg_row_fn)(void *user, size_t n, const char *const *values);
#define AK_PG_MAX_COLUMNS 16 /* of statements of our own */
/*
 * Runs our own SQL in the simple protocol; on_row may be NULL. The server's refusal is ak_pg_server_failed(),
 * and the connection is usable after it.
 */
AK_MUST_USE int ak_pg_run(struct ak_pg *self, const char *sql, ak_pg_row_fn on_row, void *user,
                          struct ak_error **reterr);

#endif
