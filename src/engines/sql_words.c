/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/text.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engines/sql_lex.h"

enum kind_of_type {
    PG = 1 << 0, /* and what speaks its protocol */
    MY = 1 << 1,
    MS = 1 << 2,
    OTHER = 1 << 3,
    ANY = (1 << 4) - 1,
    NOT_MS = ANY & ~MS, /* SQL Server takes a word that it does not know for a procedure */
};

static unsigned kind_of(enum ak_tool_type type)
{
    switch (type) {
    case AK_TOOL_TYPE_POSTGRES:
    case AK_TOOL_TYPE_COCKROACHDB:
    case AK_TOOL_TYPE_REDSHIFT:
        return PG;
    case AK_TOOL_TYPE_MYSQL:
        return MY;
    case AK_TOOL_TYPE_SQLSERVER:
        return MS;
    default:
        return OTHER;
    }
}

/* The same word may have a row for some types and another one for the rest: the first that fits counts. */
struct word {
    const char *word;
    unsigned types;
    enum ak_statement_class class;
};

static const struct word first_words[] = {
    {"SELECT", ANY, AK_CLASS_READ},
    {"WITH", ANY, AK_CLASS_READ},
    {"VALUES", NOT_MS, AK_CLASS_READ},
    {"TABLE", PG | MY, AK_CLASS_READ},
    {"SHOW", NOT_MS, AK_CLASS_READ},
    {"EXPLAIN", NOT_MS, AK_CLASS_READ},
    {"DESCRIBE", NOT_MS, AK_CLASS_READ},
    {"DESC", NOT_MS, AK_CLASS_READ},
    {"FETCH", PG, AK_CLASS_READ},
    {"MOVE", PG, AK_CLASS_READ},
    {"EXISTS", OTHER, AK_CLASS_READ},
    {"HELP", NOT_MS, AK_CLASS_READ},
    {"DECLARE", PG, AK_CLASS_READ},
    {"PREPARE", PG, AK_CLASS_READ},
    {"COPY", PG, AK_CLASS_READ},
    {"LIST", OTHER, AK_CLASS_READ},
    {"INSERT", ANY, AK_CLASS_WRITE},
    {"UPDATE", ANY, AK_CLASS_WRITE},
    {"DELETE", ANY, AK_CLASS_WRITE},
    {"MERGE", ANY, AK_CLASS_WRITE},
    {"UPSERT", ANY, AK_CLASS_WRITE},
    {"REPLACE", MY, AK_CLASS_WRITE},
    {"TRUNCATE", ANY, AK_CLASS_WRITE},
    {"LOCK", ANY, AK_CLASS_WRITE},
    {"UNLOCK", NOT_MS, AK_CLASS_SESSION},
    {"NOTIFY", ANY, AK_CLASS_WRITE},
    {"LOAD", MY, AK_CLASS_WRITE},
    {"LOAD", ANY, AK_CLASS_ADMIN},
    {"XA", MY, AK_CLASS_WRITE},
    {"CREATE", ANY, AK_CLASS_ADMIN},
    {"ALTER", ANY, AK_CLASS_ADMIN},
    {"DROP", ANY, AK_CLASS_ADMIN},
    {"GRANT", ANY, AK_CLASS_ADMIN},
    {"REVOKE", ANY, AK_CLASS_ADMIN},
    {"DENY", ANY, AK_CLASS_ADMIN},
    {"COMMENT", ANY, AK_CLASS_ADMIN},
    {"RENAME", ANY, AK_CLASS_ADMIN},
    {"VACUUM", ANY, AK_CLASS_ADMIN},
    {"ANALYZE", ANY, AK_CLASS_ADMIN},
    {"ANALYSE", ANY, AK_CLASS_ADMIN},
    {"REINDEX", ANY, AK_CLASS_ADMIN},
    {"CLUSTER", ANY, AK_CLASS_ADMIN},
    {"REFRESH", ANY, AK_CLASS_ADMIN},
    {"REASSIGN", ANY, AK_CLASS_ADMIN},
    {"SECURITY", ANY, AK_CLASS_ADMIN},
    {"CHECKPOINT", ANY, AK_CLASS_ADMIN},
    {"IMPORT", ANY, AK_CLASS_ADMIN},
    {"EXPORT", ANY, AK_CLASS_ADMIN},
    {"OPTIMIZE", ANY, AK_CLASS_ADMIN},
    {"REPAIR", ANY, AK_CLASS_ADMIN},
    {"FLUSH", ANY, AK_CLASS_ADMIN},
    {"KILL", ANY, AK_CLASS_ADMIN},
    {"PURGE", ANY, AK_CLASS_ADMIN},
    {"INSTALL", ANY, AK_CLASS_ADMIN},
    {"UNINSTALL", ANY, AK_CLASS_ADMIN},
    {"SHUTDOWN", ANY, AK_CLASS_ADMIN},
    {"RESTART", ANY, AK_CLASS_ADMIN},
    {"BACKUP", ANY, AK_CLASS_ADMIN},
    {"RESTORE", ANY, AK_CLASS_ADMIN},
    {"DBCC", ANY, AK_CLASS_ADMIN},
    {"RECONFIGURE", ANY, AK_CLASS_ADMIN},
    {"BULK", ANY, AK_CLASS_ADMIN},
    {"ATTACH", ANY, AK_CLASS_ADMIN},
    {"DETACH", ANY, AK_CLASS_ADMIN},
    {"SYSTEM", ANY, AK_CLASS_ADMIN},
    {"EXCHANGE", ANY, AK_CLASS_ADMIN},
    {"UNDROP", ANY, AK_CLASS_ADMIN},
    {"UNLOAD", ANY, AK_CLASS_ADMIN},
    {"COPY", ANY, AK_CLASS_ADMIN},
    {"PUT", ANY, AK_CLASS_ADMIN},
    {"GET", ANY, AK_CLASS_ADMIN},
    {"REMOVE", ANY, AK_CLASS_ADMIN},
    {"CHANGE", ANY, AK_CLASS_ADMIN},
    {"STOP", ANY, AK_CLASS_ADMIN},
    {"BINLOG", ANY, AK_CLASS_ADMIN},
    {"SLAVE", ANY, AK_CLASS_ADMIN},
    {"RESET", PG, AK_CLASS_SESSION},
    {"RESET", ANY, AK_CLASS_ADMIN},
    {"BEGIN", ANY, AK_CLASS_SESSION},
    {"START", NOT_MS, AK_CLASS_SESSION},
    {"COMMIT", ANY, AK_CLASS_SESSION},
    {"ROLLBACK", ANY, AK_CLASS_SESSION},
    {"END", PG, AK_CLASS_SESSION},
    {"ABORT", PG, AK_CLASS_SESSION},
    {"SAVEPOINT", NOT_MS, AK_CLASS_SESSION},
    {"RELEASE", NOT_MS, AK_CLASS_SESSION},
    {"SET", ANY, AK_CLASS_SESSION},
    {"USE", ANY, AK_CLASS_SESSION},
    {"DISCARD", PG, AK_CLASS_SESSION},
    {"DEALLOCATE", ANY, AK_CLASS_SESSION},
    {"CLOSE", PG, AK_CLASS_SESSION},
    {"LISTEN", PG, AK_CLASS_SESSION},
    {"UNLISTEN", PG, AK_CLASS_SESSION},
};

