/* SPDX-License-Identifier: Apache-2.0 */
/* A program in container `client`, from a thread that may block: its own connection of the link. */
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/base/buf.h>

#include "bastion/link.h"
#include "bastion/session.h"

#define MAX_BYTES (1u << 20)

struct run {
    int fd;
    const struct ak_cancel *cancel;
    ak_msec deadline;
    struct ak_link_reader reader;
    struct ak_buf out, errors, start; /* start: what is to be sent first */
    size_t max, sent;
    const char *input;
    size_t input_len, input_at, window;
    bool truncated, input_ended;
};

void ak_client_output_done(struct ak_client_output *self)
{
    ak_free(self->text);
    self->text = NULL;
}

int ak__link_dial(const char *link_dir, struct ak_error **reterr)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    AK_AUTO_TEXT char *path = ak_asprintf("%s/" AK_LINK_SOCKET, link_dir);
    int fd, r;

    if (!path)
        return ak_error_oom(reterr);
    if (strlen(path) >= sizeof(address.sun_path))
        return ak_error_set(reterr, -ENAMETOOLONG, "\"%s\" is too long for a socket", path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return ak_error_set(reterr, -errno, "socket: %s", ak_code_text(-errno));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    r = errno;
    (void)close(fd);
    return ak_error_set(reterr, AK_E_PROTOCOL, "the container of the client program: %s",
                        ak_code_text(-r));
}

static void keep(struct run *run, struct ak_buf *buf, const struct ak_link_frame *frame)
{
    size_t have = run->out.len + run->errors.len;
    size_t n = AK_MIN(frame->len, run->max - AK_MIN(have, run->max));

    /* What still fits is kept of a piece that does not. */
    if (ak_buf_add(buf, frame->data, n) < 0 || n < frame->len)
        run->truncated = true;
}

/* 1: it has ended. */
static int take(struct run *run, const struct ak_link_frame *frame, int *ret_code,
                struct ak_error **reterr)
{
    switch (frame->type) {
    case AK_LINK_OUTPUT:
        keep(run, &run->out, frame);
        return 0;
    case AK_LINK_ERRORS:
        keep(run, &run->errors, frame);
        return 0;
    case AK_LINK_TAKEN:
        run->window += ak_link_get_u32(frame->data);
        return 0;
    case AK_LINK_EXIT:
        *ret_code = frame->data[0] == AK_LINK_KILLED ? 128 + frame->data[1] : frame->data[1];
        if (frame->data[0] == AK_LINK_NOT_STARTED)
            return ak_error_set(reterr, frame->data[1] == 127 ? -ENOENT : AK_E_PROTOCOL, "%.*s",
                                (int)(frame->len - 2), (const char *)frame->data + 2);
        return 1;
    default:
        return 0;
    }
}

static int wait_for(struct run *run, bool writing, struct ak_error **reterr)
{
    struct pollfd fds[2] = {{.fd = run->fd, .events = (short)(POLLIN | (writing ? POLLOUT : 0))},
                            {.fd = run->cancel ? run->cancel->fd : -1, .events = POLLIN}};
    ak_msec left = run->deadline == AK_MSEC_NEVER ? AK_HOURS(1) : run->deadline - ak_now();

    if (left <= 0)
        return ak_error_set(reterr, -ETIMEDOUT, "the program took too long and was ended");
    if (poll(fds, 2, (int)AK_MIN(left, AK_HOURS(1))) < 0 && errno != EINTR)
        return ak_error_set(reterr, -errno, "poll: %s", ak_code_text(-errno));
    if (fds[1].revents || (run->cancel && ak_cancel_is_set(run->cancel)))
        return ak_error_set(reterr, AK_E_CANCELLED, "the session has ended");
    return 0;
}

static int receive(struct run *run, int *ret_code, struct ak_error **reterr)
{
    char data[AK_LINK_PIECE];
    ssize_t n = read(run->fd, data, sizeof(data));
    size_t at = 0;
    int r = 0;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0)
        return ak_error_set(reterr, AK_E_PROTOCOL, "the container of the client program has ended");
    while (r == 0 && at < (size_t)n) {
        struct ak_link_frame frame;
        bool ready = false;
        ssize_t used =
            ak_link_read(&run->reader, data + at, (size_t)n - at, &frame, &ready, reterr);

        if (used < 0)
            return (int)used;
        at += (size_t)used;
        r = ready ? take(run, &frame, ret_code, reterr) : 0;
    }
    return r;
}

