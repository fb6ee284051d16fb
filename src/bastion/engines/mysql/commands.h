/* SPDX-License-Identifier: Apache-2.0 */
/* What is done with each command of a client; what is not listed is refused. */
#ifndef AK_BASTION_ENGINES_MYSQL_COMMANDS_H
#define AK_BASTION_ENGINES_MYSQL_COMMANDS_H

#include "bastion/engines/mysql/relay.h"

enum ak_mysql_treatment {
    AK_MYSQL_GOES,         /* without being a statement */
    AK_MYSQL_IS_TEXT,      /* the payload is a statement */
    AK_MYSQL_IS_STATEMENT, /* runs one that was prepared */
    AK_MYSQL_IS_KILL,
    AK_MYSQL_IS_OPTION,
    AK_MYSQL_IS_RESET,
};
struct ak_mysql_command_rule {
    uint8_t command;
    const char *name; /* for the audit */
    enum ak_mysql_treatment treatment;
    enum ak_mysql_reply_kind reply;
};
/* NULL: refused. */
const struct ak_mysql_command_rule *ak_mysql_command_rule(uint8_t command);

#endif
