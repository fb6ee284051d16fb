/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/text.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "manager/admission/validate.h"

/* Where a Tool of a type is. More than one bit: exactly one of them must be set. */
enum place {
    PLACE_HOST = 1 << 0,
    PLACE_URL = 1 << 1,
    PLACE_BROKERS = 1 << 2,
    PLACE_ACCOUNT = 1 << 3,
    PLACE_PROJECT = 1 << 4,
    PLACE_CLUSTER = 1 << 5, /* inCluster */
    PLACE_FILE = 1 << 6,    /* a kubeconfig */
};
/* What a type's system can enforce. */
enum policy {
    POLICY_GRANTS = 1 << 0,
    POLICY_ROLES = 1 << 1,
    POLICY_COMMANDS = 1 << 2,
    POLICY_REQUESTS = 1 << 3,
    POLICY_RULES = 1 << 4,
    POLICY_ALL = (1 << 5) - 1,
};

static const struct type_rule {
    unsigned places, policies;
} rules[AK_TOOL_TYPE_MAX] = {
    [AK_TOOL_TYPE_SSH] = {PLACE_HOST, POLICY_COMMANDS},
    [AK_TOOL_TYPE_POSTGRES] = {PLACE_HOST, POLICY_GRANTS | POLICY_ROLES},
    [AK_TOOL_TYPE_MYSQL] = {PLACE_HOST, POLICY_GRANTS | POLICY_ROLES},
    [AK_TOOL_TYPE_SQLSERVER] = {PLACE_HOST, POLICY_GRANTS | POLICY_ROLES},
    [AK_TOOL_TYPE_MONGODB] = {PLACE_HOST, POLICY_GRANTS | POLICY_ROLES},
    [AK_TOOL_TYPE_REDIS] = {PLACE_HOST, POLICY_COMMANDS},
    [AK_TOOL_TYPE_CLICKHOUSE] = {PLACE_HOST | PLACE_URL, POLICY_GRANTS | POLICY_ROLES},
    [AK_TOOL_TYPE_KUBERNETES] = {PLACE_CLUSTER | PLACE_FILE, POLICY_RULES},
    [AK_TOOL_TYPE_HTTP] = {PLACE_URL, POLICY_REQUESTS},
    [AK_TOOL_TYPE_SNOWFLAKE] = {PLACE_ACCOUNT, POLICY_GRANTS | POLICY_ROLES},
    [AK_TOOL_TYPE_BIGQUERY] = {PLACE_PROJECT, POLICY_GRANTS | POLICY_ROLES},
    [AK_TOOL_TYPE_ELASTICSEARCH] = {PLACE_HOST | PLACE_URL,
                                    POLICY_GRANTS | POLICY_ROLES | POLICY_REQUESTS},
    [AK_TOOL_TYPE_KAFKA] = {PLACE_HOST | PLACE_BROKERS, POLICY_GRANTS},
    [AK_TOOL_TYPE_ORACLE] = {PLACE_HOST, POLICY_GRANTS | POLICY_ROLES},
    [AK_TOOL_TYPE_COCKROACHDB] = {PLACE_HOST, POLICY_GRANTS | POLICY_ROLES},
    [AK_TOOL_TYPE_REDSHIFT] = {PLACE_HOST, POLICY_GRANTS | POLICY_ROLES},
    [AK_TOOL_TYPE_RABBITMQ] = {PLACE_HOST, POLICY_GRANTS},
    [AK_TOOL_TYPE_CUSTOM] = {0, POLICY_ALL},
};

static const struct ak_tool_config no_config;

static unsigned places_of(const struct ak_tool_spec *spec, const struct ak_tool_config *config)
{
    bool kubernetes = spec->type == AK_TOOL_TYPE_KUBERNETES;

    return (config->hostname ? PLACE_HOST : 0u) | (config->url ? PLACE_URL : 0u) |
           (config->brokers.len ? PLACE_BROKERS : 0u) | (config->account ? PLACE_ACCOUNT : 0u) |
           (config->project ? PLACE_PROJECT : 0u) | (config->in_cluster ? PLACE_CLUSTER : 0u) |
           (kubernetes && config->credentials_ref ? PLACE_FILE : 0u);
}

static const struct {
    unsigned place;
    const char *field;
} place_fields[] = {
    {PLACE_HOST, "hostname"},       {PLACE_URL, "url"},         {PLACE_BROKERS, "brokers"},
    {PLACE_ACCOUNT, "account"},     {PLACE_PROJECT, "project"}, {PLACE_CLUSTER, "inCluster"},
    {PLACE_FILE, "credentialsRef"},
};

/* The fields of some places, as in "url and hostname". */
static const char *fields_of(unsigned places, char *buf, size_t size)
{
    buf[0] = '\0';
    for (size_t i = 0, n = 0; i < AK_ARRAY_LEN(place_fields); i++) {
        size_t len = strlen(buf);
        if (places & place_fields[i].place)
            (void)snprintf(buf + len, size - len, "%s%s", n++ ? " and " : "",
                           place_fields[i].field);
    }
    return buf;
}

static void check_place(const struct ak_tool_spec *spec, const struct ak_tool_config *config,
                        struct ak_findings *f)
{
    unsigned allowed = rules[spec->type].places;
    unsigned has = places_of(spec, config);
    unsigned wrong = allowed ? has & ~allowed : 0;
    unsigned good = has & allowed;
    const char *type = ak_tool_type_to_string(spec->type);
    char text[128];

