/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/text.h>

#include "engines/engine.h"

static const char *const config_names[AK_CONFIG_FIELD_MAX] = {
    [AK_CONFIG_HOSTNAME] = "hostname",
    [AK_CONFIG_PORT] = "port",
    [AK_CONFIG_URL] = "url",
    [AK_CONFIG_USERNAME] = "username",
    [AK_CONFIG_DATABASE_NAME] = "databaseName",
    [AK_CONFIG_SSL_MODE] = "sslMode",
    [AK_CONFIG_CREDENTIALS_REF] = "credentialsRef",
    [AK_CONFIG_CA_REF] = "caRef",
    [AK_CONFIG_HOST_KEY] = "hostKey",
    [AK_CONFIG_CONTEXT] = "context",
    [AK_CONFIG_IN_CLUSTER] = "inCluster",
    [AK_CONFIG_ACCOUNT] = "account",
    [AK_CONFIG_WAREHOUSE] = "warehouse",
    [AK_CONFIG_ROLE] = "role",
    [AK_CONFIG_SCHEMA] = "schema",
    [AK_CONFIG_PROJECT] = "project",
    [AK_CONFIG_DATASET] = "dataset",
    [AK_CONFIG_LOCATION] = "location",
    [AK_CONFIG_SERVICE_NAME] = "serviceName",
    [AK_CONFIG_AUTH_SOURCE] = "authSource",
    [AK_CONFIG_REPLICA_SET] = "replicaSet",
    [AK_CONFIG_VIRTUAL_HOST] = "virtualHost",
    [AK_CONFIG_MANAGEMENT_PORT] = "managementPort",
    [AK_CONFIG_BROKERS] = "brokers",
    [AK_CONFIG_SASL_MECHANISM] = "saslMechanism",
    [AK_CONFIG_HEADERS] = "headers",
    [AK_CONFIG_CREDENTIAL_HEADER] = "credentialHeader",
    [AK_CONFIG_IMAGE] = "image",
    [AK_CONFIG_COMMAND] = "command",
    [AK_CONFIG_ENV] = "env",
};
static const char *const permission_names[AK_PERMISSION_FIELD_MAX] = {
    [AK_PERMISSION_ADMIN_CREDENTIALS_REF] = "adminCredentialsRef",
    [AK_PERMISSION_ADMIN_USERNAME] = "adminUsername",
    [AK_PERMISSION_READ_ONLY] = "readOnly",
    [AK_PERMISSION_GRANTS] = "grants",
    [AK_PERMISSION_ROLES] = "roles",
    [AK_PERMISSION_COMMANDS] = "commands",
    [AK_PERMISSION_REQUESTS] = "requests",
    [AK_PERMISSION_RULES] = "rules",
    [AK_PERMISSION_NAMESPACES] = "namespaces",
    [AK_PERMISSION_CLUSTER_WIDE] = "clusterWide",
};

const char *ak_config_field_name(enum ak_config_field field)
{
    return field >= 0 && field < AK_CONFIG_FIELD_MAX ? config_names[field] : "";
}

const char *ak_permission_field_name(enum ak_permission_field field)
{
    return field >= 0 && field < AK_PERMISSION_FIELD_MAX ? permission_names[field] : "";
}

#define BIT(is_set, field) ((is_set) ? AK_USES(field) : 0u)

uint32_t ak_config_fields(const struct ak_tool_config *c)
{
    if (!c)
        return 0;
    return BIT(c->hostname, AK_CONFIG_HOSTNAME) | BIT(c->port.set, AK_CONFIG_PORT) |
           BIT(c->url, AK_CONFIG_URL) | BIT(c->username, AK_CONFIG_USERNAME) |
           BIT(c->database_name, AK_CONFIG_DATABASE_NAME) |
           BIT(c->ssl_mode != AK_SSL_MODE_UNSET, AK_CONFIG_SSL_MODE) |
           BIT(c->credentials_ref, AK_CONFIG_CREDENTIALS_REF) | BIT(c->ca_ref, AK_CONFIG_CA_REF) |
           BIT(c->host_key, AK_CONFIG_HOST_KEY) | BIT(c->context, AK_CONFIG_CONTEXT) |
           BIT(c->in_cluster, AK_CONFIG_IN_CLUSTER) | BIT(c->account, AK_CONFIG_ACCOUNT) |
           BIT(c->warehouse, AK_CONFIG_WAREHOUSE) | BIT(c->role, AK_CONFIG_ROLE) |
           BIT(c->schema, AK_CONFIG_SCHEMA) | BIT(c->project, AK_CONFIG_PROJECT) |
           BIT(c->dataset, AK_CONFIG_DATASET) | BIT(c->location, AK_CONFIG_LOCATION) |
           BIT(c->service_name, AK_CONFIG_SERVICE_NAME) |
           BIT(c->auth_source, AK_CONFIG_AUTH_SOURCE) | BIT(c->replica_set, AK_CONFIG_REPLICA_SET) |
           BIT(c->virtual_host, AK_CONFIG_VIRTUAL_HOST) |
           BIT(c->management_port.set, AK_CONFIG_MANAGEMENT_PORT) |
           BIT(c->brokers.len, AK_CONFIG_BROKERS) |
           BIT(c->sasl_mechanism != AK_SASL_MECHANISM_UNSET, AK_CONFIG_SASL_MECHANISM) |
           BIT(c->headers.len, AK_CONFIG_HEADERS) |
           BIT(c->credential_header, AK_CONFIG_CREDENTIAL_HEADER) | BIT(c->image, AK_CONFIG_IMAGE) |
           BIT(c->command.len, AK_CONFIG_COMMAND) | BIT(c->env.len, AK_CONFIG_ENV);
}

uint32_t ak_permission_fields(const struct ak_tool_permissions *p)
{
    if (!p)
        return 0;
    return BIT(p->admin_credentials_ref, AK_PERMISSION_ADMIN_CREDENTIALS_REF) |
           BIT(p->admin_username, AK_PERMISSION_ADMIN_USERNAME) |
           BIT(p->read_only, AK_PERMISSION_READ_ONLY) | BIT(p->grants.len, AK_PERMISSION_GRANTS) |
           BIT(p->roles.len, AK_PERMISSION_ROLES) | BIT(p->commands.len, AK_PERMISSION_COMMANDS) |
           BIT(p->requests.len, AK_PERMISSION_REQUESTS) | BIT(p->rules.len, AK_PERMISSION_RULES) |
           BIT(p->namespaces.len, AK_PERMISSION_NAMESPACES) |
           BIT(p->cluster_wide, AK_PERMISSION_CLUSTER_WIDE);
}
