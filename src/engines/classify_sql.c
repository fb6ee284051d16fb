/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/text.h>
#include <string.h>
#include <strings.h>

#include "engines/classify.h"
#include "engines/sql_lex.h"

#define WORDS_KEPT 6

/* One statement while its tokens pass by. */
struct statement {
    enum ak_tool_type type;
    enum ak_statement_class class;
    char words[WORDS_KEPT][32]; /* the first ones */
    size_t n_words;
    size_t n_tokens;
    bool explains;        /* EXPLAIN and its like: what follows is not done ... */
    bool analyzes;        /* ... unless ANALYZE is there */
    bool is_copy;         /* COPY: whether it reads says its end */
    bool copies_out;      /* TO STDOUT */
    bool copies_in;       /* FROM STDIN */
    bool has_guarded;     /* SET of something that changes what may be done */
    bool has_encoding;    /* SET of an encoding ... */
    bool has_utf8;        /* ... that is UTF-8 */
    bool has_other;       /* a word that BEGIN and its like do not know */
    bool has_write_mode;  /* READ WRITE */
    bool more_than_reads; /* whatever functions it calls that are not known */
    size_t depth;         /* of parentheses */
    const char *why;
};
/* The tokens before the one that is looked at. */
struct walk {
    struct ak_sql_lexer lexer;
    struct ak_sql_token now, last;
    char before[32]; /* the last word */
    bool last_was_dot;
    bool expects_table;
    struct statement s;
    struct ak_sql_facts *facts;
    enum ak_statement_class class;
    bool more_than_reads; /* some statement is */
};

/* The beginning of a text, as much as fits. */
static void cut(char *ret, size_t size, const char *text)
{
    size_t len = strnlen(text, size - 1);

    memcpy(ret, text, len);
    ret[len] = '\0';
}

static int gravity(enum ak_statement_class class)
{
    static const int order[AK_CLASS_MAX] = {[AK_CLASS_READ] = 0,
                                            [AK_CLASS_SESSION] = 1,
                                            [AK_CLASS_WRITE] = 2,
                                            [AK_CLASS_ADMIN] = 3,
                                            [AK_CLASS_UNKNOWN] = 4};

    return order[class];
}

static void raise_class(struct statement *s, enum ak_statement_class class, const char *why)
{
    s->more_than_reads |= class != AK_CLASS_READ;
    if (gravity(class) <= gravity(s->class))
        return;
    s->class = class;
    s->why = why;
}

static bool is_any(const char *word, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(word, *list) == 0)
            return true;
    return false;
}
#define IS_ANY(word, ...) is_any((word), (const char *const[]){__VA_ARGS__, NULL})

static const char *word_of(const struct statement *s, size_t i)
{
    return i < s->n_words ? s->words[i] : "";
}

/* ---- the first word, and what a statement's end says about it ---- */

static void begin_statement(struct walk *w, const char *word)
{
    struct statement *s = &w->s;

    s->class = ak__sql_first_word(s->type, word);
    s->explains = IS_ANY(word, "EXPLAIN", "DESCRIBE", "DESC");
    s->is_copy = strcmp(word, "COPY") == 0 && s->class == AK_CLASS_READ;
    s->more_than_reads |= s->class != AK_CLASS_READ;
    if (s->class == AK_CLASS_UNKNOWN)
        s->why = "begins with a word that is not known to only read";
    else if (s->class == AK_CLASS_WRITE || s->class == AK_CLASS_ADMIN)
        s->why = "begins with a word that changes something";
    if (!w->facts->keyword[0])
        cut(w->facts->keyword, sizeof(w->facts->keyword), word);
}

static bool is_transaction_word(const char *word)
{
    return IS_ANY(word, "TRANSACTION", "TRAN", "WORK", "ISOLATION", "LEVEL", "READ", "ONLY",
                  "WRITE", "COMMITTED", "UNCOMMITTED", "REPEATABLE", "SERIALIZABLE", "SNAPSHOT",
                  "DEFERRABLE", "NOT", "DEFERRED", "CONSISTENT", "WITH");
}

