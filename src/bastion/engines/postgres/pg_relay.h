/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes between a client and a server once both are logged in: messages are followed on both sides, so that
 * it is known which statement begins and ends when, and nothing else is changed. Pure: bytes in, bytes out;
 * statements go to the hooks.
 *
 * A statement that is refused is replaced by one that the server will refuse for certain, and the server's
 * error by the reason. So the order of answers, the skipping up to the next Sync, and the state of the
 * transaction are the server's own doing.
 *
 * Messages may have 1 GiB and are never kept: of a statement's text the first AK_PG_TEXT_MAX bytes are, of
 * others a few names.
 */
#ifndef AK_BASTION_PG_RELAY_H
#define AK_BASTION_PG_RELAY_H

#include "bastion/engines/postgres/pg_protocol.h"
#include "engines/engine.h"
#include <ak/base/error.h>
#include <ak/base/map.h>

#define AK_PG_TEXT_MAX (64u << 10) /* of a statement that is longer the class is UNKNOWN */
#define AK_PG_NAMES_MAX 2048 /* bytes of the names at the beginning of Bind, Execute and Close */
#define AK_PG_MAX_STATEMENTS 4096 /* prepared ones of a connection; one more is refused */
#define AK_PG_TEXTS_MAX                                                                            \
    (8u << 20)              /* of all of them; of what comes then only the first KiB is kept */
#define AK_PG_MAX_UNITS 512 /* messages that wait for an answer; then the client waits */

struct ak_pg_hooks {
    /* A statement is about to run. AK_E_FORBIDDEN or another error: it is refused, with the error's text. */
    int (*begin)(void *user, enum ak_statement_class class_, const char *text, size_t len,
                 void **ret_statement, struct ak_error **reterr);
    void (*end)(void *user, void *statement, int64_t rows, uint64_t bytes, int code,
                const char *sqlstate);
    void (*busy)(void *user, bool busy); /* whether the server owes an answer */
};

/* A text that was prepared or bound. */
struct ak_pg_text;

struct ak_pg_unit { /* a message of the client's that the server will answer */
    char kind;      /* Q P B E D C S */
    void *statement;
    char *refusal; /* what the client is told in place of the server's error */
    int64_t rows;
    uint64_t bytes;
};

struct ak_pg_stream { /* one direction's messages */
    uint8_t head[AK_PG_HEADER];
    size_t head_len;
    uint32_t left; /* of the body */
    enum { AK_PG_PASS, AK_PG_HOLD, AK_PG_DROP } mode;
    size_t hold_max;
    struct ak_buf held; /* of the body, in mode HOLD */
};

struct ak_pg_relay {
    enum ak_tool_type type;
    bool
        reads_only; /* nothing but statements that are known to read, and harmless settings: the role may do more */
    const struct ak_pg_hooks *hooks;
    void *user;
    struct ak_pg_stream client, server;
    struct ak_buf waiting; /* of the client, while it is paused */
    struct ak_pg_unit *units;
    size_t n_units, first_unit;      /* a ring of AK_PG_MAX_UNITS */
    struct ak_map prepared, portals; /* name -> struct ak_pg_entry */
    size_t texts_size;
    bool is_busy, is_copying_in, is_over;
};

/* -ENOMEM. */
AK_MUST_USE int ak_pg_relay_init(struct ak_pg_relay *self, enum ak_tool_type type, bool reads_only,
                                 const struct ak_pg_hooks *hooks, void *user);
void ak_pg_relay_done(
    struct ak_pg_relay *self); /* statements that are under way end as cancelled */
AK_DEFINE_AUTO(ak_pg_relay, ak_pg_relay_done)

/* As struct ak_relay_protocol wants them; `user` is the relay. */
AK_MUST_USE int ak_pg_relay_from_client(void *user, const uint8_t *data, size_t len,
                                        struct ak_buf *to_server, struct ak_buf *to_client,
                                        struct ak_error **reterr);
AK_MUST_USE int ak_pg_relay_from_server(void *user, const uint8_t *data, size_t len,
                                        struct ak_buf *to_server, struct ak_buf *to_client,
                                        struct ak_error **reterr);
bool ak_pg_relay_is_paused(void *user);
/* Whether what was sent to the client so far ends with a whole message. */
bool ak_pg_relay_is_between(const struct ak_pg_relay *self);

#endif
