/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Server-sent events (the event stream format of the HTML standard, section 9.2), without any I/O: a writer of
 * bytes, and a parser that takes them in any pieces.
 */
#ifndef AK_NET_SSE_H
#define AK_NET_SSE_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <ak/base/time.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AK_SSE_CONTENT_TYPE "text/event-stream"
#define AK_SSE_MAX_EVENT (4u << 20) /* bytes of one event's data; what a parser takes by default */
#define AK_SSE_MAX_NAME                                                                            \
    128 /* of an event's type, and of an id; longer ones are cut by the parser */

/* Adds one event. event and id may be NULL: the line is left out. data may hold line ends (CRLF, CR, LF: each becomes a
 * "data:" line, read back as LF). -EINVAL: event or id hold one, or the id a NUL. */
AK_PUBLIC AK_MUST_USE int ak_sse_write(struct ak_buf *out, const char *event, const char *id,
                                       const char *data, size_t len);
AK_PUBLIC AK_MUST_USE int ak_sse_write_comment(struct ak_buf *out, const char *text); /* one line */
AK_PUBLIC AK_MUST_USE int ak_sse_write_retry(struct ak_buf *out, ak_msec retry);

struct ak_sse_event {
    const char *type; /* "message" if none was given */
    const char *id;   /* the last one that was seen, "" if none */
    const char *data; /* NUL-terminated too */
    size_t len;
};
/* Return negative to give up: feed returns it. */
typedef int (*ak_sse_fn)(const struct ak_sse_event *event, void *user);

struct ak_sse_parser {
    struct ak_buf line, data;
    char type[AK_SSE_MAX_NAME + 1], id[AK_SSE_MAX_NAME + 1], next_id[AK_SSE_MAX_NAME + 1];
    ak_msec retry; /* the last "retry:"; negative: none */
    bool has_data;
    bool after_cr; /* a LF that comes now belongs to the CR before */
    bool comment;  /* in a comment: its bytes are not kept */
    int bom;       /* bytes of a byte order mark seen at the start; negative: past it */
    int failed;
};
AK_PUBLIC void ak_sse_parser_init(struct ak_sse_parser *self,
                                  size_t max_event); /* 0: AK_SSE_MAX_EVENT */
AK_PUBLIC void ak_sse_parser_done(struct ak_sse_parser *self);
AK_DEFINE_AUTO(ak_sse_parser, ak_sse_parser_done)
/* For each event that is complete fn is called. AK_E_TOO_LARGE: an event is larger than the limit; -ENOMEM; or what fn
 * returned. After an error the parser only repeats it. An event without its empty line at the end of
 * the stream is none, as the standard says. */
AK_PUBLIC AK_MUST_USE int ak_sse_parser_feed(struct ak_sse_parser *self, const char *data,
                                             size_t len, ak_sse_fn fn, void *user);
AK_PUBLIC const char *ak_sse_parser_last_id(const struct ak_sse_parser *self); /* "" if none */

#endif
