/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/toolbox.h"

#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/buf.h>
#include <ak/base/log.h>
#include <ak/base/text.h>
#include <ak/net/http_client.h>
#include <ak/net/loop.h>

#include "door/credential.h"
#include "keeper/tool_result.h"

#define SELF_TOOLS "/api/v1/self/tools"

/* One call on its way. Answered exactly once. */
struct work {
    struct ak_toolbox *box;
    struct ak_mcp_call *call;
    char *name;                    /* of the MCP tool */
    json_t *arguments;             /* or NULL */
    struct ak_http_stream *stream; /* NULL: it waits for the list */
    struct ak_buf body;
    int status;
    bool cancelled;
    struct work *prev, *next;
};

struct ak_toolbox {
    const struct ak_keeper_settings *settings;
    struct ak_mcp_tools tools;
    /* Two, so that a call never goes over a connection that a list left open: if such a one were gone by then, it
     * would not be known whether the call was done. */
    struct ak_http_client *asking, *calling;
    struct ak_credential_file token;
    struct ak_loop *loop;
    struct ak_timer *period, *deadline;
    void (*changed)(void *arg);
    void *changed_arg;
    /* The list: the manager's items, and the same as MCP has them. NULL: there was none yet. */
    json_t *items, *list;
    ak_msec listed; /* when it came */
    /* The question for it that is under way. */
    struct ak_http_stream *question;
    struct ak_buf answer;
    int status;
    bool failed; /* the last question was in vain: said once */
    struct ak_mcp_look *looks[AK_TOOLBOX_MAX_WAITING];
    size_t n_looks;
    struct work *works;
    bool stopping;
};

/* --- work --- */

static void work_free(struct work *w)
{
    if (w->prev)
        w->prev->next = w->next;
    else if (w->box->works == w)
        w->box->works = w->next;
    if (w->next)
        w->next->prev = w->prev;
    ak_buf_done(&w->body);
    json_decref(w->arguments);
    ak_free(w->name);
    ak_free(w);
}

static void work_fail(struct work *w, const char *text)
{
    struct ak_mcp_call *call = w->call;

    work_free(w);
    ak_mcp_call_fail(call, text);
}

static struct work *work_new(struct ak_toolbox *self, struct ak_mcp_call *call, const char *name,
                             json_t *arguments)
{
    struct work *w = ak_new0(struct work);

    if (!w)
        return NULL;
    w->box = self;
    w->call = call;
    w->name = ak_strdup(name);
    w->arguments = json_incref(arguments);
    w->body.max = AK_TOOLBOX_MAX_ANSWER;
    w->next = self->works;
    if (w->next)
        w->next->prev = w;
    self->works = w;
    if (w->name)
        return w;
    work_free(w);
    return NULL;
}

static void work_answer(struct work *w)
{
    struct ak_mcp_call *call = w->call;
    AK_AUTO_JSON *tree = NULL, *result = NULL;
    AK_AUTO(ak_buf) words = AK_BUF_INIT(2 * AK_TOOL_TEXT_MAX);
    AK_AUTO_PTR(ak_error) err = NULL;
    int status = w->status;
    int r = ak_json_parse(ak_buf_text(&w->body), w->body.len, &tree, NULL);

    work_free(w);
    if (status == 200 && r >= 0 && ak_tool_result(tree, &result, &err) >= 0) {
        ak_mcp_call_answer(call, result);
        return;
    }
    if (status == 200)
        ak_mcp_call_fail(call, err ? ak_error_message(err) : "the manager's answer makes no sense");
    else if (ak_tool_refusal(status, tree, &words) < 0)
        ak_mcp_call_fail(call, "the call was refused");
    else
        ak_mcp_call_fail(call, ak_buf_text(&words));
}

static int on_work_begin(int status, ak_msec retry_after, void *user)
{
    struct work *w = user;

    (void)retry_after;
    w->status = status;
    return 0;
}

static int on_work_data(const char *data, size_t len, void *user)
{
    struct work *w = user;

    return ak_buf_add(&w->body, data, len);
}

