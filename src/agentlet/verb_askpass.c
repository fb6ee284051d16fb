/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/credential.h"
#include "agentlet/verbs.h"

#include <ak/base/log.h>
#include <ak/base/text.h>
#include <stdlib.h>
#include <unistd.h>

static int print(const struct ak_buf *answer)
{
    ssize_t n = write(STDOUT_FILENO, ak_buf_text(answer), answer->len);

    return n == (ssize_t)answer->len ? 0 : 1;
}

int ak_verb_askpass(int argc, char **argv)
{
    AK_AUTO(ak_buf) answer = AK_BUF_INIT(AK_CREDENTIAL_MAX);
    const char *dir = getenv("AGENTKUBE_REPO_SECRET_DIR");
    const char *url = getenv("AGENTKUBE_REPO_URL");
    int r = 0;

    answer.wipe = true;
    if (argc != 2 || ak_is_empty(url))
        return 2;
    if (ak_is_empty(dir))
        return 1; /* git says that the server wants a credential */
    r = ak_credential_answer(dir, url, argv[1], &answer);
    if (r >= 0)
        r = ak_buf_adds(&answer, "\n");
    if (r == -EPERM)
        ak_warn("agentlet",
                "another server than the repository's asks for the credential: refused");
    return r < 0 ? 1 : print(&answer);
}
