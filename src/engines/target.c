/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/text.h>
#include <string.h>

#include "engines/engine.h"

static const struct ak_tool_config no_config;

static const struct ak_tool_config *config_of(const struct ak_tool_spec *spec)
{
    return spec->config ? spec->config : &no_config;
}

enum ak_ssl_mode ak_tool_ssl_mode(const struct ak_tool_spec *spec)
{
    return spec->tls && spec->tls->mode != AK_SSL_MODE_UNSET ? spec->tls->mode
                                                             : config_of(spec)->ssl_mode;
}

const struct ak_secret_key_ref *ak_tool_ca_ref(const struct ak_tool_spec *spec)
{
    return spec->tls && spec->tls->ca_ref ? spec->tls->ca_ref : config_of(spec)->ca_ref;
}

const char *ak_tool_image(const struct ak_tool_spec *spec)
{
    return spec->image ? spec->image : config_of(spec)->image;
}

/* Host and port of a URL that the schema has checked: http(s)://HOST[:PORT][/...]. *ret_port 0: it names none. */
static bool url_parts(const char *url, const char **ret_host, size_t *ret_len, uint16_t *ret_port)
{
    const char *host = strstr(url, "://");
    char digits[8] = "";

    if (!host)
        return false;
    host += 3;
    size_t len = strcspn(host, "/?#");
    size_t name = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/?#");
    *ret_port = 0;
    if (name > len)
        return false;
    if (name < len) {
        size_t n = len - name - 1;
        if (host[name] != ':' || !n || n >= sizeof(digits))
            return false;
        memcpy(digits, host + name + 1, n);
        if (ak_parse_u16(digits, ret_port) < 0 || !*ret_port)
            return false;
    }
    *ret_host = host[0] == '[' ? host + 1 : host;
    *ret_len = host[0] == '[' ? name - 2 : name;
    return *ret_len > 0;
}

static bool uses_tls(const struct ak_tool_spec *spec)
{
    enum ak_ssl_mode mode = ak_tool_ssl_mode(spec);

    if (config_of(spec)->url)
        return ak_has_prefix(config_of(spec)->url, "https:");
    return mode != AK_SSL_MODE_UNSET && mode != AK_SSL_MODE_DISABLE && mode != AK_SSL_MODE_ALLOW &&
           mode != AK_SSL_MODE_PREFER;
}

uint16_t ak_tool_port(const struct ak_tool_spec *spec)
{
    const struct ak_engine_info *info = ak_engine_info(spec->type);
    const struct ak_tool_config *config = config_of(spec);
    const char *host = NULL;
    size_t len = 0;
    uint16_t port = 0;

    if (!info || (spec->type == AK_TOOL_TYPE_KUBERNETES && !config->in_cluster))
        return 0;
    if (spec->type == AK_TOOL_TYPE_RABBITMQ)
        return config->management_port.set ? (uint16_t)config->management_port.value
               : uses_tls(spec)            ? 15671
                                           : 15672;
    if (config->port.set)
        return (uint16_t)config->port.value;
    if (config->url && url_parts(config->url, &host, &len, &port)) {
        if (port)
            return port;
        return ak_has_prefix(config->url, "https:") ? 443 : 80;
    }
    return uses_tls(spec) ? info->tls_port : info->port;
}

/* "host:port" of a broker. The admission has checked it; what is not one names nothing. */
static int add_broker(struct ak_arena *arena, const char *text, struct ak_tool_endpoint *ret)
{
    const char *colon = strrchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : 0;

    if (!colon || ak_parse_u16(colon + 1, &ret->port) < 0)
        return 0;
    if (len > 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    ret->host = ak_arena_strndup(arena, text, len);
    return ret->host ? 1 : -ENOMEM;
}

static int host_of(const struct ak_tool_spec *spec, struct ak_arena *arena, const char **ret)
{
    const struct ak_tool_config *config = config_of(spec);
    const char *host = NULL;
    size_t len = 0;
    uint16_t port = 0;

    *ret = config->hostname;
    if (*ret)
        return 0;
    if (config->url && url_parts(config->url, &host, &len, &port))
        *ret = ak_arena_strndup(arena, host, len);
    else if (spec->type == AK_TOOL_TYPE_SNOWFLAKE && config->account)
        *ret = ak_arena_printf(arena, "%s.snowflakecomputing.com", config->account);
    else if (spec->type == AK_TOOL_TYPE_BIGQUERY)
        *ret = "bigquery.googleapis.com";
    else if (spec->type == AK_TOOL_TYPE_KUBERNETES && config->in_cluster)
        *ret = "kubernetes.default.svc";
    else
        return 0;
    return *ret ? 0 : -ENOMEM;
}

int ak_tool_endpoints(const struct ak_tool_spec *spec, struct ak_arena *arena,
                      const struct ak_tool_endpoint **ret, size_t *ret_n, struct ak_error **reterr)
{
    const struct ak_tool_config *config = config_of(spec);
    struct ak_tool_endpoint *list =
        ak_arena_alloc(arena, (config->brokers.len + 2) * sizeof(struct ak_tool_endpoint));
    const char *host = NULL;
    size_t n = 0;

    if (!list || host_of(spec, arena, &host) < 0)
        return ak_error_oom(reterr);
    for (size_t i = 0; i < config->brokers.len; i++) {
        int r = add_broker(arena, config->brokers.items[i], &list[n]);
        if (r < 0)
            return ak_error_oom(reterr);
        n += (size_t)r;
    }
    if (host)
        list[n++] = (struct ak_tool_endpoint){host, ak_tool_port(spec)};
    if (spec->type == AK_TOOL_TYPE_BIGQUERY) /* where a service account's key becomes a token */
        list[n++] = (struct ak_tool_endpoint){"oauth2.googleapis.com", 443};
    *ret = list;
    *ret_n = n;
    return 0;
}
