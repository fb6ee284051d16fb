/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which commit a ref of the Agent means, and how it is checked out in a clone that has no files
 * yet.
 */
#ifndef AK_AGENTLET_CHECKOUT_H
#define AK_AGENTLET_CHECKOUT_H

#include "agentlet/git.h"

#include <ak/base/compiler.h>
#include <ak/base/error.h>

#define AK_CHECKOUT_TEXT 512

/* Refuses what git could take for an option or an expression. -EINVAL names AGENTKUBE_REPO_REF. */
AK_MUST_USE int ak_checkout_check_ref(const char *ref, struct ak_error **reterr);
/*
 * A branch becomes a local branch that follows it, a tag, commit or other ref is detached; "" is
 * the default branch. 0: ret says what is there now, such as "main at 3f2a...". Positive: git's
 * exit code. AK_E_NOT_FOUND: no such ref. Others as of ak_git_run().
 */
AK_MUST_USE int ak_checkout(struct ak_git *git, const char *tree, const char *ref,
                            char ret[static AK_CHECKOUT_TEXT], struct ak_error **reterr);

#endif
