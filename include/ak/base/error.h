/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors as values. Every fallible function of the project has one shape:
 *
 *     int ak_thing_do(struct ak_thing *self, ..., T *ret_x, struct ak_error **reterr);
 *
 * 0 or positive is success: *ret_x is set and *reterr is untouched. Negative is a code: *ret_x is
 * untouched and *reterr, if the caller passed one, holds the text. Codes are negative errno values
 * plus the small range below for what HTTP and Kubernetes add to it.
 *
 *     if (!name[0])
 *         return ak_error_set(reterr, -EINVAL, "metadata.name: must not be empty");
 *     r = ak_client_get(client, path, &reply, reterr);
 *     if (r < 0)
 *         return ak_error_wrap(reterr, r, "read ConfigMap \"%s/%s\"", ns, name);
 *
 * Text starts in lower case, has no trailing dot and quotes what users typed. Never put a secret
 * into it. Depends on nothing but alloc.h.
 */
#ifndef AK_BASE_ERROR_H
#define AK_BASE_ERROR_H

#include <ak/base/compiler.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

enum ak_code {
    AK_E_NOT_FOUND = -4001,      /* HTTP 404: the object does not exist */
    AK_E_CONFLICT = -4002,       /* HTTP 409: somebody wrote first, or a field has another owner */
    AK_E_ALREADY_EXISTS = -4003, /* HTTP 409 with reason AlreadyExists */
    AK_E_GONE = -4004,           /* HTTP 410: the resourceVersion is too old; list again */
    AK_E_UNAUTHORIZED = -4005,   /* HTTP 401: the credential was refused */
    AK_E_FORBIDDEN = -4006,      /* HTTP 403: the identity lacks a permission */
    AK_E_INVALID = -4007,        /* HTTP 400, 422: the server refuses this content */
    AK_E_THROTTLED = -4008,      /* HTTP 429, or 503 with Retry-After: come back later */
    AK_E_SERVER = -4009,         /* other HTTP 5xx */
    AK_E_TERMINAL = -4010,       /* will not get better until the object changes */
    AK_E_CANCELLED = -4011,      /* somebody asked us to stop */
    AK_E_TOO_LARGE = -4012,      /* a documented limit was exceeded (HTTP 413 included) */
    AK_E_PROTOCOL = -4013,       /* the other side broke its protocol, or the connection broke */
};

struct ak_error;

/*
 * Makes *reterr (NULL: only the code is wanted) and returns `code`. An older *reterr is replaced.
 * Without memory for the text, *reterr is the error of ak_error_oom() and -ENOMEM is returned.
 */
#define ak_error_set(reterr, code, ...)                                                            \
    ak_error_set_at((reterr), (code), __FILE__, __LINE__, __VA_ARGS__)
AK_PUBLIC int ak_error_set_at(struct ak_error **reterr, int code, const char *file, int line,
                              const char *fmt, ...) AK_PRINTF(5, 6);
/* Puts "context: " before the message; returns the code that *reterr holds, `code` if there is none. */
AK_PUBLIC int ak_error_wrap(struct ak_error **reterr, int code, const char *fmt, ...)
    AK_PRINTF(3, 4);
/* -ENOMEM without allocating; returns -ENOMEM. */
AK_PUBLIC int ak_error_oom(struct ak_error **reterr);
/* Says what the apiserver said beside the code; ignored when *reterr is NULL or the static OOM error. */
AK_PUBLIC void ak_error_set_http(struct ak_error *err, int http_status, const char *reason,
                                 int64_t retry_after_ms);

AK_PUBLIC struct ak_error *ak_error_free(struct ak_error *err); /* returns NULL */
AK_DEFINE_AUTO_PTR(ak_error, ak_error_free)

AK_PUBLIC int ak_error_code(const struct ak_error *err);           /* 0 for NULL */
AK_PUBLIC int ak_error_http_status(const struct ak_error *err);    /* 0: did not come over HTTP */
AK_PUBLIC const char *ak_error_reason(const struct ak_error *err); /* "AlreadyExists", or "" */
AK_PUBLIC int64_t ak_error_retry_after_ms(const struct ak_error *err); /* 0: none was given */
AK_PUBLIC const char *ak_error_message(const struct ak_error *err);    /* "" for NULL */
AK_PUBLIC const char *ak_error_file(const struct ak_error *err);
AK_PUBLIC int ak_error_line(const struct ak_error *err);
/* "not found", "conflict", strerror() of an errno, ... */
AK_PUBLIC const char *ak_code_text(int code);
/*
 * The code for an apiserver's answer, 0 for 2xx. `reason` (of the Status object, may be NULL) tells
 * the two kinds of 409 apart. 503 is AK_E_SERVER: who has seen a Retry-After says AK_E_THROTTLED.
 */
AK_PUBLIC int ak_code_from_http(int http_status, const char *reason);

/* Retry policy is a property of the code; only the controller loop acts on it. */
AK_PUBLIC bool ak_code_is_terminal(int code);

#endif
