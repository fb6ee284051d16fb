/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a statement does, found out from its text alone. Conservative: what is not understood is AK_CLASS_UNKNOWN,
 * and a class is never milder than the text can mean in any mode of the server that we know of. It is for audit,
 * approvals and for refusing early; it is not what keeps a reader from writing: that is the system's own doing
 * (the identity's rights, and a READ ONLY transaction).
 */
#ifndef AK_ENGINES_CLASSIFY_H
#define AK_ENGINES_CLASSIFY_H

#include "engines/engine.h"

#define AK_SQL_CLASSIFY_MAX (1 << 20) /* bytes; what is longer is UNKNOWN */
#define AK_SQL_TABLES_MAX 8           /* more are not named */
#define AK_SQL_NAME_MAX 128 /* bytes of a name, with its end; what is longer is not named */

struct ak_sql_facts {
    size_t statements; /* that say something; 0: only comments and blanks */
    bool has_comment;
    char keyword[24]; /* first keyword of the first statement in capitals; "": it has none */
    /* Why it is not read or unknown, or what in it is not understood, for people; a constant, NULL: nothing to say. */
    const char *why;
    /* A function that is not known to only read, as it was written, cut to the buffer; "": none. */
    char function[64];
    bool only_function; /* it is unknown for such functions alone: everything else in it reads */
    /* Relations that it names in FROM, JOIN, INTO, UPDATE or TABLE, as far as that can be seen; "" qualifier: none. */
    struct ak_sql_name {
        char qualifier[AK_SQL_NAME_MAX], name[AK_SQL_NAME_MAX];
    } tables[AK_SQL_TABLES_MAX];
    size_t n_tables;
};
/*
 * The class of a text of one or more SQL statements: the gravest among them, in the order read, session, write, admin,
 * unknown. Text is not kept and need not be terminated. ret may be NULL.
 */
enum ak_statement_class ak_classify_sql(enum ak_tool_type type, const char *sql, size_t len,
                                        struct ak_sql_facts *ret);

/* A Redis command by its words; subcommands count (CONFIG GET, XGROUP CREATE). */
enum ak_statement_class ak_classify_redis(const char *const *argv, size_t argc);

/* A request; for elasticsearch a POST that searches is a read. `path` may be NULL. */
enum ak_statement_class ak_classify_http(enum ak_tool_type type, const char *method,
                                         const char *path);

/*
 * Arguments of kubectl. *ret_refused is set, in words for whoever asked, when these arguments are not for a structured
 * call: a verb or flag that opens a stream, takes another identity or server, or reads files; *ret_at is then the
 * argument that it is about (argc: none). Else *ret_refused is NULL. A constant.
 */
enum ak_statement_class ak_classify_kubectl(const char *const *argv, size_t argc,
                                            const char **ret_refused, size_t *ret_at);

#endif
