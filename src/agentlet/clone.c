/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/clone.h"

#include "agentlet/checkout.h"
#include "agentlet/credential.h"
#include "agentlet/tree.h"

#include <ak/base/alloc.h>
#include <ak/base/buf.h>
#include <ak/base/log.h>
#include <ak/base/text.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STAGING ".agentkube-clone"
#define STEP_DONE AK_VERDICT_MAX /* a step's "go on": every verdict is an end */

static enum ak_verdict end_with(struct ak_clone *self, enum ak_verdict verdict, const char *text)
{
    (void)snprintf(self->text, sizeof(self->text), "%s", text);
    return verdict;
}

static enum ak_verdict end_with_error(struct ak_clone *self, const struct ak_error *err)
{
    return end_with(self, ak_verdict_of_error(ak_error_code(err)), ak_error_message(err));
}

static bool exists(const char *dir, const char *name)
{
    AK_AUTO_TEXT char *path = ak_asprintf("%s/%s", dir, name);
    struct stat st;

    return path && lstat(path, &st) == 0;
}

/* ---- moving a finished clone into place ---- */

struct move {
    struct ak_clone *clone;
    struct ak_error **reterr;
};

static int move_unless_git(const char *name, void *user)
{
    const struct move *move = user;

    if (strcmp(name, ".git") == 0)
        return 0;
    return ak_tree_move(move->clone->tree, move->clone->settings->workspace, name, move->reterr);
}

static int move_up(struct ak_clone *self, struct ak_error **reterr)
{
    struct move move = {.clone = self, .reterr = reterr};
    int r = 0;

    /* Without it the last start was interrupted while it tidied up. */
    if (exists(self->staging, "tree"))
        r = ak_tree_each(self->tree, move_unless_git, &move, reterr);
    if (r >= 0 && exists(self->tree, ".git"))
        r = ak_tree_move(self->tree, self->settings->workspace, ".git", reterr);
    return r < 0 ? r : ak_tree_remove(self->staging, reterr);
}

static enum ak_verdict finish(struct ak_clone *self)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO(ak_buf) what = AK_BUF_INIT(AK_CLONE_TEXT);

    if (ak_buf_add_file(&what, self->complete) < 0)
        return end_with(self, AK_VERDICT_INTERNAL_ERROR, "cannot read back what was cloned");
    if (move_up(self, &err) < 0)
        return ak_error_code(err) == -EEXIST
                   ? end_with(self, AK_VERDICT_WORKSPACE_NOT_EMPTY, ak_error_message(err))
                   : end_with_error(self, err);
    return end_with(self, AK_VERDICT_CLONED, ak_buf_text(&what));
}

/* ---- a clone that is there already ---- */

/* Reads one value out of one file; see the header for why git does nothing more there. */
static enum ak_verdict check_origin(struct ak_clone *self)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_TEXT char *config = ak_asprintf("%s/.git/config", self->settings->workspace);
    AK_AUTO_TEXT char *wanted = ak_repo_url_for_display(self->settings->repo_url);
    AK_AUTO_TEXT char *present = NULL;
    char url[AK_REPO_URL_MAX + 1] = "";
    int r = 0;

    if (!config || !wanted)
        return end_with(self, AK_VERDICT_INTERNAL_ERROR, "out of memory");
    const char *const args[] = {
        "config", "--file", config, "--no-includes", "--get", "remote.origin.url", NULL};
    r = ak_git_run(&self->git, "/", false, args, &err);
    if (r < 0)
        return end_with_error(self, err);
    if (r == 0)
        (void)snprintf(url, sizeof(url), "%.*s", (int)strcspn(ak_git_output(&self->git), "\n"),
                       ak_git_output(&self->git));
    if (ak_repo_url_is_same(url, self->settings->repo_url))
        return end_with(self, AK_VERDICT_KEPT,
                        "the workspace has a clone already, nothing changed");
    present = ak_repo_url_for_display(url);
    (void)snprintf(
        self->text, sizeof(self->text),
        "the workspace has a clone of \"%.300s\", not of \"%.300s\": change the URL back, "
        "or delete the workspace's volume claim",
        present && *present ? present : "(no origin)", wanted);
    return AK_VERDICT_WORKSPACE_CONFLICT;
}

/* ---- a new clone ---- */

static int is_in_the_way(const char *name, void *user)
{
    char *ret_name = user;

    static const char *const passed[] = {"lost+found", STAGING, ".agentkube"}; /* the last: runs */

    for (size_t i = 0; i < AK_ARRAY_LEN(passed); i++)
        if (strcmp(name, passed[i]) == 0)
            return 0;
    (void)snprintf(ret_name, NAME_MAX + 1, "%s", name);
    return 1;
}

static enum ak_verdict check_empty(struct ak_clone *self)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    char name[NAME_MAX + 1];
    int r = ak_tree_each(self->settings->workspace, is_in_the_way, name, &err);

    if (r < 0)
        return end_with_error(self, err);
    if (r == 0)
        return STEP_DONE;
    (void)snprintf(
        self->text, sizeof(self->text),
        "the workspace is no clone and not empty (\"%s\" is there): nothing is overwritten; "
        "empty it, or take spec.workspace.repo away",
        name);
    return AK_VERDICT_WORKSPACE_NOT_EMPTY;
}

