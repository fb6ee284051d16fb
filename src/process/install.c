/* SPDX-License-Identifier: Apache-2.0 */
#include "process/install.h"

#include <ak/base/alloc.h>
#include <ak/base/log.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define SELF "/proc/self/exe"
#define COPY_BYTES (1u << 20)

static int copy_all(int from, int to)
{
    ssize_t n = 0;

    do
        n = sendfile(to, from, NULL, COPY_BYTES);
    while (n > 0 || (n < 0 && errno == EINTR));
    if (n < 0 || fchmod(to, 0755) < 0)
        return -errno;
    return 0;
}

static int copy_to_new_file(char *template)
{
    int from = open(SELF, O_RDONLY | O_CLOEXEC);
    int to = -1, r = 0;

    if (from < 0)
        return -errno;
    to = mkostemp(template, O_CLOEXEC);
    if (to < 0) {
        r = -errno;
        (void)close(from);
        return r;
    }
    r = copy_all(from, to);
    (void)close(from);
    if (close(to) < 0 && r == 0)
        r = -errno;
    if (r < 0)
        (void)unlink(template);
    return r;
}

int ak_install_self(const char *dir, const char *name, struct ak_error **reterr)
{
    AK_AUTO_TEXT char *path = ak_asprintf("%s/%s", dir, name);
    AK_AUTO_TEXT char *temp = ak_asprintf("%s/.%s.XXXXXX", dir, name);
    int r = 0;

    if (!path || !temp)
        return ak_error_oom(reterr);
    r = copy_to_new_file(temp);
    if (r == 0 && rename(temp, path) < 0) {
        r = -errno;
        (void)unlink(temp);
    }
    if (r < 0)
        return ak_error_set(reterr, r, "cannot write \"%s\": %s", path, ak_code_text(r));
    ak_info(name, "installed", AK_STR("path", path), AK_STR("version", AK_VERSION));
    return 0;
}
