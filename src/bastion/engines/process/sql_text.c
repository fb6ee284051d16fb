/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/process/sql_text.h"

#include <string.h>

/* A literal of more than 4,000 characters has another type than a shorter one; sqlplus takes no line beyond
 * 2,499 bytes. */
const struct ak_sql_style ak_sql_sqlserver = {
    .open = "N'", .join = "+", .character = "NCHAR(%u)", .piece = 3900};
const struct ak_sql_style ak_sql_oracle = {
    .open = "'", .join = "\n||", .character = "CHR(%u)", .piece = 900};

static bool stays(unsigned char c)
{
    return c >= ' ' && c != 0x7f;
}

/* Bytes of the next literal: whole characters, none that would not stay on the line. */
static size_t piece_of(const struct ak_sql_style *style, const char *text, size_t len)
{
    size_t n = 0;

    while (n < len && stays((unsigned char)text[n]) && n < style->piece)
        n++;
    while (n > 1 && n < len && ((unsigned char)text[n] & 0xc0) == 0x80)
        n--;
    return n;
}

static int add_piece(struct ak_buf *out, const struct ak_sql_style *style, const char *text,
                     size_t len)
{
    int r = ak_buf_adds(out, style->open);

    for (size_t i = 0; r >= 0 && i < len; i++) {
        if (text[i] == '\'')
            r = ak_buf_adds(out, "'");
        if (r >= 0)
            r = ak_buf_add(out, text + i, 1);
    }
    return r < 0 ? r : ak_buf_adds(out, "'");
}

int ak_sql_literal(struct ak_buf *out, const struct ak_sql_style *style, const char *text,
                   size_t len)
{
    int r = len ? 0 : add_piece(out, style, "", 0);

    if (memchr(text, '\0', len))
        return -EINVAL;
    for (size_t at = 0; r >= 0 && at < len;) {
        size_t n = piece_of(style, text + at, len - at);
        if (at)
            r = ak_buf_adds(out, style->join);
        if (r >= 0 && n)
            r = add_piece(out, style, text + at, n);
        else if (r >= 0) { /* "NCHAR(%u)" or "CHR(%u)" */
            size_t head = strcspn(style->character, "%");
            r = ak_buf_addf(out, "%.*s%u)", (int)head, style->character, (unsigned char)text[at]);
            n = 1;
        }
        at += n;
    }
    return r;
}

static bool is_plain(const char *name)
{
    size_t n = strlen(name);

    for (size_t i = 0; i < n; i++)
        if (!stays((unsigned char)name[i]))
            return false;
    return n > 0 && n <= 256;
}

int ak_sql_bracketed(struct ak_buf *out, const char *name)
{
    int r = is_plain(name) ? ak_buf_adds(out, "[") : -EINVAL;

    for (; r >= 0 && *name; name++)
        r = ak_buf_addf(out, "%s%c", *name == ']' ? "]" : "", *name);
    return r < 0 ? r : ak_buf_adds(out, "]");
}

int ak_sql_quoted(struct ak_buf *out, const char *name)
{
    return is_plain(name) && !strchr(name, '"') ? ak_buf_addf(out, "\"%s\"", name) : -EINVAL;
}

int ak_sql_statement(const json_t *arguments, const char **ret, size_t *ret_len,
                     struct ak_error **reterr)
{
    const json_t *value = json_object_get(arguments, "sql");
    const char *sql = json_string_value(value);
    size_t len = json_string_length(value);

    if (!sql)
        return ak_error_set(reterr, -EINVAL, "sql: must be a text");
    if (memchr(sql, '\0', len))
        return ak_error_set(reterr, -EINVAL, "sql: has a NUL character");
    while (len && strchr("; \t\r\n", sql[len - 1]))
        len--;
    *ret = sql;
    *ret_len = len;
    return 0;
}