/* SQL Server needs nothing between two statements, so there a statement may begin in the middle of another one. */
static const struct word inner_words[] = {
    {"INSERT", ANY, AK_CLASS_WRITE},     {"UPDATE", ANY, AK_CLASS_WRITE},
    {"DELETE", ANY, AK_CLASS_WRITE},     {"MERGE", ANY, AK_CLASS_WRITE},
    {"UPSERT", ANY, AK_CLASS_WRITE},     {"TRUNCATE", ANY, AK_CLASS_WRITE},
    {"INTO", ANY, AK_CLASS_WRITE},       {"LOCK", MY, AK_CLASS_WRITE},
    {"OUTFILE", ANY, AK_CLASS_ADMIN},    {"DUMPFILE", ANY, AK_CLASS_ADMIN},
    {"PROCEDURE", MY, AK_CLASS_ADMIN},   {"PROCEDURE", OTHER, AK_CLASS_UNKNOWN},
    {"CALL", ANY, AK_CLASS_UNKNOWN},     {"CREATE", MS, AK_CLASS_ADMIN},
    {"ALTER", MS, AK_CLASS_ADMIN},       {"DROP", MS, AK_CLASS_ADMIN},
    {"GRANT", MS, AK_CLASS_ADMIN},       {"REVOKE", MS, AK_CLASS_ADMIN},
    {"DENY", MS, AK_CLASS_ADMIN},        {"BACKUP", MS, AK_CLASS_ADMIN},
    {"RESTORE", MS, AK_CLASS_ADMIN},     {"SHUTDOWN", MS, AK_CLASS_ADMIN},
    {"KILL", MS, AK_CLASS_ADMIN},        {"DBCC", MS, AK_CLASS_ADMIN},
    {"RECONFIGURE", MS, AK_CLASS_ADMIN}, {"BULK", MS, AK_CLASS_ADMIN},
    {"CHECKPOINT", MS, AK_CLASS_ADMIN},  {"DISABLE", MS, AK_CLASS_ADMIN},
    {"ENABLE", MS, AK_CLASS_ADMIN},      {"WRITETEXT", MS, AK_CLASS_WRITE},
    {"UPDATETEXT", MS, AK_CLASS_WRITE},  {"EXEC", MS, AK_CLASS_UNKNOWN},
    {"EXECUTE", MS, AK_CLASS_UNKNOWN},   {"DECLARE", MS, AK_CLASS_UNKNOWN},
    {"SET", MS, AK_CLASS_UNKNOWN},       {"BEGIN", MS, AK_CLASS_UNKNOWN},
    {"WAITFOR", MS, AK_CLASS_UNKNOWN},   {"REVERT", MS, AK_CLASS_ADMIN},
    {"SEND", MS, AK_CLASS_WRITE},        {"RECEIVE", MS, AK_CLASS_WRITE},
    {"READTEXT", MS, AK_CLASS_UNKNOWN},  {"SETUSER", MS, AK_CLASS_ADMIN},
    {"RAISERROR", MS, AK_CLASS_UNKNOWN}, {"GOTO", MS, AK_CLASS_UNKNOWN},
    {"IF", MS, AK_CLASS_UNKNOWN},        {"WHILE", MS, AK_CLASS_UNKNOWN},
    {"OPEN", MS, AK_CLASS_UNKNOWN},      {"LOAD", MS, AK_CLASS_ADMIN},
};

