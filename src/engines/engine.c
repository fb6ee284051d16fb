/* SPDX-License-Identifier: Apache-2.0 */
#include "engines/engine.h"

#include <ak/base/text.h>

/* Pieces of schemas. Every one of them is an object that takes nothing but what it names. */
#define OBJECT(properties, required)                                                               \
    "{\"type\":\"object\",\"properties\":{" properties "},\"required\":[" required                 \
    "],\"additionalProperties\":false}"
#define TEXT(name, about)                                                                          \
    "\"" name "\":{\"type\":\"string\",\"minLength\":1,\"description\":\"" about "\"}"
#define NUMBER(name, least, most, about)                                                           \
    "\"" name "\":{\"type\":\"integer\",\"minimum\":" least ",\"maximum\":" most                   \
    ",\"description\":\"" about "\"}"
#define FREE_OBJECT(name, about) "\"" name "\":{\"type\":\"object\",\"description\":\"" about "\"}"
#define TEXTS(name, about)                                                                         \
    "\"" name "\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":256,\"items\":{\"type\":"        \
    "\"string\"},\"description\":\"" about "\"}"
#define TEXT_MAP(name, about)                                                                      \
    "\"" name "\":{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"},"            \
    "\"description\":\"" about "\"}"
#define STDIN "\"stdin\":{\"type\":\"string\",\"description\":\"Text for its standard input.\"}"
#define PARAMS                                                                                     \
    "\"params\":{\"type\":\"array\",\"maxItems\":1000,\"items\":{\"type\":[\"string\",\"number\"," \
    "\"boolean\",\"null\"]},\"description\":\"Values of the statement's placeholders, in "         \
    "order.\"}"
#define MAX_ROWS NUMBER("maxRows", "1", "100000", "Rows to return at most.")
#define DATABASE TEXT("database", "Database; left out, the configured one.")
#define COLLECTION TEXT("collection", "Name of the collection.")
#define FILTER FREE_OBJECT("filter", "Filter, as MongoDB takes it.")

/* It would indent a schema of pieces beyond reading. */
/* clang-format off */
#define HTTP_REQUEST                                                                               \
    {                                                                                              \
        .name = "http_request",                                                                    \
        .title = "HTTP request",                                                                   \
        .description = "Makes one HTTP request to the configured server. The credential is added " \
                       "on the way.",                                                              \
        .schema = OBJECT("\"method\":{\"type\":\"string\",\"enum\":[\"GET\",\"HEAD\",\"OPTIONS\"," \
                         "\"POST\",\"PUT\",\"PATCH\",\"DELETE\"],\"description\":\"Method.\"},"    \
                         "\"path\":{\"type\":\"string\",\"pattern\":\"^/\",\"description\":"       \
                         "\"Path below the base URL, with a query if it has one.\"},"              \
                         TEXT_MAP("query", "Parameters of the query; they are encoded for you.")   \
                         "," TEXT_MAP("headers", "More headers.")                                  \
                         ",\"body\":{\"type\":[\"string\",\"object\",\"array\"],"                  \
                         "\"description\":\"Body; an object or a list is sent as JSON.\"}",        \
                         "\"method\",\"path\""),                                                   \
        .at_most = AK_CLASS_ADMIN,                                                                 \
    }

