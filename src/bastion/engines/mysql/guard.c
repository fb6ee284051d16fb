/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/mysql/guard.h"

#include <string.h>
#include <strings.h>

#include <ak/base/compiler.h>
#include <ak/base/text.h>

/* The next word or mark of a text that has no comments and no strings. */
static size_t next_word(const char **at, const char *end, const char **ret_word)
{
    size_t n = 0;

    while (*at < end && strchr(" \t\r\n\v\f", **at) && **at)
        (*at)++;
    *ret_word = *at;
    while (*at + n < end &&
           ((*at)[n] == '_' || ((*at)[n] >= '0' && (*at)[n] <= '9') ||
            ((*at)[n] >= 'a' && (*at)[n] <= 'z') || ((*at)[n] >= 'A' && (*at)[n] <= 'Z')))
        n++;
    if (n == 0 && *at < end)
        n = 1;
    *at += n;
    return n;
}

/* Whether the text is these words, NULL-terminated, and nothing more but a semicolon; "?" stands for any one word. */
static bool is_like(const char *text, size_t len, const char *const *words)
{
    const char *at = text, *end = text + len, *word;
    size_t n;

    for (; *words; words++) {
        n = next_word(&at, end, &word);
        if (n == 0 ||
            (**words != '?' && (strlen(*words) != n || strncasecmp(*words, word, n) != 0)))
            return false;
    }
    n = next_word(&at, end, &word);
    if (n == 1 && *word == ';')
        n = next_word(&at, end, &word);
    return n == 0;
}

/* What a session under the strict guard may say about itself: nothing of it can make a transaction writable. */
static const char *const harmless[][7] = {
    {"BEGIN"},
    {"START", "TRANSACTION"},
    {"START", "TRANSACTION", "READ", "ONLY"},
    {"START", "TRANSACTION", "WITH", "CONSISTENT", "SNAPSHOT"},
    {"COMMIT"},
    {"ROLLBACK"},
    {"USE", "?"},
    {"USE", "`", "?", "`"},
    {"SET", "NAMES", "?"},
    {"SET", "NAMES", "'", "?", "'"},
    {"SET", "NAMES", "?", "COLLATE", "?"},
    {"SET", "AUTOCOMMIT", "=", "?"},
    {"SET", "SESSION", "TRANSACTION", "READ", "ONLY"},
};

static bool is_harmless(const char *text, size_t len)
{
    for (size_t i = 0; i < AK_ARRAY_LEN(harmless); i++)
        if (is_like(text, len, harmless[i]))
            return true;
    return false;
}

bool ak_mysql_guard(enum ak_mysql_guard guard, enum ak_statement_class class_,
                    const struct ak_sql_facts *facts, const char *text, size_t len,
                    const char **ret_why)
{
    if (guard == AK_MYSQL_GUARD_NONE || class_ == AK_CLASS_READ)
        return true;
    /* Nothing but comments and blanks: clients send that, and the server has its own answer. */
    if (class_ != AK_CLASS_UNKNOWN && facts->statements == 0)
        return true;
    if (guard == AK_MYSQL_GUARD_READER && (class_ == AK_CLASS_SESSION || facts->only_function))
        return true;
    if (guard == AK_MYSQL_GUARD_STRICT && class_ == AK_CLASS_SESSION && is_harmless(text, len))
        return true;
    *ret_why = facts->why ? facts->why : "is not known to read";
    return false;
}

bool ak_mysql_is_kill(const char *text, size_t len, uint32_t *ret_thread_id)
{
    static const char *const forms[][5] = {
        {"KILL", "?"},
        {"KILL", "QUERY", "?"},
        {"KILL", "CONNECTION", "?"},
        {"KILL", "SOFT", "QUERY", "?"},
        {"KILL", "HARD", "QUERY", "?"},
    };
    char digits[12] = "";
    uint64_t id;

    if (len > 128)
        return false;
    for (size_t i = 0; i < AK_ARRAY_LEN(forms); i++) {
        if (!is_like(text, len, forms[i]))
            continue;
        for (size_t n = 0, d = 0; n < len && d + 1 < sizeof(digits); n++)
            if (text[n] >= '0' && text[n] <= '9')
                digits[d++] = text[n];
        if (ak_parse_u64(digits, &id) >= 0 && id && id <= UINT32_MAX) {
            *ret_thread_id = (uint32_t)id;
            return true;
        }
    }
    return false;
}
