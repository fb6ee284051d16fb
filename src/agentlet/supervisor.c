/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/supervisor.h"

#include "agentlet/endpoint.h"
#include "agentlet/job.h"
#include "agentlet/poller.h"
#include "agentlet/runs/api.h"
#include "agentlet/runs/runbook.h"
#include "agentlet/signals.h"
#include "agentlet/state.h"
#include "agentlet/trust.h"
#include "process/family.h"

#include <ak/base/alloc.h>
#include <ak/base/log.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#define LAST_WAIT AK_SECONDS(2) /* for what KILL does not end at once: a process in a system call */
#define LAST_ANSWERS 500        /* ms for clients to take how a run ended */
#define MAX_DESCRIPTORS 4096    /* followers of runs */
#define END_TEXT_BYTES 256

struct ak_supervisor {
    const struct ak_settings *settings;
    struct ak_poller poller;
    struct ak_signals signals;
    struct ak_family family;
    struct ak_endpoint endpoint;
    struct ak_job setup;
    struct ak_state state;
    struct ak_runbook *runs; /* NULL: nobody asks for runs here */
    struct ak_run_api *api;
    bool has_children;
    bool killed;           /* KILL was sent */
    ak_msec stop_deadline; /* of the grace, then of the last wait; never: not stopping */
    enum ak_verdict verdict;
    char text[END_TEXT_BYTES];
};

static void save_state(struct ak_supervisor *self)
{
    AK_AUTO_PTR(ak_error) err = NULL;

    if (ak_state_save(&self->state, &err) < 0)
        ak_warn("agentlet", "the state was not saved", AK_ERR(err));
}

static void set_phase(struct ak_supervisor *self, enum ak_phase phase)
{
    self->state.phase = phase;
    if (phase == AK_PHASE_READY) {
        self->state.ready_wall = ak_wall_now();
        if (self->runs)
            ak_runbook_open(self->runs);
        ak_info("agentlet", "ready");
    }
    save_state(self);
}

/* ---- probes ---- */

static int serve_healthz(void *user, struct ak_buf *body)
{
    (void)user;
    return ak_buf_adds(body, "ok\n") < 0 ? 500 : 200;
}

static int serve_readyz(void *user, struct ak_buf *body)
{
    struct ak_supervisor *self = user;

    if (ak_state_write(&self->state, ak_now(), body) < 0)
        return 500;
    return self->state.phase == AK_PHASE_READY ? 200 : 503;
}

static const struct ak_endpoint_route routes[] = {
    {"/healthz", "text/plain; charset=utf-8", serve_healthz},
    {"/readyz", "application/json", serve_readyz},
    {NULL, NULL, NULL},
};

/* ---- the end ---- */

/* The first reason to end counts; what happens while stopping is its consequence. */
static void begin_stop(struct ak_supervisor *self, enum ak_phase phase, enum ak_verdict verdict)
{
    if (self->stop_deadline != AK_MSEC_NEVER)
        return;
    self->verdict = verdict;
    self->stop_deadline = ak_now() + self->settings->grace;
    if (self->state.setup == AK_SETUP_RUNNING)
        self->state.setup = AK_SETUP_STOPPED;
    if (self->runs)
        ak_runbook_stop(self->runs);
    set_phase(self, phase);
    ak_family_signal_all(&self->family, SIGTERM);
    ak_family_signal_all(&self->family, SIGCONT); /* who is stopped cannot end */
}

static void on_signal(void *user, int signal)
{
    struct ak_supervisor *self = user;

    if (signal == SIGCHLD)
        return; /* the loop reaps after every wake-up */
    if (!ak_signal_is_stop(signal)) {
        ak_family_signal(&self->family, signal);
        return;
    }
    if (self->stop_deadline == AK_MSEC_NEVER)
        (void)snprintf(self->text, sizeof(self->text), "by %s%s", ak_signal_name(signal),
                       self->state.phase == AK_PHASE_SETUP ? " during setup" : "");
    begin_stop(self, AK_PHASE_STOPPING, AK_VERDICT_STOPPED);
}

