/* SPDX-License-Identifier: Apache-2.0 */
/* Tables that the apiserver made, on stdout; later ones align with the first. */
#ifndef AK_EXO_ROWS_H
#define AK_EXO_ROWS_H

#include <ak/json/json.h>

#include "terminal/table.h"

struct ak_rows {
    struct ak_table table;
    bool is_table, wide, with_namespace, no_headers;
    bool has_columns;
    size_t n_columns;
    bool shown[AK_TABLE_COLUMNS]; /* which of the apiserver's columns */
};
void ak_rows_init(struct ak_rows *self, bool is_table, bool wide, bool with_namespace,
                  bool no_headers);
void ak_rows_done(struct ak_rows *self);
AK_DEFINE_AUTO(ak_rows, ak_rows_done)
/* The columns come with the first Table. Negative: no columns at all. */
AK_MUST_USE int ak_rows_add(struct ak_rows *self, const json_t *table, struct ak_error **reterr);
AK_MUST_USE int ak_rows_print(struct ak_rows *self, const json_t *table, struct ak_error **reterr);

#endif
