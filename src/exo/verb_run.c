/* SPDX-License-Identifier: Apache-2.0 */
/* exo agent run: one request that may be repeated, then the run's events. */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <ak/base/text.h>

#include "exo/follow.h"
#include "exo/interrupt.h"
#include "exo/output.h"
#include "exo/proxy.h"
#include "exo/records.h"
#include "exo/shown.h"
#include "exo/verbs.h"

#define MAX_PROMPT (256u << 10) /* the API's limit */
#define DEFAULT_HOLD AK_SECONDS(120)
#define MARGIN AK_SECONDS(15) /* beyond the hold, for the way there and back */
#define TRIES 8
#define MAX_HOLD AK_MINUTES(10) /* both are the API's */
#define MAX_KEY 255

static int make_body(struct ak_exo *self, json_t **ret, struct ak_error **reterr)
{
    const struct ak_exo_options *o = self->options;
    const char *said = o->n_args > 1 ? o->args[1] : NULL;
    AK_AUTO(ak_buf) prompt = AK_BUF_INIT(MAX_PROMPT);
    int r = 0;

    if (ak_streq(said, "-"))
        r = ak_exo_read_input(&prompt, "the prompt is", reterr);
    else if (said && ak_buf_adds(&prompt, said) < 0)
        r = ak_error_set(reterr, -EINVAL, "the prompt is longer than %u KiB", MAX_PROMPT >> 10);
    if (r < 0)
        return r;
    while (ak_streq(said, "-") && prompt.len && prompt.data[prompt.len - 1] == '\n')
        prompt.data[--prompt.len] = '\0';
    AK_AUTO_JSON *body = json_object();
    json_t *text = prompt.len ? json_stringn(prompt.data, prompt.len) : NULL;
    if (prompt.len && !text)
        return ak_error_set(reterr, -EINVAL, "the prompt is not UTF-8");
    if (!body || (text && json_object_set_new(body, "prompt", text) < 0) ||
        (o->timeout &&
         json_object_set_new(body, "timeoutSeconds", json_integer((o->timeout + 999) / 1000)) < 0))
        return ak_error_oom(reterr);
    *ret = AK_TAKE(body);
    return 0;
}

/* A key that nobody else has: the same request sent twice starts one run. */
static const char *make_key(struct ak_exo *self)
{
    unsigned char random[16];
    char text[2 * sizeof(random) + 1];

    if (self->options->key)
        return self->options->key;
    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return NULL;
    for (size_t i = 0; i < sizeof(random); i++)
        (void)snprintf(text + 2 * i, 3, "%02x", random[i]);
    return ak_arena_printf(self->arena, "exo-%s", text);
}

/* Was the answer lost, or is somebody just not there yet? What the manager said is no such case. */
static bool may_repeat(int code, const struct ak_error *err)
{
    int http = ak_error_http_status(err);

    if (http == 504)
        return false;
    return code == AK_E_PROTOCOL || code == -ETIMEDOUT || http == 500 || http == 502 || http == 503;
}

static int start(struct ak_exo *self, const char *key, const json_t *body, ak_msec hold,
                 const struct ak_cancel *cancel, json_t **ret, struct ak_error **reterr)
{
    const char *path = ak_proxy_runs_path(self, self->options->args[0], NULL, NULL);
    const char *whole =
        path ? ak_arena_printf(self->arena, "%s?hold=%lld", path, (long long)(hold + 999) / 1000)
             : NULL;
    const struct ak_proxy_call call = {
        .method = "POST",
        .path = whole,
        .body = body,
        .key = key,
        .timeout = hold + MARGIN,
        .cancel = cancel,
    };
    return whole ? ak_proxy_do(self, &call, ret, reterr) : ak_error_oom(reterr);
}

/* Sends it until there is an answer. A manager that was replaced meanwhile knows the key from the record. */
static int start_surely(struct ak_exo *self, const char *key, const json_t *body, json_t **ret,
                        struct ak_error **reterr)
{
    ak_msec hold = self->options->hold ? self->options->hold : DEFAULT_HOLD, pause = 250;
    ak_msec deadline = ak_now() + hold;
    const struct ak_cancel *cancel = ak_interrupt_token();
    int r;

    for (int i = 0;; i++) {
        AK_AUTO_PTR(ak_error) err = NULL;
        r = start(self, key, body, AK_MAX(deadline - ak_now(), 1000), cancel, ret, &err);
        bool is_last = r >= 0 || !may_repeat(r, err) || i + 1 >= TRIES || ak_now() >= deadline;
        if (is_last || ak_cancel_sleep(cancel, AK_MAX(pause, ak_error_retry_after_ms(err)))) {
            if (reterr && r < 0)
                *reterr = AK_TAKE(err);
            return r;
        }
        ak_proxy_forget(self);
        pause = AK_MIN(2 * pause, (ak_msec)5000);
    }
}

