/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/git.h"

#include "agentlet/credential.h"
#include "agentlet/tree.h"

#include <ak/base/alloc.h>
#include <ak/base/log.h>
#include <ak/base/text.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SELF "/proc/self/exe"
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/*
 * What git, curl and ssh may see of our environment; git's own variables could say too much or too
 * little.
 */
static const char *const kept_variables[] = {
    "PATH",           "LD_LIBRARY_PATH",    "TMPDIR",
    "SSL_CERT_FILE",  "SSL_CERT_DIR",       "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH", "CURL_CA_BUNDLE",     "http_proxy",
    "https_proxy",    "no_proxy",           "all_proxy",
    "HTTP_PROXY",     "HTTPS_PROXY",        "NO_PROXY",
    "ALL_PROXY",      "AGENTKUBE_REPO_URL", "AGENTKUBE_REPO_SECRET_DIR",
};

static const char *const fixed_variables[] = {
    "LC_ALL=C", /* askpass reads git's prompts */
    "GIT_TERMINAL_PROMPT=0",
    "GIT_ALLOW_PROTOCOL=https:http:ssh:git:file",
    "GIT_HTTP_LOW_SPEED_LIMIT=1", /* a server that says nothing for two minutes is gone */
    "GIT_HTTP_LOW_SPEED_TIME=120",
};

/* Takes the text. */
static int add_variable(struct ak_git *self, char *text)
{
    if (!text)
        return -ENOMEM;
    if (self->n_env == AK_GIT_ENV_MAX) {
        ak_free(text);
        return -ENOBUFS;
    }
    self->env[self->n_env++] = text;
    return 0;
}

static int add_kept_variables(struct ak_git *self)
{
    int r = 0;

    for (size_t i = 0; i < AK_ARRAY_LEN(kept_variables) && r >= 0; i++) {
        const char *value = getenv(kept_variables[i]);

        if (value)
            r = add_variable(self, ak_asprintf("%s=%s", kept_variables[i], value));
    }
    for (size_t i = 0; i < AK_ARRAY_LEN(fixed_variables) && r >= 0; i++)
        r = add_variable(self, ak_strdup(fixed_variables[i]));
    return r;
}

/* These paths go through a shell and through ssh's own idea of quoting. */
static bool is_plain_path(const char *path)
{
    return path[strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                             "0123456789/._-")] == '\0';
}

static char *ssh_command(const struct ak_git *self)
{
    const char *dir = self->settings->repo_secret_dir;
    bool has_hosts = dir[0] && ak_credential_has(dir, "known_hosts");

    if (dir[0] && !has_hosts)
        ak_warn("agentlet", "the repository's Secret has no key \"known_hosts\": "
                            "the server's host key is taken as it comes");
    return ak_asprintf(
        "ssh -F /dev/null -o BatchMode=yes -o ConnectTimeout=30 -o StrictHostKeyChecking=%s "
        "-o UserKnownHostsFile=%s/%s -o IdentitiesOnly=yes%s%s%s",
        has_hosts ? "yes" : "accept-new", has_hosts ? dir : self->home,
        has_hosts ? "known_hosts" : ".known_hosts", dir[0] ? " -i " : "", dir,
        dir[0] ? "/ssh-privatekey" : "");
}

static int add_ssh(struct ak_git *self, struct ak_error **reterr)
{
    AK_AUTO_TEXT char *command = NULL;

    if (!is_plain_path(self->settings->repo_secret_dir) || !is_plain_path(self->home))
        return ak_error_set(reterr, -EINVAL,
                            "AGENTKUBE_REPO_SECRET_DIR, TMPDIR: must have only letters, digits and "
                            "\"/._-\" for an SSH URL");
    command = ssh_command(self);
    if (!command)
        return ak_error_oom(reterr);
    return add_variable(self, ak_asprintf("GIT_SSH_COMMAND=%s", command)) < 0 ? ak_error_oom(reterr)
                                                                              : 0;
}

/* A program of the image by its name. NULL: there is none. */
static char *find_program(const char *name)
{
    const char *path = getenv("PATH");

    if (ak_is_empty(path))
        path = DEFAULT_PATH;
    while (*path) {
        size_t len = strcspn(path, ":");
        AK_AUTO_TEXT char *full = ak_asprintf("%.*s/%s", (int)len, path, name);

        if (full && len > 0 && access(full, X_OK) == 0)
            return AK_TAKE(full);
        path += len + (path[len] == ':');
    }
    return NULL;
}

static int find_programs(struct ak_git *self, enum ak_transport transport, struct ak_error **reterr)
{
    AK_AUTO_TEXT char *ssh = NULL;

    self->path = find_program("git");
    if (!self->path)
        return ak_error_set(reterr, -ENOENT,
                            "there is no git in this image: spec.workspace.repo needs one");
    if (transport != AK_TRANSPORT_SSH)
        return 0;
    ssh = find_program("ssh");
    return ssh ? 0
               : ak_error_set(reterr, -ENOENT,
                              "there is no ssh in this image: use an https:// URL, or an image "
                              "that has one");
}

