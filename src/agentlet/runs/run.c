/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/runs/run.h"

#include "agentlet/runs/leftovers.h"
#include "agentlet/runs/lines.h"
#include "agentlet/runs/oom.h"
#include "agentlet/runs/place.h"
#include "agentlet/runs/plan.h"
#include "agentlet/runs/process.h"
#include "agentlet/runs/speech.h"
#include "runtimes/reader.h"

#include <ak/base/alloc.h>
#include <ak/base/log.h>
#include <ak/base/text.h>
#include <ak/json/json.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define STDERR_TAIL 2048u
#define MAX_MESSAGE 2048u
#define MAX_SESSIONS 64u /* what left an older one is found by its mark */

struct ak_run {
    struct ak_run_place place;
    struct ak_arena arena; /* of the request */
    struct ak_request request;
    struct ak_course course;
    struct ak_speech speech;
    struct ak_process process;
    struct ak_reader reader;
    struct ak_lines out, err;
    struct ak_buf stderr_tail;
    struct ak_buf stdout_tail;    /* of a program that prints text: its last words are its answer */
    enum ak_line_part part;       /* of the line that the reader has */
    bool has_step;                /* reader and lines are in use */
    pid_t sessions[MAX_SESSIONS]; /* of the processes that were started last */
    size_t n_sessions;            /* of all */
    bool said_result;
    int64_t oom_before;
    ak_msec started_at, step_started_at;
    struct ak_usage usage; /* of all steps */
    struct ak_buf result;  /* of the last step that had one */
    struct ak_buf message; /* why the last attempt failed; empty: it did not */
    const char *reason;    /* why the run failed */
    int exit_code;         /* of the last process; -1: none */
    bool result_truncated;
    char *stop_reason, *stop_message;
};

/* ---- output ---- */

static int on_reader_event(void *user, const char *type, json_t *data)
{
    struct ak_run *self = user;

    if (self->part == AK_LINE_PIECE && (ak_streq(type, "stdout") || ak_streq(type, "text")))
        (void)json_object_set_new(data, "partial", json_true());
    self->said_result = self->said_result || ak_streq(type, "result");
    ak_speech_event(&self->speech, type, data, false);
    return 0;
}

static void on_stdout_line(void *user, enum ak_line_part part, const char *text, size_t len)
{
    struct ak_run *self = user;

    self->part = part;
    if (part != AK_LINE_WHOLE && ak_output_format_is_structured(self->reader.format)) {
        ak_reader_skip(&self->reader);
        ak_speech_text(&self->speech, "stdout", text, len, part == AK_LINE_PIECE);
        return;
    }
    if (ak_reader_line(&self->reader, text, len, on_reader_event, self) < 0)
        ak_reader_skip(&self->reader); /* no memory for it; the transcript has it */
}

static void on_stderr_line(void *user, enum ak_line_part part, const char *text, size_t len)
{
    struct ak_run *self = user;

    ak_speech_text(&self->speech, "stderr", text, len, part == AK_LINE_PIECE);
}

/* Keeps the last half of what the buffer could hold, or a little more. */
static void keep_tail(struct ak_buf *tail, const char *data, size_t len)
{
    size_t keep = tail->max / 2;

    if (len > keep) {
        data += len - keep;
        len = keep;
    }
    if (tail->len + len > tail->max)
        ak_buf_consume(tail, tail->len + len - keep);
    (void)!ak_buf_add(tail, data, len);
}

static void on_output(void *user, bool is_stderr, const char *data, size_t len)
{
    struct ak_run *self = user;

    ak_speech_raw(&self->speech, data, len);
    if (is_stderr)
        keep_tail(&self->stderr_tail, data, len);
    else if (!ak_output_format_is_structured(self->reader.format))
        keep_tail(&self->stdout_tail, data, len);
    ak_lines_feed(is_stderr ? &self->err : &self->out, data, len);
    ak_speech_flush(&self->speech);
    self->speech.news = true;
}

/* ---- steps ---- */

static const struct ak_step *current_step(const struct ak_run *self)
{
    return self->course.step < self->course.n_steps ? &self->course.steps[self->course.step] : NULL;
}

