/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PostgreSQL's frontend and backend protocol 3.0 as bytes: messages are built into buffers and read from
 * memory. Pure. What each message holds is in the manual, "Message Formats".
 */
#ifndef AK_BASTION_PG_PROTOCOL_H
#define AK_BASTION_PG_PROTOCOL_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AK_PG_PROTOCOL_3 196608u
#define AK_PG_SSL_REQUEST 80877103u
#define AK_PG_GSS_REQUEST 80877104u
#define AK_PG_CANCEL_REQUEST 80877102u
#define AK_PG_HEADER 5                     /* type and length */
#define AK_PG_MAX_MESSAGE ((1u << 30) - 1) /* the server's own limit of a message, MaxAllocSize */
#define AK_PG_MAX_STARTUP 10000            /* MAX_STARTUP_PACKET_LENGTH */

/* --- writing --- */

/* Begins a message of `type` (0: one of the start, without a type); *ret_mark is for ak_pg_end(). All return 0
 * or a code of ak_buf. */
AK_MUST_USE int ak_pg_begin(struct ak_buf *buf, char type, size_t *ret_mark);
AK_MUST_USE int ak_pg_put8(struct ak_buf *buf, uint8_t value);
AK_MUST_USE int ak_pg_put16(struct ak_buf *buf, uint16_t value);
AK_MUST_USE int ak_pg_put32(struct ak_buf *buf, uint32_t value);
AK_MUST_USE int ak_pg_puts(struct ak_buf *buf, const char *text); /* with its NUL */
void ak_pg_end(struct ak_buf *buf, size_t mark);                  /* fills in the length */
/* A whole message whose body is these bytes. */
AK_MUST_USE int ak_pg_put_message(struct ak_buf *buf, char type, const void *body, size_t len);
/* An ErrorResponse; severity "ERROR" or "FATAL". */
AK_MUST_USE int ak_pg_put_error(struct ak_buf *buf, const char *severity, const char *sqlstate,
                                const char *message, const char *hint);

/* --- reading --- */

/* Walks over a body; what is beyond its end reads as 0 or "" and sets `broken`. */
struct ak_pg_reader {
    const uint8_t *at, *end;
    bool broken;
};
struct ak_pg_reader ak_pg_reader(const void *body, size_t len);
uint8_t ak_pg_get8(struct ak_pg_reader *self);
uint16_t ak_pg_get16(struct ak_pg_reader *self);
uint32_t ak_pg_get32(struct ak_pg_reader *self);
const char *ak_pg_gets(struct ak_pg_reader *self);
const uint8_t *ak_pg_get_bytes(struct ak_pg_reader *self, size_t len); /* NULL when broken */
uint32_t ak_pg_read32(const uint8_t *at);

/* ErrorResponse or NoticeResponse; what is long is cut. */
struct ak_pg_server_error {
    char severity[16], sqlstate[6], message[768], detail[256], hint[256];
};
void ak_pg_parse_error(const void *body, size_t len, struct ak_pg_server_error *ret);
/* `ERROR: relation "x" does not exist (SQLSTATE 42P01)`, then detail and hint. */
AK_MUST_USE int ak_pg_error_text(const struct ak_pg_server_error *self, struct ak_buf *out);
/* The number of a command tag ("UPDATE 3", "INSERT 0 1", "SELECT 5"); -1: it has none. */
int64_t ak_pg_tag_rows(const char *tag);

/* --- SQL text --- */

AK_MUST_USE int ak_pg_put_identifier(struct ak_buf *sql, const char *name); /* "in ""quotes""" */
/* As a literal that means the same whatever standard_conforming_strings is: E'' where it has a backslash. */
AK_MUST_USE int ak_pg_put_literal(struct ak_buf *sql, const char *text);

#endif
