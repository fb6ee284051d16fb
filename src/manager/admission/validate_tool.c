/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/text.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "engines/policy.h"
#include "manager/admission/validate.h"

#define TEXT_MAX 512 /* of a list of fields in a message */

static const struct ak_tool_config no_config;

/* The fields of some bits, as in "url and hostname" or "hostname, port, ...". */
static const char *fields_of(uint32_t fields, const char *between, char buf[TEXT_MAX])
{
    size_t len = 0;

    buf[0] = '\0';
    for (unsigned i = 0; i < AK_CONFIG_FIELD_MAX; i++) {
        if (!(fields & AK_USES(i)))
            continue;
        int n = snprintf(buf + len, TEXT_MAX - len, "%s%s", len ? between : "",
                         ak_config_field_name((enum ak_config_field)i));
        if (n > 0 && (size_t)n < TEXT_MAX - len)
            len += (size_t)n;
    }
    return buf;
}

/* What has no effect is refused: it looks as if it had one. */
static void check_fields(const struct ak_engine_info *info, const struct ak_tool_config *config,
                         struct ak_findings *f)
{
    uint32_t unused = ak_config_fields(config) & ~info->config &
                      ~AK_USES(AK_CONFIG_IMAGE); /* see check_images() */
    char text[TEXT_MAX];

    for (unsigned i = 0; i < AK_CONFIG_FIELD_MAX; i++)
        if (unused & AK_USES(i))
            ak_refuse(f,
                      ak_path(f, "spec.config.%s", ak_config_field_name((enum ak_config_field)i)),
                      "is not used by type %s; remove it (%s uses %s)", info->name, info->name,
                      fields_of(info->config, ", ", text));
}

static void check_place(const struct ak_engine_info *info, const struct ak_tool_config *config,
                        struct ak_findings *f)
{
    uint32_t has = ak_config_fields(config) & info->places;
    char text[TEXT_MAX];

    if (!info->places || (has && !(has & (has - 1))))
        return;
    (void)fields_of(info->places, " and ", text);
    if (info->places & (info->places - 1))
        ak_refuse(f, "spec.config", "must have exactly one of %s for type %s", text, info->name);
    else
        ak_refuse(f, ak_path(f, "spec.config.%s", text), "must be set for type %s", info->name);
}

static void check_images(const struct ak_tool_spec *spec, const struct ak_tool_config *config,
                         struct ak_findings *f)
{
    bool custom = spec->type == AK_TOOL_TYPE_CUSTOM;

    if (spec->image && config->image)
        ak_refuse(f, "spec.config.image", "means the same as spec.image; set one of them");
    if (!ak_tool_image(spec) && !ak_engine_info(spec->type)->image)
        ak_refuse(f, custom ? "spec.config.image" : "spec.image",
                  "must be set, because type %s has no image of its own",
                  ak_tool_type_to_string(spec->type));
    if (!custom && config->image)
        ak_refuse(f, "spec.config.image", "is for type custom; spec.image pins any type's bastion");
    ak_check_image(f, "spec.image", spec->image);
    ak_check_image(f, "spec.config.image", config->image);
}

static bool is_credential_header(const char *name)
{
    static const char *const names[] = {"Authorization", "Proxy-Authorization", "Cookie",
                                        "X-Api-Key"};

    for (size_t i = 0; i < AK_ARRAY_LEN(names); i++)
        if (strcasecmp(names[i], name) == 0)
            return true;
    return false;
}

static void check_plain_values(const struct ak_tool_config *config, struct ak_findings *f)
{
    for (size_t i = 0; i < config->headers.len; i++)
        if (is_credential_header(config->headers.items[i].key))
            ak_refuse(f, ak_path(f, "spec.config.headers[%s]", config->headers.items[i].key),
                      "holds a credential that everybody who may read the Tool reads; use "
                      "credentialsRef");
    for (size_t i = 0; i < config->env.len; i++)
        if (ak_has_prefix(config->env.items[i].name, "AGENTKUBE_"))
            ak_refuse(f, ak_path(f, "spec.config.env[%zu].name", i),
                      "\"%s\" is reserved: AGENTKUBE_ names are the manager's",
                      config->env.items[i].name);
    for (size_t i = 0; i < config->brokers.len; i++) {
        const char *colon = strrchr(config->brokers.items[i], ':');
        uint16_t port = 0;
        if (!colon || ak_parse_u16(colon + 1, &port) < 0 || !port)
            ak_refuse(f, ak_path(f, "spec.config.brokers[%zu]", i),
                      "\"%s\" must be host:port with a port from 1 to 65535",
                      config->brokers.items[i]);
    }
}

