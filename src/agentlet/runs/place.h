/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files and folders below a folder that is open, in a place where the agent writes too: symbolic
 * links are never followed, what is in the way of a folder is removed, and only regular files are
 * opened (a pipe with a file's name would stop us). Calls return 0 or a descriptor, or -errno.
 * Thread: any.
 */
#ifndef AK_AGENTLET_RUNS_PLACE_H
#define AK_AGENTLET_RUNS_PLACE_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ak_place_flags {
    AK_PLACE_SYNC = 1 << 0, /* on the disk, not only in the kernel's memory, before it returns */
};

/* The folder of that path, whose last part is made if need be. */
AK_MUST_USE int ak_place_root(const char *path);
/* The folder `name` of another, made (0700) if it is not there; what else has the name is removed. */
AK_MUST_USE int ak_place_folder(int dir, const char *name);
/* The folder if it is one; -ENOENT, -ENOTDIR, -ELOOP. */
AK_MUST_USE int ak_place_find(int dir, const char *name);
/* A regular file. `flags` as of open(2). -EINVAL if it is anything else. */
AK_MUST_USE int ak_place_open(int dir, const char *name, int flags);
/* Adds the whole file. AK_E_TOO_LARGE beyond out->max. */
AK_MUST_USE int ak_place_read(int dir, const char *name, struct ak_buf *out);
/* Replaces the file in one rename; nobody sees half of it. */
AK_MUST_USE int ak_place_write(int dir, const char *name, const char *data, size_t len,
                               unsigned mode, unsigned flags);
/*
 * The same for a path of several parts below `root`, which must be a prefix of it. Folders on the way
 * are made.
 */
AK_MUST_USE int ak_place_write_below(const char *root, const char *path, const char *data,
                                     size_t len, unsigned mode);
/* Removes a file, or a folder with all that is in it. What is not there is removed already. */
AK_MUST_USE int ak_place_remove(int dir, const char *name);
/* Bytes on the disk of the files in a folder (not of folders in it). */
uint64_t ak_place_size(int dir);
/* Calls fn for each entry until it returns other than 0, which is then returned. */
typedef int (*ak_place_fn)(void *user, const char *name);
AK_MUST_USE int ak_place_each(int dir, ak_place_fn fn, void *user);

#endif
