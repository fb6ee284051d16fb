/* SPDX-License-Identifier: Apache-2.0 */
/* POST /v1/operations: decided, done by the engine on a thread, answered and recorded. */
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/arena.h>
#include <ak/base/text.h>
#include <ak/json/json.h>

#include "bastion/bastion.h"
#include "engines/policy.h"

#define RESULT_MARGIN (1u << 20) /* what JSON adds to a result of max_bytes, beside doubling it */

struct operation {
    struct ak_bastion *bastion;
    struct ak_http_exchange *ex; /* NULL: who asked has gone */
    struct ak_session *session;
    json_t *body;
    struct ak_arena arena;
    struct ak_decision decision;
    struct ak_call call;
    ak_msec since;
    int code;
    struct ak_error *err;
    struct ak_buf answer; /* made on the thread */
};

static void operation_free(struct operation *self)
{
    json_decref(self->body);
    json_decref(self->call.ret_result);
    ak_arena_done(&self->arena);
    (void)ak_error_free(self->err);
    ak_buf_done(&self->answer);
    if (self->session)
        ak_session_close(self->session);
    ak_free(self);
}

/* What people read of it in the audit. */
static const char *statement_of(const struct operation *self, struct ak_buf *out)
{
    const json_t *arguments = self->call.arguments;
    const char *sql = ak_json_text(arguments, "sql", NULL);
    const char *method = ak_json_text(arguments, "method", NULL);

    if (sql)
        return sql;
    if (method && ak_buf_addf(out, "%s %s", method, ak_json_text(arguments, "path", NULL)) >= 0)
        return ak_buf_text(out);
    if (ak_json_write(arguments, out, NULL) < 0)
        return "";
    return ak_buf_text(out);
}

static void record(struct operation *self, const char *verdict, const char *code)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(AK_BODY_MAX);
    const char *statement = statement_of(self, &text);
    const struct ak_session_said said = {.operation = self->call.operation->name,
                                         .text = statement,
                                         .len = strlen(statement),
                                         .class = self->decision.class,
                                         .verdict = verdict,
                                         .rule = self->decision.rule,
                                         .code = code,
                                         .rows = self->call.ret_rows,
                                         .bytes = (uint64_t)self->call.ret_bytes,
                                         .milliseconds = ak_now() - self->since};

    ak_session_record(self->session, &said);
}

static int write_answer(struct operation *self)
{
    AK_AUTO_JSON *tree = json_pack(
        "{s:s, s:s, s:s, s:O*, s:I, s:I, s:I}", "sessionID", ak_session_id(self->session), "class",
        ak_statement_class_name(self->decision.class), "rule",
        self->decision.rule ? self->decision.rule : "", "result", self->call.ret_result, "rows",
        (json_int_t)self->call.ret_rows, "bytes", (json_int_t)self->call.ret_bytes, "milliseconds",
        (json_int_t)(ak_now() - self->since));

    self->answer.max = 2 * (size_t)self->call.max_bytes + RESULT_MARGIN;
    return tree ? ak_json_write(tree, &self->answer, &self->err) : ak_error_oom(&self->err);
}

static void work(void *user)
{
    struct operation *self = user;
    struct ak_bastion *b = self->bastion;

    self->code = b->engine->call(&b->settings->target, self->session, &self->call, &self->err);
    if (self->code >= 0)
        self->code = write_answer(self);
}

static void answer_error(struct operation *self)
{
    const char *reason = ak_session_end_reason(self->session);
    AK_AUTO(ak_buf) details = AK_BUF_INIT(1024);
    AK_AUTO_PTR(ak_error) ended = NULL;
    int status = self->code == AK_E_FORBIDDEN ? 403
                 : self->code == -ENOMEM      ? 503
                 : self->code == -ETIMEDOUT   ? 504
                                              : 422;

    if (reason) {
        (void)ak_error_set(&ended, AK_E_CANCELLED, "the operation was ended: %s", reason);
        ak_bastion_refuse(self->ex, 422, ended, NULL);
        return;
    }
    if (self->call.ret_server_code[0]) {
        if (ak_buf_adds(&details, "\"code\":") < 0 ||
            ak_buf_add_json_string(&details, self->call.ret_server_code,
                                   strlen(self->call.ret_server_code)) < 0)
            ak_buf_clear(&details);
    }
    ak_bastion_refuse(self->ex, status, self->err, details.len ? ak_buf_text(&details) : NULL);
}

static void done(void *user)
{
    struct operation *self = user;
    const char *code = self->call.ret_server_code[0] ? self->call.ret_server_code
                       : self->code < 0              ? ak_code_text(self->code)
                                                     : NULL;

    ak_session_count(self->session, 0, (uint64_t)self->call.ret_bytes);
    record(self,
           self->code >= 0                ? "Allowed"
           : self->code == AK_E_FORBIDDEN ? "Refused"
                                          : "Failed",
           code);
    if (self->ex)
        ak_http_on_close(self->ex, NULL, NULL);
    if (self->ex && self->code >= 0)
        ak_http_reply_text(self->ex, 200, "application/json", ak_buf_text(&self->answer),
                           self->answer.len, NULL);
    else if (self->ex)
        answer_error(self);
    operation_free(self);
}

