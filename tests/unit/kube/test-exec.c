/* SPDX-License-Identifier: Apache-2.0 */
/* Commands in containers against a scripted apiserver: what is sent, what comes out, and how it ends. */
#include <ak/kube/exec.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "rig.h"

struct script {
    const char *protocol; /* that the server chooses */
    const char *refusal;  /* instead of the upgrade */
    const char *frames;   /* what it sends after the upgrade */
    size_t frames_len;
    const char *
        until; /* it waits for a message on channel 0 or 255 that ends so, before it sends the rest */
    const char *last; /* channel 3's text; NULL: the connection just ends */
    bool bad_accept;
    const char *path; /* that the client asks for instead of a pod; with a header of its own */
    char head[8192];  /* what came */
    struct ak_buf messages; /* payloads: "0:text;4:{...};" */
};

static void accept_of(const char *head, char out[64])
{
    const char *key = strstr(head, "Sec-WebSocket-Key: ");
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int len = 0;
    char text[128];

    assert_non_null(key);
    (void)snprintf(text, sizeof(text), "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key + 19);
    assert_int_equal(EVP_Digest(text, strlen(text), digest, &len, EVP_sha1(), NULL), 1);
    (void)EVP_EncodeBlock((unsigned char *)out, digest, (int)len);
}

static bool read_exactly(int fd, void *data, size_t len)
{
    return recv(fd, data, len, MSG_WAITALL) == (ssize_t)len;
}

/* One masked frame of the client; its opcode, or -1 at the end. */
static int read_frame(int fd, char *payload, size_t *ret_len)
{
    unsigned char h[2], more[8], mask[4];
    size_t len;

    if (!read_exactly(fd, h, 2) || !(h[1] & 0x80))
        return -1;
    len = h[1] & 0x7f;
    if (len == 126) {
        if (!read_exactly(fd, more, 2))
            return -1;
        len = (size_t)more[0] << 8 | more[1];
    }
    if (!read_exactly(fd, mask, 4) || (len && !read_exactly(fd, payload, len)))
        return -1;
    for (size_t i = 0; i < len; i++)
        payload[i] ^= (char)mask[i % 4];
    *ret_len = len;
    return h[0] & 0x0f;
}

static void send_status(int fd, const char *text)
{
    size_t len = strlen(text) + 1, at = 2;
    char frame[1024] = {(char)0x82, (char)len};

    if (len > 125) { /* the shortest form, as the protocol wants */
        frame[1] = 126;
        frame[at++] = (char)(len >> 8);
        frame[at++] = (char)len;
    }
    frame[at++] = 3;
    memcpy(frame + at, text, len - 1);
    (void)send(fd, frame, at + len - 1, MSG_NOSIGNAL);
}

static void note(struct script *s, const char *payload, size_t len)
{
    bool is_close = (unsigned char)payload[0] == 255;

    assert_int_equal(ak_buf_addf(&s->messages, "%u:%.*s;", (unsigned char)payload[0], (int)len - 1,
                                 is_close ? (payload[1] ? "?" : "0") : payload + 1),
                     0);
}

static void talk(int fd, int n, void *user)
{
    static char payload[70000];
    struct script *s = user;
    char accept[64], answer[512];
    size_t len = 0;
    int opcode;

    (void)n;
    if (!rig_read_head(fd, s->head, sizeof(s->head)))
        return;
    if (s->refusal) {
        rig_send(fd, s->refusal);
        return;
    }
    accept_of(s->head, accept);
    (void)snprintf(answer, sizeof(answer),
                   "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                   "Connection: Upgrade\r\nsec-websocket-accept: %s\r\n"
                   "Sec-WebSocket-Protocol: %s\r\n\r\n",
                   s->bad_accept ? "x" : accept, s->protocol);
    /* in one piece with the head: what comes behind it must not be lost */
    memcpy(payload, answer, strlen(answer));
    if (s->frames_len)
        memcpy(payload + strlen(answer), s->frames, s->frames_len);
    (void)send(fd, payload, strlen(answer) + s->frames_len, MSG_NOSIGNAL);
    while (s->until && (opcode = read_frame(fd, payload, &len)) >= 0 && opcode == 2) {
        note(s, payload, len);
        if (ak_has_suffix(ak_buf_text(&s->messages), s->until))
            break;
    }
    if (s->last) {
        send_status(fd, s->last);
        while ((opcode = read_frame(fd, payload, &len)) >= 0 && opcode != 8)
            note(s, payload, len);
    }
}

struct outcome {
    struct ak_buf out; /* "1text2text" */
    int code, exit_code;
    char message[512];
};

static int collect(enum ak_exec_stream stream, const char *data, size_t len, void *user)
{
    struct outcome *o = user;

    return ak_buf_addf(&o->out, "%d%.*s", stream, (int)len, data);
}

static int collect_end(enum ak_exec_stream stream, void *user)
{
    struct outcome *o = user;

    return ak_buf_addf(&o->out, "%d$", stream);
}

static bool say_size(struct ak_exec_size *ret, void *user)
{
    (void)user;
    *ret = (struct ak_exec_size){.columns = 80, .rows = 24};
    return true;
}

/* Runs a command with `input` (NULL: none) against the script. */
static void run(struct script *s, const char *input, bool tty, struct outcome *o)
{
    static const char *const command[] = {"sh", "-c", "a b&c", NULL};
    struct ak_kube_config_options config_options = {.token = "secret", .server = NULL};
    struct ak_exec_options options = {.ns = "ns",
                                      .pod = "pod",
                                      .container = "agent",
                                      .command = command,
                                      .tty = tty,
                                      .input_fd = -1,
                                      .resize_fd = -1,
                                      .size = say_size,
                                      .output = collect,
                                      .end = collect_end,
                                      .user = o,
                                      .connect_timeout = AK_SECONDS(20)};
    char kubeconfig[] = "/tmp/ak-exec-XXXXXX";
    struct ak_kube_config *config = NULL;
    struct ak_client *client = NULL;
    AK_AUTO_PTR(ak_error) err = NULL;
    struct rig_peer peer = {0};
    int pipes[2] = {-1, -1}, fd = mkstemp(kubeconfig);

    if (s->path) {
        static const char *const headers[] = {"X-Who: me", NULL};
        options.path = s->path;
        options.headers = headers;
    }
    s->messages.max = 1u << 20;
    o->out.max = 1u << 20;
    rig_peer_start(&peer, talk, s);
    (void)dprintf(fd,
                  "apiVersion: v1\nkind: Config\ncurrent-context: a\n"
                  "clusters: [{name: a, cluster: {server: %s}}]\n"
                  "contexts: [{name: a, context: {cluster: a, user: a}}]\n"
                  "users: [{name: a, user: {}}]\n",
                  peer.url);
    (void)close(fd);
    config_options.paths = kubeconfig;
    assert_int_equal(ak_kube_config_load(&config_options, &config, NULL), 0);
    assert_int_equal(ak_client_new(config, &client, NULL), 0);
    if (input) {
        assert_int_equal(pipe(pipes), 0);
        options.input_fd = pipes[0];
        assert_int_equal(write(pipes[1], input, strlen(input)), strlen(input));
        (void)close(pipes[1]);
    }
    o->code = ak_exec(client, &options, &o->exit_code, &err);
    (void)snprintf(o->message, sizeof(o->message), "%s", ak_error_message(err));
    assert_int_equal(ak_error_code(err), AK_MIN(o->code, 0));
    if (input)
        (void)close(pipes[0]);
    client = ak_client_free(client);
    config = ak_kube_config_free(config);
    rig_peer_end(&peer);
    (void)unlink(kubeconfig);
}

static void done(struct script *s, struct outcome *o)
{
    ak_buf_done(&s->messages);
    ak_buf_done(&o->out);
}

#define SUCCESS "{\"kind\":\"Status\",\"status\":\"Success\"}"
#define EXIT(code)                                                                                 \
    "{\"kind\":\"Status\",\"status\":\"Failure\",\"reason\":\"NonZeroExitCode\","                  \
    "\"message\":\"command terminated\",\"details\":{\"causes\":[{\"reason\":\"ExitCode\","        \
    "\"message\":\"" code "\"}]}}"

static void output_and_exit_code_come_through(void **state)
{
    struct script s = {.protocol = "v4.channel.k8s.io",
                       .frames = "\x82\x01\x01\x82\x06\x01hello\x82\x05\x02oops",
                       .frames_len = 3 + 8 + 7,
                       .last = EXIT("7")};
    struct outcome o = {0};

    (void)state;
    run(&s, NULL, false, &o);
    assert_int_equal(o.code, 0);
    assert_int_equal(o.exit_code, 7);
    assert_string_equal(ak_buf_text(&o.out), "1hello2oops");
    assert_true(ak_has_prefix(s.head,
                              "GET /api/v1/namespaces/ns/pods/pod/exec?stdout=true&stderr=true"
                              "&container=agent&command=sh&command=-c&command=a%20b%26c"
                              " HTTP/1.1\r\n"));
    assert_non_null(strstr(s.head, "Authorization: Bearer secret\r\n"));
    assert_non_null(strstr(s.head, "Connection: Upgrade\r\n"));
    assert_non_null(strstr(s.head, "Host: 127.0.0.1:"));
    assert_string_equal(ak_buf_text(&s.messages), ""); /* neither input nor a size */
    done(&s, &o);
}

static void input_reaches_the_command_and_v5_has_words_for_its_end(void **state)
{
    struct script v5 = {.protocol = "v5.channel.k8s.io", .until = "255:0;", .last = SUCCESS};
    struct script v4 = {.protocol = "v4.channel.k8s.io", .until = "in;", .last = SUCCESS};
    struct outcome o = {0};

    (void)state;
    run(&v4, "in", false, &o);
    assert_int_equal(o.code, 0);
    assert_int_equal(o.exit_code, 0);
    assert_string_equal(ak_buf_text(&v4.messages), "0:in;");
    assert_non_null(strstr(v4.head, "&stdin=true&"));
    done(&v4, &o);
    o = (struct outcome){0};
    run(&v5, "in", false, &o);
    assert_int_equal(o.code, 0);
    assert_true(ak_streq(ak_buf_text(&v5.messages), "0:in;255:0;"));
    done(&v5, &o);
}

static void channels_of_a_service_end_one_by_one(void **state)
{
    /* stdout "bye", then its end, then the end of a channel that nobody has */
    struct script s = {.protocol = "v5.channel.k8s.io",
                       .path = "/api/v1/namespaces/x/services/http:y:z/proxy/forward?a=b",
                       .frames = "\x82\x04\x01"
                                 "bye\x82\x02\xff\x01\x82\x02\xff\x09\x82\x01\xff",
                       .frames_len = 6 + 4 + 4 + 3,
                       .last = SUCCESS};
    struct outcome o = {0};

    (void)state;
    run(&s, NULL, false, &o);
    assert_int_equal(o.code, 0);
    assert_string_equal(ak_buf_text(&o.out), "1bye1$");
    assert_true(ak_has_prefix(
        s.head, "GET /api/v1/namespaces/x/services/http:y:z/proxy/forward?a=b HTTP/1.1\r\n"));
    assert_non_null(strstr(s.head, "X-Who: me\r\n"));
    assert_non_null(strstr(s.head, "Sec-WebSocket-Protocol: v5.channel.k8s.io"));
    done(&s, &o);
}

static void a_terminal_says_its_size_first(void **state)
{
    struct script s = {.protocol = "v4.channel.k8s.io", .until = "0:in;", .last = SUCCESS};
    struct outcome o = {0};

    (void)state;
    run(&s, "in", true, &o);
    assert_string_equal(o.message, "");
    assert_string_equal(ak_buf_text(&s.messages), "4:{\"Width\":80,\"Height\":24};0:in;");
    assert_non_null(strstr(s.head, "&tty=true&"));
    assert_null(strstr(s.head, "stderr"));
    done(&s, &o);
}

struct failure_case {
    struct script script;
    int code;
    const char *word;
};
static const struct failure_case failure_cases[] = {
    {{.refusal = "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\n"
                 "Content-Length: 75\r\n\r\n"
                 "{\"kind\":\"Status\",\"reason\":\"Forbidden\",\"message\":\"the gate says no, "
                 "friend\"}"},
     AK_E_FORBIDDEN,
     "the gate says no, friend"},
    {{.refusal = "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "1e\r\n{\"kind\":\"Status\",\"reason\":\"Not\r\n"
                 "24\r\nFound\",\"message\":\"no such pod here\"}\r\n0\r\n\r\n"},
     AK_E_NOT_FOUND,
     "no such pod here"},
    {{.refusal = "HTTP/1.1 502 Bad Gateway\r\n\r\n<html>a proxy"}, AK_E_SERVER, "<html>a proxy"},
    {{.refusal = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}, AK_E_PROTOCOL, "no upgrade"},
    {{.refusal = "nonsense\r\n\r\n"}, AK_E_PROTOCOL, "not HTTP"},
    {{.refusal = ""}, AK_E_PROTOCOL, "without an answer"},
    {{.protocol = "v4.channel.k8s.io", .bad_accept = true}, AK_E_PROTOCOL, "did not accept"},
    {{.protocol = "channel.k8s.io"}, AK_E_PROTOCOL, "speaks \"channel.k8s.io\""},
    {{.protocol = "v4.channel.k8s.io"}, AK_E_PROTOCOL, "ended before the command"},
    {{.protocol = "v4.channel.k8s.io", .frames = "\x82\x02\x01", .frames_len = 3},
     AK_E_PROTOCOL,
     "ended before the command"},
    {{.protocol = "v4.channel.k8s.io", .frames = "\x83\x02\x01", .frames_len = 3},
     AK_E_PROTOCOL,
     "broke the WebSocket protocol"},
    {{.protocol = "v4.channel.k8s.io",
      .last = "{\"status\":\"Failure\",\"message\":\"no such program\"}"},
     AK_E_SERVER,
     "no such program"},
    {{.protocol = "v4.channel.k8s.io", .last = "{"}, AK_E_INVALID, ""},
};

static void what_goes_wrong_is_said(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(failure_cases); i++) {
        const struct failure_case *c = &failure_cases[i];
        struct script s = c->script;
        struct outcome o = {0};

        run(&s, NULL, false, &o);
        if (c->code == AK_E_INVALID ? o.code >= 0 : o.code != c->code)
            fail_msg("case %zu: %d \"%s\"", i, o.code, o.message);
        if (!strstr(o.message, c->word))
            fail_msg("case %zu: \"%s\"", i, o.message);
        done(&s, &o);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_and_exit_code_come_through),
        cmocka_unit_test(input_reaches_the_command_and_v5_has_words_for_its_end),
        cmocka_unit_test(channels_of_a_service_end_one_by_one),
        cmocka_unit_test(a_terminal_says_its_size_first),
        cmocka_unit_test(what_goes_wrong_is_said),
    };

    return cmocka_run_group_tests_name("kube/exec", tests, NULL, NULL);
}