/* What the record says of the step, or NULL: a run of mode supervised has no steps there. */
static json_t *step_record(struct ak_run *self)
{
    return json_array_get(json_object_get(self->place.record, "steps"), self->course.step);
}

static void say_step(struct ak_run *self, const char *phase)
{
    json_t *record = step_record(self);
    const struct ak_step *step = current_step(self);

    if (!record || !step)
        return;
    (void)!ak_record_set_text(record, "phase", phase);
    (void)!ak_record_set_number(record, "attempts", self->course.attempt);
    AK_AUTO_JSON *data = json_pack("{s:s, s:s, s:i}", "name", step->name, "phase", phase, "attempt",
                                   (int)self->course.attempt);
    ak_speech_event(&self->speech, "step", data, true);
}

static void begin_step(struct ak_run *self, enum ak_output_format format)
{
    size_t whole = ak_output_format_is_structured(format) ? AK_READER_MAX_LINE : AK_LINES_PIECE;

    ak_reader_init(&self->reader, format);
    ak_lines_init(&self->out, whole, on_stdout_line, self);
    ak_lines_init(&self->err, AK_LINES_PIECE, on_stderr_line, self);
    ak_buf_clear(&self->stderr_tail);
    ak_buf_clear(&self->stdout_tail);
    ak_buf_clear(&self->message);
    self->exit_code = -1;
    self->has_step = true;
}

static void end_step(struct ak_run *self)
{
    if (!self->has_step)
        return;
    ak_lines_done(&self->out);
    ak_lines_done(&self->err);
    ak_reader_done(&self->reader);
    ak_process_done(&self->process);
    self->has_step = false;
}

static void say_started(struct ak_run *self, const char *program)
{
    AK_AUTO_JSON *data =
        json_pack("{s:s%, s:i}", "argv0", program, ak_utf8_cut(program, strlen(program), 1024),
                  "pid", (int)self->process.pid);

    ak_speech_event(&self->speech, "started", data, true);
}

static int start_process(struct ak_run *self, const struct ak_step *step, struct ak_arena *arena,
                         struct ak_error **reterr)
{
    struct ak_plan plan = {0};
    int r = ak_plan_make(self->place.settings, self->place.id, &self->request, step, arena, &plan,
                         reterr);
    struct ak_process_options options = {
        .argv = plan.argv,
        .envp = plan.envp,
        .cwd = self->place.settings->workspace,
        .input = plan.input,
        .fn = on_output,
        .user = self,
    };

    if (r >= 0)
        r = ak_plan_write_files(&plan, self->place.settings, reterr);
    if (r < 0)
        return r;
    begin_step(self, plan.format);
    r = ak_process_start(&self->process, self->place.family, self->place.poller, &options, reterr);
    if (r == -ENOENT)
        return ak_error_set(reterr, r, "there is no program \"%s\" in this image", plan.argv[0]);
    if (r >= 0) {
        self->sessions[self->n_sessions++ % MAX_SESSIONS] = self->process.pid;
        say_started(self, plan.argv[0]);
    }
    return r;
}

static void fail_step(struct ak_run *self, const char *reason, const char *message)
{
    ak_buf_clear(&self->message);
    (void)!ak_buf_add(&self->message, message, ak_utf8_cut(message, strlen(message), MAX_MESSAGE));
    self->reason = reason;
}

static void finish_attempt(struct ak_run *self, bool ok);

static void start_step(struct ak_run *self)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO(ak_arena) arena = {0};

    ak_arena_init(&arena, 16384, 8u << 20);
    self->step_started_at = ak_now();
    say_step(self, "Running");
    if (start_process(self, current_step(self), &arena, &err) >= 0)
        return;
    fail_step(self, "StartFailed", ak_error_message(err));
    finish_attempt(self, false);
}

static void add_sum(int64_t *sum, int64_t value)
{
    if (value >= 0)
        *sum = AK_MAX(*sum, 0) + value;
}

