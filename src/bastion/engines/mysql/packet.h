/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets of the MySQL protocol, as MySQL and MariaDB publish it, both ways: what a server says (greeting, OK, ERR,
 * columns) and what a client says (its answer to the greeting). Pure: bytes in, structs out. All of it comes from
 * outside, so a reader never goes past its end: it notes that it would have, and gives zeros.
 */
#ifndef AK_BASTION_ENGINES_MYSQL_PACKET_H
#define AK_BASTION_ENGINES_MYSQL_PACKET_H

#include <ak/base/arena.h>
#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AK_MYSQL_HEADER 4 /* 3 bytes length, 1 byte sequence number */
#define AK_MYSQL_PACKET_MAX                                                                        \
    0xffffffu /* payload of one packet; a longer message goes on in the next */
#define AK_MYSQL_SCRAMBLE 20
#define AK_MYSQL_NAME_MAX 64 /* of a plugin, version, state */

enum ak_mysql_capability {
    AK_MYSQL_LONG_PASSWORD =
        1u << 0, /* MariaDB's servers clear it to offer capabilities of their own */
    AK_MYSQL_FOUND_ROWS = 1u << 1,
    AK_MYSQL_LONG_FLAG = 1u << 2,
    AK_MYSQL_WITH_DATABASE = 1u << 3,
    AK_MYSQL_NO_SCHEMA = 1u << 4,
    AK_MYSQL_ODBC = 1u << 6,
    AK_MYSQL_LOCAL_FILES = 1u << 7,
    AK_MYSQL_IGNORE_SPACE = 1u << 8,
    AK_MYSQL_PROTOCOL_41 = 1u << 9,
    AK_MYSQL_INTERACTIVE = 1u << 10,
    AK_MYSQL_TLS = 1u << 11,
    AK_MYSQL_TRANSACTIONS = 1u << 13,
    AK_MYSQL_SECURE_CONNECTION = 1u << 15,
    AK_MYSQL_MULTI_STATEMENTS = 1u << 16,
    AK_MYSQL_MULTI_RESULTS = 1u << 17,
    AK_MYSQL_PS_MULTI_RESULTS = 1u << 18,
    AK_MYSQL_PLUGIN_AUTH = 1u << 19,
    AK_MYSQL_CONNECT_ATTRIBUTES = 1u << 20,
    AK_MYSQL_PLUGIN_AUTH_LENENC = 1u << 21,
    AK_MYSQL_EXPIRED_PASSWORDS = 1u << 22,
    AK_MYSQL_SESSION_TRACK = 1u << 23,
};

enum ak_mysql_status {
    AK_MYSQL_STATUS_IN_TRANSACTION = 0x0001,
    AK_MYSQL_STATUS_MORE_RESULTS = 0x0008,
    AK_MYSQL_STATUS_CURSOR = 0x0040,
};

enum ak_mysql_command {
    AK_MYSQL_COM_QUIT = 0x01,
    AK_MYSQL_COM_INIT_DB = 0x02,
    AK_MYSQL_COM_QUERY = 0x03,
    AK_MYSQL_COM_FIELD_LIST = 0x04,
    AK_MYSQL_COM_REFRESH = 0x07,
    AK_MYSQL_COM_STATISTICS = 0x09,
    AK_MYSQL_COM_PROCESS_INFO = 0x0a,
    AK_MYSQL_COM_PROCESS_KILL = 0x0c,
    AK_MYSQL_COM_PING = 0x0e,
    AK_MYSQL_COM_CHANGE_USER = 0x11,
    AK_MYSQL_COM_STMT_PREPARE = 0x16,
    AK_MYSQL_COM_STMT_EXECUTE = 0x17,
    AK_MYSQL_COM_STMT_SEND_LONG_DATA = 0x18,
    AK_MYSQL_COM_STMT_CLOSE = 0x19,
    AK_MYSQL_COM_STMT_RESET = 0x1a,
    AK_MYSQL_COM_SET_OPTION = 0x1b,
    AK_MYSQL_COM_STMT_FETCH = 0x1c,
    AK_MYSQL_COM_RESET_CONNECTION = 0x1f,
};

enum ak_mysql_type {
    AK_MYSQL_DECIMAL = 0x00,
    AK_MYSQL_TINY = 0x01,
    AK_MYSQL_SHORT = 0x02,
    AK_MYSQL_LONG = 0x03,
    AK_MYSQL_FLOAT = 0x04,
    AK_MYSQL_DOUBLE = 0x05,
    AK_MYSQL_NULL = 0x06,
    AK_MYSQL_TIMESTAMP = 0x07,
    AK_MYSQL_LONGLONG = 0x08,
    AK_MYSQL_INT24 = 0x09,
    AK_MYSQL_DATE = 0x0a,
    AK_MYSQL_TIME = 0x0b,
    AK_MYSQL_DATETIME = 0x0c,
    AK_MYSQL_YEAR = 0x0d,
    AK_MYSQL_VARCHAR = 0x0f,
    AK_MYSQL_BIT = 0x10,
    AK_MYSQL_JSON = 0xf5,
    AK_MYSQL_NEWDECIMAL = 0xf6,
    AK_MYSQL_ENUM = 0xf7,
    AK_MYSQL_SET = 0xf8,
    AK_MYSQL_TINY_BLOB = 0xf9,
    AK_MYSQL_MEDIUM_BLOB = 0xfa,
    AK_MYSQL_LONG_BLOB = 0xfb,
    AK_MYSQL_BLOB = 0xfc,
    AK_MYSQL_VAR_STRING = 0xfd,
    AK_MYSQL_STRING = 0xfe,
    AK_MYSQL_GEOMETRY = 0xff,
};
#define AK_MYSQL_FLAG_UNSIGNED 0x0020
#define AK_MYSQL_FLAG_ENUM 0x0100
#define AK_MYSQL_FLAG_SET 0x0800
#define AK_MYSQL_CHARSET_BINARY 63
#define AK_MYSQL_CHARSET_UTF8MB4 45

