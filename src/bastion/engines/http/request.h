/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operation http_request: a request in JSON becomes one on the wire, an answer becomes JSON. The pure parts are
 * here by themselves; what decides about methods and paths is src/engines/policy.h, asked once more before anything is
 * sent.
 */
#ifndef AK_BASTION_HTTP_REQUEST_H
#define AK_BASTION_HTTP_REQUEST_H

#include "bastion/engines/http/upstream.h"

#define AK_REQUEST_MAX_HEADERS 64
#define AK_REQUEST_MAX_BODY (8u << 20)
#define AK_REQUEST_MAX_PATH (12u << 10) /* with its query */

/* What will be sent. */
struct ak_request {
    const char *method;
    struct ak_buf path;  /* with the query */
    struct ak_buf lines; /* "Name: value", each NUL-terminated */
    const char *headers[AK_REQUEST_MAX_HEADERS + 1];
    struct ak_buf body;
    const char *content_type; /* NULL: it has no body */
};
void ak_request_done(struct ak_request *self);
AK_DEFINE_AUTO(ak_request, ak_request_done)
/*
 * Reads {method, path, query, headers, body}. -EINVAL: not such arguments, a path that can be read in two ways, a
 * header that is not a caller's to set, control characters. AK_E_TOO_LARGE.
 */
AK_MUST_USE int ak_request_make(const struct ak_tool_spec *spec, const json_t *arguments,
                                struct ak_request *ret, struct ak_error **reterr);
/* A path (its query, if it has one, is looked at for characters only) that can be read in one way. -EINVAL,
 * AK_E_TOO_LARGE. */
AK_MUST_USE int ak_request_path_check(const struct ak_tool_spec *spec, const char *path,
                                      struct ak_error **reterr);
/* May it be sent? AK_E_FORBIDDEN: the rules of the Tool, or a caller who only reads. `path` may have a query. */
AK_MUST_USE int ak_request_check(const struct ak_tool_spec *spec, const char *method,
                                 const char *path, bool read_only, struct ak_error **reterr);

/*
 * {status, headers, body, truncated}: body is the JSON of an answer that says that it is JSON, else a text; what is no
 * UTF-8 is base64, with bodyEncoding: "base64". Cookies of the server do not pass.
 */
AK_MUST_USE int ak_request_result(const struct ak_fetch_reply *reply, json_t **ret,
                                  struct ak_error **reterr);

/* The whole operation. */
AK_MUST_USE int ak_request_call(struct ak_upstream *upstream, struct ak_session *session,
                                struct ak_call *call, struct ak_error **reterr);

#endif
