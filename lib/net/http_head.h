/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heads of answers.
 */
#ifndef AK_NET_HTTP_HEAD_H
#define AK_NET_HTTP_HEAD_H

#include <stdbool.h>

#include <ak/base/buf.h>

struct ak__http_head {
    int status;
    const char *content_type; /* NULL: none */
    const char *const
        *extra;             /* "Name: value" lines; a Date among them replaces ours; may be NULL */
    const char *connection; /* NULL: no such line */
    const char *framing;    /* the line that says how the body ends, with its CRLF, or "" */
};
/* -EINVAL: an extra line has a line end in it. */
AK_MUST_USE int ak__http_build_head(const struct ak__http_head *head, struct ak_buf *out);
const char *ak__http_status_text(int status);
bool ak__http_is_line(const char *line, const char *name); /* is it "Name:...", in whatever case */
/* The value of the first line of that name, or NULL. `lines` may be NULL. */
const char *ak__http_find_line(const char *const *lines, const char *name);

#endif
