/* SPDX-License-Identifier: Apache-2.0 */
/* exo agent logs, exo run logs: as text from the manager, or with --follow made here from the events, which can be
 * taken up again where a connection broke. */
#include <stdio.h>
#include <unistd.h>

#include <ak/base/text.h>

#include "exo/follow.h"
#include "exo/output.h"
#include "exo/proxy.h"
#include "exo/records.h"
#include "exo/shown.h"
#include "exo/verbs.h"
#include "terminal/cells.h"

#define PIECE (1u << 20)

struct text {
    struct ak_exo *exo;
    struct ak_loop *loop;
    struct ak_buf shown;
    bool pending_cr;
    int code;
    struct ak_error *err;
};

static int on_data(const char *data, size_t len, void *user)
{
    struct text *self = user;

    if (!self->exo->screen.terminal)
        return ak_exo_write(STDOUT_FILENO, data, len, &self->err);
    /* A character that two pieces share is shown as two marks; pieces are 16 KiB, and this is for eyes. */
    ak_buf_clear(&self->shown);
    int r = ak_cells_add_shown(&self->shown, data, len, &self->pending_cr);
    return r < 0 ? r : ak_exo_print(&self->shown, &self->err);
}

static void on_end(int code, const struct ak_error *err, void *user)
{
    struct text *self = user;

    self->code = code;
    if (code < 0 && !self->err) {
        (void)ak_error_set(&self->err, code, "%s", ak_error_message(err));
        ak_error_set_http(self->err, ak_error_http_status(err), ak_error_reason(err), 0);
    }
    ak_loop_stop(self->loop);
}

static int print_text(struct ak_exo *self, const struct ak_record_name *name,
                      struct ak_error **reterr)
{
    static const struct ak_http_stream_ops ops = {.data = on_data, .end = on_end};
    struct text text = {.exo = self, .shown = AK_BUF_INIT(4 * PIECE)};
    AK_AUTO_PTR(ak_loop) loop = NULL;
    struct ak_http_stream *stream = NULL;
    char sub[64] = "logs?follow=false";

    if (self->options->tail >= 0)
        (void)snprintf(sub, sizeof(sub), "logs?follow=false&tail=%lld",
                       (long long)self->options->tail);
    const struct ak_proxy_call call = {
        .method = "GET",
        .path = ak_proxy_runs_path(self, name->agent, name->id, sub),
        .accept = "text/plain, application/json",
        .timeout = AK_SECONDS(60),
    };
    int r = call.path ? ak_loop_new(&loop, reterr) : ak_error_oom(reterr);
    text.loop = loop;
    if (r >= 0)
        r = ak_proxy_stream(self, loop, &call, &ops, &text, &stream, reterr);
    if (r >= 0)
        r = ak_loop_run(loop, reterr);
    if (r >= 0 && text.code < 0) {
        if (reterr)
            *reterr = AK_TAKE(text.err);
        r = ak_proxy_explain(self, text.code, reterr);
    }
    (void)ak_error_free(text.err);
    ak_buf_done(&text.shown);
    return r;
}

static int print_events(struct ak_exo *self, const struct ak_record_name *name, bool follow,
                        struct ak_error **reterr)
{
    AK_AUTO(ak_shown) shown = {0};
    AK_AUTO_JSON *record = NULL;
    struct ak_follow what = {
        .exo = self,
        .agent = name->agent,
        .id = name->id,
        .once = !follow,
        .event = ak_shown_event,
        .user = &shown,
    };
    int r = 0;

    if (self->options->tail >= 0) {
        AK_AUTO_JSON *now = NULL;
        r = ak_record_get(self, name, &now, reterr);
        int64_t last = json_integer_value(json_object_get(now, "lastEvent"));
        what.after = (uint64_t)AK_MAX(last - self->options->tail, 0);
    }
    ak_shown_init(&shown, self, STDOUT_FILENO);
    if (r >= 0)
        r = ak_follow(&what, &record, reterr);
    if (r >= 0 && record && follow) {
        shown.err_fd = STDERR_FILENO;
        r = ak_shown_summary(&shown, record, reterr);
    }
    return r;
}

static int newest(struct ak_exo *self, struct ak_record_name *name, struct ak_error **reterr)
{
    AK_AUTO_JSON *records = NULL;
    int r = ak_record_list(self, name->agent, false, &records, reterr);
    const char *id = ak_json_text(json_array_get(records, 0), "id", NULL);

    if (r >= 0 && !id)
        return ak_error_set(reterr, AK_E_NOT_FOUND, "Agent \"%s\" has no runs", name->agent);
    name->id = id ? ak_arena_strdup(self->arena, id) : NULL;
    return r < 0 || name->id ? r : ak_error_oom(reterr);
}

int ak_verb_logs(struct ak_exo *self, struct ak_error **reterr)
{
    const struct ak_exo_options *o = self->options;
    struct ak_record_name name;
    int r = ak_record_name(self, &name, reterr);

    if (r >= 0 && !name.id)
        r = newest(self, &name, reterr);
    if (r < 0)
        return r;
    r = o->follow || o->output == AK_OUT_JSON ? print_events(self, &name, o->follow, reterr)
                                              : print_text(self, &name, reterr);
    return r < 0 ? r : AK_EXIT_OK;
}
