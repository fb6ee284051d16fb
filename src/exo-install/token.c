/* SPDX-License-Identifier: Apache-2.0 */
#include "exo-install/token.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <ak/base/buf.h>
#include <ak/base/text.h>

#define PREFIX "exo_dpl_"
#define DIGITS 32
#define TOKEN_LEN (sizeof(PREFIX) - 1 + DIGITS)
#define INPUT_MAX 256

bool ak_token_is_valid(const char *text, size_t len)
{
    if (len != TOKEN_LEN || memcmp(text, PREFIX, sizeof(PREFIX) - 1) != 0)
        return false;
    for (size_t i = sizeof(PREFIX) - 1; i < len; i++)
        if (!strchr("0123456789abcdefABCDEF", text[i]))
            return false;
    return true;
}

/* Line ends and blanks around a token come from editors and echo. */
static int make_token(const struct ak_buf *text, const char *origin, struct ak_secret **ret,
                      struct ak_error **reterr)
{
    const char *start = ak_buf_text(text);
    size_t len = text->len;

    while (len && strchr(" \t\r\n", start[len - 1]))
        len--;
    while (len && strchr(" \t\r\n", *start)) {
        start++;
        len--;
    }
    if (!ak_token_is_valid(start, len))
        return ak_error_set(reterr, -EINVAL,
                            "%s: a deployment token is " PREFIX " and %d hexadecimal digits",
                            origin, DIGITS);
    *ret = ak_secret_new(start, len);
    return *ret ? 0 : ak_error_oom(reterr);
}

static int read_stdin(struct ak_buf *out)
{
    char some[INPUT_MAX];
    ssize_t n;
    int r = 0;

    while (r >= 0 && (n = read(STDIN_FILENO, some, sizeof(some))) > 0)
        r = ak_buf_add(out, some, (size_t)n);
    ak_wipe(some, sizeof(some));
    return r;
}

int ak_token_from_file(const char *path, struct ak_secret **ret, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = {.max = INPUT_MAX, .wipe = true};

    *ret = NULL;
    if (!path)
        return 0;
    int r = ak_streq(path, "-") ? read_stdin(&text) : ak_buf_add_file(&text, path);
    if (r == AK_E_TOO_LARGE)
        return ak_error_set(reterr, -EINVAL, "--token-file \"%s\": too long for a token", path);
    if (r < 0)
        return ak_error_set(reterr, -EINVAL, "--token-file \"%s\": %s", path, ak_code_text(r));
    return make_token(&text, "--token-file", ret, reterr);
}

/* Reads one line. Keys are bytes here: the terminal is not to interpret Ctrl-C, or it would be left
 * without echo. 0, or -ECANCELED. */
static int read_keys(struct ak_buf *out)
{
    enum { CTRL_C = 3, CTRL_D = 4, BACKSPACE = 8, DELETE = 127 };
    char key = 0;

    while (read(STDIN_FILENO, &key, 1) == 1 && key != '\n' && key != '\r') {
        if (key == CTRL_C || key == CTRL_D)
            return -ECANCELED;
        if (key == BACKSPACE || key == DELETE)
            out->len -= out->len > 0;
        else if (ak_buf_add(out, &key, 1) < 0)
            return -ECANCELED;
    }
    return 0;
}

static int prompt(struct ak_secret **ret, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = {.max = INPUT_MAX, .wipe = true};
    struct termios shown, hidden;

    if (tcgetattr(STDIN_FILENO, &shown) < 0)
        return ak_error_set(reterr, -errno, "the terminal cannot be asked");
    hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)(ECHO | ICANON | ISIG);
    hidden.c_cc[VMIN] = 1;
    hidden.c_cc[VTIME] = 0;
    (void)fputs("Deployment token (not shown): ", stderr);
    (void)fflush(stderr);
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    int r = read_keys(&text);
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
    (void)fputc('\n', stderr);
    if (r < 0)
        return ak_error_set(reterr, AK_E_CANCELLED, "no token was given: nothing was changed");
    return make_token(&text, "token", ret, reterr);
}

int ak_token_ensure(struct ak_install *self, struct ak_secret **token, struct ak_error **reterr)
{
    AK_AUTO_JSON *secret = NULL;

    if (*token)
        return 0;
    int r = ak_cluster_find(self, "Secret", AK_INSTALL_NAMESPACE, AK_INSTALL_TOKEN_SECRET, &secret,
                            reterr);
    if (r < 0)
        return r;
    if (ak_json_text(secret, "data", AK_INSTALL_TOKEN_KEY, NULL))
        return 0;
    if (isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1)
        return prompt(token, reterr);
    ak_screen_complain(
        &self->screen,
        "exo-install: --managed needs the deployment token of this cluster; nothing was changed.\n"
        "Give it with --token-file FILE, or create the Secret yourself and run this again:\n"
        "  kubectl create namespace " AK_INSTALL_NAMESPACE "\n"
        "  kubectl -n " AK_INSTALL_NAMESPACE " create secret generic " AK_INSTALL_TOKEN_SECRET
        " --from-file=" AK_INSTALL_TOKEN_KEY "=FILE");
    return AK_EXIT_PREFLIGHT;
}

/* Written as text into a buffer that is wiped: a JSON tree would leave copies in freed memory. */
static int write_secret(const struct ak_secret *token, struct ak_buf *out)
{
    unsigned char encoded[4 * (TOKEN_LEN / 3 + 2)];
    size_t len = 0;
    const char *bytes = ak_secret_peek(token, &len);

    if (len > TOKEN_LEN)
        return -EINVAL;
    (void)EVP_EncodeBlock(encoded, (const unsigned char *)bytes, (int)len);
    int r = ak_buf_addf(
        out,
        "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"%s\",\"namespace\":"
        "\"%s\",\"labels\":{\"app.kubernetes.io/part-of\":\"agentkube\","
        "\"app.kubernetes.io/managed-by\":\"%s\"}},\"type\":\"Opaque\",\"data\":{\"%s\":\"%s\"}}",
        AK_INSTALL_TOKEN_SECRET, AK_INSTALL_NAMESPACE, AK_INSTALL_SELF, AK_INSTALL_TOKEN_KEY,
        (const char *)encoded);
    ak_wipe(encoded, sizeof(encoded));
    return r;
}

int ak_token_apply(struct ak_install *self, const struct ak_secret *token, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) body = {.max = 4096, .wipe = true};

    if (!token)
        return 0;
    int r = write_secret(token, &body);
    if (r < 0)
        return ak_error_set(reterr, r, "write the Secret " AK_INSTALL_TOKEN_SECRET);
    /* A token that somebody gives now replaces the one that is there, whoever wrote that. */
    const struct ak_call call = {
        .method = "PATCH",
        .path = "/api/v1/namespaces/" AK_INSTALL_NAMESPACE "/secrets/" AK_INSTALL_TOKEN_SECRET
                "?fieldManager=" AK_INSTALL_SELF "&force=true",
        .content_type = "application/apply-patch+yaml",
        .body = ak_buf_text(&body),
        .body_len = body.len,
    };
    r = ak_client_call(self->client, &call, NULL, reterr);
    if (r < 0)
        return ak_error_wrap(reterr, r, "secret/" AK_INSTALL_TOKEN_SECRET);
    ak_screen_done(&self->screen, "secret/" AK_INSTALL_TOKEN_SECRET, "configured");
    return 0;
}