static void tick_stop(struct ak_supervisor *self, ak_msec now)
{
    if (now < self->stop_deadline || self->killed)
        return;
    self->killed = true;
    self->stop_deadline = now + LAST_WAIT;
    ak_family_signal_all(&self->family, SIGKILL);
}

static bool has_stopped(const struct ak_supervisor *self)
{
    bool is_busy = self->runs && ak_runbook_is_busy(self->runs);

    if (self->stop_deadline == AK_MSEC_NEVER)
        return false;
    return (!self->has_children && !is_busy) || (self->killed && ak_now() >= self->stop_deadline);
}

/* ---- the setup command ---- */

/* The workspace has been entered, so what does not exist is the shell. */
static void miss_shell(struct ak_supervisor *self, const char *shell)
{
    (void)snprintf(self->text, sizeof(self->text), "there is no %s in this image", shell);
    self->state.setup = AK_SETUP_FAILED;
    begin_stop(self, AK_PHASE_FAILED, AK_VERDICT_SETUP_FAILED);
}

static int start_setup(struct ak_supervisor *self, struct ak_error **reterr)
{
    int r = 0;
    const char *const argv[] = {"/bin/sh", "-c", self->settings->setup_command, NULL};
    const struct ak_job_options options = {
        .path = argv[0],
        .argv = argv,
        .cwd = self->settings->workspace,
        .log_prefix = "setup: ",
        .timeout = self->settings->setup_timeout,
        .grace = self->settings->grace,
    };

    if (!self->settings->setup_command[0]) {
        set_phase(self, AK_PHASE_READY);
        return 0;
    }
    self->state.setup = AK_SETUP_RUNNING;
    set_phase(self, AK_PHASE_SETUP);
    r = ak_job_start(&self->setup, &self->family, &self->poller, &options, reterr);
    if (r == -ENOENT) {
        miss_shell(self, argv[0]);
        return 0;
    }
    return r;
}

static void fail_setup(struct ak_supervisor *self, int exit_code)
{
    if (self->setup.timed_out) {
        self->state.setup = AK_SETUP_TIMED_OUT;
        (void)snprintf(self->text, sizeof(self->text),
                       "the setup command did not end within %d seconds",
                       (int)(self->settings->setup_timeout / 1000));
        begin_stop(self, AK_PHASE_FAILED, AK_VERDICT_SETUP_TIMEOUT);
        return;
    }
    self->state.setup = AK_SETUP_FAILED;
    (void)snprintf(self->text, sizeof(self->text), "the setup command ended with exit code %d%s",
                   exit_code, exit_code == 137 ? " (killed: out of memory?)" : "");
    begin_stop(self, AK_PHASE_FAILED, AK_VERDICT_SETUP_FAILED);
}

static void look_at_setup(struct ak_supervisor *self)
{
    int exit_code = 0;

    if (self->state.setup != AK_SETUP_RUNNING || self->setup.phase != AK_JOB_ENDED)
        return;
    exit_code = ak_job_exit_code(&self->setup);
    self->state.setup_exit_code = exit_code;
    self->state.setup_took = self->setup.ended_at - self->setup.started_at;
    if (exit_code != 0 || self->setup.timed_out) {
        fail_setup(self, exit_code);
        return;
    }
    self->state.setup = AK_SETUP_SUCCEEDED;
    set_phase(self, AK_PHASE_READY);
}

/* ---- the loop ---- */

static ak_msec next_deadline(const struct ak_supervisor *self)
{
    ak_msec first = AK_MIN(self->stop_deadline, ak_endpoint_deadline(&self->endpoint));

    if (self->runs)
        first = AK_MIN(first, ak_runbook_deadline(self->runs));
    if (self->api)
        first = AK_MIN(first, ak_run_api_deadline(self->api));
    return AK_MIN(first, ak_job_deadline(&self->setup));
}

static void tick(struct ak_supervisor *self)
{
    ak_msec now = ak_now();

    self->has_children = ak_family_reap(&self->family);
    ak_job_tick(&self->setup, now);
    look_at_setup(self);
    if (self->runs)
        ak_runbook_tick(self->runs, now);
    if (self->api)
        ak_run_api_tick(self->api, now);
    ak_endpoint_tick(&self->endpoint, now);
    tick_stop(self, now);
}

