/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/state.h"

#include <ak/base/alloc.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAX_BYTES 4096 /* names are limited by Kubernetes, the listen address by settings */

static const char *const phases[AK_PHASE_MAX] = {
    [AK_PHASE_SETUP] = "Setup",
    [AK_PHASE_READY] = "Ready",
    [AK_PHASE_STOPPING] = "Stopping",
    [AK_PHASE_FAILED] = "Failed",
};

static const char *const setups[AK_SETUP_MAX] = {
    [AK_SETUP_NONE] = "None",           [AK_SETUP_RUNNING] = "Running",
    [AK_SETUP_SUCCEEDED] = "Succeeded", [AK_SETUP_FAILED] = "Failed",
    [AK_SETUP_TIMED_OUT] = "TimedOut",  [AK_SETUP_STOPPED] = "Stopped",
};

const char *ak_phase_to_string(enum ak_phase phase)
{
    return phases[phase];
}

void ak_state_init(struct ak_state *self, const struct ak_settings *settings)
{
    *self = (struct ak_state){
        .settings = settings,
        .setup_exit_code = -1,
        .setup_took = -1,
        .started_wall = ak_wall_now(),
        .started_at = ak_now(),
    };
}

/* `before` is punctuation and the member's name. */
static int add_text(struct ak_buf *out, const char *before, const char *value)
{
    int r = ak_buf_adds(out, before);

    return r < 0 ? r : ak_buf_add_json_string(out, value, strlen(value));
}

static int add_time(struct ak_buf *out, const char *before, ak_msec wall)
{
    char text[AK_RFC3339_SIZE];

    return wall == 0 ? 0 : add_text(out, before, ak_format_rfc3339(wall, text));
}

static int add_number(struct ak_buf *out, const char *before, int64_t value)
{
    return value < 0 ? 0 : ak_buf_addf(out, "%s%" PRId64, before, value);
}

static int add_identity(const struct ak_state *self, struct ak_buf *out)
{
    const struct ak_settings *s = self->settings;
    int r = add_text(out, "{\"version\":", AK_VERSION);

    if (r >= 0)
        r = add_text(out, ",\"agent\":{\"namespace\":", s->agent_namespace);
    if (r >= 0)
        r = add_text(out, ",\"name\":", s->agent_name);
    if (r >= 0)
        r = add_text(out, "},\"runtime\":", s->runtime);
    return r < 0 ? r : add_text(out, ",\"listen\":", s->listen);
}

static int add_setup(const struct ak_state *self, struct ak_buf *out)
{
    int r = add_text(out, ",\"setup\":{\"state\":", setups[self->setup]);

    if (r >= 0)
        r = add_number(out, ",\"exitCode\":", self->setup_exit_code);
    if (r >= 0)
        r = add_number(out, ",\"seconds\":", self->setup_took < 0 ? -1 : self->setup_took / 1000);
    return r < 0 ? r : ak_buf_adds(out, "}}\n");
}

int ak_state_write(const struct ak_state *self, ak_msec now, struct ak_buf *out)
{
    int r = add_identity(self, out);

    if (r >= 0)
        r = add_text(out, ",\"phase\":", phases[self->phase]);
    if (r >= 0)
        r = add_time(out, ",\"startedAt\":", self->started_wall);
    if (r >= 0)
        r = add_time(out, ",\"readyAt\":", self->ready_wall);
    if (r >= 0)
        r = add_number(out, ",\"uptimeSeconds\":", now < 0 ? -1 : (now - self->started_at) / 1000);
    return r < 0 ? r : add_setup(self, out);
}

static int write_file(const char *path, const struct ak_buf *content)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    ssize_t n = 0;

    if (fd < 0)
        return -errno;
    n = write(fd, ak_buf_text(content), content->len);
    if (close(fd) < 0 || n != (ssize_t)content->len)
        return -EIO;
    return 0;
}

int ak_state_save(const struct ak_state *self, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(MAX_BYTES);
    AK_AUTO_TEXT char *path = ak_asprintf("%s/state.json", self->settings->state_dir);
    AK_AUTO_TEXT char *temp = ak_asprintf("%s/.state.json.new", self->settings->state_dir);
    int r = 0;

    if (!path || !temp)
        return ak_error_oom(reterr);
    r = ak_state_write(self, -1, &text);
    if (r >= 0)
        r = write_file(temp, &text);
    if (r >= 0 && rename(temp, path) < 0)
        r = -errno;
    return r < 0 ? ak_error_set(reterr, r, "write \"%s\": %s", path, ak_code_text(r)) : 0;
}
