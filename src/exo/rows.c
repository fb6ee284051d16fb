/* SPDX-License-Identifier: Apache-2.0 */
#include "exo/rows.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "exo/output.h"

void ak_rows_init(struct ak_rows *self, bool is_table, bool wide, bool with_namespace,
                  bool no_headers)
{
    *self = (struct ak_rows){
        .is_table = is_table,
        .wide = wide,
        .with_namespace = with_namespace,
        .no_headers = no_headers,
    };
}

void ak_rows_done(struct ak_rows *self)
{
    ak_table_done(&self->table);
}

static int add_header(struct ak_rows *self, const json_t *columns)
{
    int r = 0;

    if (self->with_namespace && !self->no_headers)
        r = ak_table_cell(&self->table, "NAMESPACE");
    for (size_t i = 0; r >= 0 && i < json_array_size(columns) && i < AK_TABLE_COLUMNS - 1; i++) {
        const json_t *column = json_array_get(columns, i);
        const char *name = ak_json_text(column, "name", NULL);
        char upper[64] = "";
        for (size_t k = 0; name && name[k] && k < sizeof(upper) - 1; k++)
            upper[k] = (char)toupper((unsigned char)name[k]);
        self->shown[i] = self->wide || json_integer_value(json_object_get(column, "priority")) == 0;
        self->n_columns = i + 1;
        if (self->shown[i] && !self->no_headers)
            r = ak_table_cell(&self->table, upper);
    }
    self->has_columns = true;
    return r >= 0 && !self->no_headers ? ak_table_end_row(&self->table) : r;
}

static int add_cell(struct ak_rows *self, const json_t *cell)
{
    char number[64];

    switch (json_typeof(cell)) {
    case JSON_STRING:
        return ak_table_cell(&self->table, json_string_value(cell));
    case JSON_INTEGER:
        (void)snprintf(number, sizeof(number), "%" PRId64, (int64_t)json_integer_value(cell));
        return ak_table_cell(&self->table, number);
    case JSON_REAL:
        (void)snprintf(number, sizeof(number), "%g", json_real_value(cell));
        return ak_table_cell(&self->table, number);
    case JSON_TRUE:
    case JSON_FALSE:
        return ak_table_cell(&self->table, json_is_true(cell) ? "true" : "false");
    default:
        return ak_table_cell(&self->table, "");
    }
}

int ak_rows_add(struct ak_rows *self, const json_t *table, struct ak_error **reterr)
{
    const json_t *columns = json_object_get(table, "columnDefinitions");
    const json_t *rows = json_object_get(table, "rows");
    int r = 0;

    if (!self->has_columns && !json_array_size(columns))
        return ak_error_set(reterr, AK_E_PROTOCOL, "a table without columns");
    if (!self->has_columns)
        r = add_header(self, columns);
    for (size_t i = 0; r >= 0 && i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i), *cells = json_object_get(row, "cells");
        if (self->with_namespace)
            r = ak_table_cell(&self->table,
                              ak_json_text(row, "object", "metadata", "namespace", NULL));
        for (size_t k = 0; r >= 0 && k < self->n_columns; k++)
            if (self->shown[k])
                r = k < json_array_size(cells) ? add_cell(self, json_array_get(cells, k))
                                               : ak_table_cell(&self->table, "");
        if (r >= 0)
            r = ak_table_end_row(&self->table);
    }
    return r < 0 ? ak_error_set(reterr, r, "write the table") : 0;
}

int ak_rows_print(struct ak_rows *self, const json_t *table, struct ak_error **reterr)
{
    int r = ak_rows_add(self, table, reterr);
    return r < 0 ? r : ak_output_table(&self->table, reterr);
}