/* What a failed git command means, its output attached. */
static enum ak_verdict end_with_git(struct ak_clone *self, int r, const struct ak_error *err)
{
    AK_AUTO_TEXT char *url = ak_repo_url_for_display(self->settings->repo_url);

    if (r == -ETIMEDOUT || r == AK_E_CANCELLED) {
        self->tail = ak_git_output(&self->git);
        return end_with(self,
                        r == -ETIMEDOUT ? AK_VERDICT_CLONE_TIMEOUT : AK_VERDICT_INTERNAL_ERROR,
                        ak_error_message(err));
    }
    if (r == AK_E_NOT_FOUND) {
        self->tail = ak_git_output(&self->git);
        return end_with(self, AK_VERDICT_REF_NOT_FOUND, ak_error_message(err));
    }
    if (r < 0)
        return end_with_error(self, err);
    self->tail = ak_git_output(&self->git);
    (void)snprintf(self->text, sizeof(self->text), "git could not clone \"%.600s\" (exit code %d)",
                   url ? url : "", r);
    return AK_VERDICT_CLONE_FAILED;
}

/* All data first, then the file that says so: a node may lose power. */
static int mark_complete(struct ak_clone *self, const char *what)
{
    int dir = open(self->tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd = -1, r = 0;

    if (dir < 0)
        return -errno;
    (void)syncfs(dir);
    (void)close(dir);
    fd = open(self->complete, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return -errno;
    if (write(fd, what, strlen(what)) != (ssize_t)strlen(what) || fsync(fd) < 0)
        r = -EIO;
    (void)close(fd);
    return r;
}

static enum ak_verdict make_clone(struct ak_clone *self)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    char what[AK_CHECKOUT_TEXT];
    const char *const args[] = {
        "clone", "--no-checkout", "--", self->settings->repo_url, self->tree, NULL};
    int r = 0;

    if (mkdir(self->staging, 0755) < 0) {
        r = ak_error_set(&err, -errno, "cannot write into the workspace \"%s\": %s",
                         self->settings->workspace, ak_code_text(-errno));
        return end_with_error(self, err);
    }
    r = ak_git_run(&self->git, "/", true, args, &err);
    if (r == 0)
        r = ak_checkout(&self->git, self->tree, self->ref, what, &err);
    if (r != 0)
        return end_with_git(self, r, err);
    r = mark_complete(self, what);
    if (r < 0) {
        (void)ak_error_set(&err, r, "cannot write \"%s\": %s", self->complete, ak_code_text(r));
        return end_with_error(self, err);
    }
    return finish(self);
}

/* ---- all of it ---- */

static int init(struct ak_clone *self, struct ak_error **reterr)
{
    const struct ak_settings *settings = self->settings;
    enum ak_transport transport = AK_TRANSPORT_OTHER;
    int r = ak_repo_url_check(settings->repo_url, &transport, reterr);

    if (r >= 0)
        r = ak_checkout_check_ref(settings->repo_ref, reterr);
    if (r >= 0 && settings->repo_secret_dir[0])
        r = ak_credential_check(settings->repo_secret_dir, transport, reterr);
    if (r < 0)
        return r;
    if (settings->repo_secret_dir[0] && ak_has_prefix(settings->repo_url, "http://"))
        ak_warn("agentlet", "the credential travels unencrypted: use an https:// URL");
    if (access(settings->workspace, R_OK | W_OK | X_OK) < 0)
        return ak_error_set(reterr, -EINVAL, "AGENTKUBE_WORKSPACE \"%s\": %s", settings->workspace,
                            ak_code_text(-errno));
    self->staging = ak_asprintf("%s/" STAGING, settings->workspace);
    self->tree = ak_asprintf("%s/" STAGING "/tree", settings->workspace);
    self->complete = ak_asprintf("%s/" STAGING "/complete", settings->workspace);
    if (!self->staging || !self->tree || !self->complete)
        return ak_error_oom(reterr);
    return ak_git_init(&self->git, settings, transport, reterr);
}

enum ak_verdict ak_clone_run(struct ak_clone *self, const struct ak_settings *settings)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    enum ak_verdict verdict = STEP_DONE;
    int r = 0;

    self->settings = settings;
    self->ref = settings->repo_ref;
    r = init(self, &err);
    if (r == -ENOENT)
        return end_with(self, AK_VERDICT_GIT_MISSING, ak_error_message(err));
    if (r < 0)
        return end_with_error(self, err);
    if (exists(self->staging, "complete"))
        return finish(self);
    if (ak_tree_remove(self->staging, &err) < 0)
        return end_with_error(self, err);
    if (exists(settings->workspace, ".git"))
        return check_origin(self);
    verdict = check_empty(self);
    return verdict == STEP_DONE ? make_clone(self) : verdict;
}

void ak_clone_done(struct ak_clone *self)
{
    ak_git_done(&self->git);
    ak_free(self->staging);
    ak_free(self->tree);
    ak_free(self->complete);
    *self = (struct ak_clone){0};
}
