/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/mysql/commands.h"

/*
 * Not here, and so refused: changing the user (the session has the one that it was given), the replication's commands,
 * SHUTDOWN and DEBUG, commands of servers to each other, and those that no client sends any more.
 */
static const struct ak_mysql_command_rule rules[] = {
    {AK_MYSQL_COM_QUIT, "QUIT", AK_MYSQL_GOES, AK_MYSQL_REPLY_NONE},
    {AK_MYSQL_COM_INIT_DB, "USE", AK_MYSQL_GOES, AK_MYSQL_REPLY_SINGLE},
    {AK_MYSQL_COM_QUERY, "QUERY", AK_MYSQL_IS_TEXT, AK_MYSQL_REPLY_RESULT},
    {AK_MYSQL_COM_FIELD_LIST, "FIELD LIST", AK_MYSQL_GOES, AK_MYSQL_REPLY_COLUMNS},
    {AK_MYSQL_COM_STATISTICS, "STATISTICS", AK_MYSQL_GOES, AK_MYSQL_REPLY_SINGLE},
    {AK_MYSQL_COM_PROCESS_INFO, "PROCESS INFO", AK_MYSQL_GOES, AK_MYSQL_REPLY_RESULT},
    {AK_MYSQL_COM_PROCESS_KILL, "KILL", AK_MYSQL_IS_KILL, AK_MYSQL_REPLY_SINGLE},
    {AK_MYSQL_COM_PING, "PING", AK_MYSQL_GOES, AK_MYSQL_REPLY_SINGLE},
    {AK_MYSQL_COM_STMT_PREPARE, "PREPARE", AK_MYSQL_IS_TEXT, AK_MYSQL_REPLY_PREPARE},
    {AK_MYSQL_COM_STMT_EXECUTE, "EXECUTE", AK_MYSQL_IS_STATEMENT, AK_MYSQL_REPLY_RESULT},
    {AK_MYSQL_COM_STMT_SEND_LONG_DATA, "LONG DATA", AK_MYSQL_GOES, AK_MYSQL_REPLY_NONE},
    {AK_MYSQL_COM_STMT_CLOSE, "CLOSE", AK_MYSQL_GOES, AK_MYSQL_REPLY_NONE},
    {AK_MYSQL_COM_STMT_RESET, "RESET STATEMENT", AK_MYSQL_GOES, AK_MYSQL_REPLY_SINGLE},
    {AK_MYSQL_COM_SET_OPTION, "SET OPTION", AK_MYSQL_IS_OPTION, AK_MYSQL_REPLY_SINGLE},
    {AK_MYSQL_COM_STMT_FETCH, "FETCH", AK_MYSQL_GOES, AK_MYSQL_REPLY_ROWS},
    {AK_MYSQL_COM_RESET_CONNECTION, "RESET", AK_MYSQL_IS_RESET, AK_MYSQL_REPLY_SINGLE},
};

const struct ak_mysql_command_rule *ak_mysql_command_rule(uint8_t command)
{
    for (size_t i = 0; i < AK_ARRAY_LEN(rules); i++)
        if (rules[i].command == command)
            return &rules[i];
    return NULL;
}