/* ---- reading ---- */

struct ak_mysql_reader {
    const uint8_t *at, *end;
    bool is_bad; /* something was read that is not there */
};
static inline struct ak_mysql_reader ak_mysql_reader_of(const void *data, size_t len)
{
    const uint8_t *bytes = data;

    return (struct ak_mysql_reader){.at = bytes, .end = bytes + len};
}
size_t ak_mysql_left(const struct ak_mysql_reader *self);
uint64_t ak_mysql_read_int(struct ak_mysql_reader *self, size_t bytes); /* little endian, 1 to 8 */
/* A number of 1 to 9 bytes; *ret_null (may be NULL): the byte for NULL stood there. */
uint64_t ak_mysql_read_lenenc(struct ak_mysql_reader *self, bool *ret_null);
const uint8_t *ak_mysql_read_bytes(struct ak_mysql_reader *self, size_t len); /* NULL: not there */
/* Up to a NUL, or to the end. */
const char *ak_mysql_read_text(struct ak_mysql_reader *self, size_t *ret_len);
/* With its length before it; NULL for NULL and when it is bad. */
const char *ak_mysql_read_string(struct ak_mysql_reader *self, size_t *ret_len);

struct ak_mysql_greeting {
    char version[AK_MYSQL_NAME_MAX];
    uint32_t thread_id;
    uint8_t scramble[AK_MYSQL_SCRAMBLE];
    uint32_t capabilities;
    uint8_t charset;
    uint16_t status;
    char plugin[AK_MYSQL_NAME_MAX]; /* "": the server names none */
    bool is_mariadb;
};
struct ak_mysql_ok {
    uint64_t affected, last_id;
    uint16_t status;
};
struct ak_mysql_err {
    uint16_t code;
    char state[6];
    char message[512]; /* valid UTF-8 is not promised */
};
struct ak_mysql_column {
    const char *name; /* in the arena */
    uint8_t type;
    uint16_t flags, charset;
    uint32_t length;
    uint8_t decimals;
};
/* The answer of a client to the greeting. */
struct ak_mysql_hello {
    uint32_t capabilities;
    uint8_t charset;
    char database[256]; /* "": none */
    char plugin[AK_MYSQL_NAME_MAX];
    bool wants_tls; /* it is only the short packet that asks for TLS */
};

/* AK_E_PROTOCOL; an ERR in place of the greeting (too many connections, host blocked) is AK_E_SERVER with its
 * words. */
AK_MUST_USE int ak_mysql_parse_greeting(const uint8_t *data, size_t len,
                                        struct ak_mysql_greeting *ret, struct ak_error **reterr);
AK_MUST_USE int ak_mysql_parse_ok(const uint8_t *data, size_t len, struct ak_mysql_ok *ret);
/* `data` may be cut: what is there of the message is taken. */
AK_MUST_USE int ak_mysql_parse_err(const uint8_t *data, size_t len, struct ak_mysql_err *ret);
AK_MUST_USE int ak_mysql_parse_column(const uint8_t *data, size_t len, struct ak_arena *arena,
                                      struct ak_mysql_column *ret, struct ak_error **reterr);
AK_MUST_USE int ak_mysql_parse_hello(const uint8_t *data, size_t len, struct ak_mysql_hello *ret,
                                     struct ak_error **reterr);
/* Sets *reterr to `ERROR 1142 (42000): SELECT command denied ...` and returns `code`. */
int ak_mysql_err_set(const struct ak_mysql_err *err, int code, struct ak_error **reterr);

/* ---- writing; all return 0 or a negative code of ak_buf ---- */

AK_MUST_USE int ak_mysql_put_int(struct ak_buf *out, uint64_t value, size_t bytes);
AK_MUST_USE int ak_mysql_put_lenenc(struct ak_buf *out, uint64_t value);
AK_MUST_USE int ak_mysql_put_string(struct ak_buf *out, const void *data, size_t len);
/* Appends the packets of one message: one, or more when it is AK_MYSQL_PACKET_MAX or longer. */
AK_MUST_USE int ak_mysql_put_packet(struct ak_buf *out, uint8_t sequence, const void *payload,
                                    size_t len);
AK_MUST_USE int ak_mysql_put_err(struct ak_buf *out, uint8_t sequence, uint16_t code,
                                 const char *state, const char *message);
AK_MUST_USE int ak_mysql_put_ok(struct ak_buf *out, uint8_t sequence, uint16_t status);

#endif
