/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/results.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <ak/json/json.h>

#define LINE 240 /* bytes of a sentence */

/* --- lines of a provisioning --- */

static int add_line(struct ak_arena *arena, const char **lines, size_t *n, const char *fmt,
                    va_list ap)
{
    char text[LINE];
    char *copy;

    if (*n >= AK_PROVISION_MAX_LINES) {
        (*n)++;
        copy = ak_arena_printf(arena, "... and %zu more", *n - AK_PROVISION_MAX_LINES + 1);
        if (!copy)
            return -ENOMEM;
        lines[AK_PROVISION_MAX_LINES - 1] = copy;
        return 0;
    }
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    copy = ak_arena_strdup(arena, text);
    if (!copy)
        return -ENOMEM;
    lines[(*n)++] = copy;
    return 0;
}

int ak_provision_changed(struct ak_provision_result *self, const char *fmt, ...)
{
    va_list ap;
    int r;

    va_start(ap, fmt);
    r = add_line(self->arena, self->changed, &self->n_changed, fmt, ap);
    va_end(ap);
    return r;
}

int ak_provision_unenforceable(struct ak_provision_result *self, const char *fmt, ...)
{
    va_list ap;
    int r;

    va_start(ap, fmt);
    r = add_line(self->arena, self->unenforceable, &self->n_unenforceable, fmt, ap);
    va_end(ap);
    return r;
}

/* --- as JSON --- */

/* Text of a server may be anything. */
static int add_member(struct ak_buf *out, const char *name, const char *text)
{
    int r = ak_buf_addf(out, ",\"%s\":", name);

    return r < 0 ? r : ak_buf_add_json_string(out, text, strlen(text));
}

static const char *bool_text(bool value)
{
    return value ? "true" : "false";
}

int ak_probe_write(const struct ak_probe_result *result, struct ak_buf *out)
{
    int r = ak_buf_addf(out, "{\"reachable\":%s,\"authenticated\":%s,\"authorised\":%s",
                        bool_text(result->reachable), bool_text(result->authenticated),
                        bool_text(result->authorised));

    if (r >= 0)
        r = add_member(out, "server", result->server);
    if (r >= 0)
        r = add_member(out, "message", result->message);
    return r < 0 ? r : ak_buf_adds(out, "}");
}

static int add_lines(struct ak_buf *out, const char *name, const char *const *lines, size_t n)
{
    int r = ak_buf_addf(out, ",\"%s\":[", name);

    n = AK_MIN(n, (size_t)AK_PROVISION_MAX_LINES);
    for (size_t i = 0; r >= 0 && i < n; i++) {
        r = i ? ak_buf_adds(out, ",") : 0;
        if (r >= 0)
            r = ak_buf_add_json_string(out, lines[i], strlen(lines[i]));
    }
    return r < 0 ? r : ak_buf_adds(out, "]");
}

static int write_provision(const struct ak_provision_result *result, size_t most,
                           struct ak_buf *out)
{
    int r = ak_buf_addf(out, "{\"done\":%s", bool_text(result->done));

    if (r >= 0)
        r = add_lines(out, "changed", result->changed, AK_MIN(result->n_changed, most));
    if (r >= 0)
        r = add_lines(out, "unenforceable", result->unenforceable,
                      AK_MIN(result->n_unenforceable, most));
    if (r >= 0)
        r = add_member(out, "message", result->message);
    return r < 0 ? r : ak_buf_adds(out, "}");
}

int ak_provision_write(const struct ak_provision_result *result, struct ak_buf *out)
{
    int r = AK_E_TOO_LARGE;

    for (size_t most = AK_PROVISION_MAX_LINES; r == AK_E_TOO_LARGE; most /= 2) {
        ak_buf_clear(out);
        r = write_provision(result, most, out);
        if (most == 0)
            break;
    }
    return r;
}

/* --- told --- */

static int write_all(int fd, const char *data, size_t len)
{
    while (len) {
        ssize_t n = write(fd, data, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

int ak_result_tell(const struct ak_buf *text, const char *path, struct ak_error **reterr)
{
    int fd, r = write_all(STDOUT_FILENO, ak_buf_text(text), text->len);

    if (r >= 0)
        r = write_all(STDOUT_FILENO, "\n", 1);
    if (r < 0)
        return ak_error_set(reterr, r, "standard output: %s", ak_code_text(r));
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return ak_error_set(reterr, -errno, "\"%s\": %s", path, ak_code_text(-errno));
    r = write_all(fd, ak_buf_text(text), text->len);
    (void)close(fd);
    return r < 0 ? ak_error_set(reterr, r, "\"%s\": %s", path, ak_code_text(r)) : 0;
}
