/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/session.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/secret.h>
#include <ak/base/text.h>
#include <ak/json/json.h>

#include "bastion/bastion.h"
#include "bastion/session_table.h"

static const char *const kind_names[AK_SESSION_KIND_MAX] = {
    [AK_SESSION_EXEC] = "Exec",
    [AK_SESSION_CONNECT] = "Connect",
    [AK_SESSION_FORWARD] = "Forward",
    [AK_SESSION_OPERATION] = "Operation",
};

struct ak_statement {
    struct ak_session *session;
    struct ak_statement *next; /* of its session, the oldest first */
    pthread_t thread;
    bool by_handle; /* ak_session_done() does not find it */
    enum ak_statement_class class;
    ak_msec since;
    char hash[AK_JOURNAL_HASH_SIZE]; /* "": there was no memory for it */
    size_t len;
    char text[AK_JOURNAL_STATEMENT];
};

/* The lock of a session that a const function takes is no part of what it says. */
static struct ak_session *mutable(const struct ak_session *self)
{
    return (struct ak_session *)(uintptr_t)self;
}

const char *ak_session_kind_name(enum ak_session_kind kind)
{
    return kind_names[kind];
}

const char *ak_session_id(const struct ak_session *self)
{
    return self->id;
}

enum ak_session_kind ak_session_kind(const struct ak_session *self)
{
    return self->kind;
}

bool ak_session_is_agent(const struct ak_session *self)
{
    return self->caller.is_agent;
}

bool ak_session_read_only(const struct ak_session *self)
{
    return self->read_only;
}

const struct ak_cancel *ak_session_cancel(const struct ak_session *self)
{
    return &self->cancel;
}

const struct ak_caller *ak_session_caller(const struct ak_session *self)
{
    return &self->caller;
}

const char *ak_session_end_reason(const struct ak_session *self)
{
    struct ak_session *s = mutable(self);
    const char *reason;

    ak_mutex_lock(&s->lock);
    reason = s->reason[0] ? s->reason : NULL;
    ak_mutex_unlock(&s->lock);
    return reason;
}

void ak_session_moved(struct ak_session *self, uint64_t in, uint64_t out)
{
    if (!in && !out)
        return;
    ak_mutex_lock(&self->lock);
    self->active = ak_now();
    ak_mutex_unlock(&self->lock);
}

void ak_session_count(struct ak_session *self, uint64_t in, uint64_t out)
{
    ak_mutex_lock(&self->lock);
    self->active = ak_now();
    self->bytes_in += in;
    self->bytes_out += out;
    ak_mutex_unlock(&self->lock);
}

void ak_session_busy(struct ak_session *self, bool busy)
{
    ak_mutex_lock(&self->lock);
    self->busy += busy ? 1 : -1;
    self->active = ak_now();
    ak_mutex_unlock(&self->lock);
}

/* --- statements --- */

static void hash_of(const char *text, size_t len, char ret[static AK_JOURNAL_HASH_SIZE])
{
    if (ak_journal_hash(text, len, ret) < 0)
        ret[0] = '\0';
}

void ak_session_record(struct ak_session *self, const struct ak_session_said *said)
{
    char hash[AK_JOURNAL_HASH_SIZE];

    hash_of(said->text, said->len, hash);
    const struct ak_journal_record record = {
        .session_id = self->id,
        .session_kind = kind_names[self->kind],
        .caller = self->caller.tree,
        .operation = said->operation,
        .class_ = said->class,
        .statement = said->text,
        .statement_len = said->len,
        .statement_hash = hash[0] ? hash : NULL,
        .verdict = said->verdict,
        .rule = said->rule,
        .code = said->code,
        .rows = said->rows,
        .bytes = said->bytes,
        .duration = said->milliseconds,
    };

    ak_audit_add(&self->bastion->audit, &record);
}

/* What a caller who may only read cannot do; NULL: let the system decide. */
static const char *refusal_of(const struct ak_session *self, enum ak_statement_class class)
{
    if (!self->read_only)
        return NULL;
    if (class == AK_CLASS_WRITE || class == AK_CLASS_ADMIN)
        return "this session may only read";
    if (class == AK_CLASS_UNKNOWN && !self->minted)
        return "this session may only read, and it is not known whether this does";
    return NULL;
}

static int refuse(struct ak_session *self, enum ak_statement_class class, const char *text,
                  size_t len, const char *why, struct ak_error **reterr)
{
    const char *rule = self->minted ? "spec.permissions" : "readOnly";
    const struct ak_session_said said = {
        .text = text, .len = len, .class = class, .verdict = "Refused", .rule = rule, .rows = -1};

    ak_session_record(self, &said);
    return ak_error_set(reterr, AK_E_FORBIDDEN, "%s: %s", rule, why);
}

