/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One statement with parameters in the extended protocol, which takes exactly one by construction, and its
 * result as JSON.
 */
#ifndef AK_BASTION_PG_QUERY_H
#define AK_BASTION_PG_QUERY_H

#include "bastion/engines/postgres/pg_conn.h"
#include <jansson.h>

#define AK_PG_MAX_PARAMS 1000
#define AK_PG_MAX_RESULT_COLUMNS 1664 /* MaxTupleAttributeNumber */

struct ak_pg_query {
    const char *sql;
    size_t sql_len;
    const json_t *params; /* a list of texts, numbers, truth values and nulls; NULL: none */
    int64_t max_rows, max_bytes;
    /* It only reads: what is beyond the limits is not waited for, and the connection is good for nothing
     * afterwards. Otherwise the statement runs to its end, and what is too much is read and dropped. */
    bool may_stop;
};

struct ak_pg_result {
    json_t *value; /* {columns:[{name,type}], rows:[[...]], rowCount, truncated, command}; owned */
    int64_t rows, bytes;
};

/* The server's refusal: ak_pg_server_failed(). -EINVAL: SQL with a NUL, parameters of other types. */
AK_MUST_USE int ak_pg_query(struct ak_pg *self, const struct ak_pg_query *query,
                            struct ak_pg_result *ret, struct ak_error **reterr);

#endif
