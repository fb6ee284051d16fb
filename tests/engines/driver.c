/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One engine of the bastion as a program, without the bastion around it: what the tests of tests/engines talk
 * to.
 *
 *     engine-driver probe|provision|deprovision           the result as JSON
 *     engine-driver call OPERATION [FLAGS] <arguments      {"result":...} or {"error":...,"code":...,"serverCode":...}
 *     engine-driver serve SOCKET [FLAGS]                   clients on a Unix socket; what happens, as lines of JSON;
 *                                                          SIGUSR1 ends the session, SIGTERM the program
 *     FLAGS: --read-only, --max-rows=N, --max-bytes=N, --timeout=MS, --refuse=TEXT
 *
 * The Tool is in AGENTKUBE_TOOL, its Secrets in AGENTKUBE_CREDENTIAL_DIR, AGENTKUBE_IDENTITY_DIR,
 * AGENTKUBE_ADMIN_DIR, as in a pod.
 */
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/json/decode.h>
#include <ak/json/json.h>

#include "bastion/engine.h"
#include "engines/engine.h"
#include "serve_loop.h"
#include "session.h"

struct flags {
    bool read_only;
    int64_t max_rows, max_bytes, timeout;
    const char *refuse;
};

static int print(json_t *tree)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(64 << 20);

    if (ak_json_write(tree, &text, NULL) < 0)
        return 2;
    puts(text.data);
    json_decref(tree);
    return fflush(stdout) == 0 ? 0 : 2;
}

static int fail(int code, const struct ak_error *err, const char *server_code)
{
    (void)print(json_pack("{s:s, s:i, s:s, s:s}", "error", ak_error_message(err), "code", code,
                          "reason", ak_code_text(code), "serverCode",
                          server_code ? server_code : ""));
    return 1;
}

static int load(struct ak_target *target, struct ak_arena *arena, json_t **ret_tree)
{
    static const char *const folders[] = {"AGENTKUBE_CREDENTIAL_DIR", "AGENTKUBE_IDENTITY_DIR",
                                          "AGENTKUBE_ADMIN_DIR", "AGENTKUBE_LINK"};
    const char **into[] = {&target->credential_dir, &target->identity_dir, &target->admin_dir,
                           &target->link_dir};
    AK_AUTO_PTR(ak_error) err = NULL;
    struct ak_tool_spec *spec = ak_arena_alloc(arena, sizeof(*spec));
    const char *text = getenv("AGENTKUBE_TOOL");

    if (!text || ak_json_parse(text, strlen(text), ret_tree, &err) < 0 ||
        ak_decode(&ak_tool_spec_type, json_object_get(*ret_tree, "spec"), spec, arena, &err) < 0) {
        fprintf(stderr, "AGENTKUBE_TOOL: %s\n", text ? ak_error_message(err) : "not set");
        return -1;
    }
    target->spec = spec;
    target->info = ak_engine_info(spec->type);
    target->ns = ak_json_text(*ret_tree, "namespace", NULL);
    target->name = ak_json_text(*ret_tree, "name", NULL);
    target->uid = ak_json_text(*ret_tree, "uid", NULL);
    for (size_t i = 0; i < AK_ARRAY_LEN(folders); i++)
        *into[i] = getenv(folders[i]) ? getenv(folders[i]) : "/nonexistent";
    return 0;
}

static int probe(const struct ak_target *target, const struct ak_engine *engine,
                 const struct flags *flags)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    struct ak_probe_result result = {.reachable = false};
    int r = engine->probe(target, NULL, ak_now() + flags->timeout, &result, &err);

    if (r < 0)
        return fail(r, err, NULL);
    return print(json_pack("{s:b, s:b, s:b, s:s, s:s}", "reachable", result.reachable,
                           "authenticated", result.authenticated, "authorised", result.authorised,
                           "server", result.server, "message", result.message));
}

static json_t *lines(const char *const *items, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(list, json_string(items[i]));
    return list;
}

static int provision(const struct ak_target *target, const struct ak_engine *engine,
                     const struct flags *flags, struct ak_arena *arena, bool away)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    struct ak_provision_result result = {.arena = arena};
    int r = (away ? engine->deprovision
                  : engine->provision)(target, NULL, ak_now() + flags->timeout, &result, &err);

    if (r < 0)
        return fail(r, err, NULL);
    return print(json_pack("{s:b, s:o, s:o, s:s}", "done", result.done, "changed",
                           lines(result.changed, result.n_changed), "unenforceable",
                           lines(result.unenforceable, result.n_unenforceable), "message",
                           result.message));
}

static int call(const struct ak_target *target, const struct ak_engine *engine,
                const char *operation, const struct flags *flags)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO(ak_buf) input = AK_BUF_INIT(8 << 20);
    AK_AUTO_JSON *arguments = NULL;
    struct ak_session *session = driver_session_new(AK_SESSION_OPERATION, flags->read_only, NULL);
    struct ak_call request = {.operation = ak_engine_operation(target->info, operation),
                              .max_rows = flags->max_rows,
                              .max_bytes = flags->max_bytes,
                              .deadline = ak_now() + flags->timeout,
                              .read_only = flags->read_only};
    int r = ak_buf_add_file(&input, "/dev/stdin");

    if (r >= 0)
        r = ak_json_parse(ak_buf_text(&input), input.len, &arguments, &err);
    if (r < 0 || !request.operation || !session) {
        fprintf(stderr, "call: %s\n", err ? ak_error_message(err) : "no such operation");
        return 2;
    }
    request.arguments = arguments;
    r = engine->call(target, session, &request, &err);
    driver_session_free(session);
    if (r < 0)
        return fail(r, err, request.ret_server_code);
    return print(json_pack("{s:o, s:I, s:I}", "result", request.ret_result, "rows",
                           (json_int_t)request.ret_rows, "bytes", (json_int_t)request.ret_bytes));
}