    if (wrong)
        ak_warn_of(f, "spec.config", "%s has no effect on type %s",
                   fields_of(wrong, text, sizeof(text)), type);
    if (!allowed || (good && !(good & (good - 1))))
        return;
    (void)fields_of(allowed, text, sizeof(text));
    if (allowed & (allowed - 1))
        ak_refuse(f, "spec.config", "must have exactly one of %s for type %s", text, type);
    else
        ak_refuse(f, ak_path(f, "spec.config.%s", text), "must be set for type %s", type);
}

static void check_images(const struct ak_tool_spec *spec, const struct ak_tool_config *config,
                         struct ak_findings *f)
{
    bool custom = spec->type == AK_TOOL_TYPE_CUSTOM;

    if (spec->image && config->image)
        ak_refuse(f, "spec.config.image", "means the same as spec.image; set one of them");
    if (custom && !spec->image && !config->image)
        ak_refuse(f, "spec.config.image",
                  "must be set, because type custom has no image of its own");
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

static void check_trust(const struct ak_tool_spec *spec, const struct ak_tool_config *config,
                        struct ak_findings *f)
{
    ak_check_clear_text(f, "spec.config.url", config->url, config->credentials_ref != NULL);
    if (config->ssl_mode == AK_SSL_MODE_DISABLE && config->credentials_ref)
        ak_warn_of(f, "spec.config.sslMode",
                   "the credential goes over the network in clear text; use verify-full");
    if (spec->type == AK_TOOL_TYPE_SSH && !config->host_key)
        ak_warn_of(f, "spec.config.hostKey", "is not set, so any server at that name is trusted");
    if (spec->type == AK_TOOL_TYPE_ORACLE && config->database_name && config->service_name)
        ak_refuse(f, "spec.config.serviceName", "and databaseName exclude each other");
    uint64_t number = 0;
    if (spec->type == AK_TOOL_TYPE_REDIS && config->database_name &&
        ak_parse_u64(config->database_name, &number) < 0)
        ak_refuse(f, "spec.config.databaseName", "\"%s\" must be a number for type redis",
                  config->database_name);
}

/* What the system cannot enforce is refused: a policy that does nothing looks like one that holds. */
static void check_enforceable(const struct ak_tool_spec *spec, struct ak_findings *f)
{
    const struct ak_tool_permissions *p = spec->permissions;
    unsigned can = rules[spec->type].policies;
    const struct {
        unsigned policy;
        bool is_set;
        const char *path;
    } fields[] = {
        {POLICY_GRANTS, p->grants.len > 0, "spec.permissions.grants"},
        {POLICY_ROLES, p->roles.len > 0, "spec.permissions.roles"},
        {POLICY_COMMANDS, p->commands.len > 0, "spec.permissions.commands"},
        {POLICY_REQUESTS, p->requests.len > 0, "spec.permissions.requests"},
        {POLICY_RULES, p->rules.len > 0, "spec.permissions.rules"},
        {POLICY_RULES, p->namespaces.len > 0, "spec.permissions.namespaces"},
        {POLICY_RULES, p->cluster_wide, "spec.permissions.clusterWide"},
    };

    for (size_t i = 0; i < AK_ARRAY_LEN(fields); i++)
        if (fields[i].is_set && !(can & fields[i].policy))
            ak_refuse(f, fields[i].path, "cannot be enforced by type %s",
                      ak_tool_type_to_string(spec->type));
}

static bool is_writing(const char *privilege)
{
    static const char *const words[] = {"INSERT", "UPDATE", "DELETE", "TRUNCATE", "CREATE", "DROP",
                                        "ALTER",  "WRITE",  "ALL",    "GRANT",    "OWNER"};

    for (size_t i = 0; i < AK_ARRAY_LEN(words); i++)
        if (strncasecmp(privilege, words[i], strlen(words[i])) == 0)
            return true;
    return false;
}

static void check_grants(const struct ak_tool_permissions *p, struct ak_findings *f)
{
    for (size_t i = 0; i < p->grants.len && p->read_only; i++)
        for (size_t n = 0; n < p->grants.items[i].privileges.len; n++)
            if (is_writing(p->grants.items[i].privileges.items[n]))
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
    check_grants(p, f);
    check_rules(p, f);
    const struct ak_secret_key_ref *admin = p->admin_credentials_ref;
    const struct ak_secret_key_ref *own = config->credentials_ref;
    if (admin && own && ak_streq(admin->name, own->name) && ak_streq(admin->key, own->key))
        ak_warn_of(f, "spec.permissions.adminCredentialsRef",
                   "is the same as spec.config.credentialsRef: a session may then do what an "
                   "administrator may");
}

void ak_validate_tool(const struct ak_tool_spec *spec, struct ak_findings *findings)
{
    const struct ak_tool_config *config = spec->config ? spec->config : &no_config;

    check_place(spec, config, findings);
    check_images(spec, config, findings);
    check_plain_values(config, findings);
    check_trust(spec, config, findings);
    check_permissions(spec, config, findings);
    ak_check_duration(findings, "spec.idleTimeout", spec->idle_timeout);
    ak_check_resources(findings, "spec.resources", spec->resources);
}