/* What it says may be a password. */
static void statement_free(struct ak_statement *st)
{
    ak_session_unref(st->session);
    ak_wipe(st->text, sizeof(st->text));
    ak_free(st);
}

static int begin(struct ak_session *self, enum ak_statement_class class, const char *text,
                 size_t len, bool by_handle, struct ak_statement **ret, struct ak_error **reterr)
{
    const char *why = refusal_of(self, class);
    struct ak_statement *statement, **at;

    if (why)
        return refuse(self, class, text, len, why, reterr);
    statement = ak_new0(struct ak_statement);
    if (!statement)
        return ak_error_oom(reterr);
    statement->session = ak_session_ref(self);
    statement->thread = pthread_self();
    statement->by_handle = by_handle;
    statement->class = class;
    statement->since = ak_now();
    statement->len = AK_MIN(len, sizeof(statement->text));
    memcpy(statement->text, text, statement->len);
    hash_of(text, len, statement->hash);
    ak_mutex_lock(&self->lock);
    bool full = self->n_under_way >= AK_SESSION_MAX_STATEMENTS;
    if (!full) {
        self->n_under_way++;
        self->n_statements++;
        self->active = statement->since;
        for (at = &self->statements; *at; at = &(*at)->next)
            ;
        *at = statement;
    }
    ak_mutex_unlock(&self->lock);
    if (full) {
        statement_free(statement);
        return ak_error_set(reterr, -ENOBUFS, "more than %d statements are under way",
                            AK_SESSION_MAX_STATEMENTS);
    }
    *ret = statement;
    return 0;
}

static void finish(struct ak_statement *st, int64_t rows, uint64_t bytes, int code,
                   const char *server_code)
{
    struct ak_session *self = st->session;
    const struct ak_journal_record record = {
        .session_id = self->id,
        .session_kind = kind_names[self->kind],
        .caller = self->caller.tree,
        .class_ = st->class,
        .statement = st->text,
        .statement_len = st->len,
        .statement_hash = st->hash[0] ? st->hash : NULL,
        .verdict = code < 0 ? "Failed" : "Allowed",
        .code = server_code ? server_code
                : code < 0  ? ak_code_text(code)
                            : NULL,
        .rows = rows,
        .bytes = bytes,
        .duration = ak_now() - st->since,
    };

    ak_audit_add(&self->bastion->audit, &record);
    statement_free(st);
}

/* Out of its session's list. NULL: which; the oldest of this thread. */
static struct ak_statement *take_out(struct ak_session *self, const struct ak_statement *which)
{
    struct ak_statement *found = NULL;

    ak_mutex_lock(&self->lock);
    for (struct ak_statement **at = &self->statements; *at && !found; at = &(*at)->next) {
        bool is_it = which ? *at == which
                           : !(*at)->by_handle && pthread_equal((*at)->thread, pthread_self());

        if (!is_it)
            continue;
        found = *at;
        *at = found->next;
        self->n_under_way--;
        self->active = ak_now();
        break;
    }
    ak_mutex_unlock(&self->lock);
    return found;
}

int ak_statement_begin(struct ak_session *self, enum ak_statement_class class_, const char *text,
                       size_t len, struct ak_statement **ret, struct ak_error **reterr)
{
    return begin(self, class_, text, len, true, ret, reterr);
}

void ak_statement_end(struct ak_statement *self, int64_t rows, uint64_t bytes, int code,
                      const char *server_code)
{
    struct ak_statement *st = self ? take_out(self->session, self) : NULL;

    if (st)
        finish(st, rows, bytes, code, server_code);
}

int ak_session_statement(struct ak_session *self, enum ak_statement_class class_, const char *text,
                         size_t len, struct ak_error **reterr)
{
    struct ak_statement *statement;

    return begin(self, class_, text, len, false, &statement, reterr);
}

void ak_session_done(struct ak_session *self, int64_t rows, uint64_t bytes, int code,
                     const char *server_code)
{
    struct ak_statement *st = take_out(self, NULL);

    if (st)
        finish(st, rows, bytes, code, server_code);
}

void ak_session_forget_thread(struct ak_session *self)
{
    struct ak_statement *st;

    while ((st = take_out(self, NULL)))
        finish(st, -1, 0, AK_E_CANCELLED, NULL);
}

/* --- what engines keep with it --- */

void *ak_session_listening(const struct ak_session *self)
{
    struct ak_session *s = mutable(self);
    void *listening;

    ak_mutex_lock(&s->lock);
    listening = s->listening;
    ak_mutex_unlock(&s->lock);
    return listening;
}

void ak_session_set_listening(struct ak_session *self, void *listening)
{
    ak_mutex_lock(&self->lock);
    self->listening = listening;
    ak_mutex_unlock(&self->lock);
}