static void add_usage(struct ak_usage *sum, const struct ak_usage *usage)
{
    add_sum(&sum->input_tokens, usage->input_tokens);
    add_sum(&sum->output_tokens, usage->output_tokens);
    add_sum(&sum->cache_read_tokens, usage->cache_read_tokens);
    add_sum(&sum->cache_write_tokens, usage->cache_write_tokens);
    add_sum(&sum->turns, usage->turns);
    add_sum(&sum->cost_microusd, usage->cost_microusd);
}

/* The last lines of what was printed as text. The verdict's members are set; borrowed. */
static void take_last_words(struct ak_run *self, struct ak_reader_verdict *verdict)
{
    struct ak_buf *tail = &self->stdout_tail;
    char *text = tail->data;
    size_t len = tail->len;

    if (verdict->result || len == 0 || memchr(text, '\0', len))
        return;
    if (len > AK_RECORD_MAX_RESULT) {
        char *line = memchr(text + len - AK_RECORD_MAX_RESULT, '\n', AK_RECORD_MAX_RESULT - 1);

        text = line ? line + 1 : text + len - AK_RECORD_MAX_RESULT;
        while (((unsigned char)*text & 0xc0) == 0x80)
            text++; /* not in the middle of a character */
        verdict->result_truncated = true;
    }
    while (tail->len > 0 && strchr("\r\n", tail->data[tail->len - 1]))
        tail->data[--tail->len] = '\0';
    verdict->result = text;
}

static void take_result(struct ak_run *self, const struct ak_reader_verdict *verdict)
{
    if (ak_is_empty(verdict->result))
        return;
    ak_buf_clear(&self->result);
    (void)!ak_buf_adds(&self->result, verdict->result);
    self->result_truncated = verdict->result_truncated;
}

/* What failed, in words: the program's own, or the end of its stderr. */
static void explain(struct ak_run *self, const struct ak_reader_verdict *verdict)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(MAX_MESSAGE * 4);
    const char *tail = ak_buf_text(&self->stderr_tail);
    size_t len = self->stderr_tail.len;
    int r = 0;

    if (verdict->message) {
        fail_step(self, verdict->reason, verdict->message);
        return;
    }
    if (self->exit_code > 128 && self->exit_code < 128 + 65)
        r = ak_buf_addf(&text, "the program was ended by signal %d", self->exit_code - 128);
    else if (self->exit_code > 0)
        r = ak_buf_addf(&text, "the program ended with exit code %d", self->exit_code);
    else
        r = ak_buf_adds(&text, "the program reported an error");
    while (len > 0 && (tail[len - 1] == '\n' || tail[len - 1] == '\r'))
        len--;
    if (r >= 0 && len > 0) {
        size_t skip = len > 1024 ? len - 1024 : 0;

        r = ak_buf_adds(&text, ": ");
        if (r >= 0)
            r = ak_buf_add(&text, tail + skip, len - skip);
    }
    fail_step(self, verdict->reason, r < 0 ? "" : ak_buf_text(&text));
}

static bool was_out_of_memory(const struct ak_run *self)
{
    return ak_process_was_killed(&self->process) &&
           ak_oom_kills(self->place.settings->cgroup) > self->oom_before;
}

static void say_result(struct ak_run *self, const struct ak_reader_verdict *verdict)
{
    AK_AUTO_JSON *data = NULL;

    if (self->said_result || ak_is_empty(verdict->result))
        return;
    data = json_object();
    if (!data ||
        json_object_set_new(
            data, "text",
            ak_record_string(verdict->result, strlen(verdict->result), AK_EVENTS_MAX_TEXT)) < 0 ||
        json_object_set_new(data, "isError", json_boolean(!verdict->succeeded)) < 0)
        return;
    ak_speech_event(&self->speech, "result", data, true);
}

