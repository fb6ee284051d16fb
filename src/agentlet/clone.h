/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Agent's repository into the workspace, all or nothing:
 *
 *     .agentkube-clone/tree      git clones and checks out here
 *     .agentkube-clone/complete  written last; from here on only renames are left
 *     everything in tree/        moved up one by one, .git last: where it is, the clone is whole
 *
 * A start that finds `complete` goes on moving, one that finds only .agentkube-clone begins anew.
 * Nothing that was in the workspace is changed. git never runs in a clone that an agent has had in
 * its hands: that repository's configuration could make git run programs, here, beside the
 * credential.
 */
#ifndef AK_AGENTLET_CLONE_H
#define AK_AGENTLET_CLONE_H

#include "agentlet/git.h"
#include "agentlet/settings.h"
#include "agentlet/verdict.h"

#include <ak/base/compiler.h>

#define AK_CLONE_TEXT 1024

struct ak_clone {
    const struct ak_settings *settings;
    struct ak_git git;
    const char *ref; /* as the user wrote it; "": the default branch */
    char *staging;   /* .../.agentkube-clone */
    char *tree;
    char *complete;
    char text[AK_CLONE_TEXT];
    const char *tail; /* output of the git command that failed; NULL: none. Borrowed */
};

void ak_clone_done(struct ak_clone *self);
AK_DEFINE_AUTO(ak_clone, ak_clone_done)
/* Does all of it; the verdict's text and tail are in *self, which is to be zero before. */
enum ak_verdict ak_clone_run(struct ak_clone *self, const struct ak_settings *settings);

#endif
