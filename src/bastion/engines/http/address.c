/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/http/address.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#define MAX_CA (1u << 20)
#define CONNECT_TIMEOUT AK_SECONDS(10)
#define MAX_PATH 4096
#define MANAGEMENT_TLS 15671
#define HTTPS 443

static bool may_be_plain(enum ak_ssl_mode mode)
{
    return mode == AK_SSL_MODE_UNSET || mode == AK_SSL_MODE_ALLOW || mode == AK_SSL_MODE_PREFER;
}

static void scheme_and_port(const struct ak_tool_spec *spec, const struct ak_engine_info *info,
                            bool *ret_tls, uint16_t *ret_port)
{
    enum ak_ssl_mode mode = ak_tool_ssl_mode(spec);
    uint16_t port = ak_tool_port(spec); /* of rabbitmq: its management API's */

    *ret_tls = mode != AK_SSL_MODE_DISABLE;
    /* Services of the Internet have no plain port that another one could stand for. */
    if (info->port != HTTPS && may_be_plain(mode) && port != info->tls_port && port != HTTPS &&
        port != MANAGEMENT_TLS)
        *ret_tls = false;
    *ret_port = port;
}

/* Host names have no underscore: Snowflake answers to the account's name with a hyphen instead. */
static void snowflake_host(const char *account, char *out, size_t size)
{
    (void)snprintf(out, size, "%s.snowflakecomputing.com", account);
    for (char *p = out; *p; p++)
        *p = *p == '_' ? '-' : (char)tolower((unsigned char)*p);
}

static const char *host_of(const struct ak_tool_spec *spec, char *buf, size_t size)
{
    const struct ak_tool_config *config = spec->config;

    if (!ak_is_empty(config->hostname))
        return config->hostname;
    if (spec->type == AK_TOOL_TYPE_SNOWFLAKE && !ak_is_empty(config->account)) {
        snowflake_host(config->account, buf, size);
        return buf;
    }
    return spec->type == AK_TOOL_TYPE_BIGQUERY ? "bigquery.googleapis.com" : NULL;
}

int ak_http_address_url(const struct ak_tool_spec *spec, const struct ak_engine_info *info,
                        char ret[static AK_HTTP_ADDRESS_MAX], struct ak_error **reterr)
{
    char buf[320];
    const char *url = spec->config->url;
    const char *host = host_of(spec, buf, sizeof(buf));
    uint16_t port;
    bool tls;
    int n;

    if (!ak_is_empty(url)) {
        n = snprintf(ret, AK_HTTP_ADDRESS_MAX, "%s", url);
        while (n > 0 && n < AK_HTTP_ADDRESS_MAX && ret[n - 1] == '/')
            ret[--n] = '\0';
    } else if (host) {
        bool is_v6 = strchr(host, ':') && host[0] != '[';

        scheme_and_port(spec, info, &tls, &port);
        n = snprintf(ret, AK_HTTP_ADDRESS_MAX, "%s://%s%s%s:%u", tls ? "https" : "http",
                     is_v6 ? "[" : "", host, is_v6 ? "]" : "", port);
    } else {
        return ak_error_set(reterr, AK_E_INVALID, "spec.config: does not say where the system is");
    }
    if (n >= AK_HTTP_ADDRESS_MAX)
        return ak_error_set(reterr, AK_E_TOO_LARGE, "spec.config.url: is too long");
    return 0;
}

static int make_client(const struct ak_target *target, const char *url, const char *server_name,
                       struct ak_http_client **ret, struct ak_error **reterr)
{
    AK_AUTO(ak_arena) arena = {0};
    AK_AUTO(ak_buf) ca = AK_BUF_INIT(MAX_CA);
    enum ak_ssl_mode mode = ak_tool_ssl_mode(target->spec);
    struct ak_http_target to = {
        .base_url = url, .tls_server_name = server_name, .connect_timeout = CONNECT_TIMEOUT};
    const char *path = NULL;
    int r;