static const struct ak_operation sql_operations[] = {
    {
        .name = "query",
        .title = "Query",
        .description = "Runs one SQL statement that only reads and returns its rows. A statement "
                       "that would change something is refused.",
        .schema = OBJECT(TEXT("sql", "One statement, in the database's own dialect.") "," PARAMS
                         "," MAX_ROWS, "\"sql\""),
        .at_most = AK_CLASS_READ,
    },
    {
        .name = "execute",
        .title = "Execute",
        .description = "Runs one SQL statement that may change data, as far as the permissions of "
                       "this connection go, and returns how many rows it touched.",
        .schema = OBJECT(TEXT("sql", "One statement, in the database's own dialect.") "," PARAMS,
                         "\"sql\""),
        .at_most = AK_CLASS_ADMIN,
    },
    {
        .name = "list_tables",
        .title = "List tables",
        .description = "Lists the tables and views that this connection may see.",
        .schema = OBJECT(TEXT("schema", "Only those of this schema."), ""),
        .at_most = AK_CLASS_READ,
    },
    {
        .name = "describe_table",
        .title = "Describe a table",
        .description = "Columns of a table or view, with their types.",
        .schema = OBJECT(TEXT("table", "Name of the table.") ","
                         TEXT("schema", "Its schema; left out, the default one."), "\"table\""),
        .at_most = AK_CLASS_READ,
    },
};
static const struct ak_operation redis_operations[] = {
    {
        .name = "command",
        .title = "Command",
        .description = "Runs one Redis command, given as its words. Commands that block or "
                       "administrate the server are refused.",
        .schema = OBJECT(TEXTS("args", "The command and its arguments."), "\"args\""),
        .at_most = AK_CLASS_ADMIN,
    },
    {
        .name = "scan_keys",
        .title = "Find keys",
        .description = "Names of keys that match a pattern.",
        .schema = OBJECT(TEXT("pattern", "Pattern with *, ? and [...].") "," MAX_ROWS,
                         "\"pattern\""),
        .at_most = AK_CLASS_READ,
    },
    {
        .name = "get",
        .title = "Read a key",
        .description = "Type, time to live and value of one key, whatever its type is.",
        .schema = OBJECT(TEXT("key", "Name of the key."), "\"key\""),
        .at_most = AK_CLASS_READ,
    },
};
static const struct ak_operation mongodb_operations[] = {
    {
        .name = "find",
        .title = "Find documents",
        .description = "Documents of a collection that match a filter.",
        .schema = OBJECT(COLLECTION "," FILTER "," FREE_OBJECT("projection", "Fields to return.") ","
                         FREE_OBJECT("sort", "Order.") "," MAX_ROWS "," DATABASE,
                         "\"collection\""),
        .at_most = AK_CLASS_READ,
    },
    {
        .name = "aggregate",
        .title = "Aggregate",
        .description = "Runs an aggregation pipeline. Stages that write need the right to write.",
        .schema = OBJECT(COLLECTION ",\"pipeline\":{\"type\":\"array\",\"maxItems\":100,"
                         "\"items\":{\"type\":\"object\"},\"description\":\"Stages.\"},"
                         MAX_ROWS "," DATABASE, "\"collection\",\"pipeline\""),
        .at_most = AK_CLASS_WRITE,
    },
    {
        .name = "count",
        .title = "Count documents",
        .description = "How many documents of a collection match a filter.",
        .schema = OBJECT(COLLECTION "," FILTER "," DATABASE, "\"collection\""),
        .at_most = AK_CLASS_READ,
    },
    {
        .name = "list_collections",
        .title = "List collections",
        .description = "Collections and views of a database.",
        .schema = OBJECT(DATABASE, ""),
        .at_most = AK_CLASS_READ,
    },
    {
        .name = "insert_one",
        .title = "Insert a document",
        .description = "Puts one document into a collection.",
        .schema = OBJECT(COLLECTION "," FREE_OBJECT("document", "The document.") "," DATABASE,
                         "\"collection\",\"document\""),
        .at_most = AK_CLASS_WRITE,
    },
    {
        .name = "update_many",
        .title = "Update documents",
        .description = "Changes all documents of a collection that match a filter.",
        .schema = OBJECT(COLLECTION "," FILTER "," FREE_OBJECT("update", "Update operators.") ","
                         DATABASE, "\"collection\",\"filter\",\"update\""),
        .at_most = AK_CLASS_WRITE,
    },
    {
        .name = "delete_many",
        .title = "Delete documents",
        .description = "Removes all documents of a collection that match a filter.",
        .schema = OBJECT(COLLECTION "," FILTER "," DATABASE, "\"collection\",\"filter\""),
        .at_most = AK_CLASS_WRITE,
    },
};
static const struct ak_operation http_operations[] = {HTTP_REQUEST};
static const struct ak_operation elasticsearch_operations[] =
    {
        {
            .name = "search",
            .title = "Search",
            .description = "Searches an index and returns the documents that were found.",
            .schema = OBJECT(TEXT("index", "Index, alias or pattern.") ","
                         FREE_OBJECT("query", "A query of the Query DSL; left out, everything.")
                         "," FREE_OBJECT("sort", "Order, as field to direction.") ","
                         FREE_OBJECT("aggregations", "Aggregations.") "," MAX_ROWS, "\"index\""),
            .at_most = AK_CLASS_READ,
        },
        HTTP_REQUEST,
};
static const struct ak_operation kubernetes_operations[] = {{
    .name = "kubectl",
    .title = "kubectl",
    .description = "Runs kubectl with these arguments, for example [\"get\",\"pods\"]. Verbs that "
                   "open a stream, and flags that choose another cluster, identity or file, are "
                   "refused; a manifest goes to stdin, with -f -.",
    .schema = OBJECT(TEXTS("args", "Arguments, without kubectl itself.") "," STDIN, "\"args\""),
    .at_most = AK_CLASS_ADMIN,
}};
static const struct ak_operation ssh_operations[] = {{
    .name = "run",
    .title = "Run a command",
    .description = "Runs one command on the machine and returns its output and exit code.",
    .schema = OBJECT(TEXT("command", "The command line.") "," STDIN, "\"command\""),
    .at_most = AK_CLASS_ADMIN,
}};
static const struct ak_operation custom_operations[] = {{
    .name = "run",
    .title = "Run",
    .description = "Runs the configured program with these arguments and returns its output and "
                   "exit code.",
    .schema = OBJECT("\"args\":{\"type\":\"array\",\"maxItems\":256,\"items\":{\"type\":"
                     "\"string\"},\"description\":\"Arguments.\"}," STDIN, ""),
    .at_most = AK_CLASS_ADMIN,
}};
static const struct ak_operation rabbitmq_operations[] = {
    {
        .name = "list_queues",
        .title = "List queues",
        .description = "Queues of the virtual host, with the number of messages in each.",
        .schema = OBJECT("", ""),
        .at_most = AK_CLASS_READ,
    },
    {
        .name = "get_messages",
        .title = "Get messages",
        .description = "Takes messages from a queue. They are put back unless requeue is false.",
        .schema = OBJECT(TEXT("queue", "Name of the queue.") ","
                         NUMBER("count", "1", "1000", "Messages to take.")
                         ",\"requeue\":{\"type\":\"boolean\",\"description\":"
                         "\"Whether they are put back; left out, true.\"}", "\"queue\""),
        .at_most = AK_CLASS_WRITE,
    },
    {
        .name = "publish",
        .title = "Publish",
        .description = "Publishes one message.",
        .schema = OBJECT("\"exchange\":{\"type\":\"string\",\"description\":"
                         "\"Exchange; left out, the default one.\"},"
                         TEXT("routingKey", "Routing key; for the default exchange, a queue.")
                         ",\"payload\":{\"type\":\"string\",\"description\":\"The message.\"}",
                         "\"routingKey\",\"payload\""),
        .at_most = AK_CLASS_WRITE,
    },
    HTTP_REQUEST,
};
static const struct ak_operation kafka_operations[] = {
    {
        .name = "list_topics",
        .title = "List topics",
        .description = "Topics with their partitions.",
        .schema = OBJECT("", ""),
        .at_most = AK_CLASS_READ,
    },
    {
        .name = "consume",
        .title = "Consume",
        .description = "Reads messages of a topic without committing offsets.",
        .schema = OBJECT(TEXT("topic", "Name of the topic.") ","
                         NUMBER("partition", "0", "2147483647", "Only this partition.")
                         ",\"offset\":{\"type\":[\"string\",\"integer\"],\"description\":"
                         "\"Where to begin: a number, beginning or end; negative counts from the "
                         "end.\"}," NUMBER("count", "1", "10000", "Messages to read."),
                         "\"topic\""),
        .at_most = AK_CLASS_READ,
        .streams = true,
    },
    {
        .name = "produce",
        .title = "Produce",
        .description = "Writes messages to a topic.",
        .schema = OBJECT(TEXT("topic", "Name of the topic.") "," TEXTS("messages", "The messages.")
                         "," TEXT("key", "Key of all of them."), "\"topic\",\"messages\""),
        .at_most = AK_CLASS_WRITE,
    },
};

