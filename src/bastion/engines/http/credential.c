/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/http/credential.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/json/json.h>

#include "bastion/engines/http/address.h"
#include "bastion/engines/http/encoding.h"
#include "bastion/engines/http/jwt.h"

#define MAX_TEXT (192u << 10)
#define MAX_PATH 4096
#define EARLY AK_MINUTES(10) /* a token is made anew so long before its end */
#define POD_TOKEN_LIFE AK_MINUTES(5)

void ak_http_credential_done(struct ak_http_credential *self)
{
    ak_buf_done(&self->text);
    self->secret = ak_secret_free(self->secret);
    self->n = 0;
}

struct making {
    const struct ak_target *target;
    const struct ak_login *login;
    const struct ak_kubeconfig *kubeconfig;
    bool read_only;
    const struct ak_fetch_limits *limits;
    struct ak_http_credential *out;
};

/* --- lines --- */

static int add(struct making *m, const char *name, const char *scheme, const char *value,
               struct ak_error **reterr)
{
    struct ak_http_credential *out = m->out;
    int r = out->n < AK_CREDENTIAL_MAX_LINES ? 0 : AK_E_TOO_LARGE;

    for (const char *p = value; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return ak_error_set(reterr, AK_E_INVALID,
                                "the value of header %s has a control character, a line break "
                                "perhaps",
                                name);
    if (r >= 0)
        r = ak_buf_addf(&out->text, "%s: %s", name, scheme);
    if (r >= 0)
        r = ak_buf_adds(&out->text, value);
    if (r >= 0)
        r = ak_buf_add(&out->text, "", 1);
    if (r < 0)
        return ak_error_set(reterr, r, "header %s: %s", name, ak_code_text(r));
    out->n++;
    return 0;
}

static int add_basic(struct making *m, const char *user, const struct ak_secret *password,
                     struct ak_error **reterr)
{
    AK_AUTO(ak_buf) pair = {.max = MAX_TEXT, .wipe = true};
    AK_AUTO(ak_buf) text = {.max = MAX_TEXT, .wipe = true};
    int r = strchr(user, ':') ? -EINVAL : ak_buf_addf(&pair, "%s:", user);

    if (r == -EINVAL)
        return ak_error_set(reterr, AK_E_INVALID,
                            "a user name with a colon cannot log in over HTTP");
    if (r >= 0)
        r = ak_buf_adds(&pair, password ? ak_secret_peek(password, NULL) : "");
    if (r >= 0)
        r = ak_base64_add(&text, pair.data, pair.len);
    if (r < 0)
        return ak_error_set(reterr, r, "credential: %s", ak_code_text(r));
    return add(m, "Authorization", "Basic ", ak_buf_text(&text), reterr);
}

static int copy_secret(struct making *m, const struct ak_secret *secret, struct ak_error **reterr)
{
    size_t len = 0;
    const char *text = secret ? ak_secret_peek(secret, &len) : NULL;

    if (!len || m->out->secret)
        return 0;
    m->out->secret = ak_secret_new(text, len);
    return m->out->secret ? 0 : ak_error_oom(reterr);
}

/* --- types --- */

/* http, elasticsearch: a header of the Tool's choice, Basic with a user's name, else a token. */
static int make_plain(struct making *m, struct ak_error **reterr)
{
    const struct ak_tool_config *config = m->target->spec->config;
    const struct ak_login *login = m->login;
    const char *scheme =
        m->target->spec->type == AK_TOOL_TYPE_ELASTICSEARCH ? "ApiKey " : "Bearer ";
    const char *value = login->password ? ak_secret_peek(login->password, NULL) : NULL;

    if (!value && ak_is_empty(login->username))
        return 0;
    if (value && !login->is_minted && !ak_is_empty(config->credential_header))
        return add(m, config->credential_header, "", value, reterr);
    if (!ak_is_empty(login->username))
        return add_basic(m, login->username, login->password, reterr);
    return add(m, "Authorization", scheme, value, reterr);
}

static int make_basic(struct making *m, struct ak_error **reterr)
{
    if (ak_is_empty(m->login->username))
        return ak_error_set(reterr, AK_E_INVALID, "spec.config.username: is needed to log in");
    return add_basic(m, m->login->username, m->login->password, reterr);
}

static int make_clickhouse(struct making *m, struct ak_error **reterr)
{
    const char *user = ak_is_empty(m->login->username) ? "default" : m->login->username;
    int r = add(m, "X-ClickHouse-User", "", user, reterr);

    if (r >= 0 && m->login->password)
        r = add(m, "X-ClickHouse-Key", "", ak_secret_peek(m->login->password, NULL), reterr);
    return r;
}

/* The token that the kubelet renews in its file. */
static int make_in_cluster(struct making *m, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) token = {.max = AK_LOGIN_MAX, .wipe = true};
    char path[MAX_PATH];
    int r;

