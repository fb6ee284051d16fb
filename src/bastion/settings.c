/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/settings.h"

#include <string.h>

#include <ak/base/text.h>
#include <ak/json/decode.h>
#include <ak/json/json.h>

#define DEFAULT_ROWS 1000
#define DEFAULT_BYTES (1 << 20)
#define MOST_BYTES (8 << 20)
#define DEFAULT_SESSIONS 10
#define DEFAULT_TIMEOUT AK_SECONDS(60)
#define DEFAULT_IDLE AK_MINUTES(15)
#define SERVE_UID "65533"

enum kind { TEXT, PATH, LISTEN, NUMBER };

/* For whom a variable must be set: bits of 1 << enum ak_settings_for. */
#define NEEDED_BY(what) (1u << (what))

struct setting {
    const char *name, *fallback;
    enum kind kind;
    size_t
        offset; /* of a const char *; for LISTEN of a struct ak_listen, for NUMBER of a uint32_t */
    unsigned needed;
};

#define AT(member) offsetof(struct ak_bastion_settings, member)

static const struct setting settings[] = {
    {"AGENTKUBE_POD_UID", "", TEXT, AT(pod_uid), NEEDED_BY(AK_SETTINGS_SERVE)},
    {"AGENTKUBE_MANAGER_CA", "", TEXT, AT(manager_ca), NEEDED_BY(AK_SETTINGS_SERVE)},
    {"AGENTKUBE_MANAGER_NAME", "agentkube-manager", TEXT, AT(manager_name), 0},
    {"AGENTKUBE_TOKEN_FILE", "/agentkube/token/token", PATH, AT(token_file), 0},
    {"AGENTKUBE_LINK", "/agentkube/link", PATH, AT(target.link_dir), 0},
    {"AGENTKUBE_CREDENTIAL_DIR", "/agentkube/credential", PATH, AT(target.credential_dir), 0},
    {"AGENTKUBE_IDENTITY_DIR", "/agentkube/identity", PATH, AT(target.identity_dir), 0},
    {"AGENTKUBE_ADMIN_DIR", "/agentkube/admin", PATH, AT(target.admin_dir), 0},
    {"AGENTKUBE_RESULT_FILE", "/dev/termination-log", PATH, AT(result_file), 0},
    {"AGENTKUBE_RELAY_LISTEN", ":8084", LISTEN, AT(relay), 0},
    {"AGENTKUBE_PROBE_LISTEN", ":8086", LISTEN, AT(probe), 0},
    {"AGENTKUBE_SERVE_UID", SERVE_UID, NUMBER, AT(serve_uid), 0},
};

static int set_number(const struct setting *s, const char *value, char *field,
                      struct ak_error **reterr)
{
    uint64_t number = 0;

    if (ak_parse_u64(value, &number) < 0 || number > UINT32_MAX)
        return ak_error_set(reterr, -EINVAL, "%s \"%s\": must be a number", s->name, value);
    *(uint32_t *)(void *)field = (uint32_t)number;
    return 0;
}

static int set_one(const struct setting *s, const char *value, bool needed,
                   struct ak_bastion_settings *ret, struct ak_error **reterr)
{
    char *field = (char *)ret + s->offset;

    if (needed && !*value)
        return ak_error_set(reterr, -EINVAL, "%s: must be set", s->name);
    if (s->kind == LISTEN) {
        if (ak_listen_parse(value, (struct ak_listen *)(void *)field) < 0)
            return ak_error_set(reterr, -EINVAL,
                                "%s \"%s\": must be ADDRESS:PORT, or :PORT for all addresses",
                                s->name, value);
        return 0;
    }
    if (s->kind == NUMBER)
        return set_number(s, value, field, reterr);
    if (s->kind == PATH && value[0] != '/')
        return ak_error_set(reterr, -EINVAL, "%s \"%s\": must be an absolute path", s->name, value);
    *(const char **)(void *)field = value;
    return 0;
}

static int copy_text(const json_t *tree, const char *name, struct ak_arena *arena, const char **ret,
                     struct ak_error **reterr)
{
    const char *text = ak_json_text(tree, name, NULL);

