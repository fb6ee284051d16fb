/* SPDX-License-Identifier: Apache-2.0 */
/* Folders: remove one with its content, list one, move what is in it. */
#ifndef AK_AGENTLET_TREE_H
#define AK_AGENTLET_TREE_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <stdbool.h>

/* Does not follow symbolic links. A path that does not exist is removed already. */
AK_MUST_USE int ak_tree_remove(const char *path, struct ak_error **reterr);
/* Calls fn for each entry until it returns other than 0, which is then returned. */
typedef int (*ak_tree_fn)(const char *name, void *user);
AK_MUST_USE int ak_tree_each(const char *path, ak_tree_fn fn, void *user, struct ak_error **reterr);
/* Renames from/name to to/name. -EEXIST if that is there: nothing is ever replaced. */
AK_MUST_USE int ak_tree_move(const char *from, const char *to, const char *name,
                             struct ak_error **reterr);

#endif
