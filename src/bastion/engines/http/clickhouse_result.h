/* SPDX-License-Identifier: Apache-2.0 */
/* ClickHouse's texts: results as TabSeparatedWithNamesAndTypes, exceptions, literals. Pure. */
#ifndef AK_BASTION_HTTP_CLICKHOUSE_RESULT_H
#define AK_BASTION_HTTP_CLICKHOUSE_RESULT_H

#include "bastion/engines/http/rows.h"

/*
 * Reads a result into rows; `is_cut`: its last line is only a part. An exception that the server appended to a result
 * that it had begun is an error (AK_E_INVALID with its words). AK_E_PROTOCOL: not such a result.
 */
AK_MUST_USE int ak_clickhouse_rows(const char *text, size_t len, bool is_cut, struct ak_rows *rows,
                                   struct ak_error **reterr);
/* The number of "Code: 60, e.displayText() = DB::Exception: ..." or "Code: 60. DB::Exception: ..."; 0: no
 * exception. */
int ak_clickhouse_code(const char *text, size_t len);
/* Appends 'text', escaped. */
AK_MUST_USE int ak_clickhouse_literal(struct ak_buf *out, const char *text);
/* Appends `name`, escaped. */
AK_MUST_USE int ak_clickhouse_identifier(struct ak_buf *out, const char *text);

#endif