static bool is_connection_header(const char *name)
{
    static const char *const names[] = {"Host",    "Connection", "Content-Length",
                                        "Upgrade", "Trailer",    "Transfer-Encoding"};

    for (size_t i = 0; i < AK_ARRAY_LEN(names); i++)
        if (strcasecmp(names[i], name) == 0)
            return true;
    return false;
}

static void check_tls(const struct ak_tool_spec *spec, const struct ak_engine_info *info,
                      const struct ak_tool_config *config, struct ak_findings *f)
{
    const struct ak_tool_tls *tls = spec->tls;
    const struct ak_secret_key_ref *a = tls ? tls->ca_ref : NULL, *b = config->ca_ref;

    if (!tls)
        return;
    if (!(info->config & AK_USES(AK_CONFIG_SSL_MODE)))
        ak_refuse(f, "spec.tls", "is not used by type %s; remove it", info->name);
    if (tls->mode != AK_SSL_MODE_UNSET && config->ssl_mode != AK_SSL_MODE_UNSET &&
        tls->mode != config->ssl_mode)
        ak_refuse(f, "spec.tls.mode", "means the same as spec.config.sslMode, and they differ");
    if (a && b && (!ak_streq(a->name, b->name) || !ak_streq(a->key, b->key)))
        ak_refuse(f, "spec.tls.caRef", "means the same as spec.config.caRef, and they differ");
}

static void check_trust(const struct ak_tool_spec *spec, const struct ak_tool_config *config,
                        struct ak_findings *f)
{
    bool own_mode = spec->tls && spec->tls->mode != AK_SSL_MODE_UNSET;

    ak_check_clear_text(f, "spec.config.url", config->url, config->credentials_ref != NULL);
    if (ak_tool_ssl_mode(spec) == AK_SSL_MODE_DISABLE && config->credentials_ref)
        ak_warn_of(f, own_mode ? "spec.tls.mode" : "spec.config.sslMode",
                   "the credential goes over the network in clear text; use verify-full");
    if (spec->type == AK_TOOL_TYPE_SSH && !config->host_key)
        ak_warn_of(f, "spec.config.hostKey",
                   "is not set, so no session can begin: a server is never trusted at first sight "
                   "(ssh-keyscan prints its key)");
    if (spec->type == AK_TOOL_TYPE_ORACLE && config->database_name && config->service_name)
        ak_refuse(f, "spec.config.serviceName", "and databaseName exclude each other");
    if (config->credential_header && config->username)
        ak_refuse(f, "spec.config.credentialHeader",
                  "and username exclude each other: a name and a password go into Authorization");
    if (config->credential_header && is_connection_header(config->credential_header))
        ak_refuse(f, "spec.config.credentialHeader", "\"%s\" belongs to the connection",
                  config->credential_header);
    uint64_t number = 0;
    if (spec->type == AK_TOOL_TYPE_REDIS && config->database_name &&
        ak_parse_u64(config->database_name, &number) < 0)
        ak_refuse(f, "spec.config.databaseName", "\"%s\" must be a number for type redis",
                  config->database_name);
}

/*
 * What nobody can enforce is refused: a policy that does nothing looks like one that holds. What only lacks something
 * that can still be added is a warning here and a condition of the Tool, which refuses sessions until then.
 */
static void check_enforceable(const struct ak_tool_spec *spec, struct ak_findings *f)
{
    const char *const *list = NULL;

    if (ak_policy_enforceable(spec, f->arena, &list, NULL) < 0) {
        f->oom = true;
        return;
    }
    for (; *list; list++) {
        size_t len = strcspn(*list, ":");
        const char *path = ak_path(f, "%.*s", (int)len, *list);
        const char *message = *list + len + ((*list)[len] ? 2 : 0);
        if (ak_streq(path, "spec.permissions.adminCredentialsRef") ||
            (spec->type == AK_TOOL_TYPE_KUBERNETES && ak_streq(path, "spec.permissions.rules")))
            ak_warn_of(f, path, "%s; until then every session is refused", message);
        else
            ak_refuse(f, path, "%s", message);
    }
}

