/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A logged-in client and a logged-in server of MySQL: commands one way, answers the other. One command is under way at
 * a time, as the protocol has it; what a client sends ahead waits here. A command goes on once it was decided about,
 * bytes of long ones are passed on as they come. Pure: what must be asked or told goes through hooks.
 */
#ifndef AK_BASTION_ENGINES_MYSQL_RELAY_H
#define AK_BASTION_ENGINES_MYSQL_RELAY_H

#include <ak/base/buf.h>

#include "bastion/engines/mysql/guard.h"
#include "bastion/engines/mysql/reply.h"

#define AK_MYSQL_STATEMENT_KEPT                                                                    \
    (64u << 10) /* of a statement's text; a longer one is of unknown class */
#define AK_MYSQL_MAX_PREPARED 4096
#define AK_MYSQL_PREPARED_KEPT 1024 /* of a prepared statement's text, for the audit */

struct ak_mysql_hooks {
    /* A statement is about to go. Negative: it is refused, *reterr says why. */
    int (*begin)(void *user, enum ak_statement_class class_, const char *text, size_t len,
                 void **ret_statement, struct ak_error **reterr);
    /* It has ended; code 0: well, else the server's error. */
    void (*end)(void *user, void *statement, int64_t rows, uint64_t bytes, uint16_t code);
    void (*busy)(void *user, bool busy);
    /* Whether this connection of the server's is one of the same session. */
    bool (*is_ours)(void *user, uint32_t thread_id);
};

struct ak_mysql_prepared {
    uint32_t id;
    enum ak_statement_class class_;
    char *text;
    size_t len;
};

struct ak_mysql_relay {
    const struct ak_mysql_hooks *hooks;
    void *user;
    enum ak_mysql_guard guard;

    /* From the client. */
    struct ak_buf inbox; /* what came while an answer was under way */
    struct ak_buf held;  /* a command that is not decided about: its packet with the header */
    uint8_t head[AK_MYSQL_HEADER];
    size_t head_len;
    size_t left;      /* of the packet under way */
    uint8_t sequence; /* of the last packet */
    bool is_rest;     /* the packet goes on with the message of the one before */
    bool is_last;     /* the packet is the last of its message */
    enum { AK_MYSQL_HOLD, AK_MYSQL_PASS, AK_MYSQL_DROP } mode;
    struct {
        uint16_t code;
        char message[512];
    } refusal; /* what a dropped command is answered with */
    enum ak_mysql_reply_kind expects;

    /* From the server. */
    struct ak_mysql_reply reply;
    bool is_answering; /* a command went out whose answer has not ended */
    uint8_t from[AK_MYSQL_HEADER + AK_MYSQL_REPLY_HEAD];
    size_t from_len;
    size_t from_left;        /* of the packet under way, behind its head */
    bool ends_with_packet;   /* the answer does */
    uint8_t server_sequence; /* of its last packet */

    bool is_busy;
    bool is_over; /* the client said goodbye */
    void *statement;
    bool has_statement;
    enum ak_statement_class class_;
    struct ak_buf text; /* of a statement that is being prepared */
    struct ak_mysql_prepared *prepared;
    size_t n_prepared;
    uint32_t last_prepared;
};

AK_MUST_USE int ak_mysql_relay_init(struct ak_mysql_relay *self, enum ak_mysql_guard guard,
                                    const struct ak_mysql_hooks *hooks, void *user);
void ak_mysql_relay_done(struct ak_mysql_relay *self); /* ends a statement under way */
AK_DEFINE_AUTO(ak_mysql_relay, ak_mysql_relay_done)

/* As struct ak_relay_protocol wants them. */
int ak_mysql_relay_from_client(void *self, const uint8_t *data, size_t len,
                               struct ak_buf *to_server, struct ak_buf *to_client,
                               struct ak_error **reterr);
int ak_mysql_relay_from_server(void *self, const uint8_t *data, size_t len,
                               struct ak_buf *to_server, struct ak_buf *to_client,
                               struct ak_error **reterr);
bool ak_mysql_relay_is_paused(void *self);
/* Bytes until the server's packet under way ends; 0: none is. */
size_t ak_mysql_relay_missing(void *self);
/* Appends an ERR that fits where the conversation is. */
AK_MUST_USE int ak_mysql_relay_last_words(struct ak_mysql_relay *self, const char *text,
                                          struct ak_buf *out);

#endif