/* --- serve --- */

struct server {
    const struct ak_target *target;
    const struct ak_engine *engine;
    struct ak_session *session;
    pthread_mutex_t lock; /* guards alive, and stdout's lines */
    pthread_cond_t ended;
    int alive;
};

struct connection {
    struct server *server;
    int fd;
};

static void *serve_one(void *user)
{
    struct connection *c = user;
    struct server *s = c->server;
    AK_AUTO_PTR(ak_error) err = NULL;
    int r = s->engine->serve_fd(s->target, s->session, c->fd, &err);

    pthread_mutex_lock(&s->lock);
    printf("{\"event\":\"end\",\"code\":%d}\n", r);
    fflush(stdout);
    if (r < 0)
        fprintf(stderr, "connection: %s\n", ak_error_message(err));
    s->alive--;
    pthread_cond_signal(&s->ended);
    pthread_mutex_unlock(&s->lock);
    ak_free(c);
    return NULL;
}

static void accept_one(struct server *s, int listener)
{
    struct connection *c = ak_new0(struct connection);
    pthread_attr_t attributes;
    pthread_t thread;

    c->server = s;
    c->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (c->fd < 0) {
        ak_free(c);
        return;
    }
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, AK_ENGINE_STACK);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_mutex_lock(&s->lock);
    s->alive++;
    pthread_mutex_unlock(&s->lock);
    if (pthread_create(&thread, &attributes, serve_one, c) != 0)
        abort();
    pthread_attr_destroy(&attributes);
}

static int serve(const struct ak_target *target, const struct ak_engine *engine, const char *path,
                 const struct flags *flags)
{
    struct server s = {.target = target,
                       .engine = engine,
                       .lock = PTHREAD_MUTEX_INITIALIZER,
                       .ended = PTHREAD_COND_INITIALIZER};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sigset_t signals;
    int signal_fd;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGUSR1);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    s.session = driver_session_new(AK_SESSION_FORWARD, flags->read_only, flags->refuse);
    if (!s.session || bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(listener, 64) < 0) {
        perror(path);
        return 2;
    }
    puts("{\"event\":\"listening\"}");
    fflush(stdout);
    for (;;) {
        struct pollfd fds[2] = {{.fd = listener, .events = POLLIN},
                                {.fd = signal_fd, .events = POLLIN}};
        struct signalfd_siginfo info;

        if (poll(fds, 2, -1) < 0)
            continue;
        if (fds[0].revents)
            accept_one(&s, listener);
        if (!fds[1].revents || read(signal_fd, &info, sizeof(info)) != sizeof(info))
            continue;
        driver_session_end(s.session, "the Tool was changed");
        if (info.ssi_signo == SIGTERM)
            break;
    }
    pthread_mutex_lock(&s.lock);
    while (s.alive)
        pthread_cond_wait(&s.ended, &s.lock);
    pthread_mutex_unlock(&s.lock);
    driver_session_free(s.session);
    close(listener);
    close(signal_fd);
    return 0;
}

static int read_flags(int argc, char **argv, struct flags *ret)
{
    static const struct option options[] = {
        {"read-only", no_argument, NULL, 'o'},       {"max-rows", required_argument, NULL, 'r'},
        {"max-bytes", required_argument, NULL, 'b'}, {"timeout", required_argument, NULL, 't'},
        {"refuse", required_argument, NULL, 'f'},    {NULL, 0, NULL, 0}};
    int c;

    *ret = (struct flags){.max_rows = 1000, .max_bytes = 1 << 20, .timeout = AK_SECONDS(20)};
    while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
        int64_t *number = c == 'r'   ? &ret->max_rows
                          : c == 'b' ? &ret->max_bytes
                          : c == 't' ? &ret->timeout
                                     : NULL;

        if (c == 'o')
            ret->read_only = true;
        else if (c == 'f')
            ret->refuse = optarg;
        else if (!number || ak_parse_i64(optarg, number) < 0)
            return -1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    AK_AUTO(ak_arena) arena = {0};
    AK_AUTO_JSON *tree = NULL;
    struct ak_target target = {NULL};
    const struct ak_engine *engine;
    struct flags flags;
    const char *verb, *what;

    ak_json_setup();
    ak_arena_init(&arena, 4096, 16 << 20);
    (void)signal(SIGPIPE, SIG_IGN);
    if (read_flags(argc, argv, &flags) < 0 || optind >= argc || load(&target, &arena, &tree) < 0)
        return 2;
    verb = argv[optind];
    what = optind + 1 < argc ? argv[optind + 1] : "";
    engine = ak_engine_of(target.info);
    if (!engine)
        return 2;
    if (strcmp(verb, "probe") == 0)
        return probe(&target, engine, &flags);
    if (strcmp(verb, "provision") == 0 || strcmp(verb, "deprovision") == 0)
        return provision(&target, engine, &flags, &arena, verb[0] == 'd');
    if (strcmp(verb, "call") == 0)
        return call(&target, engine, what, &flags);
    if (strcmp(verb, "serve") == 0 && engine->listen) {
        struct ak_session *session =
            driver_session_new(AK_SESSION_FORWARD, flags.read_only, flags.refuse);
        int r = driver_serve_on_loop(&target, engine, session, what);

        driver_session_free(session);
        return r;
    }
    return strcmp(verb, "serve") == 0 && engine->serve_fd ? serve(&target, engine, what, &flags)
                                                          : 2;
}