static const struct word *look_up(const struct word *table, size_t n, enum ak_tool_type type,
                                  const char *word)
{
    for (size_t i = 0; i < n; i++)
        if ((table[i].types & kind_of(type)) && strcmp(table[i].word, word) == 0)
            return &table[i];
    return NULL;
}

enum ak_statement_class ak__sql_first_word(enum ak_tool_type type, const char *word)
{
    const struct word *found = look_up(first_words, AK_ARRAY_LEN(first_words), type, word);

    return found ? found->class : AK_CLASS_UNKNOWN;
}

enum ak_statement_class ak__sql_inner_word(enum ak_tool_type type, const char *word)
{
    const struct word *found = look_up(inner_words, AK_ARRAY_LEN(inner_words), type, word);

    return found ? found->class : AK_CLASS_READ;
}

static int compare_words(const void *key, const void *item)
{
    return strcasecmp(key, *(const char *const *)item);
}

/* Sorted. */
static const char *const keywords[] = {
    "AGAINST",   "ALL",      "AND",       "ANY",      "APPLY",    "ARRAY",     "AS",
    "BETWEEN",   "BY",       "CASE",      "CONFLICT", "CUBE",     "DISTINCT",  "ELSE",
    "ESCAPE",    "EXCEPT",   "EXISTS",    "EXPLAIN",  "FETCH",    "FILTER",    "FROM",
    "GROUP",     "GROUPING", "HAVING",    "ILIKE",    "IN",       "INTERSECT", "IS",
    "JOIN",      "KEY",      "LATERAL",   "LIKE",     "LIMIT",    "MATCH",     "MATERIALIZED",
    "MINUS",     "NOT",      "OFFSET",    "ON",       "ONLY",     "OPERATOR",  "OR",
    "ORDER",     "OVER",     "PARTITION", "PIVOT",    "PREWHERE", "QUALIFY",   "RANGE",
    "RECURSIVE", "REGEXP",   "RETURNING", "RLIKE",    "ROLLUP",   "ROW",       "ROWS",
    "SELECT",    "SETS",     "SOME",      "TABLE",    "THEN",     "TOP",       "UNION",
    "UNIQUE",    "UNPIVOT",  "USING",     "VALUES",   "WHEN",     "WHERE",     "WITH",
    "WITHIN",    "XOR"};