static void on_work_end(int code, const struct ak_error *err, void *user)
{
    struct work *w = user;

    w->stream = NULL;
    if (w->cancelled || code == AK_E_CANCELLED) {
        work_fail(w, "the call was cancelled");
    } else if (code == 0) {
        work_answer(w);
    } else if (code == AK_E_TOO_LARGE) {
        work_fail(w, "the result is larger than 8 MiB; ask for less");
    } else {
        ak_info("keeper", "a tool call had no answer", AK_STR("tool", w->name), AK_ERR(err));
        work_fail(w, w->status ? "the answer broke off; whether it was done is not known"
                               : "the manager gives no answer at the moment; try again later");
    }
}

/* The body of the request; NULL: no memory. */
static char *make_body(const struct work *w, const char *operation, size_t *ret_len)
{
    const char *run = ak_mcp_call_run(w->call);
    AK_AUTO_JSON *none = w->arguments ? json_incref(w->arguments) : json_object();
    AK_AUTO_JSON *tree = json_pack("{sssO}", "operation", operation, "arguments", none);
    AK_AUTO(ak_buf) text = AK_BUF_INIT(2 * AK_JSON_MAX_BYTES);

    if (!tree || (run[0] && json_object_set_new(tree, "runID", json_string(run)) < 0) ||
        ak_json_write(tree, &text, NULL) < 0)
        return NULL;
    *ret_len = text.len;
    return ak_buf_take(&text);
}

static const struct ak_http_stream_ops work_ops = {
    .begin = on_work_begin, .data = on_work_data, .end = on_work_end};

/* Sends it; negative: it cannot be sent, and is still the caller's. */
static int work_send(struct work *w, const json_t *item, struct ak_error **reterr)
{
    static const char *const headers[] = {"Connection: close", NULL};
    struct ak_toolbox *self = w->box;
    AK_AUTO(ak_buf) path = AK_BUF_INIT(1024);
    const struct ak_secret *token = NULL;
    size_t len = 0;
    AK_AUTO_TEXT char *body = make_body(w, ak_json_text(item, "operation", NULL), &len);
    int r = ak_credential_file_read(&self->token, &token, reterr);

    if (r < 0)
        return r;
    if (!body || ak_buf_adds(&path, SELF_TOOLS "/") < 0 ||
        ak_buf_add_url_escaped(&path, ak_json_text(item, "tool", NULL)) < 0 ||
        ak_buf_adds(&path, "/operations") < 0)
        return ak_error_oom(reterr);
    struct ak_http_request request = {.method = "POST",
                                      .path = ak_buf_text(&path),
                                      .content_type = "application/json",
                                      .accept = "application/json",
                                      .body = body,
                                      .body_len = len,
                                      .bearer = token,
                                      .headers = headers,
                                      .take_body = true,
                                      .timeout = AK_TOOLBOX_CALL_TIME};
    r = ak_http_stream_start(self->calling, self->loop, &request, &work_ops, w, &w->stream, reterr);
    if (r >= 0)
        body = NULL; /* the stream's */
    return r;
}

/* The manager's item for an MCP tool; NULL: there is none of that name. */
static const json_t *find_item(const struct ak_toolbox *self, const char *name)
{
    for (size_t i = 0; i < json_array_size(self->items); i++) {
        const json_t *item = json_array_get(self->items, i);
        if (ak_streq(ak_json_text(item, "name", NULL), name))
            return item;
    }
    return NULL;
}

/* --- the list --- */

/* Calls that came before the list did. */
static void go_on_with_work(struct ak_toolbox *self)
{
    struct work *next;

    for (struct work *w = self->works; w; w = next) {
        AK_AUTO_PTR(ak_error) err = NULL;
        next = w->next;
        if (w->stream)
            continue;
        const json_t *item = find_item(self, w->name);
        if (!item)
            work_fail(w, self->failed ? "the manager gives no answer at the moment; try again later"
                                      : "there is no such tool");
        else if (work_send(w, item, &err) < 0)
            work_fail(w, ak_error_message(err));
    }
}

static void answer_looks(struct ak_toolbox *self)
{
    size_t n = self->n_looks;

    self->n_looks = 0;
    for (size_t i = 0; i < n; i++)
        ak_mcp_look_ready(self->looks[i]);
}

