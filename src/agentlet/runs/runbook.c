/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/runs/runbook.h"

#include "agentlet/runs/oom.h"
#include "agentlet/runs/place.h"
#include "agentlet/runs/plan.h"
#include "agentlet/runs/readable.h"
#include "agentlet/runs/runbook_internal.h"

#include <ak/base/alloc.h>
#include <ak/base/log.h>
#include <ak/base/text.h>
#include <ak/json/json.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SAVE_AGAIN AK_SECONDS(10)

static const char *const file_names[AK_RUN_FILE_MAX] = {
    [AK_RUN_EVENTS] = AK_EVENTS_FILE,
    [AK_RUN_LOG] = AK_RUN_LOG_FILE,
    [AK_RUN_TRANSCRIPT] = AK_RUN_TRANSCRIPT_FILE,
};

static void change(struct ak_runbook *self, struct ak_run_entry *entry)
{
    entry->changed = ++self->changes;
    if (!self->fn)
        return;
    self->fn(self->user, entry, false);
    if (ak_run_phase_is_final(entry->phase))
        self->fn(self->user, entry, true); /* whoever follows it may stop */
}

/* ---- entries ---- */

static void entry_free(struct ak_run_entry *entry)
{
    for (int i = 0; i < AK_RUN_FILE_MAX; i++)
        if (entry->files[i].fd >= 0)
            (void)close(entry->files[i].fd);
    json_decref(entry->record);
    ak_free(entry);
}

/* Takes the record. */
struct ak_run_entry *ak__run_entry_new(const char *id, json_t *record,
                                       const struct ak_record_private *private)
{
    struct ak_run_entry *entry = ak_new0(struct ak_run_entry);

    if (!entry) {
        json_decref(record);
        return NULL;
    }
    (void)snprintf(entry->id, sizeof(entry->id), "%s", id);
    for (int i = 0; i < AK_RUN_FILE_MAX; i++)
        entry->files[i].fd = -1;
    entry->record = record;
    entry->phase = ak_record_phase(record);
    entry->private = *private;
    entry->ended_wall = ak_record_time(record, "completionTime");
    return entry;
}

/* Keeps the order; takes the entry, also on failure. */
int ak__runbook_insert(struct ak_runbook *self, struct ak_run_entry *entry)
{
    size_t at = self->n;

    if (self->n == self->cap) {
        size_t cap = self->cap ? self->cap * 2 : 32;
        struct ak_run_entry **grown = ak_reallocarray(self->entries, cap, sizeof(*grown));

        if (!grown) {
            entry_free(entry);
            return -ENOMEM;
        }
        self->entries = grown;
        self->cap = cap;
    }
    while (at > 0 && self->entries[at - 1]->private.sequence > entry->private.sequence)
        at--;
    memmove(&self->entries[at + 1], &self->entries[at], (self->n - at) * sizeof(*self->entries));
    self->entries[at] = entry;
    self->n++;
    return 0;
}

static void forget(struct ak_runbook *self, struct ak_run_entry *entry)
{
    for (size_t i = 0; i < self->n; i++) {
        if (self->entries[i] != entry)
            continue;
        memmove(&self->entries[i], &self->entries[i + 1],
                (self->n - i - 1) * sizeof(*self->entries));
        self->n--;
        break;
    }
    entry_free(entry);
}

struct ak_run_entry *ak_runbook_find(struct ak_runbook *self, const char *id)
{
    for (size_t i = 0; i < self->n; i++)
        if (strcmp(self->entries[i]->id, id) == 0)
            return self->entries[i];
    return NULL;
}

struct ak_run_entry *ak_runbook_next_change(struct ak_runbook *self, uint64_t changed)
{
    struct ak_run_entry *next = NULL;

    for (size_t i = 0; i < self->n; i++)
        if (self->entries[i]->changed > changed &&
            (!next || self->entries[i]->changed < next->changed))
            next = self->entries[i];
    return next;
}

size_t ak_runbook_count(const struct ak_runbook *self)
{
    return self->n;
}

struct ak_run_entry *ak_runbook_at(struct ak_runbook *self, size_t i)
{
    return self->entries[i];
}

static bool is_read(const struct ak_run_entry *entry)
{
    for (int i = 0; i < AK_RUN_FILE_MAX; i++)
        if (entry->files[i].readers > 0)
            return true;
    return false;
}

/* ---- retention ---- */

