/* SPDX-License-Identifier: Apache-2.0 */
#include "exo-install/archive.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ak/base/alloc.h>

#define BLOCK 512
#define CHUNK (64u << 10)

/* POSIX.1-1988 ustar header; numbers are octal text. */
struct header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type;
    char linkname[100], magic[6], version[2], uname[32], gname[32], devmajor[8], devminor[8];
    char prefix[155], padding[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a header is one block");

static int write_all(struct ak_archive *self, const void *data, size_t len,
                     struct ak_error **reterr)
{
    const char *at = data;

    while (len) {
        ssize_t n = write(self->fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return ak_error_set(reterr, n < 0 ? -errno : -EIO, "the archive cannot be written: %s",
                                ak_code_text(n < 0 ? -errno : -EIO));
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

/* A long name is split at a slash: 155 bytes of folder, 100 of name. */
static int set_name(struct header *h, const char *name, struct ak_error **reterr)
{
    size_t len = strlen(name);
    const char *slash = name;

    if (len < sizeof(h->name)) {
        (void)memcpy(h->name, name, len);
        return 0;
    }
    while ((slash = strchr(slash + 1, '/')) && strlen(slash + 1) >= sizeof(h->name))
        ;
    if (!slash || (size_t)(slash - name) >= sizeof(h->prefix))
        return ak_error_set(reterr, -ENAMETOOLONG, "\"%s\": too long a name for an archive", name);
    (void)memcpy(h->prefix, name, (size_t)(slash - name));
    (void)memcpy(h->name, slash + 1, strlen(slash + 1));
    return 0;
}

static int write_header(struct ak_archive *self, const char *name, uint64_t size, unsigned mode,
                        struct ak_error **reterr)
{
    struct header h = {.type = '0', .magic = "ustar", .version = {'0', '0'}};
    unsigned sum = 0;

    int r = set_name(&h, name, reterr);
    if (r < 0)
        return r;
    if (size >= 1ULL << 33) /* what eleven octal digits hold */
        return ak_error_set(reterr, -EFBIG, "\"%s\": more than 8 GiB", name);
    (void)snprintf(h.mode, sizeof(h.mode), "%07o", mode & 07777);
    (void)snprintf(h.uid, sizeof(h.uid), "%07o", 0);
    (void)snprintf(h.gid, sizeof(h.gid), "%07o", 0);
    (void)snprintf(h.size, sizeof(h.size), "%011llo", (unsigned long long)size);
    (void)snprintf(h.mtime, sizeof(h.mtime), "%011o", 0);
    (void)memset(h.checksum, ' ', sizeof(h.checksum));
    for (size_t i = 0; i < sizeof(h); i++)
        sum += ((const unsigned char *)&h)[i];
    (void)snprintf(h.checksum, sizeof(h.checksum), "%06o", sum & 0777777);
    return write_all(self, &h, sizeof(h), reterr);
}

static int pad(struct ak_archive *self, uint64_t size, struct ak_error **reterr)
{
    static const char zeroes[BLOCK];
    return write_all(self, zeroes, (size_t)((BLOCK - size % BLOCK) % BLOCK), reterr);
}

int ak_archive_add(struct ak_archive *self, const char *name, const void *data, size_t len,
                   unsigned mode, struct ak_error **reterr)
{
    int r = write_header(self, name, len, mode, reterr);
    if (r >= 0)
        r = write_all(self, data, len, reterr);
    return r < 0 ? r : pad(self, len, reterr);
}

/* Exactly `size` bytes: a file that changes its length meanwhile would break the archive. */
static int copy(struct ak_archive *self, int fd, const char *path, uint64_t size,
                struct ak_error **reterr)
{
    AK_AUTO_TEXT char *chunk = ak_malloc(CHUNK);

    if (!chunk)
        return ak_error_oom(reterr);
    while (size) {
        ssize_t n = read(fd, chunk, AK_MIN(size, (uint64_t)CHUNK));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return ak_error_set(reterr, -EIO, "\"%s\": became shorter while it was read", path);
        int r = write_all(self, chunk, (size_t)n, reterr);
        if (r < 0)
            return r;
        size -= (uint64_t)n;
    }
    return 0;
}

int ak_archive_add_file(struct ak_archive *self, const char *name, const char *path, unsigned mode,
                        struct ak_error **reterr)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        int code = fd < 0 || !S_ISREG(st.st_mode) ? (fd < 0 ? -errno : -EINVAL) : -errno;
        if (fd >= 0)
            (void)close(fd);
        return ak_error_set(reterr, code, "\"%s\": %s", path, ak_code_text(code));
    }
    int r = write_header(self, name, (uint64_t)st.st_size, mode, reterr);
    if (r >= 0)
        r = copy(self, fd, path, (uint64_t)st.st_size, reterr);
    if (r >= 0)
        r = pad(self, (uint64_t)st.st_size, reterr);
    (void)close(fd);
    return r;
}

int ak_archive_finish(struct ak_archive *self, struct ak_error **reterr)
{
    static const char zeroes[2 * BLOCK];
    return write_all(self, zeroes, sizeof(zeroes), reterr);
}
