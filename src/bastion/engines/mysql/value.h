/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values of MySQL as JSON: integers as numbers while every reader of JSON keeps them exactly (up to 2^53), else as
 * text; decimals, dates and JSON documents as text; bytes as "0x" and hex. Pure.
 */
#ifndef AK_BASTION_ENGINES_MYSQL_VALUE_H
#define AK_BASTION_ENGINES_MYSQL_VALUE_H

#include <jansson.h>

#include "bastion/engines/mysql/packet.h"

/* "bigint unsigned", "varchar", "blob"; "unknown" for a type of the future. */
const char *ak_mysql_type_name(const struct ak_mysql_column *column);
/* The next value of a row of the text protocol. NULL: no memory, or the row is cut (reader->is_bad). */
AK_MUST_USE json_t *ak_mysql_text_value(const struct ak_mysql_column *column,
                                        struct ak_mysql_reader *in);
/* The same of the binary protocol, for a value that is not NULL. */
AK_MUST_USE json_t *ak_mysql_binary_value(const struct ak_mysql_column *column,
                                          struct ak_mysql_reader *in);
/*
 * Appends a JSON value as a parameter of COM_STMT_EXECUTE: *ret_type is what goes into the list of types, `out` gets
 * the value (nothing for null). Objects and arrays go as their JSON text.
 */
AK_MUST_USE int ak_mysql_put_param(const json_t *value, struct ak_buf *out, uint16_t *ret_type,
                                   struct ak_error **reterr);

#endif
