/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a program in this very container: for probe and provision, which have the type's image to themselves. */
#ifndef AK_BASTION_ENGINES_PROCESS_LOCAL_H
#define AK_BASTION_ENGINES_PROCESS_LOCAL_H

#include "bastion/engine.h"

/*
 * As ak_client_run(): the program and its whole session are killed when it ends, at the deadline (-ETIMEDOUT)
 * and when `cancel` (may be NULL) is set (AK_E_CANCELLED). Its files are there while it runs; they must not
 * exist before. -ENOENT: no such program.
 */
AK_MUST_USE int ak_process_local(const struct ak_client_command *command, const char *input,
                                 size_t input_len, const struct ak_client_limits *limits,
                                 const struct ak_cancel *cancel, struct ak_client_output *ret,
                                 struct ak_error **reterr);

#endif