/* The process has ended, and all that it wrote is here. */
static void judge(struct ak_run *self)
{
    struct ak_reader_verdict verdict;

    self->exit_code = ak_process_exit_code(&self->process);
    ak_lines_end(&self->out);
    ak_lines_end(&self->err);
    ak_reader_end(&self->reader, self->exit_code, &verdict);
    add_usage(&self->usage, &verdict.usage);
    if (self->course.n_steps == 1) /* before the last words: those were said as they came */
        say_result(self, &verdict);
    take_last_words(self, &verdict);
    take_result(self, &verdict);
    if (self->course.step_timed_out) {
        fail_step(self, "Timeout", "the step did not end within its time");
        ak_process_signal(&self->process, SIGKILL); /* what is left of it */
    } else if (verdict.succeeded) {
        ak_buf_clear(&self->message);
    } else if (was_out_of_memory(self)) {
        fail_step(self, "OOMKilled",
                  "the program was killed because the container's memory limit was reached");
    } else {
        explain(self, &verdict);
    }
    finish_attempt(self, verdict.succeeded && !self->course.step_timed_out);
}

static void finish_attempt(struct ak_run *self, bool ok)
{
    json_t *record = step_record(self);
    enum ak_stop stop = self->course.stop;

    if (record) {
        (void)!ak_record_set_number(record, "exitCode", self->exit_code);
        (void)!ak_record_set_text(record, "message", ok ? NULL : ak_buf_text(&self->message));
        (void)!ak_record_set_number(record, "durationMilliseconds",
                                    ak_now() - self->step_started_at);
    }
    say_step(self, stop == AK_STOP_TIMED_OUT ? "TimedOut"
                   : stop != AK_STOP_NONE    ? "Cancelled"
                   : ok                      ? "Succeeded"
                                             : "Failed");
    if (!ok && ak_course_will_retry(&self->course)) {
        AK_AUTO_JSON *data = json_pack("{s:s}", "message", "the step failed and is tried again");

        ak_speech_event(&self->speech, "notice", data, true);
    }
    end_step(self);
    ak_course_step_ended(&self->course, ok);
}

/* ---- the end ---- */

int ak_run_settle(json_t *record, enum ak_run_phase phase, const char *reason, const char *message)
{
    ak_msec now = ak_wall_now();
    int r = ak_record_set_text(record, "phase", ak_run_phase_to_string(phase));

    if (r >= 0)
        r = ak_record_set_text(record, "reason", reason);
    if (r >= 0)
        r = ak_record_set_text(record, "message", message);
    return r < 0 ? r : ak_record_set_time(record, "completionTime", now);
}

int ak_run_add_ended(struct ak_events *events, json_t *record)
{
    AK_AUTO_JSON *data = NULL;

    if (ak_record_set_number(record, "lastEvent", (int64_t)events->last + 1) < 0)
        return -ENOMEM;
    data = json_pack("{s:O}", "record", record);
    return data ? ak_events_add(events, "ended", data, true) : -ENOMEM;
}

static void settle_failed(struct ak_run *self)
{
    const struct ak_step *step = current_step(self);
    AK_AUTO(ak_buf) text = AK_BUF_INIT(MAX_MESSAGE * 2);
    bool is_step = step && step_record(self);
    /* Out of memory is the container's fault, and who looks for it looks for that word. */
    bool is_of_step = is_step && !ak_streq(self->reason, "OOMKilled");

    if (is_step && ak_buf_addf(&text, "step \"%s\" failed at attempt %u: %s", step->name,
                               self->course.attempt, ak_buf_text(&self->message)) < 0)
        is_step = false;
    (void)!ak_run_settle(self->place.record, AK_RUN_FAILED,
                         is_of_step ? "StepFailed" : self->reason,
                         ak_buf_text(is_step ? &text : &self->message));
}

static void settle(struct ak_run *self)
{
    json_t *record = self->place.record;
    char text[96];

    switch (self->course.stop) {
    case AK_STOP_CANCELLED:
        (void)!ak_run_settle(record, AK_RUN_CANCELLED,
                             self->stop_reason ? self->stop_reason : "Cancelled",
                             self->stop_message);
        return;
    case AK_STOP_TIMED_OUT:
        (void)snprintf(text, sizeof(text), "the run did not end within %" PRId64 " seconds",
                       (int64_t)(self->request.timeout / 1000));
        (void)!ak_run_settle(record, AK_RUN_TIMED_OUT, "Timeout", text);
        return;
    case AK_STOP_SHUTDOWN:
        (void)!ak_run_settle(record, AK_RUN_INTERRUPTED, "PodRestarted",
                             "the container was stopped during the run");
        return;
    case AK_STOP_NONE:
        break;
    }
    if (self->course.failed)
        settle_failed(self);
    else
        (void)!ak_run_settle(record, AK_RUN_SUCCEEDED, "Completed", NULL);
}