/* Not the newest: somebody may still be about to read it. Not what could not be saved. */
static struct ak_run_entry *oldest_final(struct ak_runbook *self)
{
    struct ak_run_entry *oldest = NULL;
    size_t n = 0;

    for (size_t i = 0; i < self->n; i++) {
        struct ak_run_entry *entry = self->entries[i];

        if (!ak_run_phase_is_final(entry->phase))
            continue;
        n++;
        if (!oldest && !entry->record && !is_read(entry))
            oldest = entry;
    }
    return n > 1 ? oldest : NULL;
}

static bool forget_oldest(struct ak_runbook *self)
{
    struct ak_run_entry *entry = oldest_final(self);
    int r = 0;

    if (!entry)
        return false;
    r = ak_place_remove(self->dir, entry->id);
    if (r < 0)
        ak_warn("runs", "the files of an old run stay", AK_STR("run", entry->id),
                AK_STR("why", ak_code_text(r)));
    forget(self, entry);
    return true;
}

void ak__runbook_retain(struct ak_runbook *self)
{
    uint64_t bytes = 0;
    size_t n = 0;

    do {
        bytes = 0;
        n = 0;
        for (size_t i = 0; i < self->n; i++) {
            n += ak_run_phase_is_final(self->entries[i]->phase);
            bytes += self->entries[i]->bytes;
        }
    } while ((n > self->settings->run_max_retained || bytes > AK_RUNBOOK_MAX_BYTES) &&
             forget_oldest(self));
}

/* ---- the disk ---- */

/* A full disk: old runs make room for new ones. */
static int save(struct ak_runbook *self, int dir, const struct ak_run_entry *entry, unsigned flags)
{
    int r = ak_record_save(dir, entry->record, &entry->private, flags);

    while ((r == -ENOSPC || r == -EDQUOT) && forget_oldest(self))
        r = ak_record_save(dir, entry->record, &entry->private, flags);
    return r;
}

/* A final record that is on the disk need not be in memory. */
static void save_final(struct ak_runbook *self, int dir, struct ak_run_entry *entry)
{
    int r = save(self, dir, entry, 0);

    entry->bytes = ak_place_size(dir);
    if (r >= 0) {
        json_decref(entry->record);
        entry->record = NULL;
        return;
    }
    ak_warn("runs", "the record of a run was not saved: trying again", AK_STR("run", entry->id),
            AK_STR("why", ak_code_text(r)));
    self->save_at = ak_now() + SAVE_AGAIN;
}

static void save_again(struct ak_runbook *self)
{
    self->save_at = AK_MSEC_NEVER;
    for (size_t i = 0; i < self->n; i++) {
        struct ak_run_entry *entry = self->entries[i];
        int dir = -1;

        if (!ak_run_phase_is_final(entry->phase) || !entry->record)
            continue;
        dir = ak_place_folder(self->dir, entry->id);
        if (dir < 0)
            continue;
        save_final(self, dir, entry);
        (void)close(dir);
    }
}

int ak__runbook_open_folder(const struct ak_settings *settings)
{
    int workspace = ak_place_root(settings->workspace);
    int own = workspace < 0 ? workspace : ak_place_folder(workspace, AK__RUNBOOK_FOLDER);
    int dir = own < 0 ? own : ak_place_folder(own, "runs");

    if (own >= 0)
        (void)close(own);
    if (workspace >= 0)
        (void)close(workspace);
    return dir;
}

/* The folder of a new run. The agent may have removed the one around it: then it is made anew. */
static int make_folder(struct ak_runbook *self, const char *id)
{
    int r = ak_place_remove(self->dir, id);

    if (r >= 0)
        r = ak_place_folder(self->dir, id);
    if (r == -ENOENT) {
        int dir = ak__runbook_open_folder(self->settings);

        if (dir < 0)
            return dir;
        (void)close(self->dir);
        self->dir = dir;
        r = ak_place_folder(self->dir, id);
    }
    return r;
}

/* ---- how runs end without having been started, or after a restart ---- */

static void add_to_log(int dir, json_t *record)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(16384);
    AK_AUTO_JSON *data = json_pack("{s:O}", "record", record);
    int fd = ak_place_open(dir, AK_RUN_LOG_FILE, O_WRONLY | O_CREAT | O_APPEND);

    if (fd < 0)
        return;
    if (data && ak_readable_add(&text, "ended", data) >= 0)
        (void)!write(fd, ak_buf_text(&text), text.len);
    (void)close(fd);
}