static void end_of_set(struct statement *s)
{
    if (strcmp(word_of(s, 1), "STATEMENT") == 0)
        raise_class(s, AK_CLASS_UNKNOWN, "holds another statement");
    if (s->has_guarded || s->has_write_mode)
        raise_class(s, AK_CLASS_ADMIN, "changes what the session may do");
    if (s->has_encoding && !s->has_utf8)
        raise_class(s, AK_CLASS_ADMIN, "sets an encoding in which text may be read differently");
}

static void end_of_transaction(struct statement *s)
{
    const char *first = word_of(s, 0), *second = word_of(s, 1);

    if (strcmp(first, "START") == 0 && strcmp(second, "TRANSACTION") != 0)
        raise_class(s, AK_CLASS_ADMIN, "starts something that is not a transaction");
    if (IS_ANY(first, "BEGIN", "START") && s->has_other)
        raise_class(s, AK_CLASS_UNKNOWN, "is a block of statements");
    if (s->has_write_mode)
        raise_class(s, AK_CLASS_ADMIN, "asks for a transaction that may write");
    if (IS_ANY(first, "COMMIT", "ROLLBACK") && strcmp(second, "PREPARED") == 0)
        raise_class(s, AK_CLASS_WRITE, "ends a transaction that was prepared");
    if (strcmp(first, "PREPARE") == 0 && strcmp(second, "TRANSACTION") == 0)
        raise_class(s, AK_CLASS_WRITE, "leaves a transaction open behind the session");
}

static void end_of_statement(struct walk *w)
{
    struct statement *s = &w->s;
    const char *first = word_of(s, 0), *second = word_of(s, 1);

    if (!s->n_tokens)
        return;
    if (!s->n_words)
        raise_class(s, AK_CLASS_UNKNOWN, "has no word that says what it does");
    if (s->is_copy && !s->copies_out)
        raise_class(s, s->copies_in ? AK_CLASS_WRITE : AK_CLASS_ADMIN,
                    s->copies_in ? "copies into a table" : "copies to or from the server's files");
    if (strcmp(first, "SET") == 0)
        end_of_set(s);
    if (strcmp(first, "RESET") == 0 && (s->has_guarded || strcmp(second, "SESSION") == 0))
        raise_class(s, AK_CLASS_ADMIN, "changes what the session may do");
    if (strcmp(first, "USE") == 0 && s->has_guarded)
        raise_class(s, AK_CLASS_ADMIN, "changes what the session may do");
    if (strcmp(first, "EXPLAIN") == 0 && s->type == AK_TOOL_TYPE_ORACLE)
        raise_class(s, AK_CLASS_WRITE, "writes the plan into a table");
    if (IS_ANY(first, "BEGIN", "START", "COMMIT", "ROLLBACK", "PREPARE"))
        end_of_transaction(s);
    w->facts->statements++;
    w->more_than_reads |= s->more_than_reads;
    if (gravity(s->class) > gravity(w->class) || w->facts->statements == 1) {
        w->class = s->class;
        w->facts->why = s->why;
    }
}

/* ---- words in the middle ---- */

/* Words of SET and its like, quoted ones and parts of longer names too. */
static void note_setting(struct statement *s, const struct ak_sql_token *token)
{
    char word[32] = "";

    if (!IS_ANY(word_of(s, 0), "SET", "RESET", "USE"))
        return;
    for (size_t i = 0; token->text[i] && i < sizeof(word) - 1; i++) {
        char c = token->text[i];
        word[i] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    }
    if (ak__sql_is_guarded_setting(word))
        s->has_guarded = true;
    if (ak_has_prefix(word, "UTF8") || ak_has_prefix(word, "UTF-8") || ak_streq(word, "DEFAULT"))
        s->has_utf8 = true;
    if (IS_ANY(word, "CLIENT_ENCODING", "NAMES", "CHARSET", "CHARACTER_SET_CLIENT",
               "CHARACTER_SET_CONNECTION", "CHARACTER"))
        s->has_encoding = true;
}

