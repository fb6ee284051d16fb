/* SPDX-License-Identifier: Apache-2.0 */
/* PostgreSQL's types by their OIDs, and their values in text form as JSON. Pure. */
#ifndef AK_BASTION_PG_TYPES_H
#define AK_BASTION_PG_TYPES_H

#include <ak/base/compiler.h>
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* "integer"; NULL: not one that every server has under this number. */
const char *ak_pg_type_name(uint32_t oid);
/*
 * A value as JSON: truth values, integers up to 2^53 and finite floating point numbers as such; everything
 * else, numeric and json included, as the text that the server sent; what is not UTF-8 as \x and hexadecimal
 * digits. NULL: no memory.
 */
AK_MUST_USE json_t *ak_pg_value(uint32_t oid, const char *text, size_t len);

#endif