void ak__runbook_end(struct ak_runbook *self, struct ak_run_entry *entry, enum ak_run_phase phase,
                     const char *reason, const char *message)
{
    int dir = ak_place_folder(self->dir, entry->id);
    AK_AUTO(ak_events) events = {.fd = -1};

    (void)!ak_run_settle(entry->record, phase, reason, message);
    entry->phase = phase;
    entry->ended_wall = ak_wall_now();
    if (dir < 0) {
        self->save_at = ak_now() + SAVE_AGAIN;
    } else {
        if (ak_events_resume(&events, dir) >= 0)
            (void)!ak_run_add_ended(&events, entry->record);
        add_to_log(dir, entry->record);
        save_final(self, dir, entry);
        (void)close(dir);
    }
    change(self, entry);
}

/* ---- new runs ---- */

size_t ak_runbook_queued(const struct ak_runbook *self)
{
    size_t n = 0;

    for (size_t i = 0; i < self->n; i++)
        n += self->entries[i]->phase == AK_RUN_QUEUED;
    return n;
}

bool ak_runbook_is_busy(const struct ak_runbook *self)
{
    return self->run != NULL;
}

static bool is_system(const struct ak_settings *settings)
{
    return ak_streq(settings->mode, "system");
}

static int check_request(const struct ak_runbook *self, const struct ak_request *request,
                         struct ak_error **reterr)
{
    if (is_system(self->settings)) {
        if (request->n_steps == 0)
            return ak_error_set(reterr, -EINVAL, "steps: mode system needs at least one step");
        return 0;
    }
    if (request->n_steps > 0)
        return ak_error_set(reterr, -EINVAL, "steps: only mode system has steps");
    if (!request->prompt && !ak_plan_has_goal(self->settings))
        return ak_error_set(reterr, -EINVAL, "prompt: is required, because the Agent has no goal");
    return 0;
}

static int check_queue(const struct ak_runbook *self, struct ak_error **reterr)
{
    size_t queued = ak_runbook_queued(self);
    bool goes_at_once = !self->run && queued == 0;

    if (!self->is_open || self->is_stopping)
        return ak_error_set(reterr, -EAGAIN,
                            self->is_stopping ? "the pod is stopping" : "the setup is not done");
    if ((!goes_at_once && queued >= self->settings->run_max_queued) || self->n >= AK_RUNBOOK_MAX)
        return ak_error_set(reterr, AK_E_THROTTLED, "the queue is full: %zu runs wait", queued);
    return 0;
}

static int say_queued(int dir)
{
    AK_AUTO(ak_events) events = {.fd = -1};
    int r = ak_events_create(&events, dir);

    return r < 0 ? r : ak_events_add(&events, "queued", NULL, false);
}

static int write_new(struct ak_runbook *self, struct ak_run_entry *entry, const char *body,
                     size_t len)
{
    int dir = make_folder(self, entry->id);
    int r = dir;

    if (r >= 0)
        r = ak_place_write(dir, AK_REQUEST_FILE, body, len, 0600, AK_PLACE_SYNC);
    if (r >= 0)
        r = say_queued(dir);
    if (r >= 0)
        r = ak_record_set_number(entry->record, "lastEvent", 1);
    if (r >= 0)
        r = ak_record_save(dir, entry->record, &entry->private, AK_PLACE_SYNC);
    if (dir >= 0)
        (void)close(dir);
    if (r < 0)
        (void)!ak_place_remove(self->dir, entry->id);
    return r < 0 ? r : 0;
}

static int add(struct ak_runbook *self, const char *id, const struct ak_request *request,
               const char *body, size_t len, struct ak_run_entry **ret, struct ak_error **reterr)
{
    const struct ak_settings *s = self->settings;
    const struct ak_record_private private = {.sequence = self->next_sequence};
    json_t *record =
        ak_record_new(id, s->mode, s->agent_namespace, s->agent_name, request, ak_wall_now());
    struct ak_run_entry *entry = record ? ak__run_entry_new(id, record, &private) : NULL;
    int r = 0;

    if (!entry)
        return ak_error_oom(reterr);
    r = write_new(self, entry, body, len);
    while ((r == -ENOSPC || r == -EDQUOT) && forget_oldest(self))
        r = write_new(self, entry, body, len);
    if (r < 0) {
        entry_free(entry);
        return ak_error_set(reterr, r, "the run cannot be kept in the workspace: %s",
                            ak_code_text(r));
    }
    if (ak__runbook_insert(self, entry) < 0) {
        (void)!ak_place_remove(self->dir, id);
        return ak_error_oom(reterr);
    }
    self->next_sequence++;
    self->last_activity = ak_wall_now();
    *ret = entry;
    return 0;
}

