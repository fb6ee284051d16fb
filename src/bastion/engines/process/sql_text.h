/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statements for client programs that read lines: as literals on one line, put together by the database itself.
 * A line of the statement's own would otherwise be a command to the program (`go`, `/`, `HOST rm ...`). Pure.
 */
#ifndef AK_BASTION_ENGINES_PROCESS_SQL_TEXT_H
#define AK_BASTION_ENGINES_PROCESS_SQL_TEXT_H

#include <ak/base/buf.h>
#include <ak/base/error.h>
#include <jansson.h>
#include <stddef.h>

struct ak_sql_style {
    const char *open;      /* "N'" or "'" */
    const char *join;      /* "+" or "\n||" */
    const char *character; /* "NCHAR(%u)", of what would not stay on the line */
    size_t piece;          /* bytes of a literal at most */
};
extern const struct ak_sql_style ak_sql_sqlserver, ak_sql_oracle;

/* An expression with the text's value. -EINVAL: a NUL, or no UTF-8. */
AK_MUST_USE int ak_sql_literal(struct ak_buf *out, const struct ak_sql_style *style,
                               const char *text, size_t len);
/* A name in its quotes: [a]]b], "a". -EINVAL: it cannot be quoted, or has control characters. */
AK_MUST_USE int ak_sql_bracketed(struct ak_buf *out, const char *name);
AK_MUST_USE int ak_sql_quoted(struct ak_buf *out, const char *name);
/* The argument `sql` of a call, without the blanks and the semicolon at its end; -EINVAL with an error. */
AK_MUST_USE int ak_sql_statement(const json_t *arguments, const char **ret, size_t *ret_len,
                                 struct ak_error **reterr);

#endif
