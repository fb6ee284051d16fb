/* SPDX-License-Identifier: Apache-2.0 */
/*
 * git refuses to work in a folder of another user, and the root of a volume belongs to root. The
 * workspace is the agent's own, so this says so in its git configuration.
 */
#ifndef AK_AGENTLET_TRUST_H
#define AK_AGENTLET_TRUST_H

/*
 * Adds the workspace to safe.directory in `home`/.gitconfig if it belongs to somebody else and is
 * not in the file. Needs no git. What goes wrong is logged: git itself will say the rest.
 */
void ak_trust_workspace(const char *workspace, const char *home);

#endif
