/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One statement and its result, as JSON and within limits. A text can hold one statement only: the capability for
 * several is never asked for, so the server itself refuses more.
 */
#ifndef AK_BASTION_ENGINES_MYSQL_QUERY_H
#define AK_BASTION_ENGINES_MYSQL_QUERY_H

#include <jansson.h>

#include "bastion/engines/mysql/connection.h"

#define AK_MYSQL_MAX_COLUMNS 4096 /* the servers' own limit */
#define AK_MYSQL_MAX_PARAMS 65535

struct ak_mysql_limits {
    int64_t max_rows;  /* 0: AK_MYSQL_INNER_ROWS */
    int64_t max_bytes; /* of values; 0: 1 MiB */
    bool may_stop;     /* rows beyond the limits need not be read: the statement changes nothing */
};
#define AK_MYSQL_INNER_ROWS 100000

/* The first set of rows of a statement; of a CALL with several, the others are read and dropped. */
struct ak_mysql_result {
    json_t *columns; /* [{name, type}]; empty when it has no rows */
    json_t *rows;    /* [[...]] */
    int64_t bytes;
    int64_t n_rows; /* those that were left out included, where they were read */
    bool truncated;
    bool is_broken_off; /* not all was read: the connection is of no use any more */
    bool has_rows;
    struct ak_mysql_ok ok; /* of the last answer without rows */
};
void ak_mysql_result_done(struct ak_mysql_result *self);
AK_DEFINE_AUTO(ak_mysql_result, ak_mysql_result_done)

/* AK_E_INVALID: the server refuses the statement, ak_mysql_refusal() has its words, and so has *reterr. */
AK_MUST_USE int ak_mysql_query(struct ak_mysql *self, const char *sql, size_t len,
                               const struct ak_mysql_limits *limits, struct ak_mysql_result *ret,
                               struct ak_error **reterr);
/* With parameters (a JSON array), as a prepared statement. */
AK_MUST_USE int ak_mysql_execute(struct ak_mysql *self, const char *sql, size_t len,
                                 const json_t *params, const struct ak_mysql_limits *limits,
                                 struct ak_mysql_result *ret, struct ak_error **reterr);
/* A statement whose result nobody wants. */
AK_MUST_USE int ak_mysql_do(struct ak_mysql *self, const char *sql, struct ak_error **reterr);
/* A value of a result as text; NULL: NULL, or not there, or no text. */
const char *ak_mysql_text_at(const struct ak_mysql_result *result, size_t row, size_t column);

#endif
