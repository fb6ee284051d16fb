/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a session offers to the engine that serves it. A session is one use of the Tool by one caller: an operation, a
 * program with or without a terminal, a forwarded connection. Its end may come from outside at any time (idle, its
 * longest time, a person, a change of the Tool): then ak_session_cancel() is set and ak_session_end_reason() says why.
 *
 * A program may open several connections to its session's socket, so serve_fd() can run more than once at a time for
 * one session. ak_session_statement() and _done() belong to the calling thread: statements that were begun there
 * are done in the same order. Who has several under way in any order (HTTP on a loop) takes ak_statement_begin().
 *
 * Thread: any, for every function here.
 */
#ifndef AK_BASTION_SESSION_H
#define AK_BASTION_SESSION_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/thread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engines/engine.h"

struct ak_session;
struct ak_statement;

enum ak_session_kind {
    AK_SESSION_EXEC,
    AK_SESSION_CONNECT,
    AK_SESSION_FORWARD,
    AK_SESSION_OPERATION,
    AK_SESSION_KIND_MAX
};
const char *ak_session_kind_name(enum ak_session_kind kind); /* "Exec" ... */

const char *ak_session_id(const struct ak_session *self);
enum ak_session_kind ak_session_kind(const struct ak_session *self);
bool ak_session_is_agent(const struct ak_session *self); /* the caller is an Agent, not a person */
/* Nothing that writes: the reader's identity, or if there is none, the engine's own means. */
bool ak_session_read_only(const struct ak_session *self);
const struct ak_cancel *ak_session_cancel(const struct ak_session *self);
/* Why it ends, in words for its user ("idle for 15m", "ended by alice: ..."); NULL: it does not. Lives as
 * long as the session. */
const char *ak_session_end_reason(const struct ak_session *self);

/* Bytes that were exchanged with the client just now: the session is not idle. */
void ak_session_moved(struct ak_session *self, uint64_t in, uint64_t out);
/* A statement runs or a stream is open (each true needs its false, they are counted): not idle, though no
 * byte moves. */
void ak_session_busy(struct ak_session *self, bool busy);

/*
 * A client's statement is about to go to the system. AK_E_FORBIDDEN: it must not, *reterr says which rule of the
 * Tool refuses it (and the audit has it: no done() then). text is kept to its first KiB, with its hash. At most
 * AK_SESSION_MAX_STATEMENTS are under way in a session; -ENOBUFS then.
 */
#define AK_SESSION_MAX_STATEMENTS 1024
AK_MUST_USE int ak_session_statement(struct ak_session *self, enum ak_statement_class class_,
                                     const char *text, size_t len, struct ak_error **reterr);
/* The oldest statement of this thread has ended. code 0: well; else a negative code, server_code (may be NULL) the
 * system's own (SQLSTATE ...). rows -1: not known. Without one under way: nothing happens. */
void ak_session_done(struct ak_session *self, int64_t rows, uint64_t bytes, int code,
                     const char *server_code);
/* The same for several at a time in any order. end() frees it, in every case, also after the session's end. */
AK_MUST_USE int ak_statement_begin(struct ak_session *self, enum ak_statement_class class_,
                                   const char *text, size_t len, struct ak_statement **ret,
                                   struct ak_error **reterr);
void ak_statement_end(struct ak_statement *self, int64_t rows, uint64_t bytes, int code,
                      const char *server_code);

/* What listen() returned; NULL before, and for other families. For client(). */
void *ak_session_listening(const struct ak_session *self);
/* Something of the engine's that all connections of the session use: made by the first who asks (under the session's
 * lock: make() must not call back here), freed with the session. NULL: make() returned it. */
void *ak_session_data(struct ak_session *self, void *(*make)(void *user), void *user,
                      void (*free_data)(void *data));

#endif