    ak_arena_init(&arena, 512, 1u << 16);
    r = ak_target_ca_path(target, &arena, &path, reterr);
    if (r < 0)
        return r;
    if (path) {
        r = ak_buf_add_file(&ca, path);
        if (r < 0)
            return ak_error_set(reterr, r, "\"%s\": %s", path, ak_code_text(r));
        to.ca_pem = ak_buf_text(&ca);
    }
    if (mode != AK_SSL_MODE_UNSET && mode != AK_SSL_MODE_VERIFY_FULL) {
        to.skip_name_check = true;
        to.insecure_skip_verify = mode != AK_SSL_MODE_VERIFY_CA && !path;
    }
    return ak_http_client_new(&to, ret, reterr);
}

/* --- kubernetes --- */

static int client_of_kubeconfig(const struct ak_kubeconfig *k, struct ak_http_client **ret,
                                struct ak_error **reterr)
{
    const struct ak_http_target to = {.base_url = k->server,
                                      .ca_pem = k->ca_pem,
                                      .client_cert_pem = k->client_cert_pem,
                                      .client_key_pem = k->client_key,
                                      .tls_server_name = k->tls_server_name,
                                      .insecure_skip_verify = k->insecure,
                                      .proxy_url = k->proxy_url,
                                      .connect_timeout = CONNECT_TIMEOUT};

    return ak_http_client_new(&to, ret, reterr);
}

/* The kubelet says in every container where the apiserver is. */
static int client_in_cluster(const struct ak_target *target, struct ak_http_client **ret,
                             struct ak_error **reterr)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
    AK_AUTO(ak_buf) ca = AK_BUF_INIT(MAX_CA);
    char url[AK_HTTP_ADDRESS_MAX], path[MAX_PATH];
    struct ak_http_target to = {.base_url = url, .connect_timeout = CONNECT_TIMEOUT};
    bool is_v6 = host && strchr(host, ':');
    int r;

    if (ak_is_empty(host) || ak_is_empty(port))
        return ak_error_set(reterr, AK_E_INVALID,
                            "spec.config.inCluster: KUBERNETES_SERVICE_HOST and _PORT are not set: "
                            "this is no pod");
    (void)snprintf(url, sizeof(url), "https://%s%s%s:%s", is_v6 ? "[" : "", host, is_v6 ? "]" : "",
                   port);
    (void)snprintf(path, sizeof(path), "%s/ca.crt", target->credential_dir);
    r = ak_buf_add_file(&ca, path);
    if (r < 0)
        return ak_error_set(reterr, r, "\"%s\": %s", path, ak_code_text(r));
    to.ca_pem = ak_buf_text(&ca);
    return ak_http_client_new(&to, ret, reterr);
}

/* --- --- */

int ak_http_address_client(const struct ak_target *target, const struct ak_kubeconfig *kubeconfig,
                           struct ak_http_client **ret, struct ak_error **reterr)
{
    const struct ak_tool_tls *tls = target->spec->tls;
    char url[AK_HTTP_ADDRESS_MAX];
    int r;

    if (kubeconfig)
        return client_of_kubeconfig(kubeconfig, ret, reterr);
    if (target->spec->type == AK_TOOL_TYPE_KUBERNETES)
        return client_in_cluster(target, ret, reterr);
    r = ak_http_address_url(target->spec, target->info, url, reterr);
    return r < 0 ? r
                 : make_client(target, url,
                               tls && !ak_is_empty(tls->server_name) ? tls->server_name : NULL, ret,
                               reterr);
}

int ak_http_address_client_of(const struct ak_target *target, const char *url,
                              struct ak_http_client **ret, struct ak_error **reterr)
{
    const char *host = strstr(url, "://");
    AK_AUTO_TEXT char *origin = NULL;

    if (!host)
        return ak_error_set(reterr, AK_E_INVALID, "\"%s\" is not a URL", url);
    host += strlen("://");
    origin = ak_strndup(url, (size_t)(host - url) + strcspn(host, "/?#"));
    if (!origin)
        return ak_error_oom(reterr);
    return make_client(target, origin, NULL, ret, reterr);
}
