/* SPDX-License-Identifier: Apache-2.0 */
/* exo agent pause, exo agent resume */
#include "exo/output.h"
#include "exo/proxy.h"
#include "exo/verbs.h"

static int switch_agent(struct ak_exo *self, const char *verb, const char *done,
                        struct ak_error **reterr)
{
    AK_AUTO(ak_buf) path = AK_BUF_INIT(AK_PROXY_MAX_PATH);
    const char *agent = self->options->args[0];

    if (ak_buf_adds(&path, "/namespaces/") < 0 || ak_buf_add_url_escaped(&path, self->ns) < 0 ||
        ak_buf_adds(&path, "/agents/") < 0 || ak_buf_add_url_escaped(&path, agent) < 0 ||
        ak_buf_addf(&path, "/%s", verb) < 0)
        return ak_error_set(reterr, -EINVAL, "\"%s\": not a name", agent);
    const struct ak_proxy_call call = {.method = "POST", .path = ak_buf_text(&path)};
    int r = ak_proxy_do(self, &call, NULL, reterr);
    if (r >= 0)
        r = ak_output_line(reterr, "agent.agentkube.io/%s %s", agent, done);
    return r < 0 ? r : AK_EXIT_OK;
}

int ak_verb_pause(struct ak_exo *self, struct ak_error **reterr)
{
    return switch_agent(self, "pause", "paused", reterr);
}

int ak_verb_resume(struct ak_exo *self, struct ak_error **reterr)
{
    return switch_agent(self, "resume", "resumed", reterr);
}
