/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statements that set passwords carry them. What follows such a word is hidden, up to the end of the statement: hiding
 * too much harms nobody, and the hash is over what was really said. URLs lose what stands before their host.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <openssl/evp.h>

#include <ak/base/text.h>

#include "bastion/journal.h"

#define HIDDEN " '***'"

static const char *const words[] = {
    "password",   "passwd",  "pwd",     "identified",    "auth",       "requirepass",
    "masterauth", "setuser", "secret",  "authorization", "credential", "credentials",
    "token",      "apikey",  "api_key", "private_key",
};
/* Behind a word that is only a column's name. */
static const char *const harmless[] = {"from", "is",   "in",   "not",    "and",
                                       "or",   "like", "text", "varchar"};

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

static size_t word_end(const char *text, size_t len, size_t at)
{
    while (at < len && is_word(text[at]))
        at++;
    return at;
}

static bool is_one_of(const char *const *list, size_t n, const char *text, size_t len)
{
    for (size_t i = 0; i < n; i++)
        if (strlen(list[i]) == len && strncasecmp(list[i], text, len) == 0)
            return true;
    return false;
}

/* Is what stands at `at`, behind such a word, something that it announces? */
static bool announces(const char *text, size_t len, size_t at)
{
    while (at < len && isspace((unsigned char)text[at]))
        at++;
    if (at == len || strchr(",;)", text[at]))
        return false;
    return !is_one_of(harmless, AK_ARRAY_LEN(harmless), text + at, word_end(text, len, at) - at);
}

/* The end of the statement that `at` is in; quoted texts hold no end. */
static size_t statement_end(const char *text, size_t len, size_t at)
{
    char quote = 0;

    for (; at < len; at++) {
        if (quote) {
            if (text[at] == '\\')
                at++;
            else if (text[at] == quote)
                quote = 0;
        } else if (text[at] == '\'' || text[at] == '"') {
            quote = text[at];
        } else if (text[at] == ';') {
            return at;
        }
    }
    return len;
}

/* Where the host of a URL begins that has a user before it, and whose "://" stands at `at`; at: there is none. */
static size_t userinfo_end(const char *text, size_t len, size_t at)
{
    if (len - at < 3 || memcmp(text + at, "://", 3) != 0)
        return at;
    for (size_t end = at + 3; end < len && !strchr(" \t\r\n/'\"", text[end]); end++)
        if (text[end] == '@')
            return end;
    return at;
}

int ak_journal_excerpt(const char *text, size_t len, struct ak_buf *out)
{
    size_t at = 0;
    int r = 0;

    len = AK_MIN(len, AK_JOURNAL_STATEMENT);
    while (r >= 0 && at < len) {
        size_t host = userinfo_end(text, len, at);
        if (host > at) {
            r = ak_buf_adds(out, "://***");
            at = host;
            continue;
        }
        if (!is_word(text[at])) {
            r = ak_buf_add(out, text + at++, 1);
            continue;
        }
        size_t end = word_end(text, len, at);
        bool is_secret =
            is_one_of(words, AK_ARRAY_LEN(words), text + at, end - at) && announces(text, len, end);
        r = ak_buf_add(out, text + at, end - at);
        at = is_secret ? statement_end(text, len, end) : end;
        if (r >= 0 && is_secret)
            r = ak_buf_adds(out, HIDDEN);
    }
    return r;
}

int ak_journal_hash(const char *text, size_t len, char ret[static AK_JOURNAL_HASH_SIZE])
{
    static const char hex[] = "0123456789abcdef";
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;

    if (EVP_Digest(text, len, digest, &size, EVP_sha256(), NULL) != 1 || size != 32)
        return -ENOMEM;
    char *at = ret + snprintf(ret, AK_JOURNAL_HASH_SIZE, "sha256:");
    for (unsigned int i = 0; i < size; i++) {
        *at++ = hex[digest[i] >> 4];
        *at++ = hex[digest[i] & 15];
    }
    *at = '\0';
    return 0;
}
