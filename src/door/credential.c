/* SPDX-License-Identifier: Apache-2.0 */
#include "door/credential.h"

#include <string.h>
#include <sys/stat.h>

#include <ak/base/buf.h>

void ak_credential_file_init(struct ak_credential_file *self, const char *path)
{
    *self = (struct ak_credential_file){.path = path};
}

static void forget(struct ak_credential_file *self)
{
    self->secret = ak_secret_free(self->secret);
}

void ak_credential_file_done(struct ak_credential_file *self)
{
    forget(self);
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool is_known(const struct ak_credential_file *self, const struct stat *st)
{
    return self->secret && self->device == st->st_dev && self->inode == st->st_ino &&
           self->size == st->st_size && same_time(&self->mtime, &st->st_mtim) &&
           same_time(&self->ctime, &st->st_ctim);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_visible(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] <= 0x20 || text[i] >= 0x7f)
            return false;
    return len > 0;
}

static int load(struct ak_credential_file *self, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = {.max = AK_CREDENTIAL_MAX, .wipe = true};
    const char *begin;
    size_t len;
    int r = ak_buf_add_file(&text, self->path);

    if (r < 0)
        return ak_error_set(reterr, r, "\"%s\": %s", self->path, ak_code_text(r));
    begin = ak_buf_text(&text);
    len = text.len;
    while (len && is_blank(begin[len - 1]))
        len--;
    while (len && is_blank(*begin)) {
        begin++;
        len--;
    }
    if (len == 0)
        return ak_error_set(reterr, -EINVAL, "\"%s\": is empty", self->path);
    if (!is_visible(begin, len))
        return ak_error_set(reterr, -EINVAL, "\"%s\": is not one line of visible characters",
                            self->path);
    self->secret = ak_secret_new(begin, len);
    return self->secret ? 0 : ak_error_oom(reterr);
}

int ak_credential_file_read(struct ak_credential_file *self, const struct ak_secret **ret,
                            struct ak_error **reterr)
{
    struct stat st;
    int r;

    if (!self->path[0]) {
        *ret = NULL;
        return 0;
    }
    if (stat(self->path, &st) < 0) {
        r = -errno;
        forget(self);
        return ak_error_set(reterr, r, "\"%s\": %s", self->path, ak_code_text(r));
    }
    if (!is_known(self, &st)) {
        forget(self);
        r = load(self, reterr);
        if (r < 0)
            return r;
        self->device = st.st_dev;
        self->inode = st.st_ino;
        self->size = st.st_size;
        self->mtime = st.st_mtim;
        self->ctime = st.st_ctim;
    }
    *ret = self->secret;
    return 0;
}