    (void)snprintf(path, sizeof(path), "%s/token", m->target->credential_dir);
    r = ak_buf_add_file(&token, path);
    if (r < 0)
        return ak_error_set(reterr, r, "the pod's token \"%s\": %s", path, ak_code_text(r));
    while (token.len && strchr("\r\n ", token.data[token.len - 1]))
        token.data[--token.len] = '\0';
    m->out->renew_at = ak_now() + POD_TOKEN_LIFE;
    m->out->secret = ak_secret_new(ak_buf_text(&token), token.len);
    if (!m->out->secret)
        return ak_error_oom(reterr);
    return add(m, "Authorization", "Bearer ", ak_buf_text(&token), reterr);
}

static int make_kubernetes(struct making *m, struct ak_error **reterr)
{
    const struct ak_kubeconfig *k = m->kubeconfig;
    int r = 0;

    if (!k)
        return make_in_cluster(m, reterr);
    if (k->token)
        r = add(m, "Authorization", "Bearer ", ak_secret_peek(k->token, NULL), reterr);
    else if (k->username)
        r = add_basic(m, k->username, k->password, reterr);
    if (r >= 0)
        r = copy_secret(m, k->token ? k->token : k->password, reterr);
    return r;
}

static int make_snowflake(struct making *m, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) token = {.max = MAX_TEXT, .wipe = true};
    const struct ak_tool_config *config = m->target->spec->config;
    int r;

    if (!m->login->password || ak_is_empty(m->login->username) || ak_is_empty(config->account))
        return ak_error_set(reterr, AK_E_INVALID,
                            "spec.config needs account, username and credentialsRef (an RSA key)");
    r = ak_jwt_snowflake(m->login->password, config->account, m->login->username, ak_wall_now(),
                         &token, reterr);
    if (r >= 0)
        r = add(m, "Authorization", "Bearer ", ak_buf_text(&token), reterr);
    if (r >= 0)
        r = add(m, "X-Snowflake-Authorization-Token-Type", "", "KEYPAIR_JWT", reterr);
    m->out->renew_at = ak_now() + AK_HOURS(1) - EARLY;
    return r;
}

/* RFC 7523 section 2.1. */
static int make_grant(const struct making *m, const struct ak_service_account *account,
                      struct ak_buf *body, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) assertion = {.max = MAX_TEXT, .wipe = true};
    int r =
        ak_jwt_service_account(account,
                               m->read_only ? "https://www.googleapis.com/auth/bigquery.readonly"
                                            : "https://www.googleapis.com/auth/bigquery",
                               ak_wall_now(), &assertion, reterr);

    if (r < 0)
        return r;
    r = ak_buf_adds(body,
                    "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=");
    if (r >= 0)
        r = ak_buf_add_url_escaped(body, ak_buf_text(&assertion));
    return r < 0 ? ak_error_set(reterr, r, "token request: %s", ak_code_text(r)) : 0;
}

static int read_grant(struct making *m, const struct ak_fetch_reply *reply,
                      struct ak_error **reterr)
{
    AK_AUTO_JSON *root = NULL;
    const char *token, *why;
    json_int_t life;
    bool parsed = ak_json_parse(ak_buf_text(&reply->body), reply->body.len, &root, NULL) >= 0;

    token = parsed ? ak_json_text(root, "access_token", NULL) : NULL;
    if (reply->status != 200 || ak_is_empty(token)) {
        why = parsed ? ak_json_text(root, "error_description", NULL) : NULL;
        if (!why && parsed)
            why = ak_json_text(root, "error", NULL);
        return ak_error_set(reterr, AK_E_UNAUTHORIZED,
                            "the service account gets no token: HTTP %d: %.200s", reply->status,
                            why ? why : "no reason was given");
    }
    life = json_integer_value(json_object_get(root, "expires_in"));
    m->out->renew_at = ak_now() + AK_SECONDS(AK_MAX(life, 60)) - (life > 1200 ? EARLY : 0);
    m->out->secret = ak_secret_new(token, strlen(token));
    if (!m->out->secret)
        return ak_error_oom(reterr);
    return add(m, "Authorization", "Bearer ", token, reterr);
}

static int trade(struct making *m, const struct ak_service_account *account,
                 struct ak_error **reterr)
{
    AK_AUTO(ak_buf) body = {.max = MAX_TEXT, .wipe = true};
    AK_AUTO(ak_fetch_reply) reply = {0};
    struct ak_fetch_limits limits = *m->limits;
    struct ak_http_client *client = NULL;
    AK_AUTO_PTR(ak_loop) loop = NULL;
    const char *path = strchr(account->token_uri + strlen("https://"), '/');
    struct ak_http_request req = {.method = "POST",
                                  .path = path ? path : "/",
                                  .content_type = "application/x-www-form-urlencoded",
                                  .accept = "application/json"};
    int r = make_grant(m, account, &body, reterr);

