/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens of SQL text, for classify_sql.c. Knows how each engine writes strings, names and comments, nothing else. */
#ifndef AK_ENGINES_SQL_LEX_H
#define AK_ENGINES_SQL_LEX_H

#include "engines/engine.h"

enum ak_sql_dialect {
    AK_SQL_DOLLAR = 1 << 0,   /* $tag$ ... $tag$ */
    AK_SQL_BACKTICK = 1 << 1, /* `name` */
    AK_SQL_BRACKET = 1 << 2,  /* [name] */
    AK_SQL_HASH = 1 << 3,     /* # begins a comment */
    AK_SQL_MYSQL =
        1 << 4, /* comments that are code, and "--" that is none without a blank behind it */
    AK_SQL_BACKSLASH = 1 << 5, /* \' is a quote within a string */
    AK_SQL_E_STRING = 1 << 6,  /* only in E'...' */
    AK_SQL_TRIPLE = 1 << 7,    /* strings in three quotes */
    AK_SQL_Q_STRING = 1 << 8,  /* q'[...]' */
    AK_SQL_UNICODE = 1 << 9,   /* blanks that are not ASCII */
    AK_SQL_SLASHES = 1 << 10,  /* // may begin a comment */
};

enum ak_sql_token_kind {
    AK_SQL_END,
    AK_SQL_WORD,   /* unquoted; in capitals */
    AK_SQL_QUOTED, /* a quoted name; as it is written */
    AK_SQL_STRING, /* its beginning as it is written */
    AK_SQL_NUMBER,
    AK_SQL_MARK,  /* one character in text[0] */
    AK_SQL_BROKEN /* not understood: `why` of the lexer says what */
};
struct ak_sql_token {
    enum ak_sql_token_kind kind;
    char text[128]; /* cut; is_cut says so */
    bool is_cut;
};
struct ak_sql_lexer {
    const unsigned char *at, *end;
    unsigned dialect;
    bool has_comment;
    bool has_escaped_quote; /* a string whose end depends on what a backslash means */
    const char *why;        /* a constant */
};

unsigned ak__sql_dialect(enum ak_tool_type type);
void ak__sql_lexer_init(struct ak_sql_lexer *self, unsigned dialect, const char *sql, size_t len);
/* After AK_SQL_END and AK_SQL_BROKEN the same comes again. */
void ak__sql_lexer_next(struct ak_sql_lexer *self, struct ak_sql_token *ret);

/* ---- words (sql_words.c) ---- */

/* What a statement that begins with this word does; UNKNOWN: no statement that we know of begins so. */
enum ak_statement_class ak__sql_first_word(enum ak_tool_type type, const char *word);
/* What this word adds inside of a statement; AK_CLASS_READ: nothing. */
enum ak_statement_class ak__sql_inner_word(enum ak_tool_type type, const char *word);
/* A word that may stand before "(" without being called. */
bool ak__sql_is_keyword(const char *word);
/* What calling it may do: READ: it is known to read only; UNKNOWN: nothing is known about it. Not case-sensitive. */
enum ak_statement_class ak__sql_function(const char *name);
/* Setting it changes what a session may do or how its text is read. In capitals. */
bool ak__sql_is_guarded_setting(const char *word);

#endif
