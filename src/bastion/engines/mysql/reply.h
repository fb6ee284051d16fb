/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a server's answer to a command ends, and what it said: packets of one answer go in, head by head; rows are
 * counted, not kept. Pure. The connection has no DEPRECATE_EOF, no LOCAL_FILES and no cached metadata: we never ask
 * for them.
 */
#ifndef AK_BASTION_ENGINES_MYSQL_REPLY_H
#define AK_BASTION_ENGINES_MYSQL_REPLY_H

#include "bastion/engines/mysql/packet.h"

#define AK_MYSQL_REPLY_HEAD 32 /* bytes of a packet's payload that are looked at */

enum ak_mysql_reply_kind {
    AK_MYSQL_REPLY_NONE,    /* the server says nothing: STMT_CLOSE, QUIT */
    AK_MYSQL_REPLY_SINGLE,  /* one packet, whatever it says */
    AK_MYSQL_REPLY_RESULT,  /* OK, ERR, or columns and rows; several times for CALL */
    AK_MYSQL_REPLY_PREPARE, /* an id, then the definitions of parameters and columns */
    AK_MYSQL_REPLY_COLUMNS, /* definitions up to an EOF */
    AK_MYSQL_REPLY_ROWS,    /* rows up to an EOF */
};

struct ak_mysql_reply {
    enum ak_mysql_reply_kind kind;
    int state;
    uint64_t columns_left;
    bool has_second; /* PREPARE: columns come behind the parameters */
    bool continues;  /* the last packet was full: the next one is its rest */
    int64_t rows;    /* read, or touched */
    uint64_t bytes;
    uint16_t code;         /* of an ERR; 0: none */
    uint32_t statement_id; /* PREPARE */
};

void ak_mysql_reply_begin(struct ak_mysql_reply *self, enum ak_mysql_reply_kind kind);
/* The head of the next packet, of `len` bytes in all. 1: the answer ends with it; 0: more follows; AK_E_PROTOCOL. */
AK_MUST_USE int ak_mysql_reply_packet(struct ak_mysql_reply *self, const uint8_t *head,
                                      size_t head_len, size_t len);

#endif
