/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of `bastion serve`, for the files that it is made of: sessions and what they are used for, threads of
 * engines, the audit, who watches. Everything here is of the loop's thread unless it says otherwise.
 */
#ifndef AK_BASTION_BASTION_H
#define AK_BASTION_BASTION_H

#include <ak/base/thread.h>
#include <ak/net/http_server.h>
#include <ak/net/loop.h>
#include <ak/net/tls.h>
#include <stdatomic.h>

#include "bastion/audit.h"
#include "bastion/session.h"
#include "bastion/settings.h"
#include "door/credential.h"

#define AK_WORKERS_MAX 256
#define AK_WATCHERS_MAX 4
#define AK_SESSION_ID 24
#define AK_CALLER_MAX 2048     /* bytes of X-Agentkube-Caller */
#define AK_BODY_MAX (2u << 20) /* of a request */

struct ak_bastion;

/* --- threads of engines --- */

struct ak_worker {
    struct ak_bastion *bastion;
    struct ak_thread thread;
    void (*work)(void *user); /* on its thread */
    void (*done)(void *user); /* then on the loop */
    void *user;
    atomic_bool finished; /* release; acquire by who joins it */
    struct ak_worker *next;
};
/* -ENOBUFS: AK_WORKERS_MAX run. done() comes in every other case, also at the end of the process. */
AK_MUST_USE int ak_worker_start(struct ak_bastion *self, void (*work)(void *), void (*done)(void *),
                                void *user, struct ak_error **reterr);
void ak_workers_reap(struct ak_bastion *self);

/* --- sessions --- */

struct ak_caller {
    bool is_agent;
    char name[256];
    json_t *tree; /* as the manager said it; read under the audit's lock, else by the loop only */
};
void ak_caller_done(struct ak_caller *self);
/* {kind, name, namespace?, run?}; AK_E_INVALID. */
AK_MUST_USE int ak_caller_read(const json_t *tree, struct ak_caller *ret, struct ak_error **reterr);

struct ak_session_options {
    enum ak_session_kind kind;
    struct ak_caller *caller; /* taken over */
    bool read_only;
    void (*end)(void *owner); /* it is told to end: loop, once */
    void *owner;
};
/* -EBUSY: maxSessions are open; AK_E_CANCELLED: the bastion ends. */
AK_MUST_USE int ak_session_open(struct ak_bastion *self, const struct ak_session_options *options,
                                struct ak_session **ret, struct ak_error **reterr);
/* It is over: leaves the table; threads may still hold it. */
void ak_session_close(struct ak_session *session);
struct ak_session *ak_session_ref(struct ak_session *session); /* Thread: any. */
void ak_session_unref(struct ak_session *session);             /* Thread: any. */
/* Sets the reason and the cancel, and tells the owner; nothing if it ends already. */
void ak_session_end(struct ak_session *session, const char *reason);
void ak_session_set_listening(struct ak_session *session, void *listening);
/* Bytes that the caller exchanged; moved() of engines only says that something happens. */
void ak_session_count(struct ak_session *session, uint64_t in, uint64_t out);
const struct ak_caller *ak_session_caller(const struct ak_session *session);
struct ak_session *ak_session_find(struct ak_bastion *self, const char *id);
/* One record about an operation or the session itself. decision's rule may be NULL. */
struct ak_session_said {
    const char *operation, *text;
    size_t len;
    enum ak_statement_class class;
    const char *verdict, *rule, *code;
    int64_t rows;
    uint64_t bytes;
    ak_msec milliseconds;
};
void ak_session_record(struct ak_session *session, const struct ak_session_said *said);

/* --- all of it --- */

struct ak_watcher;
struct ak_recording;

struct ak_bastion {
    const struct ak_bastion_settings *settings;
    const struct ak_engine *engine; /* NULL: the family is not built in */
    struct ak_loop *loop;
    struct ak_audit audit;
    atomic_bool audit_posted;
    char boot_id[40];
    ak_msec started_wall, last_used, last_used_wall;
    struct ak_session *sessions;
    size_t n_sessions;
    struct ak_worker *workers;
    size_t n_workers;
    struct ak_watcher *watchers;
    size_t n_watchers;
    struct ak_recording *recordings;
    bool changed; /* since the last state was told */
    ak_msec told;
    struct ak_timer *tick;
    struct ak_credential_file token;
    struct ak_tls_context *tls;
    struct ak_http_server *relay_server, *probe_server;
    struct bufferevent *hold; /* to the client; NULL: it is not there (yet) */
    bool had_client, is_direct_use;
    bool ending, failed;
    char end_reason[256];
    ak_msec end_deadline;
};
/* No more sessions; those that are there end, then the process. Loop. */
void ak_bastion_end(struct ak_bastion *self, const char *reason);
void ak_bastion_changed(struct ak_bastion *self);
/* Something happened that an end may wait for: whatever is due is done soon. Loop. */
void ak_bastion_look(struct ak_bastion *self);
/* {bootID, startTime, sessions, lastUsed, auditHead, auditAcked, auditDropped} */
AK_MUST_USE int ak_bastion_write_state(struct ak_bastion *self, struct ak_buf *out);

/* operation.c, stream.c, watch.c, recorder.c: the routes. */
void ak_operation_handle(struct ak_http_exchange *ex, void *user);
void ak_stream_exec(struct ak_http_exchange *ex, void *user);
void ak_stream_forward(struct ak_http_exchange *ex, void *user);
void ak_watch_handle(struct ak_http_exchange *ex, void *user);
void ak_watch_pump(struct ak_bastion *self, bool state);
void ak_watch_end(struct ak_bastion *self);
void ak_recordings_handle(struct ak_http_exchange *ex, void *user);

/* Answers an error: 403, 422, 429, 503, ... with reason and details. */
void ak_bastion_refuse(struct ak_http_exchange *ex, int code, const struct ak_error *err,
                       const char *details);

#endif
