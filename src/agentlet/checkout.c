/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/checkout.h"

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <stdio.h>
#include <string.h>

#define MAX_REF 255
#define MIN_COMMIT 7  /* what git shows; less is hardly ever unique */
#define MAX_COMMIT 64 /* SHA-256 */
#define FULL_COMMIT 40

int ak_checkout_check_ref(const char *ref, struct ak_error **reterr)
{
    size_t len = strlen(ref);

    for (size_t i = 0; i < len && len <= MAX_REF; i++)
        if (ref[i] <= ' ' || ref[i] == 0x7f || strchr("~^:?*[\\", ref[i]))
            len = MAX_REF + 1;
    if (len > MAX_REF || ref[0] == '-' || strstr(ref, "..") || strstr(ref, "@{"))
        return ak_error_set(reterr, -EINVAL,
                            "AGENTKUBE_REPO_REF \"%.*s\": must be a branch, a tag or a commit",
                            MAX_REF, ref);
    return 0;
}

static bool is_commit(const char *ref)
{
    size_t len = strlen(ref);

    return len >= MIN_COMMIT && len <= MAX_COMMIT && strspn(ref, "0123456789abcdef") == len;
}

/* 0: `prefix``ref` is a commit in the clone. Positive: it is not. */
static int find(struct ak_git *git, const char *tree, const char *prefix, const char *ref,
                struct ak_error **reterr)
{
    AK_AUTO_TEXT char *what = ak_asprintf("%s%s^{commit}", prefix, ref);
    const char *const args[] = {"rev-parse", "--quiet", "--verify", what, NULL};

    return what ? ak_git_run(git, tree, false, args, reterr) : ak_error_oom(reterr);
}

static int check_out_branch(struct ak_git *git, const char *tree, const char *branch,
                            struct ak_error **reterr)
{
    AK_AUTO_TEXT char *remote = ak_asprintf("refs/remotes/origin/%s", branch);
    const char *const args[] = {"checkout", "--quiet", "-B", branch, "--track", remote, NULL};

    return remote ? ak_git_run(git, tree, true, args, reterr) : ak_error_oom(reterr);
}

static int check_out_detached(struct ak_git *git, const char *tree, const char *prefix,
                              const char *ref, struct ak_error **reterr)
{
    AK_AUTO_TEXT char *what = ak_asprintf("%s%s", prefix, ref);
    const char *const args[] = {"checkout", "--quiet", "--detach", what, NULL};

    return what ? ak_git_run(git, tree, true, args, reterr) : ak_error_oom(reterr);
}

static int check_out_head(struct ak_git *git, const char *tree, struct ak_error **reterr)
{
    const char *const args[] = {"checkout", "--quiet", NULL};

    return ak_git_run(git, tree, true, args, reterr);
}

/*
 * What a clone does not bring: refs outside of branches and tags, commits that only the server
 * knows.
 */
static int fetch(struct ak_git *git, const char *tree, const char *ref, struct ak_error **reterr)
{
    const char *const args[] = {"fetch", "--quiet", "origin", ref, NULL};

    return ak_git_run(git, tree, true, args, reterr);
}

static int not_found(struct ak_git *git, const char *ref, struct ak_error **reterr)
{
    AK_AUTO_TEXT char *url = ak_repo_url_for_display(git->settings->repo_url);

    return ak_error_set(reterr, AK_E_NOT_FOUND,
                        "there is no branch, tag or commit \"%s\" in \"%s\"", ref,
                        url ? url : "the repository");
}

/* Tries the meanings of a ref in this order: branch, tag, commit, something to be fetched. */
static int check_out(struct ak_git *git, const char *tree, const char *ref,
                     struct ak_error **reterr)
{
    const char *branch = ak_has_prefix(ref, "refs/heads/") ? ref + strlen("refs/heads/") : ref;
    int r = find(git, tree, "refs/remotes/origin/", branch, reterr);

    if (r == 0)
        return check_out_branch(git, tree, branch, reterr);
    if (r > 0)
        r = find(git, tree, "refs/tags/", ref, reterr);
    if (r == 0)
        return check_out_detached(git, tree, "refs/tags/", ref, reterr);
    if (r > 0 && (is_commit(ref) || ak_has_prefix(ref, "refs/")))
        r = find(git, tree, "", ref, reterr);
    if (r == 0)
        return check_out_detached(git, tree, "", ref, reterr);
    if (r > 0 && (ak_has_prefix(ref, "refs/") || (is_commit(ref) && strlen(ref) >= FULL_COMMIT)))
        r = fetch(git, tree, ref, reterr);
    if (r == 0)
        return check_out_detached(git, tree, "", "FETCH_HEAD", reterr);
    return r < 0 ? r : not_found(git, ref, reterr);
}

/* One line of output of a git command, or "" if it failed. */
static int ask(struct ak_git *git, const char *tree, const char *const *args, char *ret,
               size_t size, struct ak_error **reterr)
{
    int r = ak_git_run(git, tree, false, args, reterr);
    const char *output = r == 0 ? ak_git_output(git) : "";

    if (r < 0)
        return r;
    (void)snprintf(ret, size, "%.*s", (int)strcspn(output, "\n"), output);
    return 0;
}

static int describe(struct ak_git *git, const char *tree, const char *ref,
                    char ret[static AK_CHECKOUT_TEXT], struct ak_error **reterr)
{
    const char *const commit_args[] = {"rev-parse", "--verify", "HEAD", NULL};
    const char *const branch_args[] = {"rev-parse", "--abbrev-ref", "HEAD", NULL};
    char commit[MAX_COMMIT + 1], branch[MAX_REF + 1];
    int r = ask(git, tree, commit_args, commit, sizeof(commit), reterr);

    if (r >= 0)
        r = ask(git, tree, branch_args, branch, sizeof(branch), reterr);
    if (r >= 0)
        (void)snprintf(ret, AK_CHECKOUT_TEXT, "%s at %s", ref[0] ? ref : branch, commit);
    return r;
}

int ak_checkout(struct ak_git *git, const char *tree, const char *ref,
                char ret[static AK_CHECKOUT_TEXT], struct ak_error **reterr)
{
    bool wants_default = !ref[0] || strcmp(ref, "HEAD") == 0;
    int r = 0;

    if (wants_default) {
        r = find(git, tree, "", "HEAD", reterr);
        if (r > 0) {
            (void)snprintf(ret, AK_CHECKOUT_TEXT, "the repository is empty");
            return 0;
        }
    }
    if (r == 0)
        r = wants_default ? check_out_head(git, tree, reterr) : check_out(git, tree, ref, reterr);
    return r == 0 ? describe(git, tree, wants_default ? "" : ref, ret, reterr) : r;
}