static void note_mode(struct walk *w, const char *word)
{
    if (strcmp(word, "WRITE") == 0 && strcmp(w->before, "READ") == 0)
        w->s.has_write_mode = true;
    if (!is_transaction_word(word))
        w->s.has_other = true;
}

static void note_copy(struct walk *w, const char *word)
{
    bool outside = !w->s.depth && w->last.kind == AK_SQL_WORD;

    if (outside && strcmp(word, "STDOUT") == 0 && strcmp(w->last.text, "TO") == 0)
        w->s.copies_out = true;
    if (outside && strcmp(word, "STDIN") == 0 && strcmp(w->last.text, "FROM") == 0)
        w->s.copies_in = true;
    if (strcmp(word, "PROGRAM") == 0)
        raise_class(&w->s, AK_CLASS_ADMIN, "runs a program on the server");
}

/* A word that is neither called nor part of a longer name. */
static void inner_word(struct walk *w, const char *word)
{
    struct statement *s = &w->s;
    const char *first = word_of(s, 0);

    if (s->explains && IS_ANY(word, "ANALYZE", "ANALYSE"))
        s->analyzes = true;
    if (strcmp(first, "EXPLAIN") == 0 && s->analyzes) {
        enum ak_statement_class class = ak__sql_first_word(s->type, word);
        if (class == AK_CLASS_WRITE || (class == AK_CLASS_ADMIN && !IS_ANY(word, "ANALYZE", "GET")))
            raise_class(s, class, "explains by doing what changes something");
        if (strcmp(word, "EXECUTE") == 0)
            raise_class(s, AK_CLASS_UNKNOWN, "runs a statement that was prepared before");
    }
    if ((s->explains && !s->analyzes) || strcmp(first, "SHOW") == 0)
        return;
    if (s->is_copy)
        note_copy(w, word);
    raise_class(s, ak__sql_inner_word(s->type, word),
                "holds a word with which a statement changes something");
    if (strcmp(word, "SHARE") == 0 && IS_ANY(w->before, "FOR", "KEY"))
        raise_class(s, AK_CLASS_WRITE, "locks rows");
}

static void remember_word(struct walk *w, const char *word)
{
    struct statement *s = &w->s;

    if (s->n_words < WORDS_KEPT)
        cut(s->words[s->n_words++], sizeof(s->words[0]), word);
    cut(w->before, sizeof(w->before), word);
}

static void take_word(struct walk *w, const struct ak_sql_token *token)
{
    struct statement *s = &w->s;

    if (w->last_was_dot) /* a column or table of that name */
        return;
    if (!s->n_words) {
        if (s->n_tokens > 1 && !(w->last.kind == AK_SQL_MARK && w->last.text[0] == '('))
            raise_class(s, AK_CLASS_UNKNOWN, "does not begin with a word");
        enum ak_statement_class before = s->class;
        const char *why = s->why;
        begin_statement(w, token->text);
        if (before == AK_CLASS_UNKNOWN)
            raise_class(s, before, why);
    } else {
        note_mode(w, token->text);
        inner_word(w, token->text);
    }
    remember_word(w, token->text);
}

/* ---- calls ---- */

/* In front of "(" a name may be that of a table or of columns, or of a type. */
static bool is_called(const struct walk *w, const struct ak_sql_token *name)
{
    bool after_word = !w->last_was_dot && w->last.kind == AK_SQL_WORD;

    if (!w->s.n_words)
        return false; /* the first word of a statement */
    if (after_word && IS_ANY(w->last.text, "AS", "INTO", "TABLE", "VIEW", "REFERENCES", "INDEX"))
        return false;
    if (after_word && w->s.n_words == 1 && IS_ANY(w->last.text, "PREPARE", "EXECUTE"))
        return false; /* the statement's name, before its parameters */
    /* Elsewhere it is WITH name (columns) AS; there it may be WITH expression AS name. */
    if (after_word && IS_ANY(w->last.text, "WITH", "RECURSIVE") &&
        w->s.type != AK_TOOL_TYPE_CLICKHOUSE)
        return false;
    return name->kind == AK_SQL_QUOTED || w->last_was_dot || !ak__sql_is_keyword(name->text);
}