bool ak__sql_is_keyword(const char *word)
{
    return bsearch(word, keywords, AK_ARRAY_LEN(keywords), sizeof(keywords[0]), compare_words);
}

/* Functions and types with a length that change nothing, in every engine that has them. Sorted. */
static const char *const reading[] = {
    /* clang-format off */
    "ABS", "ACLDEFAULT", "ACLEXPLODE", "ACOS", "AGE", "ANY_VALUE", "ARRAY_AGG", "ARRAY_APPEND",
    "ARRAY_CAT", "ARRAY_LENGTH", "ARRAY_LOWER", "ARRAY_NDIMS", "ARRAY_POSITION", "ARRAY_REMOVE",
    "ARRAY_TO_STRING", "ARRAY_UPPER", "ASCII",
    "ASIN", "ATAN", "ATAN2", "AVG", "BIGINT", "BINARY", "BIT", "BIT_AND", "BIT_COUNT",
    "BIT_LENGTH", "BIT_OR", "BIT_XOR", "BOOL_AND", "BOOL_OR", "BTRIM", "CARDINALITY", "CAST",
    "CBRT", "CEIL", "CEILING", "CHAR", "CHAR_LENGTH", "CHARACTER", "CHARACTER_LENGTH",
    "CHARINDEX", "CHARSET", "CHOOSE", "CHR", "CLOCK_TIMESTAMP", "COALESCE", "COERCIBILITY",
    "COL_DESCRIPTION", "COL_NAME", "COLLATION", "CONCAT", "CONCAT_WS", "CONNECTION_ID", "CONVERT",
    "CORR", "COS", "COT", "COUNT", "COUNTIF", "CRC32", "CUME_DIST", "CURDATE", "CURRENT_DATABASE",
    "CURRENT_DATE", "CURRENT_SCHEMA", "CURRENT_SCHEMAS", "CURRENT_SETTING", "CURRENT_TIME",
    "CURRENT_TIMESTAMP", "CURRENT_USER", "CURTIME", "DATABASE", "DATE", "DATE_ADD", "DATE_BIN",
    "DATE_DIFF", "DATE_FORMAT", "DATE_PART", "DATE_SUB", "DATE_TRUNC", "DATEADD", "DATEDIFF",
    "DATEFROMPARTS", "DATEPART", "DATETIME", "DAY", "DAYNAME", "DAYOFMONTH", "DAYOFWEEK",
    "DAYOFYEAR", "DB_NAME", "DEC", "DECIMAL", "DECODE", "DEGREES", "DENSE_RANK", "DIV", "DOUBLE",
    "ELT", "ENCODE", "EOMONTH", "EVERY", "EXP", "EXTRACT", "FIELD", "FIND_IN_SET", "FIRST_VALUE",
    "FLOAT", "FLOOR", "FORMAT", "FORMAT_TYPE", "FOUND_ROWS", "FROM_UNIXTIME", "GEN_RANDOM_UUID",
    "GENERATE_SERIES", "GETDATE", "GREATEST", "GROUP_CONCAT", "HAS_ANY_COLUMN_PRIVILEGE",
    "HAS_COLUMN_PRIVILEGE", "HAS_DATABASE_PRIVILEGE", "HAS_FUNCTION_PRIVILEGE",
    "HAS_SCHEMA_PRIVILEGE", "HAS_SEQUENCE_PRIVILEGE", "HAS_TABLE_PRIVILEGE", "HEX", "HOST_NAME",
    "HOUR", "IF", "IFNULL", "IIF", "INET_ATON", "INET_CLIENT_ADDR", "INET_NTOA",
    "INET_SERVER_ADDR", "INITCAP", "INSTR", "INT", "INTEGER", "INTERVAL", "ISDATE", "ISNULL",
    "ISNUMERIC", "JSON_AGG", "JSON_ARRAY", "JSON_ARRAY_ELEMENTS", "JSON_ARRAY_LENGTH",
    "JSON_ARRAYAGG", "JSON_BUILD_OBJECT", "JSON_CONTAINS", "JSON_EACH", "JSON_EXTRACT",
    "JSON_KEYS", "JSON_LENGTH", "JSON_OBJECT", "JSON_OBJECTAGG", "JSON_TYPE", "JSON_TYPEOF",
    "JSON_UNQUOTE", "JSON_VALID", "JSON_VALUE", "JSONB_AGG", "JSONB_ARRAY_ELEMENTS",
    "JSONB_ARRAY_LENGTH", "JSONB_BUILD_OBJECT", "JSONB_EACH", "JSONB_EACH_TEXT",
    "JSONB_OBJECT_AGG", "JSONB_OBJECT_KEYS", "JSONB_PRETTY", "JSONB_TYPEOF", "JUSTIFY_INTERVAL",
    "LAG", "LAST_DAY", "LAST_INSERT_ID", "LAST_VALUE", "LCASE", "LEAD", "LEAST", "LEFT", "LEN",
    "LENGTH", "LISTAGG", "LN", "LOCALTIME", "LOCALTIMESTAMP", "LOCATE", "LOG", "LOG10", "LOG2",
    "LOWER", "LPAD", "LTRIM", "MAKE_DATE", "MAX", "MD5", "MICROSECOND", "MID", "MIN", "MINUTE",
    "MOD", "MODE", "MONTH", "MONTHNAME", "NCHAR", "NOW", "NTH_VALUE", "NTILE", "NULLIF",
    "NUMBERS", "NUMERIC", "NVARCHAR", "NVL", "OBJ_DESCRIPTION", "OBJECT_ID", "OBJECT_NAME",
    "OCTET_LENGTH", "OVERLAY", "PATINDEX", "PERCENT_RANK", "PERCENTILE_CONT", "PERCENTILE_DISC",
    "PG_BACKEND_PID", "PG_BLOCKING_PIDS", "PG_CHAR_TO_ENCODING", "PG_COLLATION_IS_VISIBLE",
    "PG_COLUMN_SIZE", "PG_CONF_LOAD_TIME", "PG_CONVERSION_IS_VISIBLE", "PG_DATABASE_SIZE",
    "PG_DESCRIBE_OBJECT", "PG_ENCODING_TO_CHAR", "PG_FUNCTION_IS_VISIBLE", "PG_GET_CONSTRAINTDEF",
    "PG_GET_EXPR", "PG_GET_FUNCTION_ARG_DEFAULT", "PG_GET_FUNCTION_ARGUMENTS",
    "PG_GET_FUNCTION_IDENTITY_ARGUMENTS", "PG_GET_FUNCTION_RESULT", "PG_GET_FUNCTION_SQLBODY",
    "PG_GET_FUNCTIONDEF", "PG_GET_INDEXDEF", "PG_GET_KEYWORDS", "PG_GET_PARTITION_CONSTRAINTDEF",
    "PG_GET_PARTKEYDEF", "PG_GET_REPLICA_IDENTITY_INDEX", "PG_GET_RULEDEF",
    "PG_GET_SERIAL_SEQUENCE", "PG_GET_STATISTICSOBJDEF", "PG_GET_STATISTICSOBJDEF_COLUMNS",
    "PG_GET_STATISTICSOBJDEF_EXPRESSIONS", "PG_GET_TRIGGERDEF", "PG_GET_USERBYID",
    "PG_GET_VIEWDEF", "PG_HAS_ROLE", "PG_IDENTIFY_OBJECT", "PG_INDEXES_SIZE", "PG_IS_IN_RECOVERY",
    "PG_IS_OTHER_TEMP_SCHEMA", "PG_MY_TEMP_SCHEMA", "PG_OPCLASS_IS_VISIBLE",
    "PG_OPERATOR_IS_VISIBLE", "PG_OPFAMILY_IS_VISIBLE", "PG_OPTIONS_TO_TABLE",
    "PG_PARTITION_ANCESTORS", "PG_PARTITION_ROOT", "PG_PARTITION_TREE",
    "PG_POSTMASTER_START_TIME", "PG_RELATION_IS_PUBLISHABLE", "PG_RELATION_SIZE",
    "PG_SIZE_PRETTY", "PG_SLEEP", "PG_STATISTICS_OBJ_IS_VISIBLE", "PG_TABLE_IS_VISIBLE",
    "PG_TABLE_SIZE", "PG_TABLESPACE_LOCATION", "PG_TABLESPACE_SIZE", "PG_TOTAL_RELATION_SIZE",
    "PG_TS_CONFIG_IS_VISIBLE", "PG_TS_DICT_IS_VISIBLE", "PG_TS_PARSER_IS_VISIBLE",
    "PG_TS_TEMPLATE_IS_VISIBLE", "PG_TYPE_IS_VISIBLE", "PG_TYPEOF", "PI", "POSITION", "POW",
    "POWER", "PRECISION", "QUARTER", "QUOTE_IDENT", "QUOTE_LITERAL", "QUOTE_NULLABLE",
    "QUOTENAME", "RADIANS", "RAND", "RANDOM", "RANK", "REAL", "REGEXP_CONTAINS", "REGEXP_COUNT",
    "REGEXP_EXTRACT", "REGEXP_INSTR", "REGEXP_LIKE", "REGEXP_MATCH", "REGEXP_MATCHES",
    "REGEXP_REPLACE", "REGEXP_SPLIT_TO_ARRAY", "REGEXP_SPLIT_TO_TABLE", "REGEXP_SUBSTR", "REPEAT",
    "REPLACE", "REPLICATE", "REVERSE", "RIGHT", "ROUND", "ROW_COUNT", "ROW_NUMBER", "ROW_TO_JSON",
    "RPAD", "RTRIM", "SCHEMA", "SCHEMA_NAME", "SECOND", "SESSION_USER", "SHA1", "SHA2", "SHA256",
    "SHOBJ_DESCRIPTION", "SIGN", "SIGNED", "SIN", "SLEEP", "SMALLINT", "SPACE", "SPLIT_PART",
    "SQRT", "STARTS_WITH", "STATEMENT_TIMESTAMP", "STDDEV", "STDDEV_POP", "STDDEV_SAMP",
    "STR_TO_DATE", "STRCMP", "STRFTIME", "STRING", "STRING_AGG", "STRING_SPLIT",
    "STRING_TO_ARRAY", "STRPOS", "STUFF", "SUBSTR", "SUBSTRING", "SUBSTRING_INDEX", "SUM",
    "SUSER_SNAME", "SYSDATE", "SYSTEM_USER", "TAN", "TEXT", "TIME", "TIMEDIFF", "TIMESTAMP",
    "TIMESTAMPADD", "TIMESTAMPDIFF", "TIMESTAMPTZ", "TO_CHAR", "TO_DATE", "TO_DAYS", "TO_JSON",
    "TO_JSONB", "TO_NUMBER", "TO_REGCLASS", "TO_REGTYPE", "TO_TIMESTAMP", "TRANSACTION_TIMESTAMP",
    "TRANSLATE", "TRIM", "TRUNC", "TRY_CAST", "TRY_CONVERT", "TYPE_NAME", "UCASE", "UNHEX",
    "UNIX_TIMESTAMP", "UNNEST", "UNSIGNED", "UPPER", "USER", "UTC_TIMESTAMP", "UUID", "VAR_POP",
    "VAR_SAMP", "VARBINARY", "VARCHAR", "VARCHAR2", "VARIANCE", "VERSION", "WEEK", "WEEKDAY",
    "WIDTH_BUCKET", "YEAR",
    /* clang-format on */
};

