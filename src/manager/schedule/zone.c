/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/schedule/zone.h"
#include "manager/schedule/zone_internal.h"

#include <ak/base/alloc.h>
#include <ak/base/buf.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIELD "spec.schedule.timeZone: "

struct ak_zone *ak_zone_free(struct ak_zone *self)
{
    if (self) {
        ak_free(self->times);
        ak_free(self->offsets);
        ak_free(self);
    }
    return NULL;
}

static bool is_name_char(char ch)
{
    return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
           (ch != '\0' && strchr("_+-/", ch));
}

/* Names of the IANA database: no dots, so no way upwards, and no empty parts. */
static bool is_zone_name(const char *name)
{
    size_t len = strlen(name);

    if (len == 0 || len > AK_ZONE_MAX_NAME || name[0] == '/' || name[0] == '-' ||
        name[len - 1] == '/' || strstr(name, "//"))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!is_name_char(name[i]))
            return false;
    return true;
}

/*
 * These files of a zoneinfo folder say what this machine is set to, or are no zones of the
 * calendar.
 */
static int check_name(const char *name, struct ak_error **reterr)
{
    static const char *const local[] = {"local", "localtime", "posixrules", "factory"};

    for (size_t i = 0; i < AK_ARRAY_LEN(local); i++)
        if (strcasecmp(name, local[i]) == 0)
            return ak_error_set(reterr, -EINVAL,
                                FIELD "\"%s\" depends on the machine: name a zone such as "
                                      "\"Europe/Berlin\", or \"UTC\"",
                                name);
    if (!is_zone_name(name))
        return ak_error_set(reterr, -EINVAL,
                            FIELD "\"%.*s\" is not the name of a time zone: must be like "
                                  "\"Europe/Berlin\", or \"UTC\"",
                            AK_ZONE_MAX_NAME, name);
    return 0;
}

static int read_regular_file(int fd, struct ak_buf *out)
{
    struct stat st;
    char block[4096];
    ssize_t n = 0;
    int r = 0;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -ENOENT; /* "Europe" is a folder: to the user there is no such zone */
    for (;;) {
        n = read(fd, block, sizeof(block));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        r = ak_buf_add(out, block, (size_t)n);
        if (r < 0)
            return r;
    }
}

static int read_zone_file(const char *dir, const char *name, struct ak_buf *out)
{
    AK_AUTO_TEXT char *path = ak_asprintf("%s/%s", dir, name);
    int fd = -1, r = 0;

    if (!path)
        return -ENOMEM;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -errno;
    r = read_regular_file(fd, out);
    (void)close(fd);
    return r;
}

static int make_utc(struct ak_zone **ret, struct ak_error **reterr)
{
    *ret = ak_new0(struct ak_zone);
    return *ret ? 0 : ak_error_oom(reterr);
}

int ak_zone_load(const char *dir, const char *name, struct ak_zone **ret, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) bytes = AK_BUF_INIT(AK_ZONE_MAX_BYTES);
    int r = check_name(name, reterr);

    if (r < 0)
        return r;
    if (strcmp(name, "UTC") == 0)
        return make_utc(ret, reterr);
    r = read_zone_file(dir, name, &bytes);
    if (r == -ENOMEM)
        return ak_error_oom(reterr);
    if (r == -ENOENT || r == -ENOTDIR)
        return access(dir, X_OK) == 0
                   ? ak_error_set(reterr, -EINVAL, FIELD "there is no time zone \"%s\"", name)
                   : ak_error_set(reterr, -ENOENT, FIELD "no time zone data in \"%s\"", dir);
    if (r < 0)
        return ak_error_set(reterr, r, FIELD "cannot read the time zone \"%s\": %s", name,
                            ak_code_text(r));
    r = ak_zone_parse(ak_buf_text(&bytes), bytes.len, ret, reterr);
    return r < 0 ? ak_error_wrap(reterr, r, FIELD "\"%s\"", name) : 0;
}

/* How many of the ascending times are <= t. */
static size_t count_until(const struct ak_zone *self, int64_t t)
{
    size_t low = 0, high = self->n_times;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (self->times[middle] <= t)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void ak_zone_at(const struct ak_zone *self, int64_t unix_s, struct ak_zone_span *ret)
{
    size_t passed = 0;

    ret->offset = 0;
    ret->until = INT64_MAX;
    if (!self)
        return;
    passed = count_until(self, unix_s);
    if (passed == self->n_times && self->rule.present) {
        ak__zone_rule_at(&self->rule, unix_s, ret);
        return;
    }
    ret->offset = passed == 0 ? self->first_offset : self->offsets[passed - 1];
    if (passed < self->n_times)
        ret->until = self->times[passed];
}
