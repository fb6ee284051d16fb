/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/http/upstream.h"

#include <stdio.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/json/json.h>

#include "bastion/engines/http/address.h"

#define MIN_BLOTTED                                                                                \
    6 /* bytes of a credential that is looked for in answers: shorter ones are words */
#define MAX_REQUEST (8u << 20)
#define MAX_LINES 128
#define ABANDON AK_SECONDS(2)

struct ak_upstream *ak_upstream_free(struct ak_upstream *self)
{
    if (!self)
        return NULL;
    (void)ak_http_client_free(self->client);
    (void)ak_loop_free(self->loop);
    ak_http_credential_done(&self->credential);
    ak_free(self);
    return NULL;
}

static int read_kubeconfig(const struct ak_target *target, const struct ak_login *login,
                           struct ak_kubeconfig *ret, struct ak_error **reterr)
{
    const char *text;
    size_t len;

    if (!login->password)
        return ak_error_set(reterr, AK_E_INVALID,
                            "spec.config.credentialsRef: a kubeconfig is needed, or inCluster");
    text = ak_secret_peek(login->password, &len);
    return ak_kubeconfig_parse(text, len, target->spec->config->context, ret, reterr);
}

int ak_upstream_login(const struct ak_target *target, bool read_only, struct ak_login *ret_login,
                      struct ak_kubeconfig *ret_kubeconfig, struct ak_error **reterr)
{
    AK_AUTO(ak_login) login = {0};
    bool is_kubernetes = target->spec->type == AK_TOOL_TYPE_KUBERNETES;
    int r;

    if (is_kubernetes && target->spec->config->in_cluster)
        return 0; /* the pod's token, read where it is used */
    r = ak_login_read(target, read_only, &login, reterr);
    if (r >= 0 && is_kubernetes)
        r = read_kubeconfig(target, &login, ret_kubeconfig, reterr);
    if (r < 0)
        return r;
    *ret_login = login;
    login = (struct ak_login){0};
    return 0;
}

int ak_upstream_new(const struct ak_target *target, const struct ak_login *login, bool read_only,
                    const struct ak_fetch_limits *limits, struct ak_upstream **ret,
                    struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_upstream) self = ak_new0(struct ak_upstream);
    AK_AUTO(ak_login) own = {0};
    AK_AUTO(ak_kubeconfig) kubeconfig = {0};
    const struct ak_kubeconfig *given = NULL;
    int r = 0;

    if (!self)
        return ak_error_oom(reterr);
    self->target = target;
    self->limits = limits;
    if (!login)
        r = ak_upstream_login(target, read_only, &own, &kubeconfig, reterr);
    login = login ? login : &own;
    given = kubeconfig.server ? &kubeconfig : NULL;
    self->is_minted = login->is_minted;
    if (r >= 0)
        r = ak_loop_new(&self->loop, reterr);
    if (r >= 0)
        r = ak_http_address_client(target, given, &self->client, reterr);
    if (r >= 0)
        r = ak_http_credential_make(target, login, given, read_only, limits, &self->credential,
                                    reterr);
    if (r < 0)
        return r;
    *ret = AK_TAKE(self);
    return 0;
}

/* --- requests --- */

/* A server that shows what it was sent would show the credential. */
static void blot(struct ak_buf *text, const struct ak_secret *secret)
{
    size_t len = 0;
    const char *needle = secret ? ak_secret_peek(secret, &len) : NULL;
    char *at = text->data;

    if (len < MIN_BLOTTED || !at)
        return;
    while ((at = memmem(at, text->len - (size_t)(at - text->data), needle, len))) {
        memset(at, '*', len);
        at += len;
    }
}

static void blot_lines(struct ak_upstream *self, struct ak_buf *text)
{
    for (size_t i = 0; i < self->credential.n; i++) {
        const char *value = strstr(self->credential.lines[i], ": ");
        const char *space = value ? strchr(value + 2, ' ') : NULL; /* Basic, Bearer, ApiKey */

        if (value && strncmp(self->credential.lines[i], "Authorization", 13) == 0 && space) {
            AK_AUTO_PTR(ak_secret) part = ak_secret_new(space + 1, strlen(space + 1));

            blot(text, part);
        }
    }
    blot(text, self->credential.secret);
}

int ak_upstream_fetch(struct ak_upstream *self, const struct ak_http_request *req, size_t max_body,
                      struct ak_fetch_reply *ret, struct ak_error **reterr)
{
    const char *lines[MAX_LINES + 1] = {NULL};
    struct ak_http_request full = *req;
    struct ak_fetch_limits limits = *self->limits;
    size_t n = 0;
    int r;