void *ak_session_data(struct ak_session *self, void *(*make)(void *user), void *user,
                      void (*free_data)(void *data))
{
    void *data;

    ak_mutex_lock(&self->lock);
    if (!self->data && make) {
        self->data = make(user);
        self->free_data = free_data;
    }
    data = self->data;
    ak_mutex_unlock(&self->lock);
    return data;
}

/* --- its life --- */

void ak_caller_done(struct ak_caller *self)
{
    json_decref(self->tree);
    self->tree = NULL;
}

int ak_caller_read(const json_t *tree, struct ak_caller *ret, struct ak_error **reterr)
{
    const char *kind = ak_json_text(tree, "kind", NULL), *name = ak_json_text(tree, "name", NULL);
    AK_AUTO(ak_buf) text = AK_BUF_INIT(AK_CALLER_MAX);
    int r;

    if ((!ak_streq(kind, "Agent") && !ak_streq(kind, "Person")) || ak_is_empty(name))
        return ak_error_set(reterr, AK_E_INVALID,
                            "caller: must be {kind, name} of an Agent or a Person");
    r = ak_json_write(tree, &text, reterr);
    if (r < 0)
        return r;
    *ret = (struct ak_caller){.is_agent = ak_streq(kind, "Agent")};
    (void)snprintf(ret->name, sizeof(ret->name), "%s", name);
    ret->tree = ak_json_copy(tree);
    return ret->tree ? 0 : ak_error_oom(reterr);
}

struct ak_session *ak_session_ref(struct ak_session *self)
{
    (void)atomic_fetch_add_explicit(&self->refs, 1, memory_order_relaxed);
    return self;
}

void ak_session_unref(struct ak_session *self)
{
    if (!self || atomic_fetch_sub_explicit(&self->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (self->data && self->free_data)
        self->free_data(self->data);
    ak_caller_done(&self->caller);
    ak_cancel_done(&self->cancel);
    ak_mutex_done(&self->lock);
    ak_free(self);
}

static int make_id(char ret[static AK_SESSION_ID])
{
    unsigned char random[8];

    if (RAND_bytes(random, sizeof(random)) != 1)
        return -EIO;
    (void)snprintf(ret, AK_SESSION_ID, "s-");
    for (size_t i = 0; i < sizeof(random); i++)
        (void)snprintf(ret + 2 + 2 * i, 3, "%02x", random[i]);
    return 0;
}

int ak_session_open(struct ak_bastion *bastion, const struct ak_session_options *options,
                    struct ak_session **ret, struct ak_error **reterr)
{
    struct ak_session *self;

    if (bastion->ending)
        return ak_error_set(reterr, AK_E_CANCELLED, "the bastion ends: %s", bastion->end_reason);
    if (bastion->n_sessions >= bastion->settings->max_sessions)
        return ak_error_set(reterr, -EBUSY, "spec.maxSessions: %zu sessions are open",
                            bastion->n_sessions);
    self = ak_new0(struct ak_session);
    if (!self || make_id(self->id) < 0 || ak_cancel_init(&self->cancel) < 0) {
        ak_free(self);
        return ak_error_oom(reterr);
    }
    ak_mutex_init(&self->lock);
    self->bastion = bastion;
    self->kind = options->kind;
    self->read_only = options->read_only;
    self->minted = ak_target_is_minted(&bastion->settings->target);
    self->caller = *options->caller;
    options->caller->tree = NULL;
    self->end = options->end;
    self->owner = options->owner;
    atomic_init(&self->refs, 1);
    self->since = self->active = ak_now();
    self->since_wall = ak_wall_now();
    self->next = bastion->sessions;
    bastion->sessions = self;
    bastion->n_sessions++;
    bastion->last_used = self->since;
    bastion->last_used_wall = self->since_wall;
    ak_bastion_changed(bastion);
    *ret = self;
    return 0;
}

void ak_session_close(struct ak_session *self)
{
    struct ak_bastion *bastion = self->bastion;
    struct ak_session **at = &bastion->sessions;

    while (*at && *at != self)
        at = &(*at)->next;
    if (*at) {
        *at = self->next;
        bastion->n_sessions--;
        bastion->last_used = ak_now();
        bastion->last_used_wall = ak_wall_now();
        ak_bastion_changed(bastion);
    }
    ak_session_unref(self);
}

void ak_session_end(struct ak_session *self, const char *reason)
{
    bool first;

    ak_mutex_lock(&self->lock);
    first = !self->reason[0];
    if (first)
        (void)snprintf(self->reason, sizeof(self->reason), "%s", reason[0] ? reason : "ended");
    ak_mutex_unlock(&self->lock);
    if (!first)
        return;
    ak_cancel_now(&self->cancel);
    ak_bastion_changed(self->bastion);
    if (self->end)
        self->end(self->owner);
}

struct ak_session *ak_session_find(struct ak_bastion *bastion, const char *id)
{
    struct ak_session *s = bastion->sessions;

    while (s && !ak_streq(s->id, id))
        s = s->next;
    return s;
}
