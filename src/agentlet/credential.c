/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/credential.h"

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_USER "x-access-token" /* any text will do where a token is the password */

bool ak_credential_has(const char *dir, const char *key)
{
    AK_AUTO_TEXT char *path = ak_asprintf("%s/%s", dir, key);

    return path && access(path, R_OK) == 0;
}

static int check_http(const char *dir, struct ak_error **reterr)
{
    if (ak_credential_has(dir, "token"))
        return 0;
    if (ak_credential_has(dir, "password") && ak_credential_has(dir, "username"))
        return 0;
    return ak_error_set(reterr, -EINVAL,
                        "the repository's Secret has no key \"token\", and not both \"username\" "
                        "and \"password\", for an HTTP URL");
}

int ak_credential_check(const char *dir, enum ak_transport transport, struct ak_error **reterr)
{
    if (access(dir, R_OK | X_OK) < 0)
        return ak_error_set(reterr, -EINVAL, "AGENTKUBE_REPO_SECRET_DIR \"%s\": %s", dir,
                            ak_code_text(-errno));
    if (transport == AK_TRANSPORT_HTTP)
        return check_http(dir, reterr);
    if (transport == AK_TRANSPORT_SSH && !ak_credential_has(dir, "ssh-privatekey"))
        return ak_error_set(reterr, -EINVAL,
                            "the repository's Secret has no key \"ssh-privatekey\" for an SSH URL");
    return 0;
}

/* Without the newline that an editor or `echo` left at the end. */
static int read_key(const char *dir, const char *key, struct ak_buf *out)
{
    AK_AUTO_TEXT char *path = ak_asprintf("%s/%s", dir, key);
    int r = path ? ak_buf_add_file(out, path) : -ENOMEM;

    while (r >= 0 && out->len > 0 && strchr("\r\n", out->data[out->len - 1]))
        out->data[--out->len] = '\0';
    return r;
}

static int answer_user(const char *dir, struct ak_buf *out)
{
    int r = read_key(dir, "username", out);

    return r == -ENOENT ? ak_buf_adds(out, DEFAULT_USER) : r;
}

static int answer_password(const char *dir, struct ak_buf *out)
{
    int r = read_key(dir, "password", out);

    return r == -ENOENT ? read_key(dir, "token", out) : r;
}

/* What stands between the first and the last quote of the prompt. */
static char *quoted_url(const char *prompt)
{
    const char *from = strchr(prompt, '\'');
    const char *end = strrchr(prompt, '\'');

    return from && end > from ? ak_strndup(from + 1, (size_t)(end - from - 1)) : NULL;
}

int ak_credential_answer(const char *dir, const char *url, const char *prompt, struct ak_buf *out)
{
    static const struct {
        const char *prompt;
        int (*answer)(const char *dir, struct ak_buf *out);
    } answers[] = {{"Username for ", answer_user}, {"Password for ", answer_password}};
    AK_AUTO_TEXT char *asked = quoted_url(prompt);

    if (!asked)
        return -EINVAL;
    if (!ak_repo_url_is_same_server(url, asked))
        return -EPERM;
    for (size_t i = 0; i < AK_ARRAY_LEN(answers); i++)
        if (ak_has_prefix(prompt, answers[i].prompt))
            return answers[i].answer(dir, out);
    return -EINVAL;
}