    limits.max_body = 64u << 10;
    req.body = body.data;
    req.body_len = body.len;
    if (r >= 0)
        r = ak_loop_new(&loop, reterr);
    if (r >= 0)
        r = ak_http_address_client_of(m->target, account->token_uri, &client, reterr);
    if (r >= 0)
        r = ak_fetch(client, loop, &req, &limits, &reply, reterr);
    (void)ak_http_client_free(client);
    return r < 0 ? ak_error_wrap(reterr, r, "ask \"%s\" for a token", account->token_uri)
                 : read_grant(m, &reply, reterr);
}

static int make_bigquery(struct making *m, struct ak_error **reterr)
{
    AK_AUTO(ak_service_account) account = {0};
    size_t len;
    const char *text;
    int r;

    if (!m->login->password)
        return ak_error_set(reterr, AK_E_INVALID, "spec.config.credentialsRef: is needed");
    text = ak_secret_peek(m->login->password, &len);
    r = ak_service_account_parse(text, len, &account, reterr);
    return r < 0 ? r : trade(m, &account, reterr);
}

/* The password of these is what is written into the line, or what it is made of. */
static int with_secret(struct making *m, int (*make)(struct making *, struct ak_error **),
                       struct ak_error **reterr)
{
    int r = make(m, reterr);

    return r < 0 ? r : copy_secret(m, m->login->password, reterr);
}

static int make(struct making *m, struct ak_error **reterr)
{
    switch (m->target->spec->type) {
    case AK_TOOL_TYPE_CLICKHOUSE:
        return with_secret(m, make_clickhouse, reterr);
    case AK_TOOL_TYPE_RABBITMQ:
        return with_secret(m, make_basic, reterr);
    case AK_TOOL_TYPE_KUBERNETES:
        return make_kubernetes(m, reterr);
    case AK_TOOL_TYPE_SNOWFLAKE:
        return make_snowflake(m, reterr);
    case AK_TOOL_TYPE_BIGQUERY:
        return make_bigquery(m, reterr);
    default:
        return with_secret(m, make_plain, reterr);
    }
}

int ak_http_credential_make(const struct ak_target *target, const struct ak_login *login,
                            const struct ak_kubeconfig *kubeconfig, bool read_only,
                            const struct ak_fetch_limits *limits, struct ak_http_credential *ret,
                            struct ak_error **reterr)
{
    AK_AUTO(ak_http_credential)
    out = {.text = {.max = MAX_TEXT, .wipe = true}, .renew_at = AK_MSEC_NEVER};
    struct making m = {target, login, kubeconfig, read_only, limits, &out};
    const struct ak_string_map *headers = &target->spec->config->headers;
    const char *line;
    int r = make(&m, reterr);

    for (size_t i = 0; r >= 0 && i < headers->len; i++)
        r = add(&m, headers->items[i].key, "", headers->items[i].value, reterr);
    if (r < 0)
        return r;
    line = out.text.data;
    for (size_t i = 0; i < out.n; i++, line += strlen(line) + 1)
        out.lines[i] = line;
    *ret = out;
    out = (struct ak_http_credential){0};
    return 0;
}

bool ak_http_credential_is_remote(const struct ak_target *target)
{
    return target->spec->type == AK_TOOL_TYPE_BIGQUERY;
}

/* --- what callers may not say --- */

/* Who asks; where to; which connection; and what would make a server take the request for another one than the rules
 * have seen. A name that ends with "-" stands for all that begin so. */
static const char *const ours[] = {"Authorization",
                                   "Proxy-",
                                   "Host",
                                   "Cookie",
                                   "Cookie2",
                                   "Connection",
                                   "Keep-Alive",
                                   "Content-Length",
                                   "Transfer-Encoding",
                                   "TE",
                                   "Trailer",
                                   "Upgrade",
                                   "Expect",
                                   "HTTP2-Settings",
                                   "Forwarded",
                                   "X-Forwarded-",
                                   "X-Real-IP",
                                   "X-HTTP-Method",
                                   "X-HTTP-Method-Override",
                                   "X-Method-Override",
                                   "X-Original-",
                                   "X-Rewrite-",
                                   "X-Remote-",
                                   "X-Opaque-Auth",
                                   "Impersonate-",
                                   "ES-Secondary-",
                                   "ES-Client-Authentication",
                                   "X-ClickHouse-",
                                   "X-Snowflake-",
                                   "X-Goog-"};

static bool is_named(const char *pattern, const char *name)
{
    size_t len = strlen(pattern);

    return pattern[len - 1] == '-' ? strncasecmp(pattern, name, len) == 0
                                   : strcasecmp(pattern, name) == 0;
}

bool ak_http_header_is_ours(const struct ak_tool_spec *spec, const char *name)
{
    const struct ak_tool_config *config = spec->config;

    for (size_t i = 0; i < AK_ARRAY_LEN(ours); i++)
        if (is_named(ours[i], name))
            return true;
    if (!ak_is_empty(config->credential_header) && strcasecmp(config->credential_header, name) == 0)
        return true;
    for (size_t i = 0; i < config->headers.len; i++)
        if (strcasecmp(config->headers.items[i].key, name) == 0)
            return true;
    return false;
}
