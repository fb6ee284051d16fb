/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One function a verb, each in its own file; the table of them is in main.c. They return the exit
 * code.
 */
#ifndef AK_AGENTLET_VERBS_H
#define AK_AGENTLET_VERBS_H

int ak_verb_call_tool(int argc, char **argv);
int ak_verb_install(int argc, char **argv);
int ak_verb_workspace(int argc, char **argv);
int ak_verb_run(int argc, char **argv);
/* What git calls when it wants a credential: the program under another name, see credential.h. */
int ak_verb_askpass(int argc, char **argv);

#endif
