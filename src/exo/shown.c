/* SPDX-License-Identifier: Apache-2.0 */
#include "exo/shown.h"

#include <unistd.h>

#include "terminal/raw.h"

#define MAX_EVENT (8u << 20) /* of one event as text; the stream's own limit is below */

void ak_shown_init(struct ak_shown *self, struct ak_exo *exo, int err_fd)
{
    const struct ak_screen *screen = &exo->screen;
    bool is_err = err_fd == STDERR_FILENO;
    unsigned short columns = 0, rows;

    *self = (struct ak_shown){
        .exo = exo,
        .out = AK_BUF_INIT(MAX_EVENT),
        .err = AK_BUF_INIT(MAX_EVENT),
        .err_fd = err_fd,
    };
    (void)ak_raw_size(err_fd, &columns, &rows);
    const struct ak_render_look look = {
        .out_shown = screen->terminal,
        .err_shown = is_err ? screen->err_terminal : screen->terminal,
        .columns = columns,
        .dim = ak_screen_on(screen, is_err, AK_STYLE_DIM),
        .red = ak_screen_on(screen, is_err, AK_STYLE_RED),
        .green = ak_screen_on(screen, is_err, AK_STYLE_GREEN),
        .yellow = ak_screen_on(screen, is_err, AK_STYLE_YELLOW),
        .off = ak_screen_off(screen, is_err),
    };
    ak_render_init(&self->render, &look);
}

void ak_shown_done(struct ak_shown *self)
{
    ak_buf_done(&self->out);
    ak_buf_done(&self->err);
}

static int flush(struct ak_shown *self, struct ak_error **reterr)
{
    int r = ak_exo_write(STDOUT_FILENO, ak_buf_text(&self->out), self->out.len, reterr);

    if (r >= 0)
        r = ak_exo_write(self->err_fd, ak_buf_text(&self->err), self->err.len, reterr);
    ak_buf_clear(&self->out);
    ak_buf_clear(&self->err);
    return r;
}

static int add_json(uint64_t number, const char *type, const json_t *data, struct ak_buf *out,
                    struct ak_error **reterr)
{
    AK_AUTO_JSON *line = json_pack("{sI ss sO*}", "id", (json_int_t)number, "event", type, "data",
                                   (json_t *)(uintptr_t)data);

    if (!line)
        return ak_error_oom(reterr);
    int r = ak_json_write(line, out, reterr);
    return r < 0 ? r : ak_buf_add(out, "\n", 1);
}

int ak_shown_event(uint64_t number, const char *type, const json_t *data, void *user,
                   struct ak_error **reterr)
{
    struct ak_shown *self = user;
    int r = self->exo->options->output == AK_OUT_JSON
                ? add_json(number, type, data, &self->out, reterr)
                : ak_render_event(&self->render, type, data, &self->out, &self->err);

    if (r < 0)
        return reterr && *reterr ? r : ak_error_set(reterr, r, "show an event of type %s", type);
    return flush(self, reterr);
}

int ak_shown_summary(struct ak_shown *self, const json_t *record, struct ak_error **reterr)
{
    if (self->exo->options->output == AK_OUT_JSON)
        return 0;
    int r = ak_render_summary(&self->render, record, &self->err);
    return r < 0 ? ak_error_set(reterr, r, "show how the run ended") : flush(self, reterr);
}
