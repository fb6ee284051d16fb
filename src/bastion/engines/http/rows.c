/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/http/rows.h"

#include <string.h>

#include <ak/base/text.h>
#include <ak/json/json.h>

#define EXACT (INT64_C(1) << 53)

void ak_rows_done(struct ak_rows *self)
{
    json_decref(self->columns);
    json_decref(self->rows);
    self->columns = self->rows = NULL;
}

int ak_rows_init(struct ak_rows *self, const struct ak_call *call, struct ak_error **reterr)
{
    *self = (struct ak_rows){.columns = json_array(),
                             .rows = json_array(),
                             .max_rows = call->max_rows,
                             .max_bytes = call->max_bytes};
    return self->columns && self->rows ? 0 : ak_error_oom(reterr);
}

int ak_rows_add_column(struct ak_rows *self, const char *name, const char *type,
                       struct ak_error **reterr)
{
    json_t *column = json_pack("{s:s, s:s}", "name", name, "type", type);

    return json_array_append_new(self->columns, column) < 0 ? ak_error_oom(reterr) : 0;
}

int ak_rows_add(struct ak_rows *self, json_t *row, size_t bytes, struct ak_error **reterr)
{
    if (!row)
        return ak_error_oom(reterr);
    if (self->n >= self->max_rows || self->bytes + (int64_t)bytes > self->max_bytes) {
        self->truncated = true;
        json_decref(row);
        return 1;
    }
    if (json_array_append_new(self->rows, row) < 0)
        return ak_error_oom(reterr);
    self->n++;
    self->bytes += (int64_t)bytes;
    return 0;
}

int ak_rows_finish(struct ak_rows *self, struct ak_call *call, struct ak_error **reterr)
{
    call->ret_result =
        json_pack("{s:O, s:O, s:I, s:b}", "columns", self->columns, "rows", self->rows, "rowCount",
                  (json_int_t)self->n, "truncated", self->truncated);
    if (!call->ret_result)
        return ak_error_oom(reterr);
    call->ret_rows = self->n;
    call->ret_bytes = self->bytes;
    return 0;
}

json_t *ak_rows_number(const char *text)
{
    json_t *value = NULL;
    int64_t integer;
    size_t digits = strspn(text, "-0123456789");

    if (!text[digits]) {
        if (ak_parse_i64(text, &integer) < 0 || integer > EXACT || integer < -EXACT)
            return json_string(text);
        return json_integer(integer);
    }
    if (ak_json_parse(text, strlen(text), &value, NULL) >= 0 && json_is_real(value) &&
        strlen(text) <= 18)
        return value;
    json_decref(value);
    return json_string(text);
}
