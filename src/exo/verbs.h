/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs: one file each, named after them. As ak_exo_fn in command.h. */
#ifndef AK_EXO_VERBS_H
#define AK_EXO_VERBS_H

#include "exo/exo.h"

int ak_verb_list(struct ak_exo *self, struct ak_error **reterr);
int ak_verb_describe(struct ak_exo *self, struct ak_error **reterr);
int ak_verb_run(struct ak_exo *self, struct ak_error **reterr);
int ak_verb_runs(struct ak_exo *self, struct ak_error **reterr);
int ak_verb_run_get(struct ak_exo *self, struct ak_error **reterr);
int ak_verb_logs(struct ak_exo *self, struct ak_error **reterr);
int ak_verb_cancel(struct ak_exo *self, struct ak_error **reterr);
int ak_verb_pause(struct ak_exo *self, struct ak_error **reterr);
int ak_verb_resume(struct ak_exo *self, struct ak_error **reterr);
int ak_verb_shell(struct ak_exo *self, struct ak_error **reterr);
int ak_verb_tool_probe(struct ak_exo *self, struct ak_error **reterr);
int ak_verb_tool_exec(struct ak_exo *self, struct ak_error **reterr);
int ak_verb_tool_connect(struct ak_exo *self, struct ak_error **reterr);
int ak_verb_tool_forward(struct ak_exo *self, struct ak_error **reterr);
int ak_verb_tool_call(struct ak_exo *self, struct ak_error **reterr);
int ak_verb_tool_explain(struct ak_exo *self, struct ak_error **reterr);
int ak_verb_tool_sessions(struct ak_exo *self, struct ak_error **reterr);
int ak_verb_tool_kill(struct ak_exo *self, struct ak_error **reterr);
int ak_verb_tool_approvals(struct ak_exo *self, struct ak_error **reterr);
int ak_verb_tool_approve(struct ak_exo *self, struct ak_error **reterr);
int ak_verb_tool_deny(struct ak_exo *self, struct ak_error **reterr);
int ak_verb_session_list(struct ak_exo *self, struct ak_error **reterr);
int ak_verb_session_play(struct ak_exo *self, struct ak_error **reterr);
int ak_verb_session_export(struct ak_exo *self, struct ak_error **reterr);
int ak_verb_apply(struct ak_exo *self, struct ak_error **reterr);
int ak_verb_delete(struct ak_exo *self, struct ak_error **reterr);
int ak_verb_status(struct ak_exo *self, struct ak_error **reterr);
int ak_verb_doctor(struct ak_exo *self, struct ak_error **reterr);
int ak_verb_version(struct ak_exo *self, struct ak_error **reterr);
int ak_verb_completion(struct ak_exo *self, struct ak_error **reterr);
int ak_verb_complete(struct ak_exo *self, struct ak_error **reterr); /* __complete */

#endif