static void on_gone(void *user)
{
    struct operation *self = user;

    self->ex = NULL;
    ak_session_end(self->session, "who asked for it has gone");
}

static int64_t limit_of(const json_t *body, const char *name, int64_t most)
{
    int64_t wanted = json_integer_value(json_object_get(body, name));

    return wanted > 0 ? AK_MIN(wanted, most) : most;
}

static int read_body(struct operation *self, struct ak_caller *caller, struct ak_error **reterr)
{
    const struct ak_bastion_settings *s = self->bastion->settings;
    const char *name;
    size_t len;
    const char *text = ak_http_body(self->ex, &len);
    int r = ak_json_parse(text, len, &self->body, reterr);

    if (r < 0)
        return r;
    name = ak_json_text(self->body, "operation", NULL);
    self->call.operation = name ? ak_engine_operation(s->target.info, name) : NULL;
    if (!self->call.operation)
        return ak_error_set(reterr, AK_E_INVALID, "operation: a Tool of type %s has no \"%s\"",
                            s->target.info->name, name ? name : "");
    self->call.arguments = json_object_get(self->body, "arguments");
    if (!self->call.arguments && json_object_set_new(self->body, "arguments", json_object()) < 0)
        return ak_error_oom(reterr);
    self->call.arguments = json_object_get(self->body, "arguments");
    self->call.max_rows = limit_of(self->body, "maxRows", s->max_rows);
    self->call.max_bytes = limit_of(self->body, "maxBytes", s->max_bytes);
    self->call.deadline = ak_now() + s->timeout;
    r = ak_caller_read(json_object_get(self->body, "caller"), caller, reterr);
    if (r < 0)
        return r;
    self->call.read_only = ak_policy_is_read_only(
        s->target.spec, caller->is_agent, json_is_true(json_object_get(self->body, "readOnly")));
    return ak_policy_decide(s->target.spec, name, self->call.arguments, self->call.read_only,
                            &self->arena, &self->decision, reterr);
}

/* 0: go on. Otherwise it was answered. */
static bool refused(struct operation *self)
{
    const struct ak_decision *d = &self->decision;
    AK_AUTO(ak_buf) details = AK_BUF_INIT(2048);
    AK_AUTO_PTR(ak_error) err = NULL;
    bool approved = json_is_true(json_object_get(self->body, "approved"));
    int status = !d->allowed ? 403 : d->needs_approval && !approved ? 428 : 0;

    if (!status)
        return false;
    self->call.ret_rows = -1;
    if (status == 403)
        record(self, "Refused", NULL);
    (void)ak_error_set(&err, AK_E_FORBIDDEN, "%s", d->reason ? d->reason : "it needs an approval");
    if (ak_buf_addf(&details, "\"class\":\"%s\",\"rule\":", ak_statement_class_name(d->class)) <
            0 ||
        ak_buf_add_json_string(&details, d->rule ? d->rule : "", strlen(d->rule ? d->rule : "")) <
            0)
        ak_buf_clear(&details);
    ak_bastion_refuse(self->ex, status, err, ak_buf_text(&details));
    return true;
}

static void end_it(void *owner)
{
    (void)owner; /* the engine sees the cancel, and comes back */
}

void ak_operation_handle(struct ak_http_exchange *ex, void *user)
{
    struct operation *self = ak_new0(struct operation);
    AK_AUTO_PTR(ak_error) err = NULL;
    struct ak_caller caller = {0};
    int r;

    if (!self) {
        (void)ak_error_oom(&err);
        ak_bastion_refuse(ex, 503, err, NULL);
        return;
    }
    ak_arena_init(&self->arena, 1024, 1u << 20);
    self->bastion = user;
    self->ex = ex;
    self->since = ak_now();
    r = read_body(self, &caller, &err);
    if (r >= 0 && !self->bastion->engine)
        r = ak_error_set(&err, AK_E_SERVER, "type %s is not built in",
                         self->bastion->settings->target.info->name);
    const struct ak_session_options options = {.kind = AK_SESSION_OPERATION,
                                               .caller = &caller,
                                               .read_only = self->call.read_only,
                                               .end = end_it,
                                               .owner = self};
    if (r >= 0)
        r = ak_session_open(self->bastion, &options, &self->session, &err);
    ak_caller_done(&caller);
    if (r >= 0 && refused(self)) {
        operation_free(self);
        return;
    }
    if (r >= 0)
        r = ak_worker_start(self->bastion, work, done, self, &err);
    if (r >= 0) {
        ak_http_on_close(ex, on_gone, self);
        return;
    }
    ak_bastion_refuse(ex, 0, err, NULL);
    operation_free(self);
}
