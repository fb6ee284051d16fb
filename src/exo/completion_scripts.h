/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AK_EXO_COMPLETION_SCRIPTS_H
#define AK_EXO_COMPLETION_SCRIPTS_H

/* What `exo completion SHELL` prints; NULL: not a shell that exo knows. */
const char *ak_completion_script(const char *shell);

#endif