static void take_list(struct ak_toolbox *self, struct ak_error **reterr)
{
    AK_AUTO_JSON *tree = NULL, *list = NULL;
    int r = ak_json_parse(ak_buf_text(&self->answer), self->answer.len, &tree, reterr);

    if (r >= 0)
        r = ak_tool_list(tree, &list, reterr);
    if (r < 0)
        return;
    bool same = self->items && json_equal(self->items, json_object_get(tree, "items"));
    bool first = !self->items;
    self->listed = ak_now();
    if (same)
        return;
    json_decref(self->items);
    json_decref(self->list);
    self->items = json_incref(json_object_get(tree, "items"));
    self->list = AK_TAKE(list);
    ak_info("keeper", "the agent's tools", AK_INT("count", (int64_t)json_array_size(self->items)));
    /* A client that has connected while there was nothing yet has to hear of the first list, too. */
    if (self->changed && (!first || json_array_size(self->items)))
        self->changed(self->changed_arg);
}

static void note_failure(struct ak_toolbox *self, const struct ak_error *err)
{
    if (err && !self->failed)
        ak_warn("keeper", "the manager does not say which tools there are, the last list is used",
                AK_ERR(err), AK_INT("status", self->status));
    else if (!err && self->failed)
        ak_info("keeper", "the manager says again which tools there are");
    self->failed = err != NULL;
}

static int on_list_begin(int status, ak_msec retry_after, void *user)
{
    struct ak_toolbox *self = user;

    (void)retry_after;
    self->status = status;
    return 0;
}

static int on_list_data(const char *data, size_t len, void *user)
{
    struct ak_toolbox *self = user;

    return ak_buf_add(&self->answer, data, len);
}

static void list_settled(struct ak_toolbox *self, const struct ak_error *err)
{
    note_failure(self, err);
    ak_timer_clear(self->deadline);
    ak_timer_set(self->period, self->items || !err ? AK_TOOLBOX_PERIOD : AK_TOOLBOX_RETRY);
    answer_looks(self);
    go_on_with_work(self);
}

static void on_list_end(int code, const struct ak_error *err, void *user)
{
    struct ak_toolbox *self = user;
    AK_AUTO_PTR(ak_error) own = NULL;

    self->question = NULL;
    if (self->stopping)
        return;
    if (code == 0 && self->status == 200)
        take_list(self, &own);
    else if (code == 0)
        (void)ak_error_set(&own, AK_E_SERVER, "the answer has status %d", self->status);
    else if (!err)
        (void)ak_error_set(&own, code, "%s",
                           code == AK_E_CANCELLED ? "it took too long" : ak_code_text(code));
    ak_buf_clear(&self->answer);
    list_settled(self, own ? own : err);
}

static const struct ak_http_stream_ops list_ops = {
    .begin = on_list_begin, .data = on_list_data, .end = on_list_end};

static int send_question(struct ak_toolbox *self, struct ak_error **reterr)
{
    const struct ak_secret *token = NULL;
    int r = ak_credential_file_read(&self->token, &token, reterr);

    if (r < 0)
        return r;
    struct ak_http_request request = {.method = "GET",
                                      .path = SELF_TOOLS,
                                      .accept = "application/json",
                                      .bearer = token,
                                      .timeout = AK_TOOLBOX_LIST_TIME};
    ak_buf_clear(&self->answer);
    self->status = 0;
    return ak_http_stream_start(self->asking, self->loop, &request, &list_ops, self,
                                &self->question, reterr);
}

/* Asks, unless it is being asked already. Negative: it cannot, and nothing will happen. */
static int ask(struct ak_toolbox *self)
{
    AK_AUTO_PTR(ak_error) err = NULL;

    if (self->question)
        return 0;
    int r = send_question(self, &err);
    if (r < 0) {
        note_failure(self, err);
        ak_timer_set(self->period, AK_TOOLBOX_PERIOD);
        return r;
    }
    ak_timer_set(self->deadline, AK_TOOLBOX_LIST_TIME);
    return 0;
}

static void on_period(void *user)
{
    (void)ask(user);
}

static void on_deadline(void *user)
{
    struct ak_toolbox *self = user;

    if (self->question)
        ak_http_stream_stop(self->question);
}

static bool is_fresh(const struct ak_toolbox *self)
{
    return self->items && ak_now() - self->listed < AK_TOOLBOX_FRESH;
}

/* --- what the endpoint calls --- */

static int box_refresh(struct ak_mcp_look *look, void *user)
{
    struct ak_toolbox *self = user;

    if (is_fresh(self) || self->n_looks == AK_TOOLBOX_MAX_WAITING || ask(self) < 0)
        return 1;
    self->looks[self->n_looks++] = look;
    return 0;
}

