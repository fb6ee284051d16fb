/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection to a MySQL or MariaDB server as its client: greeting, TLS by the Tool's mode, login with whatever
 * plugin the server asks for, then messages. Blocking; every wait ends with the cancel and deadline that it was made
 * with.
 *
 *     r = ak_mysql_open(&options, &db, reterr);         connected and greeted
 *     r = ak_mysql_login(db, &login, &how, reterr);     logged in
 *     r = ak_mysql_send(db, AK_MYSQL_COM_QUERY, sql, len, reterr);
 *     r = ak_mysql_receive(db, limit, &data, &len, reterr);
 */
#ifndef AK_BASTION_ENGINES_MYSQL_CONNECTION_H
#define AK_BASTION_ENGINES_MYSQL_CONNECTION_H

#include "bastion/engine.h"
#include "bastion/engines/mysql/packet.h"
#include "bastion/wire.h"

#define AK_MYSQL_CONNECT_TIMEOUT AK_SECONDS(10)

struct ak_mysql;                                       /* opaque; one thread at a time */
struct ak_mysql *ak_mysql_free(struct ak_mysql *self); /* closes; returns NULL */
AK_DEFINE_AUTO_PTR(ak_mysql, ak_mysql_free)

/* Connects to the Tool's server and reads its greeting. The target must outlive the connection. */
AK_MUST_USE int ak_mysql_open(const struct ak_target *target, const struct ak_cancel *cancel,
                              ak_msec deadline, struct ak_mysql **ret, struct ak_error **reterr);
/* The same on a connection that is there, which is taken in every case. */
AK_MUST_USE int ak_mysql_open_on(const struct ak_target *target, struct ak_wire *wire,
                                 ak_msec deadline, struct ak_mysql **ret, struct ak_error **reterr);
const struct ak_mysql_greeting *ak_mysql_greeting(const struct ak_mysql *self);
/* What the server was called when it greeted: "MariaDB 10.11.6", "MySQL 8.0.36". */
void ak_mysql_server_text(const struct ak_mysql *self, char *buf, size_t size);

struct ak_mysql_how {
    uint32_t
        capabilities; /* beside those that are always used; those the server lacks are left out */
    uint8_t charset;  /* 0: utf8mb4 */
    const char *database; /* NULL or "": none */
};
/*
 * AK_E_UNAUTHORIZED: the server refused, ak_mysql_refusal() has its words; -EKEYREJECTED, AK_E_PROTOCOL: TLS. A
 * server without TLS where the Tool's mode demands it is refused before anything secret is sent.
 */
AK_MUST_USE int ak_mysql_login(struct ak_mysql *self, const struct ak_login *login,
                               const struct ak_mysql_how *how, struct ak_error **reterr);
/* The last ERR of the server; code 0: there was none. */
const struct ak_mysql_err *ak_mysql_refusal(const struct ak_mysql *self);
/* Forgets it and keeps this one: whoever reads messages himself. */
void ak_mysql_set_refusal(struct ak_mysql *self, const struct ak_mysql_err *err);

/* Sends a command; its packets count from 0. */
AK_MUST_USE int ak_mysql_send(struct ak_mysql *self, uint8_t command, const void *data, size_t len,
                              struct ak_error **reterr);
/* The next message of the server, of all its packets. Borrowed until the next call. AK_E_TOO_LARGE: more than
 * `max` bytes; the next call skips what is left of it. */
AK_MUST_USE int ak_mysql_receive(struct ak_mysql *self, size_t max, const uint8_t **ret_data,
                                 size_t *ret_len, struct ak_error **reterr);
void ak_mysql_set_deadline(struct ak_mysql *self, ak_msec deadline);

/* For relays: the stream itself. No byte beyond the login's last packet was read. */
struct ak_wire *ak_mysql_wire(struct ak_mysql *self);

/*
 * Ends what connection `thread_id` runs, by KILL QUERY over a connection of its own. For cancelled sessions: knows no
 * cancel, and gives up after 3 s. Failures are nobody's business by then.
 */
void ak_mysql_kill_query(const struct ak_target *target, const struct ak_login *login,
                         uint32_t thread_id);

#endif
