/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/tree.h"

#include <ak/base/alloc.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPEN_FOLDERS 16 /* nftw goes deeper than this, only slower */

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path) < 0 && errno != ENOENT ? -1 : 0;
}

int ak_tree_remove(const char *path, struct ak_error **reterr)
{
    struct stat st;

    if (lstat(path, &st) < 0 && errno == ENOENT)
        return 0;
    if (nftw(path, remove_entry, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS) != 0)
        return ak_error_set(reterr, -errno, "cannot remove \"%s\": %s", path, ak_code_text(-errno));
    return 0;
}

int ak_tree_each(const char *path, ak_tree_fn fn, void *user, struct ak_error **reterr)
{
    DIR *dir = opendir(path);
    const struct dirent *entry = NULL;
    int r = 0;

    if (!dir)
        return ak_error_set(reterr, -errno, "cannot open \"%s\": %s", path, ak_code_text(-errno));
    while (r == 0 && (entry = readdir(dir)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            r = fn(entry->d_name, user);
    (void)closedir(dir);
    return r;
}

/*
 * Some file systems cannot promise not to replace; nobody else writes here, so looking first does.
 */
static int rename_new(const char *from, const char *to)
{
    struct stat st;

    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -errno;
    if (lstat(to, &st) == 0)
        return -EEXIST;
    return rename(from, to) < 0 ? -errno : 0;
}

int ak_tree_move(const char *from, const char *to, const char *name, struct ak_error **reterr)
{
    AK_AUTO_TEXT char *old = ak_asprintf("%s/%s", from, name);
    AK_AUTO_TEXT char *new = ak_asprintf("%s/%s", to, name);
    int r = 0;

    if (!old || !new)
        return ak_error_oom(reterr);
    r = rename_new(old, new);
    return r < 0 ? ak_error_set(reterr, r, "cannot move \"%s\" to \"%s\": %s", old, new,
                                ak_code_text(r))
                 : 0;
}
