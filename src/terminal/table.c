/* SPDX-License-Identifier: Apache-2.0 */
#include "terminal/table.h"

#include <errno.h>
#include <string.h>

#include "terminal/cells.h"

#define GAP 3
#define END_OF_ROW '\n' /* no cell holds one */
#define NO_LIMIT ((size_t)1 << 40)

void ak_table_done(struct ak_table *self)
{
    ak_buf_done(&self->cells);
}

int ak_table_cell(struct ak_table *self, const char *text)
{
    if (self->in_row == AK_TABLE_COLUMNS)
        return -EINVAL;
    self->cells.max = AK_TABLE_BYTES;
    size_t from = self->cells.len;
    int r = ak_cells_add_line(&self->cells, text ? text : "", text ? strlen(text) : 0, NO_LIMIT);
    if (r < 0)
        return r;
    size_t width = ak_cells_width(ak_buf_text(&self->cells) + from, self->cells.len - from);
    self->widths[self->in_row] = AK_MAX(self->widths[self->in_row], width);
    self->in_row++;
    self->columns = AK_MAX(self->columns, self->in_row);
    return ak_buf_add(&self->cells, "", 1);
}

int ak_table_end_row(struct ak_table *self)
{
    static const char end = END_OF_ROW;

    self->cells.max = AK_TABLE_BYTES;
    self->in_row = 0;
    return ak_buf_add(&self->cells, &end, 1);
}

int ak_table_add_row(struct ak_table *self, const char *const *cells, size_t n)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < n; i++)
        r = ak_table_cell(self, cells[i]);
    return r < 0 ? r : ak_table_end_row(self);
}

static int add_blanks(struct ak_buf *out, size_t n)
{
    static const char blanks[] = "                                ";
    int r = 0;

    for (; r >= 0 && n; n -= AK_MIN(n, sizeof(blanks) - 1))
        r = ak_buf_add(out, blanks, AK_MIN(n, sizeof(blanks) - 1));
    return r;
}

int ak_table_write(struct ak_table *self, struct ak_buf *out)
{
    const char *text = ak_buf_text(&self->cells), *end = text + self->cells.len;
    size_t column = 0, owed = 0;
    int r = 0;

    while (r >= 0 && text < end) {
        if (*text == END_OF_ROW) { /* blanks that nothing follows are not written */
            r = ak_buf_add(out, "\n", 1);
            column = owed = 0;
            text++;
            continue;
        }
        size_t len = strlen(text);
        if (len)
            r = add_blanks(out, owed);
        if (r >= 0)
            r = ak_buf_add(out, text, len);
        owed = (len ? 0 : owed) + self->widths[column] - ak_cells_width(text, len) + GAP;
        column++;
        text += len + 1;
    }
    if (r >= 0)
        ak_buf_clear(&self->cells);
    return r;
}
