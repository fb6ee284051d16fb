/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/postgres/pg_guard.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include <ak/base/compiler.h>

#include "engines/classify.h"

#define SESSION_MAX 512 /* bytes of a statement about the session */

static const char not_reading[] =
    "this session only reads, and the statement is not known to do nothing else";
static const char not_harmless[] = "this session only reads, and may not change how it does";

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

const char *ak_pg_guard(enum ak_tool_type type, enum ak_statement_class class_, const char *text,
                        size_t len)
{
    struct ak_sql_facts facts;
    char copy[SESSION_MAX + 1];

    if (class_ == AK_CLASS_READ)
        return NULL;
    if (class_ != AK_CLASS_SESSION)
        return not_reading;
    if (len > SESSION_MAX)
        return not_harmless;
    memcpy(copy, text, len);
    copy[len] = '\0';
    (void)ak_classify_sql(type, copy, len, &facts);
    return is_harmless(copy, &facts) ? NULL : not_harmless;
}
