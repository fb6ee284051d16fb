/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests out of bytes, without any I/O: RFC 9112 as far as an origin server needs it. What two servers
 * could understand differently is refused (both Content-Length and Transfer-Encoding, folded header lines,
 * blanks before a colon, a bare CR).
 *
 * libevent's own evhttp is not used for this: it offers no hook to bound or count connections, nor to bound
 * the time of a slow request, nor to take a connection over, and its limits end a connection without an answer.
 */
#ifndef AK_NET_HTTP_PARSE_H
#define AK_NET_HTTP_PARSE_H

#include <ak/base/buf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AK_HTTP_PARSE_MAX_HEADERS 100

struct ak__http_line {
    const char *name, *value;
};
enum ak__http_parse_state {
    AK__PARSE_HEAD,
    AK__PARSE_BODY, /* with Content-Length */
    AK__PARSE_CHUNK_SIZE,
    AK__PARSE_CHUNK_DATA,
    AK__PARSE_CHUNK_END, /* the line end behind the data */
    AK__PARSE_TRAILERS,
    AK__PARSE_DONE,
};
struct ak__http_parser {
    enum ak__http_parse_state state;
    size_t max_header;
    struct ak_buf head; /* texts below point into it once it is complete */
    struct ak_buf body;
    struct ak_buf line; /* of the chunked framing */
    uint64_t left;      /* bytes of the body or the chunk */

    const char *method, *path, *query;
    int minor; /* HTTP/1.minor */
    struct ak__http_line lines[AK_HTTP_PARSE_MAX_HEADERS];
    size_t n_lines, n_trailers;
    bool keep_alive;
    bool wants_continue; /* the client waits for "100 Continue" */
};

void ak__http_parser_init(struct ak__http_parser *self, size_t max_header, size_t max_body);
void ak__http_parser_done(struct ak__http_parser *self);
/* Ready for the next request of the connection. */
void ak__http_parser_reset(struct ak__http_parser *self);
/* Frees the memory of a complete request; its texts are "" and its headers gone. */
void ak__http_parser_drop(struct ak__http_parser *self);
/* Takes bytes and says in *ret_used how many. 1: a request is complete (the rest is the next one's);
 * 0: more are needed; negative: the HTTP status to refuse it with, as -400 (-500: no memory). */
AK_MUST_USE int ak__http_parser_feed(struct ak__http_parser *self, const char *data, size_t len,
                                     size_t *ret_used);
/* Bytes of the body that are there or were promised. */
size_t ak__http_parser_body_size(const struct ak__http_parser *self);
const char *ak__http_parser_header(const struct ak__http_parser *self,
                                   const char *name); /* or NULL */

#endif