/* Ctrl-C before there was an answer: the same key gives the run, if there is one by now. */
static int give_up(struct ak_exo *self, const char *key, const json_t *body,
                   struct ak_error **reterr)
{
    AK_AUTO_JSON *record = NULL;

    ak_screen_complain(&self->screen, "exo: cancelling (Ctrl-C again leaves at once)");
    int r = start(self, key, body, 1000, NULL, &record, NULL);
    const struct ak_record_name name = {self->options->args[0], ak_json_text(record, "id", NULL)};
    if (r < 0 || !name.id || ak_record_cancel(self, &name, NULL, NULL) < 0)
        return ak_error_set(reterr, AK_E_CANCELLED,
                            "interrupted before the run had started: the manager gives it up by "
                            "itself after a minute");
    return ak_error_set(reterr, AK_E_CANCELLED, "run %s cancelled", name.id);
}

struct following {
    struct ak_shown shown;
    struct ak_record_name name;
};

static int on_event(uint64_t number, const char *type, const json_t *data, void *user,
                    struct ak_error **reterr)
{
    struct following *self = user;
    return ak_shown_event(number, type, data, &self->shown, reterr);
}

static int on_interrupt(void *user, struct ak_error **reterr)
{
    struct following *self = user;
    struct ak_exo *exo = self->shown.exo;

    ak_screen_complain(&exo->screen, "exo: cancelling run %s (Ctrl-C again leaves it alone)",
                       self->name.id);
    return ak_record_cancel(exo, &self->name, NULL, reterr);
}

static int follow(struct ak_exo *self, const char *id, struct ak_error **reterr)
{
    struct following f = {.name = {self->options->args[0], id}};
    AK_AUTO_JSON *record = NULL;
    const struct ak_follow what = {
        .exo = self,
        .agent = f.name.agent,
        .id = id,
        .event = on_event,
        .interrupted = on_interrupt,
        .user = &f,
    };
    ak_shown_init(&f.shown, self, STDERR_FILENO);
    int r = ak_follow(&what, &record, reterr);
    if (r >= 0)
        r = ak_shown_summary(&f.shown, record, reterr);
    ak_shown_done(&f.shown);
    return r < 0 ? r : ak_render_exit(ak_json_text(record, "phase", NULL));
}

/* What would be refused later, or, in a header, be something else than a key. */
static int check(const struct ak_exo_options *o, struct ak_error **reterr)
{
    if (o->follow && o->output != AK_OUT_TABLE && o->output != AK_OUT_JSON)
        return ak_error_set(reterr, -EINVAL, "--follow knows the format json only");
    if (o->hold > MAX_HOLD)
        return ak_error_set(reterr, -EINVAL, "--hold: at most 10m");
    size_t len = o->key ? strlen(o->key) : 0;
    bool is_good = !o->key || (len > 0 && len <= MAX_KEY);
    for (size_t i = 0; i < len; i++)
        is_good &= o->key[i] > ' ' && o->key[i] < 0x7f;
    return is_good ? 0
                   : ak_error_set(reterr, -EINVAL,
                                  "--idempotency-key: must be 1 to %d printable ASCII characters",
                                  MAX_KEY);
}

static int print_started(struct ak_exo *self, const json_t *record, struct ak_error **reterr)
{
    int output = self->options->output;
    int r = output == AK_OUT_JSON || output == AK_OUT_YAML
                ? ak_output_tree(self, record, reterr)
                : ak_output_line(reterr, "%s", ak_json_text(record, "id", NULL));
    return r < 0 ? r : AK_EXIT_OK;
}

int ak_verb_run(struct ak_exo *self, struct ak_error **reterr)
{
    AK_AUTO_JSON *body = NULL;
    AK_AUTO_JSON *record = NULL;

    int r = check(self->options, reterr);
    if (r >= 0)
        r = make_body(self, &body, reterr);
    const char *key = r >= 0 ? make_key(self) : NULL;
    if (r >= 0 && !key)
        return ak_error_set(reterr, -EIO, "no random numbers");
    if (r >= 0)
        r = ak_interrupt_start(reterr);
    if (r >= 0)
        r = start_surely(self, key, body, &record, reterr);
    if (r < 0 && ak_interrupt_is_set())
        return give_up(self, key, body, reterr);
    if (r < 0)
        return r;
    const char *id = ak_json_text(record, "id", NULL);
    if (!id)
        return ak_error_set(reterr, AK_E_PROTOCOL, "the manager's answer is no record of a run");
    return self->options->follow ? follow(self, id, reterr) : print_started(self, record, reterr);
}
