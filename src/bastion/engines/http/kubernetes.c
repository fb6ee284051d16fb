/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Type kubernetes: kubectl in container `client`, against the session's proxy. Its kubeconfig says http://127.0.0.1
 * and a path that only this session knows; token or certificate are the proxy's.
 */
#include <stdio.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/json/json.h>

#include "bastion/engines/http/proxy.h"
#include "bastion/engines/http/types.h"
#include "bastion/session.h"
#include "engines/classify.h"

#define MAX_ARGUMENTS 256

static const char *namespace_of(const struct ak_target *target)
{
    const struct ak_tool_permissions *p = target->spec->permissions;

    if (p && p->namespaces.len)
        return p->namespaces.items[0];
    return target->spec->config->in_cluster ? target->ns : "default";
}

static int client(const struct ak_target *target, const struct ak_http_proxy *proxy,
                  const char *socket_path, const char *const *args, bool tty,
                  struct ak_arena *arena, struct ak_client_command *ret, struct ak_error **reterr)
{
    const char **argv, **env;
    char *text, *path;
    size_t n = 0;
    bool shell;

    (void)socket_path;
    if (!proxy)
        return ak_error_set(reterr, AK_E_PROTOCOL, "the session has no proxy");
    if (args && args[0] && ak_streq(args[0], "kubectl"))
        args++;
    while (args && args[n])
        n++;
    shell = tty && !n;
    argv = ak_arena_alloc(arena, (n + 2) * sizeof(*argv));
    env = ak_arena_alloc(arena, 2 * sizeof(*env));
    path = ak_arena_printf(arena, "/tmp/kubeconfig-%.8s", ak_http_proxy_token(proxy) + 24);
    text = ak_arena_printf(arena,
                           "{\"apiVersion\":\"v1\",\"kind\":\"Config\",\"current-context\":"
                           "\"tool\",\"contexts\":[{\"name\":\"tool\","
                           "\"context\":{\"cluster\":\"tool\",\"user\":\"tool\",\"namespace\":\"%"
                           "s\"}}],\"users\":[{\"name\":\"tool\","
                           "\"user\":{}}],\"clusters\":[{\"name\":\"tool\",\"cluster\":{\"server\":"
                           "\"http://127.0.0.1:%u/%s\"}}]}\n",
                           namespace_of(target), ak_http_proxy_port(proxy),
                           ak_http_proxy_token(proxy));
    if (!argv || !env || !path || !text ||
        !(env[0] = ak_arena_printf(arena, "KUBECONFIG=%s", path)))
        return ak_error_oom(reterr);
    argv[0] = shell ? "sh" : "kubectl";
    for (size_t i = 0; i < n; i++)
        argv[i + 1] = args[i];
    *ret = (struct ak_client_command){.argv = argv, .env = env};
    ret->files[ret->n_files++] =
        (struct ak_client_file){.path = path, .data = text, .len = strlen(text)};
    return 0;
}

/* --- kubectl as an operation: a proxy of its own, on a thread of its own --- */

struct helper {
    struct ak_loop *loop;
    struct ak_thread thread;
};

static void run_loop(void *user)
{
    struct helper *self = user;

    int r = ak_loop_run(self->loop, NULL); /* what fails there, kubectl says: nobody answers it */

    (void)r;
}

static int read_arguments(const struct ak_call *call, const char *ret[MAX_ARGUMENTS + 1],
                          struct ak_error **reterr)
{
    const json_t *args = json_object_get(call->arguments, "args");
    const char *refused = NULL;
    size_t n = json_array_size(args), about = 0;
    enum ak_statement_class class;

    if (!n || n > MAX_ARGUMENTS)
        return ak_error_set(reterr, -EINVAL, "args: 1 to %d are needed", MAX_ARGUMENTS);
    for (size_t i = 0; i < n; i++) {
        ret[i] = json_string_value(json_array_get(args, i));
        if (!ret[i])
            return ak_error_set(reterr, -EINVAL, "args[%zu]: must be a text", i);
    }
    ret[n] = NULL;
    class = ak_classify_kubectl(ret, n, &refused, &about);
    if (refused)
        return ak_error_set(reterr, AK_E_FORBIDDEN, "%s%s%s", about < n ? ret[about] : "",
                            about < n ? ": " : "", refused);
    if (call->read_only && class != AK_CLASS_READ)
        return ak_error_set(reterr, AK_E_FORBIDDEN,
                            "kubectl %s is refused: this caller of the Tool may only read", ret[0]);
    return 0;
}

