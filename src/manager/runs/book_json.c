/* SPDX-License-Identifier: Apache-2.0 */
/* Records as JSON, in the status and in the API, and the names of runs. */
#include "manager/runs/book.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include <ak/base/text.h>

#include "manager/runs/book_internal.h"

#define ID_DIGITS 20
#define SCHEDULE_DIGITS 8
#define RECORD_BYTES                                                                               \
    480 /* of a record in JSON beside its texts: names of members, times, numbers */

void ak__book_time(const json_t *record, const char *key, ak_msec *time)
{
    const char *text = ak_json_text(record, key, NULL);
    ak_msec value;

    if (text && ak_parse_rfc3339(text, &value) >= 0)
        *time = value;
}

/* ---- members that are left out when there is nothing to say ---- */

static bool put_text(json_t *object, const char *key, const char *text)
{
    return ak_is_empty(text) || json_object_set_new(object, key, json_string(text)) == 0;
}

static bool put_time(json_t *object, const char *key, ak_msec time, bool fraction)
{
    char buf[AK_RFC3339_SIZE];

    return !time ||
           put_text(object, key,
                    fraction ? ak_format_rfc3339_micro(time, buf) : ak_format_rfc3339(time, buf));
}

static bool put_number(json_t *object, const char *key, int64_t number)
{
    return !number || json_object_set_new(object, key, json_integer(number)) == 0;
}

/* What status and API have in common. */
static json_t *common_json(const struct ak_run *run)
{
    AK_AUTO_JSON *o = json_object();
    bool ok = o && put_text(o, "id", run->id) &&
              put_text(o, "phase", ak_run_phase_to_string(run->phase)) &&
              put_text(o, "trigger", ak_run_trigger_to_string(run->trigger)) &&
              put_text(o, "requestedBy", run->requested_by) &&
              put_time(o, "scheduledTime", run->scheduled, false) &&
              put_time(o, "queuedTime", run->queued, true) &&
              put_time(o, "startTime", run->started, true) &&
              put_time(o, "completionTime", run->completed, true) &&
              put_text(o, "podUID", run->pod_uid) && put_text(o, "reason", run->reason) &&
              put_text(o, "message", run->message);

    if (ok && run->has_exit_code)
        ok = json_object_set_new(o, "exitCode", json_integer(run->exit_code)) == 0;
    return ok ? AK_TAKE(o) : NULL;
}

static json_t *status_json(const struct ak_run *run)
{
    AK_AUTO_JSON *o = common_json(run);
    bool ok = o && put_number(o, "inputTokens", run->input_tokens) &&
              put_number(o, "outputTokens", run->output_tokens) &&
              put_text(o, "costUSD", run->cost);

    return ok ? AK_TAKE(o) : NULL;
}

static size_t text_len(const char *text)
{
    return text ? strlen(text) : 0;
}

static size_t estimate(const struct ak_run *run)
{
    return RECORD_BYTES + text_len(run->id) + text_len(run->requested_by) + text_len(run->pod_uid) +
           text_len(run->reason) + 2 * text_len(run->message) + text_len(run->cost);
}

static json_t *list_json(const struct ak_book *self, size_t max)
{
    AK_AUTO_JSON *list = json_array();
    size_t bytes = 0;

    for (size_t i = 0; list && i < self->len; i++) {
        const struct ak_run *run = self->items[i];
        bytes += estimate(run);
        if (ak_run_is_final(run->phase) && bytes > max)
            continue;
        if (json_array_append_new(list, status_json(run)) < 0)
            return NULL;
    }
    return AK_TAKE(list);
}

int ak_book_status(const struct ak_book *self, size_t max, json_t **ret, struct ak_error **reterr)
{
    AK_AUTO_JSON *status = json_object();
    AK_AUTO_JSON *whole = json_object();
    json_t *phase = self->last_run_phase ? json_string(ak_run_phase_to_string(self->last_run_phase))
                                         : json_null();
    bool ok = status && whole && json_object_set_new(status, "runs", list_json(self, max)) == 0 &&
              json_object_set_new(status, "activeRuns",
                                  json_integer((json_int_t)ak_book_active(self))) == 0 &&
              put_time(status, "lastRunTime", self->last_run_time, false) &&
              put_time(status, "lastScheduleTime", self->last_schedule, false);

    /* The phase goes away again when the only run turns out not to have been one. */
    if (json_object_set_new(status, "lastRunPhase", phase) < 0)
        ok = false;
    if (!ok || json_object_set(whole, "status", status) < 0)
        return ak_error_oom(reterr);
    *ret = AK_TAKE(whole);
    return 0;
}