    if (ak_is_empty(text))
        return ak_error_set(reterr, -EINVAL, "AGENTKUBE_TOOL: has no %s", name);
    *ret = ak_arena_strdup(arena, text);
    return *ret ? 0 : ak_error_oom(reterr);
}

static ak_msec duration_of(const char *text, ak_msec fallback)
{
    ak_msec out = 0;

    return text && ak_parse_duration(text, &out) >= 0 && out > 0 ? out : fallback;
}

static int64_t bytes_of(const char *text)
{
    int64_t milli = 0;

    if (!text || ak_parse_quantity(text, &milli) < 0 || milli < 1000)
        return DEFAULT_BYTES;
    return AK_MIN(milli / 1000, (int64_t)MOST_BYTES);
}

static void use_spec(struct ak_bastion_settings *self, const struct ak_tool_spec *spec)
{
    const struct ak_tool_limits *limits = spec->limits;

    self->idle_timeout = duration_of(spec->idle_timeout, DEFAULT_IDLE);
    self->max_session = spec->max_session_seconds > 0 ? AK_SECONDS(spec->max_session_seconds) : 0;
    self->max_sessions = spec->max_sessions > 0 ? (size_t)spec->max_sessions : DEFAULT_SESSIONS;
    self->max_rows = limits && limits->max_rows > 0 ? limits->max_rows : DEFAULT_ROWS;
    self->max_bytes = bytes_of(limits ? limits->max_bytes : NULL);
    self->timeout = duration_of(limits ? limits->timeout : NULL, DEFAULT_TIMEOUT);
    self->recording = !spec->recording || spec->recording->enabled;
}

static int read_tool(const char *text, struct ak_arena *arena, struct ak_bastion_settings *ret,
                     struct ak_error **reterr)
{
    struct ak_tool_spec *spec = ak_arena_alloc(arena, sizeof(*spec));
    AK_AUTO_JSON *tree = NULL;
    struct ak_target *target = &ret->target;
    int r;

    if (!spec)
        return ak_error_oom(reterr);
    if (ak_is_empty(text))
        return ak_error_set(reterr, -EINVAL, "AGENTKUBE_TOOL: must be set");
    r = ak_json_parse(text, strlen(text), &tree, reterr);
    if (r >= 0)
        r = ak_decode(&ak_tool_spec_type, json_object_get(tree, "spec"), spec, arena, reterr);
    if (r < 0)
        return ak_error_wrap(reterr, r, "AGENTKUBE_TOOL");
    target->spec = spec;
    target->info = ak_engine_info(spec->type);
    if (!target->info)
        return ak_error_set(reterr, -EINVAL, "AGENTKUBE_TOOL: spec.type: must be set");
    ret->generation = json_integer_value(json_object_get(tree, "generation"));
    r = copy_text(tree, "namespace", arena, &target->ns, reterr);
    if (r >= 0)
        r = copy_text(tree, "name", arena, &target->name, reterr);
    if (r >= 0)
        r = copy_text(tree, "uid", arena, &target->uid, reterr);
    use_spec(ret, spec);
    return r;
}

int ak_bastion_settings_read(enum ak_settings_for what, ak_bastion_lookup_fn lookup, void *user,
                             struct ak_arena *arena, struct ak_bastion_settings *ret,
                             struct ak_error **reterr)
{
    struct ak_bastion_settings out = {0};
    int r = 0;

    for (size_t i = 0; r >= 0 && i < AK_ARRAY_LEN(settings); i++) {
        const char *value = lookup(settings[i].name, user);

        r = set_one(&settings[i], value && *value ? value : settings[i].fallback,
                    settings[i].needed & NEEDED_BY(what), &out, reterr);
    }
    if (r >= 0 && what != AK_SETTINGS_CLIENT)
        r = read_tool(lookup("AGENTKUBE_TOOL", user), arena, &out, reterr);
    if (r < 0)
        return r;
    *ret = out;
    return 0;
}
