/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/settings.h"

#include <ak/base/text.h>
#include <stddef.h>

enum kind { TEXT, PATH, SECONDS, NUMBER, MODE };

struct setting {
    const char *name;
    const char *fallback;
    enum kind kind;
    size_t offset; /* of a const char *; for SECONDS of an ak_msec, for NUMBER of an uint64_t */
    uint64_t min;
    uint64_t max;
};

#define AT(member) offsetof(struct ak_settings, member)

static const struct setting settings[] = {
    {"AGENTKUBE_TERMINATION_LOG", "/dev/termination-log", PATH, AT(termination_log), 0, 0},
    {"AGENTKUBE_AGENT_NAME", "", TEXT, AT(agent_name), 0, 0},
    {"AGENTKUBE_AGENT_NAMESPACE", "", TEXT, AT(agent_namespace), 0, 0},
    {"AGENTKUBE_RUNTIME", "", TEXT, AT(runtime), 0, 0},
    {"AGENTKUBE_SETUP_COMMAND", "", TEXT, AT(setup_command), 0, 0},
    {"AGENTKUBE_SETUP_TIMEOUT_SECONDS", "600", SECONDS, AT(setup_timeout), 1, 86400},
    {"AGENTKUBE_GRACE_SECONDS", "10", SECONDS, AT(grace), 0, 3600},
    {"AGENTKUBE_LISTEN", ":8083", TEXT, AT(listen), 0, 0},
    {"AGENTKUBE_STATE_DIR", "/agentkube/run", PATH, AT(state_dir), 0, 0},
    {"AGENTKUBE_WORKSPACE", "/workspace", PATH, AT(workspace), 0, 0},
    {"AGENTKUBE_REPO_URL", "", TEXT, AT(repo_url), 0, 0},
    {"AGENTKUBE_REPO_REF", "", TEXT, AT(repo_ref), 0, 0},
    {"AGENTKUBE_REPO_SECRET_DIR", "", PATH, AT(repo_secret_dir), 0, 0},
    {"AGENTKUBE_REPO_TIMEOUT_SECONDS", "900", SECONDS, AT(repo_timeout), 1, 86400},
    {"TMPDIR", "/tmp", PATH, AT(temp_dir), 0, 0},
    {"HOME", "", TEXT, AT(home), 0, 0},
    {"AGENTKUBE_MODE", "supervised", MODE, AT(mode), 0, 0},
    {"AGENTKUBE_PROVIDER", "", TEXT, AT(provider), 0, 0},
    {"AGENTKUBE_MODEL", "", TEXT, AT(model), 0, 0},
    {"AGENTKUBE_MODEL_URL", "", TEXT, AT(model_url), 0, 0},
    {"AGENTKUBE_MCP_URL", "", TEXT, AT(mcp_url), 0, 0},
    {"AGENTKUBE_RUN_COMMAND", "", TEXT, AT(run_command), 0, 0},
    {"AGENTKUBE_GOAL_FILE", "", PATH, AT(goal_file), 0, 0},
    {"AGENTKUBE_RUN_MAX_QUEUED", "10", NUMBER, AT(run_max_queued), 0, 1000},
    {"AGENTKUBE_RUN_MAX_RETAINED", "20", NUMBER, AT(run_max_retained), 0, 1000},
    {"AGENTKUBE_LINK", "", PATH, AT(link), 0, 0},
    {"AGENTKUBE_KEEPER_UID", "", NUMBER, AT(keeper_uid), 0, UINT32_MAX - 1},
    {"AGENTKUBE_CGROUP", "/sys/fs/cgroup", PATH, AT(cgroup), 0, 0},
};

static int set_seconds(const struct setting *s, const char *value, ak_msec *ret,
                       struct ak_error **reterr)
{
    uint64_t seconds = 0;

    if (ak_parse_u64(value, &seconds) < 0 || seconds < s->min || seconds > s->max)
        return ak_error_set(reterr, -EINVAL, "%s \"%s\": must be a number of seconds, %d-%d",
                            s->name, value, (int)s->min, (int)s->max);
    *ret = AK_SECONDS((int64_t)seconds);
    return 0;
}

static int set_number(const struct setting *s, const char *value, uint64_t *ret,
                      struct ak_error **reterr)
{
    uint64_t number = 0;

    if (ak_parse_u64(value, &number) < 0 || number < s->min || number > s->max)
        return ak_error_set(reterr, -EINVAL, "%s \"%s\": must be a number, %llu-%llu", s->name,
                            value, (unsigned long long)s->min, (unsigned long long)s->max);
    *ret = number;
    return 0;
}

static int set_one(const struct setting *s, const char *value, struct ak_settings *ret,
                   struct ak_error **reterr)
{
    char *field = (char *)ret + s->offset;

    if (s->kind == SECONDS)
        return set_seconds(s, value, (ak_msec *)(void *)field, reterr);
    if (s->kind == NUMBER)
        return set_number(s, value, (uint64_t *)(void *)field, reterr);
    if (s->kind == MODE && !ak_streq(value, "supervised") && !ak_streq(value, "system"))
        return ak_error_set(reterr, -EINVAL, "%s \"%s\": must be supervised or system", s->name,
                            value);
    if (s->kind == PATH && *value && value[0] != '/')
        return ak_error_set(reterr, -EINVAL, "%s \"%s\": must be an absolute path", s->name, value);
    *(const char **)(void *)field = value;
    return 0;
}

int ak_settings_read(ak_settings_lookup_fn lookup, void *user, struct ak_settings *ret,
                     struct ak_error **reterr)
{
    *ret = (struct ak_settings){.keeper_uid = AK_SETTINGS_NO_UID};
    for (size_t i = 0; i < AK_ARRAY_LEN(settings); i++)
        (void)set_one(&settings[i], settings[i].fallback, ret, NULL);
    for (size_t i = 0; i < AK_ARRAY_LEN(settings); i++) {
        const char *value = lookup(settings[i].name, user);
        int r = ak_is_empty(value) ? 0 : set_one(&settings[i], value, ret, reterr);

        if (r < 0)
            return r;
    }
    return 0;
}
