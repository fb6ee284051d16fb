/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ctrl-C: the first one sets a token that waits watch, so that a run can be cancelled and the last words
 * be shown; a second one ends the program as if nobody had asked.
 */
#ifndef AK_EXO_INTERRUPT_H
#define AK_EXO_INTERRUPT_H

#include <ak/base/error.h>
#include <ak/base/thread.h>

AK_MUST_USE int ak_interrupt_start(struct ak_error **reterr);
/* Set once Ctrl-C was pressed; lives as long as the program. NULL before ak_interrupt_start(). */
const struct ak_cancel *ak_interrupt_token(void);
bool ak_interrupt_is_set(void);

#endif