int ak_runbook_put(struct ak_runbook *self, const char *id, const char *body, size_t len,
                   struct ak_run_entry **ret, bool *ret_created, struct ak_error **reterr)
{
    AK_AUTO(ak_arena) arena = {0};
    struct ak_request request;
    struct ak_run_entry *entry = ak_runbook_find(self, id);
    int r = 0;

    if (entry) {
        *ret = entry;
        *ret_created = false;
        return 0;
    }
    ak_arena_init(&arena, 4096, 4 * AK_REQUEST_MAX);
    r = check_queue(self, reterr);
    if (r >= 0)
        r = ak_request_parse(body, len, &arena, &request, reterr);
    if (r >= 0)
        r = check_request(self, &request, reterr);
    if (r >= 0)
        r = add(self, id, &request, body, len, &entry, reterr);
    if (r < 0)
        return r;
    *ret = entry;
    *ret_created = true;
    change(self, entry);
    return 0;
}

void ak_runbook_cancel(struct ak_runbook *self, struct ak_run_entry *entry, const char *reason,
                       const char *message)
{
    if (ak_run_phase_is_final(entry->phase))
        return;
    self->last_activity = ak_wall_now();
    if (entry == self->current)
        ak_run_stop(self->run, AK_STOP_CANCELLED, reason, message);
    else
        ak__runbook_end(self, entry, AK_RUN_CANCELLED, reason ? reason : "Cancelled", message);
}

/* ---- reading ---- */

int ak_runbook_record(struct ak_runbook *self, struct ak_run_entry *entry, size_t max_prompt,
                      json_t **ret, struct ak_error **reterr)
{
    AK_AUTO_JSON *record = entry->record ? ak_json_copy(entry->record) : NULL;
    struct ak_record_private private;
    int dir = ak_place_find(self->dir, entry->id);
    int r = 0;

    if (entry->record && !record)
        r = -ENOMEM;
    else if (!record)
        r = dir < 0 ? dir : ak_record_load(dir, entry->id, &record, &private);
    if (r >= 0 && entry == self->current && self->run)
        r = ak_record_set_number(record, "lastEvent", (int64_t)ak_run_last_event(self->run));
    if (r >= 0 && dir >= 0)
        r = ak_record_add_prompt(record, dir, max_prompt);
    if (dir >= 0)
        (void)close(dir);
    if (r == -ENOMEM)
        return ak_error_oom(reterr);
    if (r < 0)
        return ak_error_set(reterr, AK_E_NOT_FOUND, "the record of run \"%s\" was lost: %s",
                            entry->id, ak_code_text(r));
    *ret = AK_TAKE(record);
    return 0;
}

int ak_runbook_open_file(struct ak_runbook *self, struct ak_run_entry *entry,
                         enum ak_run_file which, struct ak_error **reterr)
{
    int dir = -1, r = 0;

    if (entry->files[which].readers++ > 0)
        return entry->files[which].fd;
    dir = ak_place_find(self->dir, entry->id);
    r = dir < 0 ? dir : ak_place_open(dir, file_names[which], O_RDONLY);
    if (dir >= 0)
        (void)close(dir);
    if (r < 0) {
        entry->files[which].readers--;
        return ak_error_set(reterr, AK_E_NOT_FOUND, "run \"%s\" has no %s: %s", entry->id,
                            file_names[which], ak_code_text(r));
    }
    entry->files[which].fd = r;
    return r;
}

void ak_runbook_close_file(struct ak_run_entry *entry, enum ak_run_file which)
{
    if (--entry->files[which].readers > 0)
        return;
    (void)close(entry->files[which].fd);
    entry->files[which].fd = -1;
}

uint64_t ak_runbook_event_offset(const struct ak_runbook *self, const struct ak_run_entry *entry,
                                 uint64_t after)
{
    return entry == self->current && self->run ? ak_run_event_offset(self->run, after) : 0;
}

/* ---- what is going on ---- */

static void close_run(struct ak_runbook *self)
{
    self->run = ak_run_free(self->run);
    self->current = NULL;
    if (self->run_dir >= 0)
        (void)close(self->run_dir);
    self->run_dir = -1;
}