static void mark_skipped(struct ak_run *self)
{
    json_t *steps = json_object_get(self->place.record, "steps");

    for (size_t i = 0; i < json_array_size(steps); i++)
        if (ak_streq(ak_json_text(json_array_get(steps, i), "phase", NULL), "Pending"))
            (void)!ak_record_set_text(json_array_get(steps, i), "phase", "Skipped");
}

static void add_facts(struct ak_run *self)
{
    json_t *record = self->place.record;
    json_t *usage = ak_usage_to_json(&self->usage);

    (void)!ak_record_set_number(record, "durationMilliseconds", ak_now() - self->started_at);
    (void)!ak_record_set_number(record, "exitCode", self->exit_code);
    (void)!ak_record_set_text(record, "result", ak_buf_text(&self->result));
    if (json_object_size(usage) > 0)
        (void)json_object_set(record, "usage", usage);
    json_decref(usage);
    if (ak_speech_is_truncated(&self->speech) || self->result_truncated)
        (void)json_object_set_new(record, "truncated", json_true());
}

static void finish(struct ak_run *self)
{
    AK_AUTO_JSON *data = NULL;

    mark_skipped(self);
    add_facts(self);
    settle(self);
    (void)!ak_record_set_number(self->place.record, "lastEvent",
                                (int64_t)self->speech.events.last + 1);
    data = json_pack("{s:O}", "record", self->place.record);
    ak_speech_event(&self->speech, "ended", data, true);
    (void)!ak_record_set_number(self->place.record, "lastEvent", (int64_t)self->speech.events.last);
    ak_speech_flush(&self->speech);
}

/* ---- the life ---- */

static void sweep(struct ak_run *self, int signal)
{
    size_t left = 0;

    if (ak_leftovers_has_children()) {
        left = ak_leftovers_signal(self->place.id, self->sessions,
                                   AK_MIN(self->n_sessions, MAX_SESSIONS), signal);
        if (left == 0 && signal == SIGTERM)
            left = 1; /* not certain yet: look again */
    }
    ak_course_swept(&self->course, left);
}

static bool act(struct ak_run *self, enum ak_act what)
{
    switch (what) {
    case AK_ACT_START:
        start_step(self);
        break;
    case AK_ACT_TERM:
        ak_process_signal(&self->process, SIGTERM);
        break;
    case AK_ACT_KILL:
        ak_process_signal(&self->process, SIGKILL);
        break;
    case AK_ACT_SWEEP_TERM:
        sweep(self, SIGTERM);
        break;
    case AK_ACT_SWEEP_LOOK:
        sweep(self, 0);
        break;
    case AK_ACT_SWEEP_KILL:
        sweep(self, SIGKILL);
        break;
    case AK_ACT_FINISH:
        finish(self);
        return true;
    case AK_ACT_WAIT:
        break;
    }
    return false;
}

bool ak_run_tick(struct ak_run *self, ak_msec now)
{
    enum ak_act what = AK_ACT_WAIT;

    if (self->has_step && self->process.has_ended)
        judge(self);
    do {
        what = ak_course_next(&self->course, now);
        if (act(self, what))
            return true;
    } while (what != AK_ACT_WAIT);
    ak_speech_flush(&self->speech);
    return false;
}

ak_msec ak_run_deadline(const struct ak_run *self)
{
    return ak_course_deadline(&self->course);
}

void ak_run_stop(struct ak_run *self, enum ak_stop stop, const char *reason, const char *message)
{
    if (self->course.stop == AK_STOP_NONE && !self->stop_reason) {
        self->stop_reason = ak_strdup(reason);
        self->stop_message = ak_strdup(message);
    }
    ak_course_stop(&self->course, stop);
}