/* The next bytes of input, as frames, behind what is still to be sent. */
static int refill(struct run *run)
{
    size_t n = AK_MIN(AK_MIN(run->input_len - run->input_at, run->window), (size_t)AK_LINK_PIECE);
    uint8_t head[AK_LINK_HEAD];

    if (run->sent < run->start.len || run->input_ended)
        return 0;
    ak_buf_clear(&run->start);
    run->sent = 0;
    if (run->input_at == run->input_len) {
        run->input_ended = true;
        ak_link_write_head(AK_LINK_END_INPUT, 0, head);
        return ak_buf_add(&run->start, head, sizeof(head));
    }
    if (n == 0)
        return 0;
    ak_link_write_head(AK_LINK_INPUT, n, head);
    if (ak_buf_add(&run->start, head, sizeof(head)) < 0 ||
        ak_buf_add(&run->start, run->input + run->input_at, n) < 0)
        return -ENOMEM;
    run->input_at += n;
    run->window -= n;
    return 0;
}

static int transfer(struct run *run, int *ret_code, struct ak_error **reterr)
{
    int r = 0;

    while (r == 0) {
        if (refill(run) < 0)
            return ak_error_oom(reterr);
        r = wait_for(run, run->sent < run->start.len, reterr);
        if (r >= 0 && run->sent < run->start.len) {
            ssize_t n = send(run->fd, run->start.data + run->sent, run->start.len - run->sent,
                             MSG_NOSIGNAL);

            /* That it is gone says receive(), after what it said last. */
            run->sent += n > 0 ? (size_t)n : 0;
        }
        if (r >= 0)
            r = receive(run, ret_code, reterr);
    }
    return r;
}

static int write_start(struct run *run, const struct ak_client_command *command,
                       struct ak_error **reterr)
{
    const struct ak_link_start start = {.command = *command};
    AK_AUTO(ak_buf) text = AK_BUF_INIT(AK_LINK_START);
    uint8_t head[AK_LINK_HEAD];
    int r = ak_link_write_start(&start, &text, reterr);

    text.wipe = true; /* files may be keys */
    if (r < 0)
        return r;
    ak_link_write_head(AK_LINK_START_PROGRAM, text.len, head);
    if (ak_buf_add(&run->start, head, sizeof(head)) < 0 ||
        ak_buf_add(&run->start, text.data, text.len) < 0)
        return ak_error_oom(reterr);
    return 0;
}

static int give_output(struct run *run, int code, struct ak_client_output *ret)
{
    if (run->errors.len && ak_buf_add(&run->out, run->errors.data, run->errors.len) < 0)
        return -ENOMEM;
    if (!run->out.len && ak_buf_adds(&run->out, "") < 0)
        return -ENOMEM;
    *ret = (struct ak_client_output){
        .len = run->out.len, .truncated = run->truncated, .exit_code = code};
    ret->text = ak_buf_take(&run->out);
    return ret->text ? 0 : -ENOMEM;
}

int ak_client_run(const struct ak_target *target, struct ak_session *session,
                  const struct ak_client_command *command, const char *input, size_t input_len,
                  const struct ak_client_limits *limits, struct ak_client_output *ret,
                  struct ak_error **reterr)
{
    size_t max = limits && limits->max_bytes ? limits->max_bytes : MAX_BYTES;
    struct run run = {.cancel = session ? ak_session_cancel(session) : NULL,
                      .deadline = limits ? limits->deadline : AK_MSEC_NEVER,
                      .out = {.max = 2 * max + 1},
                      .errors = {.max = max + 1},
                      .start = {.max = AK_LINK_HEAD + AK_LINK_START, .wipe = true},
                      .max = max,
                      .input = input,
                      .input_len = input ? input_len : 0,
                      .window = AK_LINK_WINDOW};
    int code = 0, r = ak__link_dial(target->link_dir, reterr);

    run.fd = r;
    if (r < 0)
        return r;
    ak_link_reader_init(&run.reader, false);
    r = write_start(&run, command, reterr);
    if (r >= 0)
        r = transfer(&run, &code, reterr);
    if (r >= 0 && give_output(&run, code, ret) < 0)
        r = ak_error_oom(reterr);
    (void)close(run.fd);
    ak_link_reader_done(&run.reader);
    ak_buf_done(&run.out);
    ak_buf_done(&run.errors);
    ak_buf_done(&run.start);
    return AK_MIN(r, 0);
}
