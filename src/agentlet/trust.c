/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/trust.h"

#include <ak/base/alloc.h>
#include <ak/base/buf.h>
#include <ak/base/error.h>
#include <ak/base/log.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_CONFIG (256u << 10)

static int append(const char *path, const struct ak_buf *text)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    ssize_t n = 0;

    if (fd < 0)
        return -errno;
    n = write(fd, ak_buf_text(text), text->len);
    (void)close(fd);
    return n == (ssize_t)text->len ? 0 : -EIO;
}

/* Values of git's configuration are quoted as C strings are. */
static int compose(struct ak_buf *out, const char *workspace)
{
    int r = ak_buf_adds(out, "[safe]\n\tdirectory = \"");

    for (const char *p = workspace; *p && r >= 0; p++) {
        if (*p == '"' || *p == '\\')
            r = ak_buf_adds(out, "\\");
        if (r >= 0)
            r = ak_buf_add(out, p, 1);
    }
    return r < 0 ? r : ak_buf_adds(out, "\"\n");
}

static int trust(const char *workspace, const char *home)
{
    AK_AUTO_TEXT char *path = ak_asprintf("%s/.gitconfig", home);
    AK_AUTO(ak_buf) present = AK_BUF_INIT(MAX_CONFIG);
    AK_AUTO(ak_buf) text = AK_BUF_INIT(8192);
    int r = path ? compose(&text, workspace) : -ENOMEM;

    if (r < 0)
        return r;
    r = ak_buf_add_file(&present, path);
    if (r < 0 && r != -ENOENT)
        return r;
    if (strstr(ak_buf_text(&present), ak_buf_text(&text)))
        return 0;
    return append(path, &text);
}

void ak_trust_workspace(const char *workspace, const char *home)
{
    struct stat st;
    int r = 0;

    if (stat(workspace, &st) < 0 || st.st_uid == geteuid() || !home[0])
        return;
    r = trust(workspace, home);
    if (r < 0)
        ak_warn("agentlet", "git may refuse to work in the workspace: .gitconfig was not written",
                AK_STR("home", home), AK_STR("why", ak_code_text(r)));
}
