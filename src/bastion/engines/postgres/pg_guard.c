/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/postgres/pg_guard.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <ak/base/compiler.h>

#include "engines/classify.h"

#define SESSION_MAX 4096 /* bytes of a statement about the session */

/* Settings that change how results look, and nothing about what may be done. */
static const char *const harmless[] = {
    "application_name", "client_encoding",    "client_min_messages", "datestyle",
    "intervalstyle",    "extra_float_digits", "bytea_output",        "statement_timeout",
    "lock_timeout",     "timezone",           "search_path",         "names",
    "enable_seqscan",   "enable_hashjoin",    "enable_indexscan",    "work_mem",
};
static const char *const transactions[] = {"BEGIN", "START",    "COMMIT",    "END",
                                           "ABORT", "ROLLBACK", "SAVEPOINT", "RELEASE"};

static bool is_one_of(const char *word, size_t len, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strlen(list[i]) == len && strncasecmp(word, list[i], len) == 0)
            return true;
    }
    return false;
}

static const char *next_word(const char *text, size_t *ret_len)
{
    while (*text && !isalnum((unsigned char)*text) && *text != '_')
        text++;
    *ret_len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.");
    return text;
}

/* SET [SESSION | LOCAL] name, RESET name, SHOW name, with plain words only. */
static bool is_harmless_setting(const char *text)
{
    size_t len;
    const char *word = next_word(text, &len);

    do {
        word = next_word(word + len, &len);
    } while (is_one_of(word, len, (const char *const[]){"SESSION", "LOCAL", "TIME"}, 3));
    return is_one_of(word, len, harmless, AK_ARRAY_LEN(harmless)) ||
           is_one_of(word, len, (const char *const[]){"ZONE"}, 1);
}

static bool is_harmless(const char *text, const struct ak_sql_facts *facts)
{
    const char *keyword = facts->keyword;

    if (facts->statements == 0)
        return true;
    /* A comment or a quoted name can hide what the words seem to say. */
    if (facts->statements > 1 || facts->has_comment || strchr(text, '"'))
        return false;
    if (is_one_of(keyword, strlen(keyword), transactions, AK_ARRAY_LEN(transactions)))
        return !strcasestr(text, "write");
    if (strcmp(keyword, "SHOW") == 0)
        return true;
    return (strcmp(keyword, "SET") == 0 || strcmp(keyword, "RESET") == 0) &&
           is_harmless_setting(text);
}

/* A cursor is as good as its query. What stands behind each FOR is taken for it: a name or a text may have one too. */
static bool is_reading_cursor(enum ak_tool_type type, const char *text)
{
    bool found = false;

    for (const char *at = strcasestr(text, "for"); at; at = strcasestr(at + 1, "for")) {
        if (at > text && !isspace((unsigned char)at[-1]))
            continue;
        if (!isspace((unsigned char)at[3]))
            continue;
        if (ak_classify_sql(type, at + 3, strlen(at + 3), NULL) != AK_CLASS_READ)
            return false;
        found = true;
    }
    return found;
}

static bool may_run(enum ak_tool_type type, const char *text, const struct ak_sql_facts *facts)
{
    if (facts->statements == 1 && strcmp(facts->keyword, "CLOSE") == 0)
        return true;
    if (facts->statements == 1 && strcmp(facts->keyword, "DECLARE") == 0)
        return is_reading_cursor(type, text);
    return is_harmless(text, facts);
}

/* What was prepared on this connection came through here, too. */
static bool is_execute(const struct ak_sql_facts *facts)
{
    return facts->statements == 1 && strcmp(facts->keyword, "EXECUTE") == 0 && !facts->function[0];
}

bool ak_pg_guard(enum ak_tool_type type, enum ak_statement_class class_, const char *text,
                 size_t len, char why[static AK_PG_GUARD_WHY])
{
    struct ak_sql_facts facts = {.function = ""};
    char copy[SESSION_MAX + 1];

    if (class_ == AK_CLASS_READ)
        return true;
    if (class_ == AK_CLASS_SESSION && len <= SESSION_MAX) {
        memcpy(copy, text, len);
        copy[len] = '\0';
        (void)ak_classify_sql(type, copy, len, &facts);
        if (may_run(type, copy, &facts))
            return true;
    } else if (class_ == AK_CLASS_UNKNOWN) {
        (void)ak_classify_sql(type, text, len, &facts);
        if (is_execute(&facts))
            return true;
    }
    if (facts.function[0])
        (void)snprintf(why, AK_PG_GUARD_WHY,
                       "this session only reads, and function %s is not known to do nothing else",
                       facts.function);
    else
        (void)snprintf(why, AK_PG_GUARD_WHY, "this session only reads, and %s",
                       class_ == AK_CLASS_SESSION
                           ? "may not change how it does"
                           : "the statement is not known to do nothing else");
    return false;
}
