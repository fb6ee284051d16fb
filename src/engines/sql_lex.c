/* SPDX-License-Identifier: Apache-2.0 */
#include "engines/sql_lex.h"

#include <ak/base/text.h>
#include <string.h>

unsigned ak__sql_dialect(enum ak_tool_type type)
{
    switch (type) {
    case AK_TOOL_TYPE_POSTGRES:
    case AK_TOOL_TYPE_COCKROACHDB:
    case AK_TOOL_TYPE_REDSHIFT:
        return AK_SQL_DOLLAR | AK_SQL_E_STRING;
    case AK_TOOL_TYPE_MYSQL:
        return AK_SQL_BACKTICK | AK_SQL_HASH | AK_SQL_MYSQL | AK_SQL_BACKSLASH;
    case AK_TOOL_TYPE_SQLSERVER:
        return AK_SQL_BRACKET | AK_SQL_UNICODE;
    case AK_TOOL_TYPE_ORACLE:
        return AK_SQL_Q_STRING | AK_SQL_UNICODE;
    case AK_TOOL_TYPE_CLICKHOUSE:
        return AK_SQL_BACKTICK | AK_SQL_BACKSLASH | AK_SQL_DOLLAR | AK_SQL_HASH;
    case AK_TOOL_TYPE_BIGQUERY:
        return AK_SQL_BACKTICK | AK_SQL_BACKSLASH | AK_SQL_HASH | AK_SQL_TRIPLE;
    default: /* snowflake */
        return AK_SQL_DOLLAR | AK_SQL_BACKSLASH | AK_SQL_SLASHES;
    }
}

void ak__sql_lexer_init(struct ak_sql_lexer *self, unsigned dialect, const char *sql, size_t len)
{
    *self = (struct ak_sql_lexer){.at = (const unsigned char *)sql,
                                  .end = (const unsigned char *)sql + len,
                                  .dialect = dialect};
}

static unsigned char peek(const struct ak_sql_lexer *self, size_t ahead)
{
    return (size_t)(self->end - self->at) > ahead ? self->at[ahead] : '\0';
}

static bool broken(struct ak_sql_lexer *self, const char *why)
{
    self->why = why;
    return false;
}

