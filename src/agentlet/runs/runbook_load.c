/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/runs/oom.h"
#include "agentlet/runs/place.h"
#include "agentlet/runs/runbook_internal.h"

#include <ak/base/log.h>
#include <ak/base/text.h>
#include <string.h>
#include <unistd.h>

#define MAX_EXCLUDE (256u << 10)
#define MAX_SEQUENCE ((uint64_t)1 << 52)

/* git does not show the folder, and `git clean` leaves it alone. */
static void exclude(const struct ak_settings *settings)
{
    static const char line[] = "/" AK__RUNBOOK_FOLDER "/\n";
    AK_AUTO(ak_buf) text = AK_BUF_INIT(MAX_EXCLUDE);
    int workspace = ak_place_root(settings->workspace);
    int git = workspace < 0 ? workspace : ak_place_find(workspace, ".git");
    int info = git < 0 ? git : ak_place_folder(git, "info");
    int r = info < 0 ? info : ak_place_read(info, "exclude", &text);

    if (info >= 0 && (r >= 0 || r == -ENOENT) && !strstr(ak_buf_text(&text), line)) {
        if (text.len > 0 && text.data[text.len - 1] != '\n')
            (void)!ak_buf_adds(&text, "\n");
        if (ak_buf_adds(&text, line) >= 0)
            (void)!ak_place_write(info, "exclude", text.data, text.len, 0644, 0);
    }
    if (info >= 0)
        (void)close(info);
    if (git >= 0)
        (void)close(git);
    if (workspace >= 0)
        (void)close(workspace);
}

static int load_one(struct ak_runbook *self, const char *name, int dir)
{
    struct ak_record_private private = {0};
    struct ak_run_entry *entry = NULL;
    json_t *record = NULL;
    int r = ak_record_load(dir, name, &record, &private);

    if (r < 0)
        return r;
    if (private.sequence > MAX_SEQUENCE)
    private.sequence = 0;
    entry = ak__run_entry_new(name, record, &private);
    if (!entry)
        return -ENOMEM;
    self->next_sequence = AK_MAX(self->next_sequence, private.sequence + 1);
    entry->changed = ++self->changes;
    if (ak_run_phase_is_final(entry->phase)) {
        entry->bytes = ak_place_size(dir);
        json_decref(entry->record);
        entry->record = NULL;
    }
    return ak__runbook_insert(self, entry);
}

static int load_entry(void *user, const char *name)
{
    struct ak_runbook *self = user;
    int dir = -1, r = 0;

    if (self->n >= AK_RUNBOOK_MAX)
        return 1;
    if (!ak_is_dns_label(name)) {
        (void)!ak_place_remove(self->dir, name);
        return 0;
    }
    dir = ak_place_find(self->dir, name);
    r = dir < 0 ? dir : load_one(self, name, dir);
    if (dir >= 0)
        (void)close(dir);
    if (r == -ENOMEM)
        return r;
    if (r < 0) {
        ak_warn("runs", "what is no run is removed", AK_STR("run", name),
                AK_STR("why", ak_code_text(r)));
        (void)!ak_place_remove(self->dir, name);
    }
    return 0;
}

static void interrupt(struct ak_runbook *self, struct ak_run_entry *entry)
{
    bool out_of_memory = ak_oom_kills(self->settings->cgroup) > entry->private.oom_kills;

    ak__runbook_end(
        self, entry, AK_RUN_INTERRUPTED, out_of_memory ? "OOMKilled" : "PodRestarted",
        out_of_memory
            ? "the container was restarted because its memory limit was reached during the run"
            : "the container was restarted during the run; it is not started again by itself");
}

int ak__runbook_load(struct ak_runbook *self, struct ak_error **reterr)
{
    int r = 0;

    self->dir = ak__runbook_open_folder(self->settings);
    if (self->dir < 0)
        return ak_error_set(reterr, self->dir, "cannot make \"%s/" AK__RUNBOOK_FOLDER "/runs\": %s",
                            self->settings->workspace, ak_code_text(self->dir));
    exclude(self->settings);
    r = ak_place_each(self->dir, load_entry, self);
    if (r < 0)
        return ak_error_set(reterr, r, "cannot read the runs of the workspace: %s",
                            ak_code_text(r));
    for (size_t i = 0; i < self->n; i++)
        if (self->entries[i]->phase == AK_RUN_RUNNING)
            interrupt(self, self->entries[i]);
    ak__runbook_retain(self);
    return 0;
}
