/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/verdict.h"

#include <ak/base/buf.h>
#include <ak/base/log.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define MAX_LINE 1024 /* the rest of the message is for the command's output */

static const struct {
    const char *reason;
    int exit_code;
} verdicts[AK_VERDICT_MAX] = {
    [AK_VERDICT_CLONED] = {"Cloned", 0},
    [AK_VERDICT_KEPT] = {"Kept", 0},
    [AK_VERDICT_STOPPED] = {"Stopped", 0},
    [AK_VERDICT_INTERNAL_ERROR] = {"InternalError", 1},
    [AK_VERDICT_INVALID_CONFIGURATION] = {"InvalidConfiguration", 2},
    [AK_VERDICT_GIT_MISSING] = {"GitMissing", 3},
    [AK_VERDICT_CLONE_FAILED] = {"CloneFailed", 4},
    [AK_VERDICT_REF_NOT_FOUND] = {"RefNotFound", 5},
    [AK_VERDICT_WORKSPACE_NOT_EMPTY] = {"WorkspaceNotEmpty", 6},
    [AK_VERDICT_WORKSPACE_CONFLICT] = {"WorkspaceConflict", 6},
    [AK_VERDICT_CLONE_TIMEOUT] = {"CloneTimeout", 7},
    [AK_VERDICT_SETUP_FAILED] = {"SetupFailed", 10},
    [AK_VERDICT_SETUP_TIMEOUT] = {"SetupTimeout", 11},
};

const char *ak_verdict_reason(enum ak_verdict verdict)
{
    return verdicts[verdict].reason;
}

int ak_verdict_exit_code(enum ak_verdict verdict)
{
    return verdicts[verdict].exit_code;
}

enum ak_verdict ak_verdict_of_error(int code)
{
    return code == -EINVAL || code == -ERANGE || code == AK_E_INVALID
               ? AK_VERDICT_INVALID_CONFIGURATION
               : AK_VERDICT_INTERNAL_ERROR;
}

/* The length of the UTF-8 sequence at `p`, 0 if there is no valid one (RFC 3629). */
static size_t utf8_length(const unsigned char *p, size_t len)
{
    static const struct {
        unsigned char from, to, second_from, second_to;
        size_t length;
    } forms[] = {
        {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
        {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
        {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };

    if (p[0] < 0x80)
        return 1;
    for (size_t i = 0; i < AK_ARRAY_LEN(forms); i++) {
        if (p[0] < forms[i].from || p[0] > forms[i].to)
            continue;
        if (forms[i].length > len || p[1] < forms[i].second_from || p[1] > forms[i].second_to)
            return 0;
        for (size_t k = 2; k < forms[i].length; k++)
            if ((p[k] & 0xc0) != 0x80)
                return 0;
        return forms[i].length;
    }
    return 0;
}

static bool is_shown(unsigned char ch, bool keep_lines)
{
    return (ch >= ' ' && ch != 0x7f) || ch == '\t' || (keep_lines && ch == '\n');
}

/* A message is read by people and carried by protobuf, which refuses invalid UTF-8. */
static int add_clean(struct ak_buf *out, const char *text, size_t len, bool keep_lines)
{
    const unsigned char *p = (const unsigned char *)text;
    int r = 0;

    while (len > 0 && r >= 0) {
        size_t n = utf8_length(p, len);

        if (n == 0 || (n == 1 && !is_shown(*p, keep_lines)))
            r = ak_buf_adds(out, n == 1 && *p == '\n' ? " " : "?");
        else
            r = ak_buf_add(out, p, n);
        n = n == 0 ? 1 : n;
        p += n;
        len -= n;
    }
    return r;
}

/* The last `room` bytes of a command's output, from the start of a line if one begins there. */
static const char *last_lines(const char *tail, size_t room)
{
    size_t len = strlen(tail);
    const char *from = NULL, *line = NULL;

    if (len <= room)
        return tail;
    from = tail + len - room;
    line = strchr(from, '\n');
    return line && line[1] ? line + 1 : from;
}

/* Cleaning never makes text longer, so what fits before fits after. */
static int compose(struct ak_buf *out, enum ak_verdict verdict, const char *text, const char *tail)
{
    int r = ak_buf_addf(out, "%s: ", verdicts[verdict].reason);

    if (r >= 0)
        r = add_clean(out, text, strnlen(text, MAX_LINE), false);
    if (r >= 0 && tail && *tail) {
        const char *lines = last_lines(tail, AK_VERDICT_MAX_BYTES - out->len - 1);

        r = ak_buf_adds(out, "\n");
        if (r >= 0)
            r = add_clean(out, lines, strlen(lines), true);
    }
    while (r >= 0 && out->len > 0 && out->data[out->len - 1] == '\n')
        out->data[--out->len] = '\0';
    return r;
}

static int write_message(const char *path, const struct ak_buf *message)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    ssize_t n = 0;

    if (fd < 0)
        return -errno;
    n = write(fd, ak_buf_text(message), message->len);
    (void)close(fd);
    return n == (ssize_t)message->len ? 0 : -EIO;
}

int ak_verdict_report(enum ak_verdict verdict, const char *path, const char *text, const char *tail)
{
    AK_AUTO(ak_buf) message = AK_BUF_INIT(AK_VERDICT_MAX_BYTES);
    int exit_code = verdicts[verdict].exit_code;
    int r = compose(&message, verdict, text, tail);

    if (r >= 0)
        r = write_message(path, &message);
    if (r < 0)
        ak_warn("agentlet", "the termination message was not written", AK_STR("path", path),
                AK_STR("why", ak_code_text(r)));
    ak_log(exit_code == 0 ? AK_LOG_INFO : AK_LOG_ERROR, "agentlet", "finished",
           AK_STR("reason", verdicts[verdict].reason), AK_STR("text", text),
           AK_INT("exitCode", exit_code));
    return exit_code;
}
