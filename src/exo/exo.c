/* SPDX-License-Identifier: Apache-2.0 */
#include "exo/exo.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include <ak/base/text.h>

void ak_exo_init(struct ak_exo *self, const struct ak_exo_options *options, struct ak_arena *arena)
{
    *self = (struct ak_exo){.options = options, .arena = arena};
    ak_mutex_init(&self->token_lock);
}

int ak_exo_connect(struct ak_exo *self, struct ak_error **reterr)
{
    const struct ak_exo_options *o = self->options;
    const struct ak_kube_config_options options = {
        .paths = o->kubeconfig,
        .context = o->context,
        .namespace_ = o->namespace_,
        .service_host = o->service_host,
        .service_port = o->service_port,
        .https_proxy = o->https_proxy,
        .no_proxy = o->no_proxy,
        .environ_ = o->environ_,
        .user_agent = "exo/" AK_VERSION,
    };
    int r = ak_kube_config_load(&options, &self->config, reterr);
    if (r >= 0)
        r = ak_client_new(self->config, &self->client, reterr);
    if (r >= 0)
        self->ns = ak_kube_config_namespace(self->config);
    return r;
}

void ak_exo_done(struct ak_exo *self)
{
    self->token = ak_secret_free(self->token);
    self->client = ak_client_free(self->client);
    self->config = ak_kube_config_free(self->config);
    ak_mutex_done(&self->token_lock);
}

enum ak_exit ak_exo_exit_of(int code, const struct ak_error *err)
{
    static const struct {
        int code, http;
        enum ak_exit exit;
    } exits[] = {
        {0, 504, AK_EXIT_TIMEOUT},
        {0, 428, AK_EXIT_BUSY},   /* a person has to agree first */
        {0, 503, AK_EXIT_FAILED}, /* it may have been done: trying again is for people */
        {-EINVAL, 0, AK_EXIT_USAGE},
        {AK_E_NOT_FOUND, 0, AK_EXIT_NOT_FOUND},
        {AK_E_GONE, 0, AK_EXIT_NOT_FOUND},
        {AK_E_FORBIDDEN, 0, AK_EXIT_FORBIDDEN},
        {AK_E_UNAUTHORIZED, 0, AK_EXIT_FORBIDDEN},
        {AK_E_CONFLICT, 0, AK_EXIT_BUSY},
        {AK_E_ALREADY_EXISTS, 0, AK_EXIT_BUSY},
        {AK_E_THROTTLED, 0, AK_EXIT_BUSY},
        {-ETIMEDOUT, 0, AK_EXIT_TIMEOUT},
    };
    int http = ak_error_http_status(err);

    for (size_t i = 0; i < AK_ARRAY_LEN(exits); i++)
        if (exits[i].http ? exits[i].http == http : exits[i].code == code)
            return exits[i].exit;
    return AK_EXIT_FAILED;
}

int ak_exo_write(int fd, const char *data, size_t len, struct ak_error **reterr)
{
    while (len) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EAGAIN) { /* somebody made our terminal non-blocking */
            struct pollfd wait = {.fd = fd, .events = POLLOUT};
            (void)poll(&wait, 1, -1);
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ak_error_set(reterr, -errno, "write: %s", ak_code_text(-errno));
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

int ak_exo_read_input(struct ak_buf *out, const char *what, struct ak_error **reterr)
{
    char some[16384];
    ssize_t n;

    while ((n = read(STDIN_FILENO, some, sizeof(some))) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ak_error_set(reterr, -errno, "standard input: %s", ak_code_text(-errno));
        int r = ak_buf_add(out, some, (size_t)n);
        if (r == -ENOMEM)
            return ak_error_oom(reterr);
        if (r < 0)
            return ak_error_set(reterr, -EINVAL, "%s longer than %zu KiB", what, out->max >> 10);
    }
    return 0;
}

int ak_exo_print(const struct ak_buf *text, struct ak_error **reterr)
{
    return ak_exo_write(STDOUT_FILENO, ak_buf_text(text), text->len, reterr);
}