static struct ak_run_entry *first_queued(struct ak_runbook *self)
{
    for (size_t i = 0; i < self->n; i++)
        if (self->entries[i]->phase == AK_RUN_QUEUED)
            return self->entries[i];
    return NULL;
}

static void start_next(struct ak_runbook *self)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    struct ak_run_entry *entry = first_queued(self);
    struct ak_run_place place = {
        .settings = self->settings,
        .family = self->family,
        .poller = self->poller,
        .console = &self->console,
    };
    int r = 0;

    if (!entry)
        return;
    self->run_dir = ak_place_find(self->dir, entry->id);
    place.dir = self->run_dir;
    place.id = entry->id;
    place.record = entry->record;
    r = self->run_dir < 0 ? ak_error_set(&err, self->run_dir, "the run's folder is gone")
                          : ak_run_start(&place, &self->run, &err);
    if (r < 0) {
        close_run(self);
        ak__runbook_end(self, entry, AK_RUN_FAILED, "StartFailed", ak_error_message(err));
        return;
    }
    self->current = entry;
    entry->phase = AK_RUN_RUNNING;
    entry->private.oom_kills = ak_oom_kills(self->settings->cgroup);
    (void)!save(self, self->run_dir, entry, 0); /* else a restart finds it waiting */
    change(self, entry);
}

static void finish_current(struct ak_runbook *self)
{
    struct ak_run_entry *entry = self->current;

    entry->phase = ak_record_phase(entry->record);
    entry->ended_wall = ak_wall_now();
    self->last_activity = entry->ended_wall;
    save_final(self, self->run_dir, entry);
    close_run(self);
    change(self, entry);
    ak__runbook_retain(self);
    ak_alloc_trim();
}

void ak_runbook_tick(struct ak_runbook *self, ak_msec now)
{
    bool is_over = false;

    if (self->is_open && !self->is_stopping && !self->run)
        start_next(self);
    if (self->run) {
        is_over = ak_run_tick(self->run, now);
        if (is_over)
            finish_current(self);
        else if (ak_run_take_news(self->run) && self->fn)
            self->fn(self->user, self->current, true);
    }
    if (now >= self->save_at)
        save_again(self);
}

ak_msec ak_runbook_deadline(const struct ak_runbook *self)
{
    ak_msec first = self->save_at;

    if (self->run)
        return AK_MIN(first, ak_run_deadline(self->run));
    if (self->is_open && !self->is_stopping && ak_runbook_queued(self) > 0)
        return 0;
    return first;
}

void ak_runbook_open(struct ak_runbook *self)
{
    self->is_open = true;
}

void ak_runbook_stop(struct ak_runbook *self)
{
    self->is_stopping = true;
    if (self->run)
        ak_run_stop(self->run, AK_STOP_SHUTDOWN, NULL, NULL);
}

ak_msec ak_runbook_last_activity(const struct ak_runbook *self)
{
    return self->run ? ak_wall_now() : self->last_activity;
}

void ak_runbook_on_change(struct ak_runbook *self, ak_runbook_fn fn, void *user)
{
    self->fn = fn;
    self->user = user;
}

struct ak_runbook *ak_runbook_free(struct ak_runbook *self)
{
    if (!self)
        return NULL;
    close_run(self);
    ak_console_done(&self->console);
    for (size_t i = 0; i < self->n; i++)
        entry_free(self->entries[i]);
    ak_free(self->entries);
    if (self->dir >= 0)
        (void)close(self->dir);
    ak_free(self);
    return NULL;
}

int ak_runbook_new(const struct ak_settings *settings, struct ak_family *family,
                   struct ak_poller *poller, struct ak_runbook **ret, struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_runbook) self = ak_new0(struct ak_runbook);
    int r = 0;

    if (!self)
        return ak_error_oom(reterr);
    self->settings = settings;
    self->family = family;
    self->poller = poller;
    self->dir = self->run_dir = -1;
    self->save_at = AK_MSEC_NEVER;
    self->next_sequence = 1;
    self->last_activity = ak_wall_now();
    self->console.fd = -1;
    r = ak_console_init(&self->console, poller, STDOUT_FILENO);
    if (r < 0)
        ak_warn("runs", "the container's log will not show runs", AK_STR("why", ak_code_text(r)));
    r = ak__runbook_load(self, reterr);
    if (r < 0)
        return r;
    *ret = AK_TAKE(self);
    return 0;
}
