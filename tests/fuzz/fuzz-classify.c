/* SPDX-License-Identifier: Apache-2.0 */
/* Statements: the first byte is the type of the Tool, the rest the text. A text that only reads must still do so when a
 * comment is put in front of it, and must not once a statement that writes is put in front. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <ak/base/alloc.h>

#include "engines/classify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum ak_statement_class with(enum ak_tool_type type, const char *prefix, const char *sql,
                                    size_t len, struct ak_sql_facts *facts)
{
    size_t before = strlen(prefix);
    AK_AUTO_TEXT char *text = ak_malloc(before + len + 1);

    memcpy(text, prefix, before);
    memcpy(text + before, sql, len);
    return ak_classify_sql(type, text, before + len, facts);
}

/* Blanks part words; a word more than there are is no harm. */
static void as_arguments(const char *sql, size_t len)
{
    AK_AUTO_TEXT char *text = ak_strndup(sql, len);
    const char *argv[16], *refused = NULL;
    size_t argc = 0, at = 0;
    char *rest = text;

    for (char *word = strsep(&rest, " \n"); word && argc < 16; word = strsep(&rest, " \n"))
        argv[argc++] = word;
    if (ak_classify_redis(argv, argc) >= AK_CLASS_MAX ||
        ak_classify_kubectl(argv, argc, &refused, &at) >= AK_CLASS_MAX || at > argc)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum ak_tool_type type = (enum ak_tool_type)(size ? 1 + data[0] % (AK_TOOL_TYPE_MAX - 1) : 1);
    const char *sql = (const char *)data + (size ? 1 : 0);
    size_t len = size ? size - 1 : 0;
    struct ak_sql_facts facts, other;
    enum ak_statement_class class = ak_classify_sql(type, sql, len, &facts);

    as_arguments(sql, len);
    if (class >= AK_CLASS_MAX || facts.n_tables > AK_SQL_TABLES_MAX ||
        strnlen(facts.keyword, sizeof(facts.keyword)) == sizeof(facts.keyword) ||
        strnlen(facts.function, sizeof(facts.function)) == sizeof(facts.function))
        abort();
    if (class != AK_CLASS_READ || !facts.statements || len > AK_SQL_CLASSIFY_MAX / 2)
        return 0;
    if (with(type, "/* x */\n", sql, len, &other) != AK_CLASS_READ)
        abort();
    if (with(type, "delete from t;", sql, len, &other) != AK_CLASS_WRITE ||
        other.statements != facts.statements + 1)
        abort();
    return 0;
}