static int box_list(json_t *tools, void *user, struct ak_error **reterr)
{
    const struct ak_toolbox *self = user;

    if (self->list && json_array_extend(tools, self->list) < 0)
        return ak_error_oom(reterr);
    return 0;
}

static int box_call(struct ak_mcp_call *call, const char *name, json_t *arguments, void *user,
                    struct ak_error **reterr)
{
    struct ak_toolbox *self = user;
    const json_t *item = find_item(self, name);

    if (!item && (is_fresh(self) || (!self->question && ask(self) < 0)))
        return AK_E_NOT_FOUND;
    struct work *w = work_new(self, call, name, arguments);
    if (!w)
        return ak_error_oom(reterr);
    int r = item ? work_send(w, item, reterr) : 0;
    if (r < 0)
        work_free(w);
    return r == AK_E_NOT_FOUND ? -EIO : r;
}

static void box_cancel(struct ak_mcp_call *call, void *user)
{
    struct ak_toolbox *self = user;
    struct work *w = self->works;

    while (w && w->call != call)
        w = w->next;
    if (!w)
        return;
    w->cancelled = true;
    if (w->stream)
        ak_http_stream_stop(w->stream); /* its end answers */
    else
        work_fail(w, "the call was cancelled");
}

static int box_start(struct ak_loop *loop, void *user, struct ak_error **reterr)
{
    struct ak_toolbox *self = user;

    self->loop = loop;
    self->period = ak_timer_new(loop, on_period, self);
    self->deadline = ak_timer_new(loop, on_deadline, self);
    if (!self->period || !self->deadline)
        return ak_error_oom(reterr);
    ak_timer_set(self->period, 0);
    return 0;
}

static void box_watch(void (*changed)(void *arg), void *arg, void *user)
{
    struct ak_toolbox *self = user;

    self->changed = changed;
    self->changed_arg = arg;
}

static void box_stop(void *user)
{
    struct ak_toolbox *self = user;

    self->stopping = true;
    self->changed = NULL;
    if (self->question)
        ak_http_stream_stop(self->question);
    answer_looks(self);
    while (self->works) {
        struct work *w = self->works;
        w->cancelled = true;
        if (w->stream)
            ak_http_stream_stop(w->stream);
        else
            work_fail(w, "the keeper ends");
    }
    self->asking = ak_http_client_free(self->asking);
    self->calling = ak_http_client_free(self->calling);
    self->period = ak_timer_free(self->period);
    self->deadline = ak_timer_free(self->deadline);
}

const struct ak_mcp_tools *ak_toolbox_tools(const struct ak_toolbox *self)
{
    return &self->tools;
}

struct ak_toolbox *ak_toolbox_free(struct ak_toolbox *self)
{
    if (!self)
        return NULL;
    (void)ak_http_client_free(self->asking);
    (void)ak_http_client_free(self->calling);
    ak_credential_file_done(&self->token);
    ak_buf_done(&self->answer);
    json_decref(self->items);
    json_decref(self->list);
    ak_free(self);
    return NULL;
}

int ak_toolbox_new(const struct ak_keeper_settings *settings, struct ak_toolbox **ret,
                   struct ak_error **reterr)
{
    const struct ak_http_target target = {.base_url = settings->manager_url,
                                          .max_reply = AK_TOOLBOX_MAX_ANSWER};
    AK_AUTO_PTR(ak_toolbox) self = ak_new0(struct ak_toolbox);

    if (!self)
        return ak_error_oom(reterr);
    self->settings = settings;
    self->answer.max = AK_TOOLBOX_MAX_LIST;
    self->tools = (struct ak_mcp_tools){.start = box_start,
                                        .stop = box_stop,
                                        .watch = box_watch,
                                        .refresh = box_refresh,
                                        .list = box_list,
                                        .call = box_call,
                                        .cancel = box_cancel,
                                        .user = self};
    ak_credential_file_init(&self->token, settings->token_file);
    int r = ak_http_client_new(&target, &self->asking, reterr);
    if (r >= 0)
        r = ak_http_client_new(&target, &self->calling, reterr);
    if (r < 0)
        return ak_error_wrap(reterr, r, "AGENTKUBE_MANAGER_URL");
    *ret = AK_TAKE(self);
    return 0;
}