/* A folder of our own, and in it the name under which git calls us for the credential. */
static int make_home(struct ak_git *self, struct ak_error **reterr)
{
    char self_path[PATH_MAX];
    ssize_t len = readlink(SELF, self_path, sizeof(self_path) - 1);
    AK_AUTO_TEXT char *home = ak_asprintf("%s/agentlet-XXXXXX", self->settings->temp_dir);
    AK_AUTO_TEXT char *link = NULL;

    if (!home)
        return ak_error_oom(reterr);
    if (len < 0 || !mkdtemp(home))
        return ak_error_set(reterr, -errno, "cannot make a folder in \"%s\": %s",
                            self->settings->temp_dir, ak_code_text(-errno));
    self_path[len] = '\0';
    self->home = AK_TAKE(home);
    link = ak_asprintf("%s/%s", self->home, AK_ASKPASS_NAME);
    if (!link)
        return ak_error_oom(reterr);
    if (symlink(self_path, link) < 0)
        return ak_error_set(reterr, -errno, "cannot make \"%s\": %s", link, ak_code_text(-errno));
    return 0;
}

static int make_environment(struct ak_git *self, enum ak_transport transport,
                            struct ak_error **reterr)
{
    int r = add_kept_variables(self);

    if (r >= 0)
        r = add_variable(self, ak_asprintf("HOME=%s", self->home));
    if (r >= 0)
        r = add_variable(self, ak_asprintf("GIT_ASKPASS=%s/%s", self->home, AK_ASKPASS_NAME));
    if (r < 0)
        return ak_error_oom(reterr);
    return transport == AK_TRANSPORT_SSH ? add_ssh(self, reterr) : 0;
}

static void on_signal(void *user, int signal)
{
    struct ak_git *self = user;

    if (!ak_signal_is_stop(signal))
        return;
    self->stop_signal = signal;
    ak_family_signal_all(&self->family, SIGTERM);
}

int ak_git_init(struct ak_git *self, const struct ak_settings *settings,
                enum ak_transport transport, struct ak_error **reterr)
{
    int r = 0;

    *self = (struct ak_git){.settings = settings};
    self->deadline = ak_now() + settings->repo_timeout;
    r = find_programs(self, transport, reterr);
    if (r >= 0)
        r = ak_poller_init(&self->poller, reterr);
    if (r >= 0)
        r = ak_signals_init(&self->signals, &self->poller, on_signal, self, reterr);
    if (r >= 0)
        r = ak_family_init(&self->family, reterr);
    if (r >= 0)
        r = make_home(self, reterr);
    if (r >= 0)
        r = make_environment(self, transport, reterr);
    return r;
}

void ak_git_done(struct ak_git *self)
{
    AK_AUTO_PTR(ak_error) err = NULL;

    ak_job_done(&self->job);
    if (self->settings)
        ak_signals_done(&self->signals);
    ak_poller_done(&self->poller);
    if (self->home && ak_tree_remove(self->home, &err) < 0)
        ak_warn("agentlet", "temporary files stay", AK_ERR(err));
    for (size_t i = 0; i < self->n_env; i++)
        ak_free(self->env[i]);
    ak_free(self->home);
    ak_free(self->path);
    *self = (struct ak_git){0};
}

static int start(struct ak_git *self, const char *cwd, bool log, const char *const *args,
                 struct ak_error **reterr)
{
    const char *argv[AK_GIT_ARGS_MAX + 2] = {self->path};
    const struct ak_job_options options = {
        .path = self->path,
        .argv = argv,
        .envp = (const char *const *)self->env,
        .cwd = cwd,
        .log_prefix = log ? "git: " : NULL,
        .timeout = AK_MAX(self->deadline - ak_now(), 0),
        .grace = self->settings->grace,
    };

    for (size_t i = 0; args[i]; i++) {
        if (i == AK_GIT_ARGS_MAX)
            return ak_error_set(reterr, -E2BIG, "too many arguments for git");
        argv[i + 1] = args[i];
    }
    ak_job_done(&self->job);
    return ak_job_start(&self->job, &self->family, &self->poller, &options, reterr);
}

int ak_git_run(struct ak_git *self, const char *cwd, bool log, const char *const *args,
               struct ak_error **reterr)
{
    int r = self->stop_signal ? 0 : start(self, cwd, log, args, reterr);

    while (r >= 0 && self->job.phase != AK_JOB_ENDED && self->job.phase != AK_JOB_IDLE) {
        r = ak_poller_wait(&self->poller, ak_job_deadline(&self->job));
        (void)ak_family_reap(&self->family);
        ak_job_tick(&self->job, ak_now());
    }
    if (r < 0)
        return r;
    if (self->stop_signal)
        return ak_error_set(reterr, AK_E_CANCELLED, "stopped by %s",
                            ak_signal_name(self->stop_signal));
    if (self->job.timed_out)
        return ak_error_set(reterr, -ETIMEDOUT, "git did not end within %d seconds",
                            (int)(self->settings->repo_timeout / 1000));
    return ak_job_exit_code(&self->job);
}

const char *ak_git_output(struct ak_git *self)
{
    return ak_relay_tail(&self->job.relay);
}
