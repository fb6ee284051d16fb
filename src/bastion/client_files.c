/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/client_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ak/base/text.h>

#define TRIES 4 /* to be quicker than who sweeps in between */

/* -EAGAIN: a sweep had it before it was locked. */
static int create(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct stat st;

    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &st) == 0 && st.st_nlink == 1)
        return fd;
    (void)unlink(path);
    (void)close(fd);
    return -EAGAIN;
}

static int fill(int fd, const struct ak_client_file *file)
{
    for (size_t at = 0; at < file->len;) {
        ssize_t n = write(fd, file->data + at, file->len - at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        at += (size_t)n;
    }
    return fchmod(fd, file->mode ? file->mode : 0600) < 0 ? -errno : 0;
}

int ak_client_file_write(const struct ak_client_file *file, struct ak_error **reterr)
{
    int fd = -EAGAIN, r;

    for (int i = 0; fd == -EAGAIN && i < TRIES; i++)
        fd = create(file->path);
    r = fd < 0 ? fd : fill(fd, file);
    if (r >= 0)
        return fd;
    if (fd >= 0)
        ak_client_file_remove(file->path, fd);
    return ak_error_set(reterr, r, "write \"%s\": %s", file->path, ak_code_text(r));
}

/* Is what the path names what the descriptor is? */
static bool is_same(const char *path, int fd)
{
    struct stat named, open;

    return lstat(path, &named) == 0 && fstat(fd, &open) == 0 && named.st_dev == open.st_dev &&
           named.st_ino == open.st_ino;
}

void ak_client_file_remove(const char *path, int fd)
{
    if (is_same(path, fd))
        (void)unlink(path);
    (void)close(fd);
}

/* Under its lock, so that who has just made it sees that it is gone. */
static bool remove_abandoned(int folder, const char *name)
{
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat st;
    bool removed;

    if (fd < 0)
        return false;
    removed = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
              flock(fd, LOCK_EX | LOCK_NB) == 0 && unlinkat(folder, name, 0) == 0;
    (void)close(fd);
    return removed;
}

size_t ak_client_files_sweep(const char *dir)
{
    DIR *folder = opendir(dir);
    size_t n = 0;

    if (!folder)
        return 0;
    for (const struct dirent *one; (one = readdir(folder));)
        if (ak_has_prefix(one->d_name, AK_CLIENT_FILES_PREFIX))
            n += remove_abandoned(dirfd(folder), one->d_name);
    (void)closedir(folder);
    return n;
}
