/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a family of engines (postgres, mysql, redis, http, process) implements, and what it is given. The core
 * (serve.c and its neighbours) owns sockets, sessions, time and the audit; a family knows its protocol and nothing
 * of all that.
 *
 * Every function but listen() blocks, on a thread of its own with AK_ENGINE_STACK bytes of stack, and several run at
 * a time. Each wait of theirs ends with the session's cancel (ak_session_cancel()) and the call's deadline. SIGPIPE
 * is ignored in the process. Credentials are read where they are used (ak_login_read()), never kept.
 */
#ifndef AK_BASTION_ENGINE_H
#define AK_BASTION_ENGINE_H

#include <ak/api/tool.h>
#include <ak/base/arena.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/secret.h>
#include <ak/base/thread.h>
#include <ak/base/time.h>
#include <ak/net/loop.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "engines/engine.h"

#define AK_ENGINE_STACK                                                                            \
    (1u << 20) /* of a thread that an engine runs on; only what is touched costs */

struct ak_session; /* bastion/session.h */

/* What the pod was made for. Immutable; lives as long as the process. */
struct ak_target {
    const struct ak_tool_spec *spec;
    const struct ak_engine_info *info;
    const char *ns, *name, *uid; /* of the Tool */
    /* Folders, without a slash at the end. */
    const char *
        credential_dir; /* `credential`, `ca.pem`, for kubernetes in the cluster `token`, `ca.crt` */
    const char
        *identity_dir;     /* `reader-username` ... `writer-password`; absent: nothing is minted */
    const char *admin_dir; /* `credential`, `username`; only where something is provisioned */
    const char *link_dir;  /* shared with container `client` */
};

/* --- who we are to the system --- */

struct ak_login {
    char *username;             /* NULL: neither the Tool nor a Secret names one */
    struct ak_secret *password; /* or key, token, kubeconfig; NULL: there is no credential at all */
    bool is_minted;             /* an identity with exactly the Tool's permissions */
    bool read_only;             /* ... and it is the reader's */
};
void ak_login_done(struct ak_login *self);
AK_DEFINE_AUTO(ak_login, ak_login_done)
/*
 * The minted identity if there is one (reader or writer as asked for), else the Tool's credential, which is never
 * read_only. Files are read anew each time. A line break at the very end of a credential of one line is not part of
 * it. -EINVAL: an identity is there in parts; AK_E_TOO_LARGE: more than AK_LOGIN_MAX bytes.
 */
#define AK_LOGIN_MAX (64u << 10)
AK_MUST_USE int ak_login_read(const struct ak_target *target, bool read_only, struct ak_login *ret,
                              struct ak_error **reterr);
/* Is an identity mounted that was made for the permissions? */
bool ak_target_is_minted(const struct ak_target *target);
/* Of the one who may create users: provision and deprovision only. Its name: the Secret's, else
 * permissions.adminUsername, else config.username. -ENOENT: not given. */
AK_MUST_USE int ak_login_read_admin(const struct ak_target *target, struct ak_login *ret,
                                    struct ak_error **reterr);
/* PEM of the authorities that the server is checked against; NULL in *ret_path: none was given. Borrowed from
 * the arena. */
AK_MUST_USE int ak_target_ca_path(const struct ak_target *target, struct ak_arena *arena,
                                  const char **ret_path, struct ak_error **reterr);

/* --- one operation --- */

struct ak_call {
    const struct ak_operation *operation;
    const json_t *arguments;     /* checked against the operation's schema: an object */
    int64_t max_rows, max_bytes; /* of the result; more is cut and `truncated` says so */
    ak_msec deadline;
    bool read_only;
    /* Owned by the call once set. {columns:[{name,type}],rows:[[...]],rowCount,truncated} |
     * {text,truncated,exitCode} | {status,headers,body,truncated} */
    json_t *ret_result;
    int64_t ret_rows, ret_bytes;
    char ret_server_code
        [64]; /* the system's own code of an error: SQLSTATE, errno, HTTP status; "" */
};

/* --- results of the verbs --- */

struct ak_probe_result {
    bool reachable, authenticated, authorised;
    char server[128];   /* "PostgreSQL 15.5" */
    char message[1024]; /* the server's own words; never a credential */
};

#define AK_PROVISION_MAX_LINES 20
struct ak_provision_result {
    bool done;
    struct ak_arena *arena; /* of the lines; the caller's */
    const char *changed[AK_PROVISION_MAX_LINES];
    size_t n_changed;
    const char *unenforceable[AK_PROVISION_MAX_LINES];
    size_t n_unenforceable;
    char message[1024];
};
/* Adds a line as printf() would; what is beyond the limit is counted in the last line. -ENOMEM. */
AK_MUST_USE int ak_provision_changed(struct ak_provision_result *self, const char *fmt, ...)
    AK_PRINTF(2, 3);
