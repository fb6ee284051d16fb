/* SPDX-License-Identifier: Apache-2.0 */
/* The statements that bring one of a Tool's logins to its grants, or remove it. Pure but for the identity's
 * files. */
#ifndef AK_BASTION_ENGINES_PROCESS_SQLSERVER_H
#define AK_BASTION_ENGINES_PROCESS_SQLSERVER_H

#include "bastion/engines/process/process.h"

/* T-SQL whose only result set says `changed` or `same`. The buffer must be one that is wiped. */
AK_MUST_USE int ak_sqlserver_provision(struct ak_process *self, bool writer, bool away,
                                       struct ak_buf *out, struct ak_error **reterr);

#endif