    for (size_t i = 0; i < self->credential.n && n < MAX_LINES; i++)
        lines[n++] = self->credential.lines[i];
    for (const char *const *h = req->headers; h && *h; h++) {
        if (n == MAX_LINES)
            return ak_error_set(reterr, AK_E_TOO_LARGE, "more than %d header lines", MAX_LINES);
        lines[n++] = *h;
    }
    full.headers = lines;
    limits.max_body = max_body;
    r = ak_fetch(self->client, self->loop, &full, &limits, ret, reterr);
    if (r < 0)
        return r;
    blot_lines(self, &ret->body);
    blot_lines(self, &ret->head);
    return 0;
}

int ak_upstream_json(struct ak_upstream *self, const char *method, const char *path,
                     const json_t *body, int *ret_status, json_t **ret_tree,
                     struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = {.max = MAX_REQUEST, .wipe = true};
    AK_AUTO(ak_fetch_reply) reply = {0};
    struct ak_http_request req = {.method = method, .path = path, .accept = "application/json"};
    json_t *tree = NULL;
    int r = body ? ak_json_write(body, &text, reterr) : 0;

    if (body) {
        req.content_type = "application/json";
        req.body = text.data;
        req.body_len = text.len;
    }
    if (r >= 0)
        r = ak_upstream_fetch(self, &req, AK_UPSTREAM_MAX_JSON, &reply, reterr);
    if (r < 0)
        return r;
    if (reply.is_cut)
        return ak_error_set(reterr, AK_E_TOO_LARGE, "the answer has more than %u bytes",
                            AK_UPSTREAM_MAX_JSON);
    *ret_status = reply.status;
    if (!ret_tree)
        return 0;
    r = reply.body.len ? ak_json_parse(reply.body.data, reply.body.len, &tree, NULL) : 0;
    if (r == -ENOMEM)
        return ak_error_oom(reterr);
    *ret_tree = tree;
    return 0;
}

/* --- what a system says of a failure --- */

static const char *find_words(const json_t *tree)
{
    static const char *const members[] = {
        "message", "reason", "error_description", "error", "detail", "title", "type"};

    for (int depth = 0; depth < 3 && json_is_object(tree); depth++) {
        const json_t *inner = json_object_get(tree, "error");

        if (json_is_object(inner)) { /* Elasticsearch, Google */
            tree = inner;
            continue;
        }
        for (size_t i = 0; i < AK_ARRAY_LEN(members); i++) {
            const char *text = ak_json_text(tree, members[i], NULL);

            if (!ak_is_empty(text))
                return text;
        }
        break;
    }
    return NULL;
}

void ak_upstream_words(int status, const json_t *tree, const char *text, size_t len, char *buf,
                       size_t size)
{
    const char *words = find_words(tree);
    size_t n = 0, words_len = words ? strlen(words) : len;

    if (!words && text && memchr(text, '<', AK_MIN(len, 256u))) /* a page for browsers */
        words_len = 0;
    words = words ? words : text;
    for (size_t i = 0; words && i < words_len && n + 1 < size; i++) {
        unsigned char c = (unsigned char)words[i];

        if (c >= 0x20 && c != 0x7f)
            buf[n++] = (char)c;
        else if (n && buf[n - 1] != ' ')
            buf[n++] = ' ';
    }
    while (n && buf[n - 1] == ' ')
        n--;
    while (n && ((unsigned char)buf[n - 1] & 0x80) && words_len > n) /* not half a character */
        n--;
    buf[n] = '\0';
    if (!n)
        (void)snprintf(buf, size, "HTTP %d", status);
}

int ak_upstream_code(int status)
{
    int code = ak_code_from_http(status, NULL);

    return code ? code : AK_E_PROTOCOL;
}

int ak_upstream_ask(struct ak_upstream *self, struct ak_call *call, const char *method,
                    const char *path, const json_t *body, json_t **ret, struct ak_error **reterr)
{
    AK_AUTO_JSON *tree = NULL;
    char words[1024];
    int status = 0, r = ak_upstream_json(self, method, path, body, &status, &tree, reterr);

    if (r < 0)
        return r;
    if (status >= 300 || !tree) {
        ak_upstream_words(status, tree, NULL, 0, words, sizeof(words));
        (void)snprintf(call->ret_server_code, sizeof(call->ret_server_code), "%d", status);
        return ak_error_set(reterr, ak_upstream_code(status), "%s", words);
    }
    *ret = AK_TAKE(tree);
    return 0;
}

void ak_upstream_abandon(const struct ak_upstream *self, const char *path)
{
    const struct ak_fetch_limits limits = {.deadline = ak_now() + ABANDON};
    AK_AUTO_PTR(ak_upstream) own = NULL;
    int status = 0;

    /* not a reader's: BigQuery takes this only with a token for everything */
    if (ak_upstream_new(self->target, NULL, false, &limits, &own, NULL) >= 0)
        (void)!ak_upstream_json(own, "POST", path, NULL, &status, NULL, NULL);
}
