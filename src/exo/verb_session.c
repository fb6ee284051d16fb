/* SPDX-License-Identifier: Apache-2.0 */
/* exo session list, play, export: recordings of terminals (asciicast v2: a header line, then [time, kind, text]). */
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <ak/base/text.h>

#include "exo/interrupt.h"
#include "exo/output.h"
#include "exo/tools.h"
#include "exo/verbs.h"

#define MAX_RECORDING (32u << 20)
#define DEFAULT_IDLE_LIMIT AK_SECONDS(2)
#define AS_IT_WAS "\033[0m\033[?25h\r\n" /* no colour, a cursor */

int ak_verb_session_list(struct ak_exo *self, struct ak_error **reterr)
{
    static const struct ak_tools_column columns[] = {
        {"ID", {"id"}, AK_COLUMN_TEXT},        {"USER", {"user"}, AK_COLUMN_TEXT},
        {"AGE", {"startTime"}, AK_COLUMN_AGE}, {"DURATION", {"durationSeconds"}, AK_COLUMN_SECONDS},
        {"BYTES", {"bytes"}, AK_COLUMN_TEXT},  {"CUT", {"truncated"}, AK_COLUMN_TEXT},
    };
    AK_AUTO_JSON *answer = NULL;
    int r = ak_tools_do(self, "GET",
                        ak_tools_path(self, self->options->args[0], "recordings", NULL, NULL), NULL,
                        0, &answer, reterr);

    if (r >= 0)
        r = ak_tools_list(self, answer, columns, AK_ARRAY_LEN(columns), "No recordings found.",
                          reterr);
    return r < 0 ? r : AK_EXIT_OK;
}

static int fetch(struct ak_exo *self, struct ak_buf *out, struct ak_error **reterr)
{
    const char *const *args = self->options->args;
    const struct ak_proxy_call call = {
        .method = "GET",
        .path = ak_tools_path(self, args[0], "recordings", args[1], NULL),
        .accept = "application/x-asciicast, application/json",
        .cancel = ak_interrupt_token(),
    };
    return call.path ? ak_proxy_text(self, &call, out, reterr) : ak_error_oom(reterr);
}

int ak_verb_session_export(struct ak_exo *self, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(MAX_RECORDING);
    int r = fetch(self, &text, reterr);

    if (r >= 0)
        r = ak_exo_print(&text, reterr);
    return r < 0 ? r : AK_EXIT_OK;
}

/* Waits as long as the terminal was silent, or until Ctrl-C. */
static bool pause_for(const struct ak_exo_options *o, double silence)
{
    ak_msec limit = o->idle_limit ? o->idle_limit : DEFAULT_IDLE_LIMIT;
    ak_msec speed = o->speed > 0 ? o->speed : 1;
    struct pollfd fd = {.fd = ak_interrupt_token()->fd, .events = POLLIN};
    double wait = silence * 1000.0;
    ak_msec nap = wait > (double)limit ? limit : wait > 0 ? (ak_msec)wait : 0;

    (void)poll(&fd, 1, (int)AK_MIN(nap / speed, INT32_MAX));
    return !ak_interrupt_is_set();
}

static int show_line(struct ak_exo *self, const char *line, size_t len, double *at,
                     struct ak_error **reterr)
{
    AK_AUTO_JSON *event = NULL;
    int r = ak_json_parse(line, len, &event, reterr);

    if (r < 0)
        return ak_error_wrap(reterr, r, "the recording");
    double time = json_number_value(json_array_get(event, 0));
    const char *kind = json_string_value(json_array_get(event, 1));
    json_t *text = json_array_get(event, 2);
    if (!ak_streq(kind, "o") || !json_is_string(text))
        return 0; /* sizes and marks */
    if (!pause_for(self->options, time - *at))
        return AK_E_CANCELLED;
    *at = time;
    return ak_exo_write(STDOUT_FILENO, json_string_value(text), json_string_length(text), reterr);
}

int ak_verb_session_play(struct ak_exo *self, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(MAX_RECORDING);
    double at = 0;

    if (!self->screen.terminal) /* it is full of escape sequences, which only a terminal wants */
        return ak_error_set(reterr, -EINVAL, "this is no terminal; to a file: exo session export");
    int r = ak_interrupt_start(reterr);
    if (r >= 0)
        r = fetch(self, &text, reterr);
    const char *line = ak_buf_text(&text), *end = line + text.len;
    for (bool header = true; r >= 0 && line < end; header = false) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        size_t len = (size_t)((stop ? stop : end) - line);
        if (!header && len)
            r = show_line(self, line, len, &at, reterr);
        line += len + 1;
    }
    (void)!ak_exo_write(STDOUT_FILENO, AS_IT_WAS, sizeof(AS_IT_WAS) - 1, NULL);
    return r < 0 && r != AK_E_CANCELLED ? r : AK_EXIT_OK;
}