/* What reaches files, the network, other sessions or the server, or runs text as SQL. A "*" at the end: all that
 * begin so. */
static const char *const reaching[] = {
    "AZUREBLOBSTORAGE*",
    "BENCHMARK",
    "CLUSTER*",

    "DBLINK*",
    "DBMS_*",
    "EXECUTABLE",
    "EXTERNAL_QUERY",
    "FILE",
    "FROM_REMOTE*",
    "GCS",
    "GET_LOCK",
    "HDFS*",
    "HTTPURITYPE",
    "INPUT",
    "JDBC",
    "LOAD_EXTENSION",
    "LOAD_FILE",
    "LO_*",
    "MASTER_*",
    "MONGODB",
    "MYSQL",

    "ODBC",
    "OPENDATASOURCE",
    "OPENQUERY",
    "OPENROWSET",
    "OPENXML",
    "PG_ADVISORY_*",
    "PG_BACKUP_*",
    "PG_CANCEL_BACKEND",
    "PG_CREATE_*",
    "PG_CURRENT_LOGFILE",
    "PG_DROP_*",
    "PG_EXPORT_SNAPSHOT",
    "PG_EXTENSION_CONFIG_DUMP",
    "PG_FILE_*",
    "PG_HBA_FILE_RULES",
    "PG_IMPORT_SYSTEM_COLLATIONS",
    "PG_LOGICAL_*",
    "PG_LOG_*",
    "PG_LS_*",

    "PG_PROMOTE",
    "PG_READ_*",
    "PG_RELOAD_CONF",
    "PG_REPLICATION_*",
    "PG_ROTATE_LOGFILE",
    "PG_START_*",
    "PG_STAT_FILE",
    "PG_STAT_RESET*",
    "PG_STOP_*",
    "PG_SWITCH_*",
    "PG_TERMINATE_BACKEND",
    "PG_TRY_ADVISORY_*",
    "PG_WAL_REPLAY_*",
    "PLPY_*",
    "POSTGRESQL",
    "QUERY_TO_*",
    "RELEASE_ALL_LOCKS",
    "RELEASE_LOCK",
    "REMOTE*",
    "S3*",

    "SET_CONFIG",
    "SOURCE_POS_WAIT",
    "SQLITE",
    "SYSTEM$*",
    "SYS_EVAL",
    "SYS_EXEC",
    "SYS_GET",
    "SYS_SET",
    "TS_STAT",
    "URL*",
    "UTL_*",
    "XP_*",
};