bool ak_run_take_news(struct ak_run *self)
{
    bool news = self->speech.news;

    self->speech.news = false;
    return news;
}

uint64_t ak_run_last_event(const struct ak_run *self)
{
    return self->speech.events.last;
}

uint64_t ak_run_event_offset(const struct ak_run *self, uint64_t after)
{
    return ak_events_offset(&self->speech.events, after);
}

struct ak_run *ak_run_free(struct ak_run *self)
{
    if (!self)
        return NULL;
    end_step(self);
    ak_process_done(&self->process);
    ak_speech_done(&self->speech);
    ak_buf_done(&self->stderr_tail);
    ak_buf_done(&self->stdout_tail);
    ak_buf_done(&self->result);
    ak_buf_done(&self->message);
    ak_arena_done(&self->arena);
    ak_free(self->stop_reason);
    ak_free(self->stop_message);
    ak_free(self);
    return NULL;
}

static int read_request(struct ak_run *self, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(AK_REQUEST_MAX);
    int r = ak_place_read(self->place.dir, AK_REQUEST_FILE, &text);

    if (r < 0)
        return ak_error_set(reterr, r, "the request cannot be read: %s", ak_code_text(r));
    return ak_request_parse(ak_buf_text(&text), text.len, &self->arena, &self->request, reterr);
}

/* Mode supervised is a run of one step that the record does not show. */
static int make_course(struct ak_run *self, struct ak_error **reterr)
{
    const struct ak_step *steps = self->request.steps;
    size_t n = self->request.n_steps;

    if (n == 0) {
        struct ak_step *step = ak_arena_alloc(&self->arena, sizeof(*step));

        if (!step)
            return ak_error_oom(reterr);
        *step = (struct ak_step){.kind = AK_STEP_PROMPT, .timeout = AK_MSEC_NEVER};
        steps = step;
        n = 1;
    }
    ak_course_init(&self->course, steps, n, self->request.timeout, self->place.settings->grace,
                   self->started_at);
    return 0;
}

static int begin(struct ak_run *self, struct ak_error **reterr)
{
    json_t *record = self->place.record;
    int r = read_request(self, reterr);

    if (r >= 0)
        r = make_course(self, reterr);
    if (r < 0)
        return r;
    r = ak_speech_init(&self->speech, self->place.dir, self->place.console);
    if (r < 0)
        return ak_error_set(reterr, r, "the run's files cannot be written: %s", ak_code_text(r));
    if (ak_record_set_text(record, "phase", ak_run_phase_to_string(AK_RUN_RUNNING)) < 0 ||
        ak_record_set_time(record, "startTime", ak_wall_now()) < 0)
        return ak_error_oom(reterr);
    if (self->place.console)
        ak_console_begin(self->place.console, self->place.id);
    return 0;
}

int ak_run_start(const struct ak_run_place *place, struct ak_run **ret, struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_run) self = ak_new0(struct ak_run);
    int r = 0;

    if (!self)
        return ak_error_oom(reterr);
    self->place = *place;
    self->speech.events.fd = self->speech.log.fd = self->speech.transcript.fd = -1;
    ak_arena_init(&self->arena, 4096, 4 * AK_REQUEST_MAX);
    self->stderr_tail = (struct ak_buf)AK_BUF_INIT(STDERR_TAIL * 2);
    self->stdout_tail = (struct ak_buf)AK_BUF_INIT(AK_RECORD_MAX_RESULT * 3);
    self->result = (struct ak_buf)AK_BUF_INIT(AK_READER_MAX_RESULT + 4);
    self->message = (struct ak_buf)AK_BUF_INIT(MAX_MESSAGE);
    self->usage = (struct ak_usage){-1, -1, -1, -1, -1, -1};
    self->exit_code = -1;
    self->started_at = ak_now();
    self->oom_before = ak_oom_kills(place->settings->cgroup);
    r = begin(self, reterr);
    if (r < 0)
        return r;
    *ret = AK_TAKE(self);
    return 0;
}
