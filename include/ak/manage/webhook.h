/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An admission webhook: AdmissionReviews (admission.k8s.io/v1, and v1beta1) come in over TLS, each path
 * has a handler, each answer goes out in time.
 *
 * A handler has two parts. `quick` runs on the loop's thread and must not block; most reviews end there.
 * When it returns AK_REVIEW_LATER, `slow` runs on one of a few worker threads, may ask the apiserver, and
 * has until the deadline. Both write into the answer; texts live in the review's arena.
 *
 *     static int quick(const struct ak_review *review, struct ak_review_answer *answer, void *user,
 *                      struct ak_error **reterr)
 *     {
 *         if (!ak_json_at(review->object, "spec", "owner", NULL))
 *             return ak_review_deny(answer, 422, "Invalid", "spec.owner: must be set");
 *         return 0;                                                   an answer allows unless it denies
 *     }
 *     static const struct ak_webhook_handler handlers[] = { {.path = "/validate", .quick = quick} };
 *
 * A handler that fails (negative) is answered with an HTTP error, and so is a review that is too late or
 * one too many: what that means is the webhook configuration's failurePolicy to say.
 */
#ifndef AK_MANAGE_WEBHOOK_H
#define AK_MANAGE_WEBHOOK_H

#include <ak/base/arena.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/time.h>
#include <ak/json/decode.h>
#include <ak/json/json.h>
#include <ak/manage/certs.h>
#include <ak/manage/metrics.h>
#include <ak/net/loop.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* etcd takes objects of up to 1.5 MiB, and a review of an update carries two of them. */
#define AK_WEBHOOK_MAX_BODY ((3u << 20) + (256u << 10))
#define AK_WEBHOOK_MAX_WAITING 128 /* reviews that wait for a worker */
#define AK_WEBHOOK_MAX_CONNECTIONS 256
#define AK_WEBHOOK_MAX_HANDLERS 8
#define AK_REVIEW_MAX_WARNINGS 16
#define AK_REVIEW_MAX_WARNING 256 /* characters: the apiserver cuts what is longer */
#define AK_REVIEW_MAX_CAUSES 32
#define AK_REVIEW_MAX_MESSAGE 4096

enum ak_review_operation {
    AK_REVIEW_OTHER,
    AK_REVIEW_CREATE,
    AK_REVIEW_UPDATE,
    AK_REVIEW_DELETE,
    AK_REVIEW_CONNECT,
    AK_REVIEW_OPERATION_MAX
};

struct ak_review_kind { /* group, version and kind; or resource */
    const char *group, *version, *kind, *resource;
};
struct ak_review_user {
    const char *name, *uid;
    struct ak_string_list groups;
    const json_t *extra; /* an object of lists of texts; NULL: none */
};

/* One request, decoded. Everything lives until the answer is given. */
struct ak_review {
    const char *uid;
    const struct ak_review_kind *kind;     /* never NULL */
    const struct ak_review_kind *resource; /* never NULL */
    const char *sub_resource;              /* "" if none */
    const char *name, *namespace_;         /* "" if none */
    const char *operation_text;
    const struct ak_review_user *user; /* never NULL */
    bool dry_run;
    enum ak_review_operation operation;
    const json_t *object, *old_object, *options; /* NULL: absent or null */
    struct ak_arena *arena;                      /* for the handler */
    ak_msec deadline;                            /* monotonic */
};

struct ak_review_cause { /* as kubectl shows it: "spec.goal: must have ..." */
    const char *field, *message;
};
struct ak_review_answer {
    struct ak_arena *arena;
    bool denied;
    int code;           /* HTTP status that the apiserver's client sees: 403, 422 */
    const char *reason; /* metav1.StatusReason: "Forbidden", "Invalid" */
    const char *message;
    const char *kind; /* of the Status' details, with causes; NULL: the request's */
    struct ak_review_cause causes[AK_REVIEW_MAX_CAUSES];
    size_t n_causes;
    const char *warnings[AK_REVIEW_MAX_WARNINGS];
    size_t n_warnings;
    /* One line for the apiserver's audit log. NULL: none. */
    const char *audit_key, *audit_value;
};
/* Return 0, or -ENOMEM. What is over a limit is left out. */
AK_PUBLIC AK_MUST_USE int ak_review_deny(struct ak_review_answer *answer, int code,
                                         const char *reason, const char *fmt, ...) AK_PRINTF(4, 5);
