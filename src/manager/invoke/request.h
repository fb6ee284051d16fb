/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a caller of the invocation API wants: method, path, query and body against the table of calls. Pure.
 */
#ifndef AK_MANAGER_INVOKE_REQUEST_H
#define AK_MANAGER_INVOKE_REQUEST_H

#include <ak/base/arena.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/json/decode.h>
#include <ak/json/json.h>
#include <ak/kube/resource.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AK_INVOKE_PREFIX "/api/v1"
#define AK_INVOKE_MAX_BODY ((1u << 20) + (64u << 10))
#define AK_INVOKE_MAX_ARGUMENTS (1u << 20)  /* bytes of an operation's arguments, as they came */
#define AK_INVOKE_MAX_ARGS 128              /* of a program in a Tool's bastion */
#define AK_INVOKE_MAX_STATEMENT (64u << 10) /* bytes of a statement that is to be explained */
#define AK_INVOKE_MAX_CELLS 10000           /* columns, rows of a terminal */
#define AK_INVOKE_MAX_PROMPT (256u << 10)
#define AK_INVOKE_MAX_KEY 255         /* bytes of an Idempotency-Key */
#define AK_INVOKE_MAX_TIMEOUT 604800  /* seconds of a run */
#define AK_INVOKE_MAX_HOLD 600        /* seconds that a request waits for a pod */
#define AK_INVOKE_DEFAULT_HOLD 120    /* the same */
#define AK_INVOKE_MAX_PAGE 500        /* runs of one answer */
#define AK_INVOKE_MAX_TAIL 100000     /* lines of a log */
#define AK_INVOKE_MAX_SELECTOR 4096   /* bytes of labelSelector, fieldSelector, continue */
#define AK_INVOKE_MAX_EVENT INT64_MAX /* number of an event */

enum ak_invoke_verb {
    AK_INVOKE_LIST_OBJECTS,
    AK_INVOKE_GET_OBJECT,
    AK_INVOKE_START_RUN,
    AK_INVOKE_LIST_RUNS,
    AK_INVOKE_GET_RUN,
    AK_INVOKE_CANCEL_RUN,
    AK_INVOKE_FOLLOW_EVENTS,
    AK_INVOKE_READ_LOGS,
    AK_INVOKE_PAUSE,
    AK_INVOKE_RESUME,
    AK_INVOKE_WHOAMI,
    AK_INVOKE_OPENAPI,
    AK_INVOKE_TOOL_FIRST, /* what follows is about Tools */
    AK_INVOKE_OPERATE = AK_INVOKE_TOOL_FIRST,
    AK_INVOKE_EXEC,
    AK_INVOKE_FORWARD,
    AK_INVOKE_SESSIONS,
    AK_INVOKE_KILL,
    AK_INVOKE_PROBE,
    AK_INVOKE_EXPLAIN,
    AK_INVOKE_APPROVALS,
    AK_INVOKE_APPROVE,
    AK_INVOKE_DENY,
    AK_INVOKE_RECORDINGS,
    AK_INVOKE_RECORDING,
    AK_INVOKE_SELF_TOOLS,   /* the Tools of the Agent whose pod asks */
    AK_INVOKE_SELF_OPERATE, /* the same, used */
    AK_INVOKE_VERB_MAX
};

/* Static data: one for each way to write a call. */
struct ak_invoke_route {
    enum ak_invoke_verb verb;
    const char *action; /* in audit lines and metrics: "start" */
    const char *method;
    const char
        *pattern; /* below the prefix; "$ns", "$kind", "$name" and "$id" stand for one part each */
    const char *access_verb; /* of the SubjectAccessReview; NULL: knowing who it is is enough */
    const char *access_sub;  /* subresource of it, or NULL */
    uint32_t parameters;     /* that the query may have, 1 << enum parameter */
    bool leader;             /* only the leader does it */
    bool upgrades;           /* the answer is another protocol */
};

struct ak_invoke_request {
    const struct ak_invoke_route *route;
    const struct ak_resource *resource; /* of the kind; of Agents for runs; NULL: none */
    const char *ns, *name, *id;         /* NULL: not in the path */
    const char *label_selector, *field_selector, *continue_; /* NULL: not given */
    int64_t limit;                                           /* 0: not given */
    int64_t tail;                                            /* negative: all */
    int64_t after;                                           /* negative: not given */
    int64_t hold;                                            /* seconds */
    bool follow;
    const char *prompt;      /* NULL: none */
    int64_t timeout_seconds; /* 0: what the Agent says */
    /* Of Tools: */
    const char *operation, *statement; /* NULL: not given */
    const char *reason, *run;          /* NULL: not given */
    json_t *arguments;                 /* NULL: none. Owned: ak_invoke_request_done() */
    struct ak_string_list args;
    int64_t columns, rows; /* 0: not given */
    bool tty, read_only;
    const char *allow; /* methods, when the error is 405; else NULL */
};

struct ak_invoke_text {
    const char *method, *path, *query; /* as they came */
    const char *content_type;          /* NULL: none */
    const char *body;
    size_t body_len;
};
/*
 * Fills *ret as far as it got (the route may be NULL), with text in the arena. Errors are meant for the caller: HTTP
 * status and reason are in them (400, 404, 405, 415).
 */
AK_MUST_USE int ak_invoke_request_parse(const struct ak_invoke_text *text, struct ak_arena *arena,
                                        struct ak_invoke_request *ret, struct ak_error **reterr);
void ak_invoke_request_done(struct ak_invoke_request *self);
/* Is it a use of a Tool: an operation, a program, a forwarded connection? */
bool ak_invoke_is_use(enum ak_invoke_verb verb);
/* The routes, ended by one without a method. */
extern const struct ak_invoke_route ak_invoke_routes[];

/* The token of "Bearer TOKEN", borrowed; NULL: it is not that. *ret_len is its length. */
const char *ak_invoke_bearer(const char *header, size_t *ret_len);
/* 0, or an error: 1 to 255 printable characters. */
AK_MUST_USE int ak_invoke_check_key(const char *key, struct ak_error **reterr);

#endif