static void check_grants(const struct ak_tool_spec *spec, struct ak_findings *f)
{
    const struct ak_tool_permissions *p = spec->permissions;

    for (size_t i = 0; i < p->grants.len && p->read_only; i++)
        for (size_t n = 0; n < p->grants.items[i].privileges.len; n++)
            if (ak_privilege_class(spec->type, p->grants.items[i].privileges.items[n]) !=
                AK_CLASS_READ)
                ak_warn_of(f, ak_path(f, "spec.permissions.grants[%zu].privileges[%zu]", i, n),
                           "\"%s\" is not granted, because readOnly is true",
                           p->grants.items[i].privileges.items[n]);
}

static void check_rules(const struct ak_tool_permissions *p, struct ak_findings *f)
{
    if (p->cluster_wide && p->namespaces.len)
        ak_refuse(f, "spec.permissions", "must have at most one of namespaces and clusterWide");
    for (size_t i = 0; i < p->rules.len; i++) {
        const struct ak_tool_policy_rule *rule = &p->rules.items[i];
        if (!rule->resources.len)
            ak_refuse(f, ak_path(f, "spec.permissions.rules[%zu].resources", i), "must be set");
        if (ak_string_list_has(&rule->verbs, "*") && ak_string_list_has(&rule->resources, "*"))
            ak_warn_of(f, ak_path(f, "spec.permissions.rules[%zu]", i),
                       "allows everything; list the verbs and resources that are needed");
    }
}

static void check_permissions(const struct ak_tool_spec *spec, const struct ak_tool_config *config,
                              struct ak_findings *f)
{
    const struct ak_tool_permissions *p = spec->permissions;

    if (!p)
        return;
    check_enforceable(spec, f);
    check_grants(spec, f);
    check_rules(p, f);
    const struct ak_secret_key_ref *admin = p->admin_credentials_ref;
    const struct ak_secret_key_ref *own = config->credentials_ref;
    if (p->admin_username && !admin)
        ak_refuse(f, "spec.permissions.adminUsername", "has no password: set adminCredentialsRef");
    if (admin && own && ak_streq(admin->name, own->name) && ak_streq(admin->key, own->key))
        ak_warn_of(f, "spec.permissions.adminCredentialsRef",
                   "is the same as spec.config.credentialsRef: a session may then do what an "
                   "administrator may");
}

static void check_limits(const struct ak_tool_spec *spec, struct ak_findings *f)
{
    const struct ak_tool_limits *limits = spec->limits;
    int64_t milli = 0;
    ak_msec span = 0;

    ak_check_duration(f, "spec.idleTimeout", spec->idle_timeout);
    ak_check_duration(f, "spec.approval.timeout", spec->approval ? spec->approval->timeout : NULL);
    ak_check_duration(f, "spec.recording.retention",
                      spec->recording ? spec->recording->retention : NULL);
    if (!limits)
        return;
    ak_check_duration(f, "spec.limits.timeout", limits->timeout);
    ak_check_quantity(f, "spec.limits.maxBytes", limits->max_bytes);
    if (limits->timeout && ak_parse_duration(limits->timeout, &span) == 0 &&
        span > (ak_msec)3600 * 1000)
        ak_refuse(f, "spec.limits.timeout", "\"%s\" must be at most 1h", limits->timeout);
    if (limits->max_bytes && ak_parse_quantity(limits->max_bytes, &milli) == 0 &&
        milli > (int64_t)(8 << 20) * 1000)
        ak_refuse(f, "spec.limits.maxBytes", "\"%s\" must be at most 8Mi", limits->max_bytes);
}

void ak_validate_tool(const struct ak_tool_spec *spec, struct ak_findings *findings)
{
    const struct ak_tool_config *config = spec->config ? spec->config : &no_config;
    const struct ak_engine_info *info = ak_engine_info(spec->type);

    if (!info) /* the schema requires it */
        return;
    check_fields(info, config, findings);
    check_place(info, config, findings);
    check_images(spec, config, findings);
    check_plain_values(config, findings);
    check_tls(spec, info, config, findings);
    check_trust(spec, config, findings);
    check_permissions(spec, config, findings);
    check_limits(spec, findings);
    ak_check_resources(findings, "spec.resources", spec->resources);
}