AK_MUST_USE int ak_provision_unenforceable(struct ak_provision_result *self, const char *fmt, ...)
    AK_PRINTF(2, 3);

/* --- the program in container `client` --- */

struct ak_client_file {
    const char *path; /* absolute, below /tmp; removed when the program has ended */
    const char *data;
    size_t len;
    unsigned mode; /* 0: 0600 */
};
#define AK_CLIENT_MAX_FILES 8
/* Everything is borrowed, from the arena of the call or literals. */
struct ak_client_command {
    const char *const *argv; /* ended by NULL; argv[0] is looked for in PATH if it has no slash */
    /* NAME=VALUE, ended by NULL; NULL: none. Beside PATH, HOME=/tmp, TERM and LANG, which there are always.
     * Replaces. */
    const char *const *env;
    const char *cwd; /* NULL: /tmp */
    struct ak_client_file files[AK_CLIENT_MAX_FILES];
    size_t n_files;
};

struct ak_client_output {
    char *text; /* stdout, then what there is of stderr; ak_free() */
    size_t len;
    bool truncated;
    int exit_code; /* 128 + signal when it was killed */
};
void ak_client_output_done(struct ak_client_output *self);
AK_DEFINE_AUTO(ak_client_output, ak_client_output_done)
struct ak_client_limits {
    size_t
        max_bytes; /* of stdout and stderr together; what is beyond is read and dropped. 0: 1 MiB */
    ak_msec deadline;
};
/*
 * Runs a program in container `client` without a terminal and waits for its end. `input` (may be NULL) becomes its
 * stdin. Ends with the session's cancel and the deadline: the program's whole process group is killed then, and
 * -ETIMEDOUT or AK_E_CANCELLED returned. -ENOENT: there is no such program in the image; AK_E_PROTOCOL: the
 * container is not there.
 */
AK_MUST_USE int ak_client_run(const struct ak_target *target, struct ak_session *session,
                              const struct ak_client_command *command, const char *input,
                              size_t input_len, const struct ak_client_limits *limits,
                              struct ak_client_output *ret, struct ak_error **reterr);

/* --- a family --- */

struct ak_engine {
    const char *family;
    /* Name of the session's socket in its folder, where clients insist on one (".s.PGSQL.5432"); NULL:
     * "engine.sock". */
    const char *socket_name;
    /* 0 when the result says what was found; negative only when it could not even be tried. */
    int (*probe)(const struct ak_target *target, const struct ak_cancel *cancel, ak_msec deadline,
                 struct ak_probe_result *ret, struct ak_error **reterr);
    /* One operation. The core has decided that it may be (policy, approval) and writes the audit's record, so
     * ak_session_statement() is not called for it. *reterr carries the server's own words. */
    int (*call)(const struct ak_target *target, struct ak_session *session, struct ak_call *call,
                struct ak_error **reterr);
    /* Speaks the protocol with a client on fd, logged in upstream. Returns at its end; closes fd in every case. When
     * the session is cancelled it tells the client ak_session_end_reason() in the protocol's own words first. NULL
     * (and no listen): the family has no proxy, there is no forward. */
    int (*serve_fd)(const struct ak_target *target, struct ak_session *session, int fd,
                    struct ak_error **reterr);
    /* Instead of serve_fd: serves on a Unix socket, on the loop, never blocking. mode of the socket: 0660. Called and
     * ended on the loop's thread. unlisten() comes after the session's cancel; it may take
     * AK_ENGINE_LAST_WORDS for answers under way, but not block. */
    int (*listen)(const struct ak_target *target, struct ak_session *session, struct ak_loop *loop,
                  const char *unix_path, void **ret, struct ak_error **reterr);
    void (*unlisten)(void *listening);
    /* The program of `exec` (args: what follows --, ended by NULL, may be none) and `connect` (tty). socket_path: the
     * session's proxy, folder included; NULL for families without. AK_E_FORBIDDEN: such arguments are refused. */
    int (*client)(const struct ak_target *target, struct ak_session *session,
                  const char *socket_path, const char *const *args, bool tty,
                  struct ak_arena *arena, struct ak_client_command *ret, struct ak_error **reterr);
    int (*provision)(const struct ak_target *target, const struct ak_cancel *cancel,
                     ak_msec deadline, struct ak_provision_result *ret, struct ak_error **reterr);
    int (*deprovision)(const struct ak_target *target, const struct ak_cancel *cancel,
                       ak_msec deadline, struct ak_provision_result *ret, struct ak_error **reterr);
};
#define AK_ENGINE_LAST_WORDS AK_SECONDS(2) /* from the cancel until what is still open is cut */

/* By info->family; NULL: none of that name is built in. engines/engines.c. */
const struct ak_engine *ak_engine_of(const struct ak_engine_info *info);

#endif