static bool is_blank(unsigned char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_word_start(const struct ak_sql_lexer *self, unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (c >= 0x80 && !(self->dialect & AK_SQL_UNICODE));
}

static bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

static bool skip_line(struct ak_sql_lexer *self)
{
    while (self->at < self->end && *self->at != '\n' && *self->at != '\r')
        self->at++;
    self->has_comment = true;
    if (self->at < self->end && *self->at == '\r' && self->end - self->at > 1 &&
        peek(self, 1) != '\n')
        return broken(self, "a carriage return that ends a comment for some servers only");
    return true;
}

/* What begins a comment up to the end of the line. */
static bool is_line_comment(const struct ak_sql_lexer *self)
{
    unsigned char c = peek(self, 0);

    return (c == '-' && peek(self, 1) == '-') || (c == '#' && (self->dialect & AK_SQL_HASH));
}

/* What begins one in some versions or modes of a server, and something else in others. */
static bool is_doubtful_comment(const struct ak_sql_lexer *self)
{
    unsigned char c = peek(self, 0), next = peek(self, 1);

    if (c == '-' && next == '-')
        return (self->dialect & AK_SQL_MYSQL) && self->end - self->at > 2 &&
               !is_blank(peek(self, 2));
    if (c == '/' && next == '/')
        return self->dialect & AK_SQL_SLASHES;
    return c == '#' && (self->dialect & AK_SQL_DOLLAR) && (self->dialect & AK_SQL_HASH) &&
           next != ' ' && next != '!';
}

static bool skip_block(struct ak_sql_lexer *self)
{
    if ((self->dialect & AK_SQL_MYSQL) &&
        (peek(self, 2) == '!' || peek(self, 2) == '+' || peek(self, 2) == 'M'))
        return broken(self, "a comment that the server may run as code");
    self->has_comment = true;
    for (self->at += 2; self->at < self->end; self->at++) {
        if (self->at[0] == '*' && peek(self, 1) == '/') {
            self->at += 2;
            return true;
        }
        if (self->at[0] == '/' && peek(self, 1) == '*')
            return broken(self, "a comment within a comment");
    }
    return broken(self, "a comment without an end");
}

/* Blanks and comments. */
static bool skip_nothing(struct ak_sql_lexer *self)
{
    while (self->at < self->end) {
        unsigned char c = *self->at;
        if (is_blank(c)) {
            self->at++;
        } else if (is_doubtful_comment(self)) {
            return broken(self, "what some servers take for a comment");
        } else if (is_line_comment(self)) {
            if (!skip_line(self))
                return false;
        } else if (c == '/' && peek(self, 1) == '*') {
            if (!skip_block(self))
                return false;
        } else {
            return true;
        }
    }
    return true;
}

static void keep(struct ak_sql_token *ret, const unsigned char *text, size_t len, bool capitals)
{
    ret->is_cut = len >= sizeof(ret->text);
    if (ret->is_cut)
        len = sizeof(ret->text) - 1;
    for (size_t i = 0; i < len; i++)
        ret->text[i] =
            (char)(capitals && text[i] >= 'a' && text[i] <= 'z' ? text[i] - 'a' + 'A' : text[i]);
    ret->text[len] = '\0';
}

/* From the opening quote to behind the closing one. A doubled quote is part of the text. */
static bool take_quoted(struct ak_sql_lexer *self, unsigned char close, bool escapes,
                        struct ak_sql_token *ret)
{
    const unsigned char *begin = ++self->at;

    for (; self->at < self->end; self->at++) {
        if (*self->at == '\\' && close == '`')
            return broken(self, "a backslash in a name");
        if (*self->at == '\\') {
            self->has_escaped_quote |= peek(self, 1) == close || peek(self, 1) == '\\';
            if (escapes)
                self->at++;
            if (self->at >= self->end)
                break;
            if (escapes)
                continue;
        }
        if (*self->at != close)
            continue;
        if (peek(self, 1) == close) {
            self->at++;
            continue;
        }
        keep(ret, begin, (size_t)(self->at - begin), false);
        self->at++;
        return true;
    }
    return broken(self, "a quote without an end");
}

static bool take_string(struct ak_sql_lexer *self, bool escapes, struct ak_sql_token *ret)
{
    unsigned char quote = *self->at;

    if ((self->dialect & AK_SQL_TRIPLE) && peek(self, 1) == quote && peek(self, 2) == quote)
        return broken(self, "a string in three quotes");
    ret->kind = AK_SQL_STRING;
    return take_quoted(self, quote, escapes, ret);
}

/* $tag$ ... $tag$; *ret_is_one false: the dollar is something else. */
static bool take_dollar(struct ak_sql_lexer *self, struct ak_sql_token *ret, bool *ret_is_one)
{
    size_t len = 1;
    size_t left = (size_t)(self->end - self->at);

    *ret_is_one = false;
    while (len < left &&
           (is_word_start(self, self->at[len]) || (len > 1 && is_digit(self->at[len]))))
        len++;
    if (len >= left || self->at[len] != '$')
        return true;
    len++;
    const unsigned char *rest = self->at + len;
    const unsigned char *close = memmem(rest, (size_t)(self->end - rest), self->at, len);
    if (!close)
        return broken(self, "a dollar quote without an end");
    ret->kind = AK_SQL_STRING;
    keep(ret, rest, (size_t)(close - rest), false);
    self->at = close + len;
    *ret_is_one = true;
    return true;
}

static bool take_number(struct ak_sql_lexer *self, struct ak_sql_token *ret)
{
    const unsigned char *begin = self->at;

    while (is_digit(peek(self, 0)) || peek(self, 0) == '.')
        self->at++;
    if ((peek(self, 0) | 0x20) == 'e' &&
        (is_digit(peek(self, 1)) ||
         ((peek(self, 1) == '+' || peek(self, 1) == '-') && is_digit(peek(self, 2))))) {
        self->at += 2;
        while (is_digit(peek(self, 0)))
            self->at++;
    }
    if (is_word_start(self, peek(self, 0)) || peek(self, 0) == '$')
        return broken(self, "a number with letters right behind it");
    ret->kind = AK_SQL_NUMBER;
    keep(ret, begin, (size_t)(self->at - begin), false);
    return true;
}

static bool take_word(struct ak_sql_lexer *self, struct ak_sql_token *ret)
{
    const unsigned char *begin = self->at;

    while (self->at < self->end &&
           (is_word_start(self, *self->at) || is_digit(*self->at) || *self->at == '$'))
        self->at++;
    ret->kind = AK_SQL_WORD;
    keep(ret, begin, (size_t)(self->at - begin), true);
    if (peek(self, 0) != '\'')
        return true;
    if ((self->dialect & AK_SQL_E_STRING) && ak_streq(ret->text, "E"))
        return take_string(self, true, ret);
    if ((self->dialect & AK_SQL_Q_STRING) &&
        (ak_streq(ret->text, "Q") || ak_streq(ret->text, "NQ")))
        return broken(self, "a string with quotes of its own choice");
    return true;
}

static bool take(struct ak_sql_lexer *self, struct ak_sql_token *ret)
{
    unsigned char c = *self->at;
    bool escapes = self->dialect & AK_SQL_BACKSLASH;

    if (c == '\'')
        return take_string(self, escapes, ret);
    if (c == '"') {
        if (!take_string(self, escapes, ret))
            return false;
        ret->kind = AK_SQL_QUOTED; /* a name, or a string in MySQL: neither is a keyword */
        return true;
    }
    if ((c == '`' && (self->dialect & AK_SQL_BACKTICK)) ||
        (c == '[' && (self->dialect & AK_SQL_BRACKET))) {
        ret->kind = AK_SQL_QUOTED;
        return take_quoted(self, c == '[' ? ']' : c, false, ret);
    }
    if (is_digit(c) || (c == '.' && is_digit(peek(self, 1))))
        return take_number(self, ret);
    if (is_word_start(self, c))
        return take_word(self, ret);
    if (c == '$' && (self->dialect & AK_SQL_DOLLAR)) {
        bool is_one = false;
        if (!take_dollar(self, ret, &is_one))
            return false;
        if (is_one)
            return true;
    }
    if (c < ' ' || c == 0x7f || c >= 0x80)
        return broken(self, "a character that servers read in different ways");
    if (c == '\\')
        return broken(self, "a command of the client program, not of the server");
    ret->kind = AK_SQL_MARK;
    keep(ret, self->at++, 1, false);
    return true;
}

void ak__sql_lexer_next(struct ak_sql_lexer *self, struct ak_sql_token *ret)
{
    ret->text[0] = '\0';
    ret->is_cut = false;
    ret->kind = AK_SQL_BROKEN;
    if (self->why || !skip_nothing(self))
        return;
    if (self->at == self->end)
        ret->kind = AK_SQL_END;
    else if (!take(self, ret))
        ret->kind = AK_SQL_BROKEN;
}
