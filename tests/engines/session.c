/* SPDX-License-Identifier: Apache-2.0 */
/* A session by itself: what an engine does with one is written to stdout, a line of JSON each. */
#include "session.h"

#include <stdio.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/buf.h>
#include <ak/base/thread.h>

#include "engines/classify.h"

struct ak_session {
    struct ak_cancel cancel;
    struct ak_mutex lock; /* guards what is below, and stdout's lines */
    const char *reason, *refuse;
    bool read_only;
    enum ak_session_kind kind;
    int64_t busy;
    uint64_t in, out;
    void *data;
    void (*free_data)(void *data);
    void *listening;
};

struct ak_statement {
    struct ak_session *session;
    struct ak_buf text;
    enum ak_statement_class class;
};

struct ak_session *driver_session_new(enum ak_session_kind kind, bool read_only, const char *refuse)
{
    struct ak_session *self = ak_new0(struct ak_session);

    if (!self || ak_cancel_init(&self->cancel) < 0) {
        ak_free(self);
        return NULL;
    }
    ak_mutex_init(&self->lock);
    self->kind = kind;
    self->read_only = read_only;
    self->refuse = refuse;
    return self;
}

void driver_session_free(struct ak_session *self)
{
    if (self->free_data)
        self->free_data(self->data);
    ak_cancel_done(&self->cancel);
    ak_mutex_done(&self->lock);
    ak_free(self);
}

void driver_session_end(struct ak_session *self, const char *reason)
{
    ak_mutex_lock(&self->lock);
    self->reason = reason;
    ak_mutex_unlock(&self->lock);
    ak_cancel_now(&self->cancel);
}

void driver_session_set_listening(struct ak_session *self, void *listening)
{
    self->listening = listening;
}

const char *ak_session_kind_name(enum ak_session_kind kind)
{
    static const char *const names[] = {"Exec", "Connect", "Forward", "Operation"};

    return names[kind];
}

const char *ak_session_id(const struct ak_session *self)
{
    (void)self;
    return "driver";
}

enum ak_session_kind ak_session_kind(const struct ak_session *self)
{
    return self->kind;
}

bool ak_session_is_agent(const struct ak_session *self)
{
    (void)self;
    return false;
}

bool ak_session_read_only(const struct ak_session *self)
{
    return self->read_only;
}

const struct ak_cancel *ak_session_cancel(const struct ak_session *self)
{
    return &self->cancel;
}

const char *ak_session_end_reason(const struct ak_session *self)
{
    struct ak_session *mutable = (struct ak_session *)(uintptr_t)self;
    const char *reason;

    ak_mutex_lock(&mutable->lock);
    reason = self->reason;
    ak_mutex_unlock(&mutable->lock);
    return reason;
}

void ak_session_moved(struct ak_session *self, uint64_t in, uint64_t out)
{
    ak_mutex_lock(&self->lock);
    self->in += in;
    self->out += out;
    ak_mutex_unlock(&self->lock);
}

void ak_session_busy(struct ak_session *self, bool busy)
{
    ak_mutex_lock(&self->lock);
    self->busy += busy ? 1 : -1;
    printf("{\"event\":\"busy\",\"busy\":%lld}\n", (long long)self->busy);
    fflush(stdout);
    ak_mutex_unlock(&self->lock);
}

int ak_statement_begin(struct ak_session *self, enum ak_statement_class class_, const char *text,
                       size_t len, struct ak_statement **ret, struct ak_error **reterr)
{
    struct ak_statement *statement;

    if (self->refuse && memmem(text, len, self->refuse, strlen(self->refuse)))
        return ak_error_set(reterr, AK_E_FORBIDDEN, "refused by spec.permissions.grants[0]: %s",
                            self->refuse);
    statement = ak_new0(struct ak_statement);
    if (!statement)
        return ak_error_oom(reterr);
    statement->session = self;
    statement->class = class_;
    statement->text.max = 1 << 20;
    if (ak_buf_add_json_string(&statement->text, text, AK_MIN(len, 1024)) < 0) {
        ak_free(statement);
        return ak_error_oom(reterr);
    }
    *ret = statement;
    return 0;
}

void ak_statement_end(struct ak_statement *self, int64_t rows, uint64_t bytes, int code,
                      const char *server_code)
{
    ak_mutex_lock(&self->session->lock);
    printf("{\"event\":\"statement\",\"class\":\"%s\",\"text\":%s,\"rows\":%lld,\"bytes\":%llu,"
           "\"code\":%d,\"serverCode\":\"%s\"}\n",
           ak_statement_class_name(self->class), ak_buf_text(&self->text), (long long)rows,
           (unsigned long long)bytes, code, server_code ? server_code : "");
    fflush(stdout);
    ak_mutex_unlock(&self->session->lock);
    ak_buf_done(&self->text);
    ak_free(self);
}

/* Statements of one thread, done in the order in which they were begun. */
static _Thread_local struct ak_statement *under_way[AK_SESSION_MAX_STATEMENTS];
static _Thread_local size_t n_under_way;

int ak_session_statement(struct ak_session *self, enum ak_statement_class class_, const char *text,
                         size_t len, struct ak_error **reterr)
{
    int r;

    if (n_under_way == AK_SESSION_MAX_STATEMENTS)
        return ak_error_set(reterr, -ENOBUFS, "too many statements");
    r = ak_statement_begin(self, class_, text, len, &under_way[n_under_way], reterr);
    if (r >= 0)
        n_under_way++;
    return r;
}

void ak_session_done(struct ak_session *self, int64_t rows, uint64_t bytes, int code,
                     const char *server_code)
{
    struct ak_statement *first = n_under_way ? under_way[0] : NULL;

    (void)self;
    if (!first)
        return;
    memmove(under_way, under_way + 1, --n_under_way * sizeof(*under_way));
    ak_statement_end(first, rows, bytes, code, server_code);
}

void *ak_session_listening(const struct ak_session *self)
{
    return self->listening;
}

void *ak_session_data(struct ak_session *self, void *(*make)(void *user), void *user,
                      void (*free_data)(void *data))
{
    ak_mutex_lock(&self->lock);
    if (!self->data) {
        self->data = make(user);
        self->free_data = free_data;
    }
    ak_mutex_unlock(&self->lock);
    return self->data;
}
