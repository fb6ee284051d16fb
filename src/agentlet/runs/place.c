/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/runs/place.h"

#include <ak/base/error.h>
#include <ak/base/text.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define TEMP_SUFFIX ".agentkube-new"
#define MAX_DEPTH 64 /* of a tree that is removed: a descriptor for each level */

int ak_place_root(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT && mkdir(path, 0700) == 0)
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int ak_place_find(int dir, const char *name)
{
    int fd = openat(dir, name, FOLDER);

    return fd < 0 ? -errno : fd;
}

int ak_place_folder(int dir, const char *name)
{
    int r = ak_place_find(dir, name);

    if (r == -ENOTDIR || r == -ELOOP) {
        if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
            return -errno;
        r = -ENOENT;
    }
    if (r != -ENOENT)
        return r;
    if (mkdirat(dir, name, 0700) < 0 && errno != EEXIST)
        return -errno;
    return ak_place_find(dir, name);
}

int ak_place_open(int dir, const char *name, int flags)
{
    struct stat st;
    int fd = openat(dir, name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    int r = fd < 0 ? -errno : 0;

    if (r == 0 && fstat(fd, &st) < 0)
        r = -errno;
    if (r == 0 && !S_ISREG(st.st_mode))
        r = -EINVAL;
    if (r < 0 && fd >= 0)
        (void)close(fd);
    return r < 0 ? r : fd;
}

int ak_place_read(int dir, const char *name, struct ak_buf *out)
{
    char block[16384];
    int fd = ak_place_open(dir, name, O_RDONLY);
    ssize_t n = 0;
    int r = fd < 0 ? fd : 0;

    while (r >= 0 && (n = read(fd, block, sizeof(block))) != 0)
        r = n < 0 ? -errno : ak_buf_add(out, block, (size_t)n);
    if (fd >= 0)
        (void)close(fd);
    return r;
}

static int write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

int ak_place_write(int dir, const char *name, const char *data, size_t len, unsigned mode,
                   unsigned flags)
{
    char temp[NAME_MAX + 1];
    int fd = -1;
    int r = snprintf(temp, sizeof(temp), "%s" TEMP_SUFFIX, name);

    if (r < 0 || (size_t)r >= sizeof(temp))
        return -ENAMETOOLONG;
    r = ak_place_remove(dir, temp);
    if (r < 0)
        return r;
    fd = openat(dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0)
        return -errno;
    r = write_all(fd, data, len);
    if (r == 0 && (flags & AK_PLACE_SYNC) && fdatasync(fd) < 0)
        r = -errno;
    if (close(fd) < 0 && r == 0)
        r = -errno;
    if (r == 0 && renameat(dir, temp, dir, name) < 0) {
        r = -errno;
        if (r == -EISDIR && ak_place_remove(dir, name) == 0)
            r = renameat(dir, temp, dir, name) < 0 ? -errno : 0;
    }
    if (r < 0)
        (void)unlinkat(dir, temp, 0);
    return r;
}

/* Takes `dir`. */
static int descend(int dir, const char *part, size_t len)
{
    char name[NAME_MAX + 1];
    int r = -ENAMETOOLONG;

    if (len < sizeof(name)) {
        memcpy(name, part, len);
        name[len] = '\0';
        r = strcmp(name, "..") == 0 ? -EINVAL : ak_place_folder(dir, name);
    }
    (void)close(dir);
    return r;
}

int ak_place_write_below(const char *root, const char *path, const char *data, size_t len,
                         unsigned mode)
{
    size_t root_len = strlen(root);
    int dir = -1, r = 0;

    while (root_len > 1 && root[root_len - 1] == '/')
        root_len--;
    if (strncmp(path, root, root_len) != 0 || path[root_len] != '/')
        return -EINVAL;
    path += root_len + 1;
    dir = ak_place_root(root);
    for (const char *slash = strchr(path, '/'); slash && dir >= 0; slash = strchr(path, '/')) {
        if (slash > path)
            dir = descend(dir, path, (size_t)(slash - path));
        path = slash + 1;
    }
    if (dir < 0)
        return dir;
    r = *path ? ak_place_write(dir, path, data, len, mode, 0) : -EINVAL;
    (void)close(dir);
    return r;
}

static int remove_folder(int dir, const char *name, int depth);

static int remove_entry(int dir, const char *name, int depth)
{
    if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -errno;
    return remove_folder(dir, name, depth);
}

/* Goes down by descriptors, so that a folder that becomes a link meanwhile leads nowhere. */
static int remove_folder(int dir, const char *name, int depth)
{
    int fd = depth > MAX_DEPTH ? -ELOOP : ak_place_find(dir, name);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry = NULL;
    int r = fd < 0 ? fd : 0;

    if (fd >= 0 && !stream) {
        r = -errno;
        (void)close(fd);
    }
    while (r == 0 && (entry = readdir(stream)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            r = remove_entry(dirfd(stream), entry->d_name, depth + 1);
    if (stream)
        (void)closedir(stream);
    if (r == 0 && unlinkat(dir, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        r = -errno;
    return r;
}

int ak_place_remove(int dir, const char *name)
{
    return remove_entry(dir, name, 0);
}

int ak_place_each(int dir, ak_place_fn fn, void *user)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry = NULL;
    int r = 0;

    if (!stream) {
        r = -errno;
        if (fd >= 0)
            (void)close(fd);
        return r;
    }
    while (r == 0 && (entry = readdir(stream)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            r = fn(user, entry->d_name);
    (void)closedir(stream);
    return r;
}

struct sum {
    int dir;
    uint64_t bytes;
};

static int add_size(void *user, const char *name)
{
    struct sum *sum = user;
    struct stat st;

    if (fstatat(sum->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        sum->bytes += (uint64_t)st.st_blocks * 512;
    return 0;
}

uint64_t ak_place_size(int dir)
{
    struct sum sum = {.dir = dir};

    (void)!ak_place_each(dir, add_size, &sum);
    return sum.bytes;
}