/* clang-format on */

#define C(field) AK_USES(AK_CONFIG_##field)
#define P(field) AK_USES(AK_PERMISSION_##field)
#define F(flag) AK_ENGINE_##flag

#define OPERATIONS(list)                                                                           \
    .operations = list##_operations, .n_operations = AK_ARRAY_LEN(list##_operations)
#define HOST (C(HOSTNAME) | C(PORT))
#define LOGIN (C(USERNAME) | C(CREDENTIALS_REF))
#define TLS (C(SSL_MODE) | C(CA_REF))
#define ADMIN (P(ADMIN_CREDENTIALS_REF) | P(ADMIN_USERNAME))
#define SERVER_SQL (F(SQL) | F(PROVISION) | F(CONNECT))
#define POSTGRES_LIKE                                                                              \
    .family = "postgres", .image = "agentkube-bastion-postgres",                                   \
    .config = HOST | LOGIN | TLS | C(DATABASE_NAME) | C(SCHEMA), .places = C(HOSTNAME),            \
    .permissions = ADMIN | P(READ_ONLY) | P(GRANTS),                                               \
    .enforced = "the database: a role that has these grants and nothing more"

/* One row a type. `permissions` are those that somebody really enforces; the admission refuses the others. */
static const struct ak_engine_info engines[AK_TOOL_TYPE_MAX] =
    {
        [AK_TOOL_TYPE_SSH] =
            {
                .type = AK_TOOL_TYPE_SSH,
                OPERATIONS(ssh),
                .name = "ssh",
                .title = "SSH",
                .family = "process",
                .image = "agentkube-bastion-ssh",
                .port = 22,
                .tls_port = 22,
                .flags = F(DIRECT) | F(TESTED) | F(CONNECT),
                .config = HOST | LOGIN | C(HOST_KEY),
                .places = C(HOSTNAME),
                .permissions = P(READ_ONLY) | P(COMMANDS),
                .enforced = "the bastion: a command line runs only if it is in the list, "
                            "word for word",
            },
        [AK_TOOL_TYPE_POSTGRES] =
            {
                .type = AK_TOOL_TYPE_POSTGRES,
                OPERATIONS(sql),
                POSTGRES_LIKE,
                .name = "postgres",
                .title = "PostgreSQL",
                .port = 5432,
                .tls_port = 5432,
                .flags = SERVER_SQL | F(FORWARD) | F(TESTED) | F(READ_ONLY),
            },
        [AK_TOOL_TYPE_COCKROACHDB] =
            {
                .type = AK_TOOL_TYPE_COCKROACHDB,
                OPERATIONS(sql),
                POSTGRES_LIKE,
                .name = "cockroachdb",
                .title = "CockroachDB",
                .port = 26257,
                .tls_port = 26257,
                .flags = SERVER_SQL | F(FORWARD) | F(READ_ONLY),
            },
        [AK_TOOL_TYPE_REDSHIFT] =
            {
                .type = AK_TOOL_TYPE_REDSHIFT,
                OPERATIONS(sql),
                POSTGRES_LIKE,
                .name = "redshift",
                .title = "Amazon Redshift",
                .port = 5439,
                .tls_port = 5439,
                .flags = SERVER_SQL | F(FORWARD) | F(READ_ONLY),
            },
        [AK_TOOL_TYPE_MYSQL] =
            {
                .type = AK_TOOL_TYPE_MYSQL,
                OPERATIONS(sql),
                .name = "mysql",
                .title = "MySQL and MariaDB",
                .family = "mysql",
                .image = "agentkube-bastion-mysql",
                .port = 3306,
                .tls_port = 3306,
                .flags = SERVER_SQL | F(FORWARD) | F(TESTED) | F(READ_ONLY),
                .config = HOST | LOGIN | TLS | C(DATABASE_NAME),
                .places = C(HOSTNAME),
                .permissions = ADMIN | P(READ_ONLY) | P(GRANTS),
                .enforced = "the database: a user that has these grants and nothing "
                            "more",
            },
        [AK_TOOL_TYPE_SQLSERVER] =
            {
                .type = AK_TOOL_TYPE_SQLSERVER,
                OPERATIONS(sql),
                .name = "sqlserver",
                .title = "Microsoft SQL Server",
                .family = "process",
                .image = "agentkube-bastion-sqlserver",
                .port = 1433,
                .tls_port = 1433,
                .flags = SERVER_SQL | F(DIRECT),
                .config = HOST | LOGIN | TLS | C(DATABASE_NAME) | C(SCHEMA),
                .places = C(HOSTNAME),
                .permissions = ADMIN | P(READ_ONLY) | P(GRANTS),
                .enforced = "the database: a login and user that has these grants "
                            "and nothing more",
            },
        [AK_TOOL_TYPE_ORACLE] =
            {
                .type = AK_TOOL_TYPE_ORACLE,
                OPERATIONS(sql),
                .name = "oracle",
                .title = "Oracle Database",
                .family = "process",
                .port = 1521,
                .tls_port = 2484,
                .flags = SERVER_SQL | F(DIRECT) | F(READ_ONLY),
                .config = HOST | LOGIN | C(DATABASE_NAME) | C(SERVICE_NAME) | C(SCHEMA),
                .places = C(HOSTNAME),
                .permissions = ADMIN | P(READ_ONLY) | P(GRANTS),
                .enforced = "the database: a user that has these grants and nothing "
                            "more",
            },
        [AK_TOOL_TYPE_MONGODB] =
            {
                .type = AK_TOOL_TYPE_MONGODB,
                OPERATIONS(mongodb),
                .name = "mongodb",
                .title = "MongoDB",
                .family = "process",
                .image = "agentkube-bastion-mongodb",
                .port = 27017,
                .tls_port = 27017,
                .flags = F(DIRECT) | F(PROVISION) | F(CONNECT) | F(READ_ONLY),
                .config = HOST | LOGIN | TLS | C(DATABASE_NAME) | C(AUTH_SOURCE) | C(REPLICA_SET),
                .places = C(HOSTNAME),
                .permissions = ADMIN | P(READ_ONLY) | P(GRANTS) | P(ROLES),
                .enforced = "the database: a user with a role of these privileges, "
                            "and with these roles",
            },
        [AK_TOOL_TYPE_REDIS] =
            {
                .type = AK_TOOL_TYPE_REDIS,
                OPERATIONS(redis),
                .name = "redis",
                .title = "Redis",
                .family = "redis",
                .image = "agentkube-bastion-redis",
                .port = 6379,
                .tls_port = 6379,
                .flags = F(FORWARD) | F(PROVISION) | F(CONNECT) | F(TESTED) | F(READ_ONLY),
                .config = HOST | LOGIN | TLS | C(DATABASE_NAME),
                .places = C(HOSTNAME),
                .permissions = ADMIN | P(READ_ONLY) | P(COMMANDS),
                .enforced = "the server: an ACL user with these rules (Redis 6 and "
                            "newer)",
            },
        [AK_TOOL_TYPE_CLICKHOUSE] =
            {
                .type = AK_TOOL_TYPE_CLICKHOUSE,
                OPERATIONS(sql),
                .name = "clickhouse",
                .title = "ClickHouse",
                .family = "http",
                .image = "agentkube-bastion-clickhouse",
                .port = 8123,
                .tls_port = 8443,
                .flags = SERVER_SQL | F(FORWARD) | F(READ_ONLY),
                .config = HOST | C(URL) | LOGIN | TLS | C(DATABASE_NAME),
                .places = C(HOSTNAME) | C(URL),
                .permissions = ADMIN | P(READ_ONLY) | P(GRANTS) | P(ROLES),
                .enforced = "the database: a user with these grants and roles "
                            "(20.4 and newer)",
            },
        [AK_TOOL_TYPE_KUBERNETES] =
            {
                .type = AK_TOOL_TYPE_KUBERNETES,
                OPERATIONS(kubernetes),
                .name = "kubernetes",
                .title = "Kubernetes",
                .family = "http",
                .image = "agentkube-bastion-kubernetes",
                .port = 443,
                .tls_port = 443,
                .flags = F(FORWARD) | F(TESTED) | F(READ_ONLY),
                .config = C(CONTEXT) | C(IN_CLUSTER) | C(CREDENTIALS_REF),
                .places = C(IN_CLUSTER) | C(CREDENTIALS_REF),
                .permissions = P(READ_ONLY) | P(RULES) | P(NAMESPACES) | P(CLUSTER_WIDE),
                .enforced = "the API server: roles that the manager makes and "
                            "binds, in the Tool's own cluster",
            },
        [AK_TOOL_TYPE_HTTP] =
            {
                .type = AK_TOOL_TYPE_HTTP,
                OPERATIONS(http),
                .name = "http",
                .title = "HTTP API",
                .family = "http",
                .image = "agentkube-bastion-http",
                .port = 80,
                .tls_port = 443,
                .flags = F(FORWARD) | F(TESTED) | F(READ_ONLY),
                .config = C(URL) | LOGIN | TLS | C(HEADERS) | C(CREDENTIAL_HEADER),
                .places = C(URL),
                .permissions = P(READ_ONLY) | P(REQUESTS),
                .enforced = "the bastion: a request passes only if a rule allows its "
                            "method and path",
            },
        [AK_TOOL_TYPE_ELASTICSEARCH] =
            {
                .type = AK_TOOL_TYPE_ELASTICSEARCH,
                OPERATIONS(elasticsearch),
                .name = "elasticsearch",
                .title = "Elasticsearch",
                .family = "http",
                .image = "agentkube-bastion-http",
                .port = 9200,
                .tls_port = 9200,
                .flags = F(FORWARD) | F(PROVISION) | F(READ_ONLY),
                .config = HOST | C(URL) | LOGIN | TLS | C(HEADERS) | C(CREDENTIAL_HEADER),
                .places = C(HOSTNAME) | C(URL),
                .permissions = ADMIN | P(READ_ONLY) | P(GRANTS) | P(ROLES) | P(REQUESTS),
                .enforced = "grants and roles: the server, by a user that has "
                            "them; requests: the bastion",
            },
        [AK_TOOL_TYPE_RABBITMQ] =
            {
                .type = AK_TOOL_TYPE_RABBITMQ,
                OPERATIONS(rabbitmq),
                .name = "rabbitmq",
                .title = "RabbitMQ",
                .family = "http",
                .image = "agentkube-bastion-rabbitmq",
                .port = 5672,
                .tls_port = 5671,
                .flags = F(FORWARD) | F(PROVISION) | F(TESTED) | F(READ_ONLY),
                .config = HOST | LOGIN | TLS | C(VIRTUAL_HOST) | C(MANAGEMENT_PORT),
                .places = C(HOSTNAME),
                .permissions = ADMIN | P(READ_ONLY) | P(GRANTS),
                .enforced = "the broker: a user with these permissions in the "
                            "virtual host",
            },
        [AK_TOOL_TYPE_SNOWFLAKE] =
            {
                .type = AK_TOOL_TYPE_SNOWFLAKE,
                OPERATIONS(sql),
                .name = "snowflake",
                .title = "Snowflake",
                .family = "http",
                .image = "agentkube-bastion-http",
                .port = 443,
                .tls_port = 443,
                .flags = F(SQL) | F(FORWARD),
                .config = C(ACCOUNT) | HOST | LOGIN | TLS | C(DATABASE_NAME) | C(SCHEMA) |
                          C(WAREHOUSE) | C(ROLE),
                .places = C(ACCOUNT),
                .permissions = P(ROLES),
                .enforced = "the warehouse: each statement runs in this role, which "
                            "it has to have",
            },
        [AK_TOOL_TYPE_BIGQUERY] =
            {
                .type = AK_TOOL_TYPE_BIGQUERY,
                OPERATIONS(sql),
                .name = "bigquery",
                .title = "BigQuery",
                .family = "http",
                .image = "agentkube-bastion-http",
                .port = 443,
                .tls_port = 443,
                .flags = F(SQL) | F(FORWARD) | F(READ_ONLY),
                .config = C(PROJECT) | C(DATASET) | C(LOCATION) | C(CREDENTIALS_REF) | HOST | TLS,
                .places = C(PROJECT),
                .permissions = P(READ_ONLY),
                .enforced = "the service: the token of a reader has the scope to "
                            "read only",
            },
        [AK_TOOL_TYPE_KAFKA] =
            {
                .type = AK_TOOL_TYPE_KAFKA,
                OPERATIONS(kafka),
                .name = "kafka",
                .title = "Kafka",
                .family = "process",
                .image = "agentkube-bastion-kafka",
                .port = 9092,
                .tls_port = 9092,
                .flags = F(DIRECT) | F(READ_ONLY),
                .config = HOST | LOGIN | TLS | C(BROKERS) | C(SASL_MECHANISM),
                .places = C(HOSTNAME) | C(BROKERS),
                .permissions = P(READ_ONLY) | P(GRANTS),
                .enforced = "the bastion: only the operations on these topics are "
                            "there, and no client of one's own",
            },
        [AK_TOOL_TYPE_CUSTOM] =
            {
                .type = AK_TOOL_TYPE_CUSTOM,
                OPERATIONS(custom),
                .name = "custom",
                .title = "A client of your own",
                .family = "process",
                .flags = F(DIRECT) | F(TESTED) | F(CONNECT),
                .config =
                    HOST | C(URL) | LOGIN | TLS | C(DATABASE_NAME) | C(IMAGE) | C(COMMAND) | C(ENV),
                .permissions = P(READ_ONLY) | P(COMMANDS),
                .enforced = "the bastion: the program runs only with arguments that "
                            "are in the list, word for word",
            },
};

const struct ak_engine_info *ak_engine_info(enum ak_tool_type type)
{
    return type > AK_TOOL_TYPE_UNSET && type < AK_TOOL_TYPE_MAX ? &engines[type] : NULL;
}

const struct ak_operation *ak_engine_operation(const struct ak_engine_info *info, const char *name)
{
    for (size_t i = 0; info && name && i < info->n_operations; i++)
        if (ak_streq(info->operations[i].name, name))
            return &info->operations[i];
    return NULL;
}

const char *ak_statement_class_name(enum ak_statement_class value)
{
    static const char *const names[AK_CLASS_MAX] = {"unknown", "read", "write", "admin", "session"};

    return value >= 0 && value < AK_CLASS_MAX ? names[value] : names[AK_CLASS_UNKNOWN];
}
