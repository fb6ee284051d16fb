/* SPDX-License-Identifier: Apache-2.0 */
/* The result of a query, {columns, rows, rowCount, truncated}, filled up to the call's limits. */
#ifndef AK_BASTION_HTTP_ROWS_H
#define AK_BASTION_HTTP_ROWS_H

#include "bastion/engine.h"

struct ak_rows {
    json_t *columns, *rows;
    int64_t max_rows, max_bytes;
    int64_t n, bytes;
    bool truncated;
};
void ak_rows_done(struct ak_rows *self);
AK_DEFINE_AUTO(ak_rows, ak_rows_done)
AK_MUST_USE int ak_rows_init(struct ak_rows *self, const struct ak_call *call,
                             struct ak_error **reterr);
AK_MUST_USE int ak_rows_add_column(struct ak_rows *self, const char *name, const char *type,
                                   struct ak_error **reterr);
/* Takes the row over (NULL: -ENOMEM). 0: added; 1: a limit was reached, it was dropped and the result is truncated. */
AK_MUST_USE int ak_rows_add(struct ak_rows *self, json_t *row, size_t bytes,
                            struct ak_error **reterr);
/* Into the call. */
AK_MUST_USE int ak_rows_finish(struct ak_rows *self, struct ak_call *call,
                               struct ak_error **reterr);

/* A number's text: what a double keeps exactly is a JSON number, the rest (2^53 and more, nan) a string. NULL on no
 * memory. */
json_t *ak_rows_number(const char *text);

#endif