static bool is_reaching(const char *name)
{
    for (size_t i = 0; i < AK_ARRAY_LEN(reaching); i++) {
        size_t len = strlen(reaching[i]);
        if (reaching[i][len - 1] == '*' ? strncasecmp(name, reaching[i], len - 1) == 0
                                        : strcasecmp(name, reaching[i]) == 0)
            return true;
    }
    return false;
}

enum ak_statement_class ak__sql_function(const char *name)
{
    static const char *const writing[] = {"NEXTVAL", "SETVAL", "PG_NOTIFY"};

    for (size_t i = 0; i < AK_ARRAY_LEN(writing); i++)
        if (strcasecmp(name, writing[i]) == 0)
            return AK_CLASS_WRITE;
    if (is_reaching(name))
        return AK_CLASS_ADMIN;
    return bsearch(name, reading, AK_ARRAY_LEN(reading), sizeof(reading[0]), compare_words)
               ? AK_CLASS_READ
               : AK_CLASS_UNKNOWN;
}

bool ak__sql_is_guarded_setting(const char *word)
{
    static const char *const words[] = {
        "ALLOW_DDL",
        "AUTHORIZATION",
        "DEFAULT_TRANSACTION_READ_ONLY",
        "GLOBAL",
        "IDENTITY_INSERT",
        "LOCAL_INFILE",
        "LOCAL_PRELOAD_LIBRARIES",
        "PASSWORD",
        "PERSIST",
        "PERSIST_ONLY",
        "READONLY",
        "ROLE",
        "ROLES",
        "ROW_SECURITY",
        "SESSION_PRELOAD_LIBRARIES",
        "SESSION_REPLICATION_ROLE",
        "SQL_MODE",
        "STANDARD_CONFORMING_STRINGS",
        "TRANSACTION_READ_ONLY",
        "TX_READ_ONLY",
    };

    for (size_t i = 0; i < AK_ARRAY_LEN(words); i++)
        if (strcmp(words[i], word) == 0)
            return true;
    return false;
}