AK_PUBLIC AK_MUST_USE int ak_review_cause(struct ak_review_answer *answer, const char *field,
                                          const char *message);
AK_PUBLIC AK_MUST_USE int ak_review_warn(struct ak_review_answer *answer, const char *fmt, ...)
    AK_PRINTF(2, 3);

#define AK_REVIEW_LATER 1
typedef int (*ak_review_fn)(const struct ak_review *review, struct ak_review_answer *answer,
                            void *user, struct ak_error **reterr);
struct ak_webhook_handler { /* static data */
    const char *path;       /* "/validate" */
    ak_review_fn quick;     /* NULL: always later */
    ak_review_fn slow;      /* NULL: never later */
    /* What the handler does not read: paths below request, such as "object.metadata.managedFields", ended by
     * NULL. It is not parsed, which saves most of the time. NULL: everything is read. */
    const char *const *skip;
};

/*
 * Decodes the body of a request into *review, whose parts live in `arena` and *ret_tree (which the caller
 * json_decref()s). `skip` as in a handler. AK_E_INVALID says what is wrong with it. *ret_version is what the
 * answer must name.
 */
AK_PUBLIC AK_MUST_USE int ak_review_decode(const char *body, size_t len, const char *const *skip,
                                           struct ak_arena *arena, struct ak_review *ret,
                                           const char **ret_version, json_t **ret_tree,
                                           struct ak_error **reterr);
/* The AdmissionReview that is the answer. */
AK_PUBLIC AK_MUST_USE int ak_review_encode(const struct ak_review *review, const char *version,
                                           const struct ak_review_answer *answer,
                                           struct ak_buf *out);

struct ak_webhook;
struct ak_webhook_options {
    const char *bind_address; /* NULL: all */
    uint16_t port;            /* 0: any free one */
    const struct ak_webhook_handler *handlers;
    size_t n_handlers;
    void *user;
    int workers;      /* 0: 4 */
    ak_msec deadline; /* of one review, below the configuration's timeoutSeconds; 0: 8 s */
};
/* Binds nothing yet: without a certificate there is nothing to serve. */
AK_PUBLIC AK_MUST_USE int ak_webhook_new(struct ak_loop *loop,
                                         const struct ak_webhook_options *options,
                                         struct ak_webhook **ret, struct ak_error **reterr);
/* Lets reviews that are under way end for up to a second, closes the port and sends the workers home. Once the
 * port is open, the loop must be running, and on another thread. May be called twice. */
AK_PUBLIC void ak_webhook_stop(struct ak_webhook *self);
AK_PUBLIC struct ak_webhook *ak_webhook_free(struct ak_webhook *self); /* stops first */
AK_DEFINE_AUTO_PTR(ak_webhook, ak_webhook_free)
/* Shows `certs` on new connections from now on; the first call opens the port. Thread: the loop's, or any
 * other while the loop runs. */
AK_PUBLIC AK_MUST_USE int ak_webhook_use_certs(struct ak_webhook *self,
                                               const struct ak_certs *certs,
                                               struct ak_error **reterr);
AK_PUBLIC uint16_t ak_webhook_port(struct ak_webhook *self); /* 0: not open yet. Thread: any. */
/* controller_runtime_webhook_* and agentkube_webhook_* families. Thread: any. */
AK_PUBLIC void ak_webhook_metrics(struct ak_webhook *self, struct ak_metrics *m);

#endif
