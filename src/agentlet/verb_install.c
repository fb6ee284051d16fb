/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies the program into a volume that the runtime's container mounts. The rename comes last: a
 * container that starts meanwhile sees no file or a whole one.
 */
#include "agentlet/verbs.h"

#include <ak/base/alloc.h>
#include <ak/base/error.h>
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

static int install(const char *dir, struct ak_error **reterr)
{
    AK_AUTO_TEXT char *path = ak_asprintf("%s/agentlet", dir);
    AK_AUTO_TEXT char *temp = ak_asprintf("%s/.agentlet.XXXXXX", dir);
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
    ak_info("agentlet", "installed", AK_STR("path", path), AK_STR("version", AK_VERSION));
    return 0;
}

int ak_verb_install(int argc, char **argv)
{
    AK_AUTO_PTR(ak_error) err = NULL;

    (void)argc;
    if (install(argv[0], &err) < 0) {
        ak_err("agentlet", "install failed", AK_ERR(err));
        return 1;
    }
    return 0;
}