/* Who follows a run should still hear how it ended. */
static void answer_last(struct ak_supervisor *self)
{
    ak_msec until = ak_now() + LAST_ANSWERS;

    while (ak_run_api_drain(self->api) > 0 && ak_now() < until)
        if (ak_poller_wait(&self->poller, AK_MIN(until, ak_now() + 20)) < 0)
            return;
}

int ak_supervisor_run(struct ak_supervisor *self, struct ak_supervisor_end *ret,
                      struct ak_error **reterr)
{
    int r = start_setup(self, reterr);

    if (r < 0)
        return r;
    for (tick(self); !has_stopped(self); tick(self)) {
        r = ak_poller_wait(&self->poller, next_deadline(self));
        if (r < 0)
            return ak_error_set(reterr, r, "poll: %s", ak_code_text(r));
    }
    answer_last(self);
    *ret = (struct ak_supervisor_end){
        .verdict = self->verdict,
        .text = self->text,
        .tail = self->verdict == AK_VERDICT_STOPPED ? NULL : ak_relay_tail(&self->setup.relay),
    };
    return 0;
}

static int check_workspace(const struct ak_settings *settings, struct ak_error **reterr)
{
    if (chdir(settings->workspace) < 0)
        return ak_error_set(reterr, -EINVAL, "AGENTKUBE_WORKSPACE \"%s\": %s", settings->workspace,
                            ak_code_text(-errno));
    ak_trust_workspace(settings->workspace, settings->home);
    return 0;
}

static void raise_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= MAX_DESCRIPTORS)
        return;
    limit.rlim_cur = AK_MIN(limit.rlim_max, (rlim_t)MAX_DESCRIPTORS);
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int init_runs(struct ak_supervisor *self, struct ak_error **reterr)
{
    int r = 0;

    if (!self->settings->link[0])
        return 0;
    raise_descriptors();
    r = ak_runbook_new(self->settings, &self->family, &self->poller, &self->runs, reterr);
    return r < 0 ? r
                 : ak_run_api_new(self->settings, &self->state, self->runs, &self->poller,
                                  &self->api, reterr);
}

static int init(struct ak_supervisor *self, struct ak_error **reterr)
{
    const struct ak_settings *settings = self->settings;
    int r = ak_poller_init(&self->poller, reterr);

    if (r >= 0)
        r = ak_signals_init(&self->signals, &self->poller, on_signal, self, reterr);
    if (r >= 0)
        r = ak_family_init(&self->family, reterr);
    if (r >= 0)
        r = ak_endpoint_init(&self->endpoint, &self->poller, settings->listen, routes, self,
                             reterr);
    if (r >= 0)
        r = check_workspace(settings, reterr);
    if (r >= 0)
        r = init_runs(self, reterr);
    if (r < 0)
        return r;
    ak_info("agentlet", "started", AK_STR("version", AK_VERSION),
            AK_STR("listen", settings->listen), AK_INT("port", self->endpoint.port),
            AK_STR("namespace", settings->agent_namespace), AK_STR("name", settings->agent_name),
            AK_STR("runtime", settings->runtime));
    return 0;
}

struct ak_supervisor *ak_supervisor_free(struct ak_supervisor *self)
{
    if (self) {
        ak_job_done(&self->setup);
        self->api = ak_run_api_free(self->api);
        self->runs = ak_runbook_free(self->runs);
        ak_endpoint_done(&self->endpoint);
        ak_signals_done(&self->signals);
        ak_poller_done(&self->poller);
        ak_free(self);
    }
    return NULL;
}

int ak_supervisor_new(const struct ak_settings *settings, struct ak_supervisor **ret,
                      struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_supervisor) self = ak_new0(struct ak_supervisor);
    int r = 0;

    if (!self)
        return ak_error_oom(reterr);
    self->settings = settings;
    self->stop_deadline = AK_MSEC_NEVER;
    ak_state_init(&self->state, settings);
    r = init(self, reterr);
    if (r < 0)
        return r;
    *ret = AK_TAKE(self);
    return 0;
}