/* Somebody else's function may have the name of one that is known. */
static bool is_somebody_elses(const struct walk *w, const struct ak_sql_token *name)
{
    bool catalog = w->last.kind == AK_SQL_WORD && ak_streq(w->last.text, "PG_CATALOG");

    return name->is_cut || name->kind == AK_SQL_QUOTED || (w->last_was_dot && !catalog);
}

static void take_call(struct walk *w, const struct ak_sql_token *name)
{
    struct statement *s = &w->s;
    enum ak_statement_class class = ak__sql_function(name->text);

    if (class == AK_CLASS_READ && is_somebody_elses(w, name))
        class = AK_CLASS_UNKNOWN;
    if (class == AK_CLASS_READ || (class == AK_CLASS_UNKNOWN && !is_called(w, name)))
        return;
    if (!w->facts->function[0])
        cut(w->facts->function, sizeof(w->facts->function), name->text);
    if (class != AK_CLASS_UNKNOWN) {
        raise_class(s, class, "calls a function that does more than read");
    } else if (s->class == AK_CLASS_READ || s->class == AK_CLASS_SESSION) {
        s->class = AK_CLASS_UNKNOWN;
        s->why = "calls a function that is not known to only read";
    }
}

/* ---- relations ---- */

static void copy_name(char ret[AK_SQL_NAME_MAX], const struct ak_sql_token *token)
{
    size_t len = strlen(token->text);

    for (size_t i = 0; i <= len && i < AK_SQL_NAME_MAX; i++) {
        char c = token->text[i];
        bool lower = token->kind == AK_SQL_WORD && c >= 'A' && c <= 'Z';
        ret[i] = lower ? (char)(c - 'A' + 'a') : c;
    }
}

/* Unquoted names are given in small letters. */
static void note_table(struct walk *w, const struct ak_sql_token *token)
{
    struct ak_sql_facts *f = w->facts;

    if (w->last_was_dot && w->expects_table && f->n_tables) {
        struct ak_sql_name *t = &f->tables[f->n_tables - 1];
        memcpy(t->qualifier, t->name, sizeof(t->name));
        copy_name(t->name, token);
        return;
    }
    bool begins = w->last.kind == AK_SQL_WORD && !w->last_was_dot &&
                  IS_ANY(w->last.text, "FROM", "JOIN", "INTO", "UPDATE", "TABLE", "ONLY");
    w->expects_table = begins && !token->is_cut && f->n_tables < AK_SQL_TABLES_MAX &&
                       !IS_ANY(token->text, "SELECT", "LATERAL", "ONLY", "SET", "OF", "STDIN");
    if (!w->expects_table)
        return;
    memset(&f->tables[f->n_tables], 0, sizeof(f->tables[0]));
    copy_name(f->tables[f->n_tables++].name, token);
}

/* ---- the walk ---- */

static void next_token(struct walk *w)
{
    w->last_was_dot = w->now.kind == AK_SQL_MARK && w->now.text[0] == '.';
    if (!w->last_was_dot)
        w->last = w->now;
    ak__sql_lexer_next(&w->lexer, &w->now);
}

static void take_name(struct walk *w)
{
    struct walk ahead = *w;

    note_table(w, &w->now);
    note_setting(&w->s, &w->now);
    next_token(&ahead);
    if (ahead.now.kind == AK_SQL_MARK && ahead.now.text[0] == '(')
        take_call(w, &w->now);
    if (w->now.kind == AK_SQL_WORD)
        take_word(w, &w->now);
    else
        w->s.has_other = true;
}

static void reset_statement(struct walk *w)
{
    w->s = (struct statement){.type = w->s.type, .class = AK_CLASS_READ};
    w->before[0] = '\0';
    w->expects_table = false;
    w->last = (struct ak_sql_token){.kind = AK_SQL_END};
    w->now = w->last;
}