static int run_kubectl(const struct ak_target *target, struct ak_session *session,
                       struct ak_call *call, const struct ak_http_proxy *proxy,
                       const char *const *args, struct ak_error **reterr)
{
    AK_AUTO(ak_arena) arena = {0};
    AK_AUTO(ak_client_output) out = {0};
    struct ak_client_command command = {0};
    const struct ak_client_limits limits = {.max_bytes = (size_t)call->max_bytes,
                                            .deadline = call->deadline};
    const json_t *input = json_object_get(call->arguments, "stdin");
    json_t *text;
    int r;

    ak_arena_init(&arena, 4096, 1u << 20);
    r = client(target, proxy, NULL, args, false, &arena, &command, reterr);
    if (r >= 0)
        r = ak_client_run(target, session, &command, json_string_value(input),
                          json_string_length(input), &limits, &out, reterr);
    if (r < 0)
        return r;
    text = json_stringn(out.text ? out.text : "", out.len);
    call->ret_result =
        json_pack("{s:o, s:b, s:i}", "text", text ? text : json_string("(the output is not UTF-8)"),
                  "truncated", out.truncated, "exitCode", out.exit_code);
    call->ret_bytes = (int64_t)out.len;
    return call->ret_result ? 0 : ak_error_oom(reterr);
}

static int call_kubectl(struct ak_upstream *upstream, struct ak_session *session,
                        struct ak_call *call, struct ak_error **reterr)
{
    const char *args[MAX_ARGUMENTS + 1];
    struct helper helper = {0};
    AK_AUTO_PTR(ak_loop) loop = NULL;
    AK_AUTO_PTR(ak_http_proxy) proxy = NULL; /* freed before its loop, whose thread has ended */
    int r = read_arguments(call, args, reterr);

    if (r >= 0)
        r = ak_loop_new(&loop, reterr);
    if (r >= 0)
        r = ak_http_proxy_new(upstream->target, session, loop, NULL, true, &proxy, reterr);
    if (r < 0)
        return r;
    helper.loop = loop;
    r = ak_thread_start(&helper.thread, "kubectl-proxy", run_loop, &helper);
    if (r < 0)
        return ak_error_set(reterr, r, "cannot start a thread: %s", ak_code_text(r));
    r = run_kubectl(upstream->target, session, call, proxy, args, reterr);
    ak_loop_stop(loop);
    ak_thread_join(&helper.thread);
    return r;
}

/* --- probe --- */

/* The rules that everybody has are about oneself and about the API's own pages. */
static bool may_something(const json_t *review)
{
    const json_t *rules = ak_json_at(review, "status", "resourceRules", NULL);

    if (json_is_true(ak_json_at(review, "status", "incomplete", NULL)))
        return true;
    for (size_t i = 0; i < json_array_size(rules); i++) {
        const json_t *resources = json_object_get(json_array_get(rules, i), "resources");

        for (size_t k = 0; k < json_array_size(resources); k++) {
            const char *name = json_string_value(json_array_get(resources, k));

            if (name && !ak_has_prefix(name, "selfsubject"))
                return true;
        }
    }
    return false;
}

static int probe(struct ak_upstream *upstream, struct ak_probe_result *ret,
                 struct ak_error **reterr)
{
    const char *ns = namespace_of(upstream->target);
    AK_AUTO_JSON *version = NULL, *review = NULL;
    AK_AUTO_JSON *question =
        json_pack("{s:s, s:s, s:{s:s}}", "apiVersion", "authorization.k8s.io/v1", "kind",
                  "SelfSubjectRulesReview", "spec", "namespace", ns);
    const char *text;
    char words[512];
    int status = 0, r;

    if (!question)
        return ak_error_oom(reterr);
    r = ak_upstream_json(upstream, "GET", "/version", NULL, &status, &version, reterr);
    if (r < 0)
        return r;
    text = version ? ak_json_text(version, "gitVersion", NULL) : NULL;
    (void)snprintf(ret->server, sizeof(ret->server), "Kubernetes%s%.64s", text ? " " : "",
                   text ? text : "");
    r = ak_upstream_json(upstream, "POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
                         question, &status, &review, reterr);
    if (r < 0)
        return r;
    ak_upstream_words(status, review, NULL, 0, words, sizeof(words));
    ak_http_probe_status(ret, status, words);
    if (status == 201 && !may_something(review)) {
        ret->authorised = false;
        ak_http_probe_message(ret, "no rights in namespace \"%s\"", ns);
    } else if (status != 201 && status < 400) {
        ret->authenticated = ret->authorised = false;
        ak_http_probe_message(ret, "HTTP %d: this is no Kubernetes API server", status);
    }
    return 0;
}

static const struct ak_http_operation operations[] = {{"kubectl", call_kubectl}, {NULL, NULL}};

const struct ak_http_type ak_http_type_kubernetes = {
    .type = AK_TOOL_TYPE_KUBERNETES,
    .operations = operations,
    .probe = probe,
    .client = client,
    .wants_tcp = true,
};
