/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Secret TOOL-identity: names and passwords of the users that we make in a system. The passwords are random, made
 * here, sent once, and wiped; nothing of ours ever reads them again but the pods that mount them.
 */
#ifndef AK_MANAGER_TOOL_SECRET_H
#define AK_MANAGER_TOOL_SECRET_H

#include "manager/controllers/tool/tool_internal.h"

/* Writes it anew, for the Tool as `text` has it. AK_E_TERMINAL: somebody else has one of that name. */
AK_MUST_USE int ak_tool_secret_mint(struct ak_tool_controller *self, const struct ak_meta *meta,
                                    const char *text, struct ak_error **reterr);
/* Deletes it, if it is the Tool's. */
AK_MUST_USE int ak_tool_secret_drop(struct ak_tool_controller *self, const struct ak_meta *meta,
                                    struct ak_error **reterr);

#endif