static void take_token(struct walk *w)
{
    bool ends = w->now.kind == AK_SQL_MARK && w->now.text[0] == ';';

    if (ends) {
        end_of_statement(w);
        reset_statement(w);
        return;
    }
    w->s.n_tokens++;
    if (w->now.kind == AK_SQL_WORD || w->now.kind == AK_SQL_QUOTED) {
        take_name(w);
        return;
    }
    if (w->now.kind == AK_SQL_STRING)
        note_setting(&w->s, &w->now);
    char mark = w->now.kind == AK_SQL_MARK ? w->now.text[0] : '\0';
    if (mark != ',')
        w->s.has_other = true;
    if (mark == '(')
        w->s.depth++;
    else if (mark == ')' && w->s.depth)
        w->s.depth--;
}

static enum ak_statement_class walk_all(enum ak_tool_type type, unsigned dialect, const char *sql,
                                        size_t len, struct ak_sql_facts *facts, bool *ret_doubtful)
{
    struct walk w = {.facts = facts, .class = AK_CLASS_READ, .s = {.type = type}};

    ak__sql_lexer_init(&w.lexer, dialect, sql, len);
    reset_statement(&w);
    for (next_token(&w); w.now.kind != AK_SQL_END && w.now.kind != AK_SQL_BROKEN; next_token(&w))
        take_token(&w);
    end_of_statement(&w);
    facts->has_comment = w.lexer.has_comment;
    *ret_doubtful = w.lexer.has_escaped_quote;
    if (w.now.kind == AK_SQL_BROKEN) {
        facts->why = w.lexer.why ? w.lexer.why : "is not understood";
        facts->statements += facts->statements == 0;
        return AK_CLASS_UNKNOWN;
    }
    facts->only_function = w.class == AK_CLASS_UNKNOWN && !w.more_than_reads;
    return w.class;
}

/* The bytes of the character that begins here; 0: none does (RFC 3629). */
static size_t character_length(const unsigned char *p, size_t left)
{
    static const unsigned least[5] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned c = p[0];
    size_t n = c < 0x80 ? 1 : (c >> 5) == 6 ? 2 : (c >> 4) == 14 ? 3 : (c >> 3) == 30 ? 4 : 0;
    unsigned value = c & (0x7fu >> n);

    if (n == 1 || !n || n > left)
        return n > left ? 0 : n;
    for (size_t k = 1; k < n; k++) {
        if ((p[k] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (p[k] & 0x3f);
    }
    bool surrogate = value >= 0xd800 && value < 0xe000;
    return value < least[n] || value > 0x10ffff || surrogate ? 0 : n;
}

static bool is_utf8(const unsigned char *p, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t n = character_length(p + i, len - i);
        if (!n)
            return false;
        i += n;
    }
    return true;
}

enum ak_statement_class ak_classify_sql(enum ak_tool_type type, const char *sql, size_t len,
                                        struct ak_sql_facts *ret)
{
    struct ak_sql_facts own, other;
    struct ak_sql_facts *facts = ret ? ret : &own;
    unsigned dialect = ak__sql_dialect(type);
    bool doubtful = false;

    memset(facts, 0, sizeof(*facts));
    if (len > AK_SQL_CLASSIFY_MAX) {
        facts->statements = 1;
        facts->why = "is too long to be looked at";
        return AK_CLASS_UNKNOWN;
    }
    if (memchr(sql, '\0', len) || !is_utf8((const unsigned char *)sql, len)) {
        facts->statements = 1;
        facts->why = "is not UTF-8 text";
        return AK_CLASS_UNKNOWN;
    }
    enum ak_statement_class class = walk_all(type, dialect, sql, len, facts, &doubtful);
    if (doubtful) { /* where a string ends is a setting of the server: the worse of both counts */
        memset(&other, 0, sizeof(other));
        enum ak_statement_class second =
            walk_all(type, dialect ^ AK_SQL_BACKSLASH, sql, len, &other, &doubtful);
        if (gravity(second) > gravity(class) || other.statements > facts->statements) {
            *facts = other;
            class = gravity(second) > gravity(class) ? second : class;
        }
    }
    return class;
}