static bool put_usage(json_t *record, const struct ak_run *run)
{
    json_t *usage;

    if (!run->input_tokens && !run->output_tokens && !run->cost)
        return true;
    usage = json_object();
    return json_object_set_new(record, "usage", usage) == 0 &&
           put_number(usage, "inputTokens", run->input_tokens) &&
           put_number(usage, "outputTokens", run->output_tokens) &&
           put_text(usage, "costUSD", run->cost);
}

int ak_run_json(const struct ak_run *run, const char *ns, const char *agent, json_t **ret,
                struct ak_error **reterr)
{
    AK_AUTO_JSON *o = common_json(run);
    json_t *of = json_pack("{s:s, s:s}", "namespace", ns, "name", agent);

    if (!o || json_object_set_new(o, "agent", of) < 0 || !put_usage(o, run))
        return ak_error_oom(reterr);
    if (run->started && run->completed >= run->started && ak_run_is_final(run->phase) &&
        json_object_set_new(o, "durationMilliseconds",
                            json_integer(run->completed - run->started)) < 0)
        return ak_error_oom(reterr);
    *ret = AK_TAKE(o);
    return 0;
}

int ak_run_record_json(const struct ak_agent_run_record *record, const char *ns, const char *agent,
                       json_t **ret, struct ak_error **reterr)
{
    AK_AUTO(ak_book) book = {0};
    const struct ak_agent_status status = {.runs = {.items = record, .len = 1}};

    if (!record->id)
        return ak_error_set(reterr, AK_E_INVALID, "a run without a name");
    if (ak_book_load(&book, &status, 0) < 0)
        return ak_error_oom(reterr);
    return ak_run_json(book.items[0], ns, agent, ret, reterr);
}

/* ---- names ---- */

static void print_hex(const unsigned char *raw, size_t digits, char *ret)
{
    static const char hex[] = "0123456789abcdef";

    for (size_t i = 0; i < digits; i++)
        ret[i] = hex[(raw[i / 2] >> (i % 2 ? 0 : 4)) & 15];
    ret[digits] = '\0';
}

/* SHA-256 of "a\nb", the first `digits` of it. */
static int print_digest(const char *a, const char *b, size_t digits, char *ret)
{
    unsigned char raw[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
              EVP_DigestUpdate(ctx, a, strlen(a)) == 1 && EVP_DigestUpdate(ctx, "\n", 1) == 1 &&
              EVP_DigestUpdate(ctx, b, strlen(b)) == 1 && EVP_DigestFinal_ex(ctx, raw, NULL) == 1;

    EVP_MD_CTX_free(ctx);
    if (!ok)
        return -ENOMEM;
    print_hex(raw, digits, ret);
    return 0;
}

int ak_run_id_of_key(const char *agent_uid, const char *key, char ret[static AK_RUN_ID_SIZE])
{
    (void)snprintf(ret, AK_RUN_ID_SIZE, "r-");
    return print_digest(agent_uid, key, ID_DIGITS, ret + 2);
}

int ak_run_id_random(char ret[static AK_RUN_ID_SIZE])
{
    unsigned char raw[ID_DIGITS / 2];

    if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
        return -EIO;
    (void)snprintf(ret, AK_RUN_ID_SIZE, "r-");
    print_hex(raw, ID_DIGITS, ret + 2);
    return 0;
}

/* s-YYYYMMDDthhmm-XXXXXXXX, from 2026-11-23T12:30:00Z. */
int ak_run_id_of_schedule(const char *agent_uid, ak_msec scheduled, char ret[static AK_RUN_ID_SIZE])
{
    char time[AK_RFC3339_SIZE];

    (void)ak_format_rfc3339(scheduled, time);
    int n = snprintf(ret, AK_RUN_ID_SIZE, "s-%.4s%.2s%.2st%.2s%.2s-", time, time + 5, time + 8,
                     time + 11, time + 14);
    return print_digest(agent_uid, time, SCHEDULE_DIGITS, ret + n);
}
