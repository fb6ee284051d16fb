/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/program.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "bastion/client_files.h"

#define LINK_FULL (256u << 10)   /* bytes that wait in the link; then the program is not read */
#define AFTER_EXIT AK_SECONDS(1) /* for what others of its group still say */

extern char **environ;

static void reply(struct ak_program *self, enum ak_link_type type, const void *data, size_t len)
{
    uint8_t head[AK_LINK_HEAD];

    ak_link_write_head(type, len, head);
    (void)bufferevent_write(self->link, head, sizeof(head));
    if (len)
        (void)bufferevent_write(self->link, data, len);
}

static void tell_exit(struct ak_program *self, enum ak_link_exit how, int code, const char *text)
{
    char data[512] = {(char)how, (char)code};
    size_t len = text ? strnlen(text, sizeof(data) - 2) : 0;

    if (text)
        memcpy(data + 2, text, len);
    if (!self->told)
        reply(self, AK_LINK_EXIT, data, 2 + len);
    self->told = true;
}

static void close_event(struct event **event)
{
    if (*event)
        event_free(*event);
    *event = NULL;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

static void close_input(struct ak_program *self)
{
    close_event(&self->writable);
    if (!self->terminal || self->output < 0)
        close_fd(&self->input);
}

static void close_output(struct ak_program *self, bool errors)
{
    close_event(&self->readable[errors]);
    if (errors) {
        close_fd(&self->errors);
        return;
    }
    if (self->terminal) {
        close_event(&self->writable);
        self->input = -1;
    }
    close_fd(&self->output);
}

bool ak_program_is_over(const struct ak_program *self)
{
    return self->pid == 0 || (self->exited && self->output < 0 && self->errors < 0);
}

static void look_for_end(struct ak_program *self)
{
    if (!ak_program_is_over(self))
        return;
    ak_timer_clear(self->timer);
    if (WIFSIGNALED(self->status))
        tell_exit(self, AK_LINK_KILLED, WTERMSIG(self->status), NULL);
    else
        tell_exit(self, AK_LINK_EXITED, WEXITSTATUS(self->status), NULL);
    if (self->over)
        self->over(self->user);
}

/* --- output --- */

static void read_output(struct ak_program *self, bool errors)
{
    int fd = errors ? self->errors : self->output;
    char data[AK_LINK_PIECE];

    for (;;) {
        ssize_t n;

        if (evbuffer_get_length(bufferevent_get_output(self->link)) > LINK_FULL) {
            (void)event_del(self->readable[errors]);
            return;
        }
        n = read(fd, data, sizeof(data));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) /* a terminal without a program answers EIO */
            break;
        reply(self, errors ? AK_LINK_ERRORS : AK_LINK_OUTPUT, data, (size_t)n);
    }
    close_output(self, errors);
    look_for_end(self);
}

static void on_output(evutil_socket_t fd, short what, void *user)
{
    (void)fd;
    (void)what;
    read_output(user, false);
}

static void on_errors(evutil_socket_t fd, short what, void *user)
{
    (void)fd;
    (void)what;
    read_output(user, true);
}

void ak_program_resume(struct ak_program *self)
{
    for (int i = 0; i < 2; i++)
        if (self->readable[i])
            (void)event_add(self->readable[i], NULL);
}

/* --- input --- */

static void taken(struct ak_program *self, size_t n)
{
    uint8_t data[4];

    ak_link_put_u32((uint32_t)n, data);
    if (n)
        reply(self, AK_LINK_TAKEN, data, sizeof(data));
}

/* The end of a terminal's input is a character. */
static void end_input(struct ak_program *self)
{
    if (self->terminal && self->input >= 0)
        (void)!write(self->input, "\004", 1);
    else
        close_input(self);
}

static void on_input(evutil_socket_t fd, short what, void *user)
{
    struct ak_program *self = user;
    size_t done = 0;

    (void)fd;
    (void)what;
    while (done < self->pending.len) {
        ssize_t n = write(self->input, self->pending.data + done, self->pending.len - done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0) { /* it reads no more: what comes is taken and dropped */
            taken(self, self->pending.len);
            ak_buf_clear(&self->pending);
            close_input(self);
            return;
        }
        done += (size_t)n;
    }
    taken(self, done);
    ak_buf_consume(&self->pending, done);
    if (self->pending.len) {
        (void)event_add(self->writable, NULL);
    } else {
        ak_buf_done(&self->pending);
        if (self->end_of_input)
            end_input(self);
    }
}

static int take_input(struct ak_program *self, const struct ak_link_frame *frame)
{
    if (self->end_of_input)
        return AK_E_PROTOCOL;
    if (self->input < 0 || !self->writable) {
        taken(self, frame->len);
        return 0;
    }
    self->pending.max = AK_LINK_WINDOW;
    if (ak_buf_add(&self->pending, frame->data, frame->len) < 0)
        return AK_E_PROTOCOL; /* more than the window */
    on_input(-1, 0, self);
    return 0;
}

static void set_size(struct ak_program *self, unsigned rows, unsigned columns)
{
    struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};

    if (self->terminal && self->output >= 0 && rows && columns)
        (void)ioctl(self->output, TIOCSWINSZ, &size);
}

int ak_program_take(struct ak_program *self, const struct ak_link_frame *frame)
{
    switch (frame->type) {
    case AK_LINK_INPUT:
        return take_input(self, frame);
    case AK_LINK_END_INPUT:
        self->end_of_input = true;
        if (!self->pending.len)
            end_input(self);
        return 0;
    case AK_LINK_SIZE:
        set_size(self, (unsigned)(frame->data[0] << 8 | frame->data[1]),
                 (unsigned)(frame->data[2] << 8 | frame->data[3]));
        return 0;
    default:
        return AK_E_PROTOCOL;
    }
}

/* --- the end --- */

static void on_exit_of_leader(void *user, int status)
{
    struct ak_program *self = user;

    self->exited = true;
    self->status = status;
    /* The others of its group had it as their reason to be. */
    (void)kill(-self->pid, SIGTERM);
    (void)kill(-self->pid, SIGCONT);
    ak_timer_set(self->timer, AFTER_EXIT);
    if (self->output >= 0)
        read_output(self, false);
    else
        look_for_end(self);
}

static void on_timer(void *user)
{
    struct ak_program *self = user;

    if (self->pid && !self->killed) {
        self->killed = true;
        (void)kill(-self->pid, SIGKILL);
        ak_timer_set(self->timer, AFTER_EXIT);
        return;
    }
    /* A slow reader gets all of it. */
    if (!self->deserted && evbuffer_get_length(bufferevent_get_output(self->link)) > 0) {
        ak_timer_set(self->timer, AFTER_EXIT);
        return;
    }
    /* Whoever left the group and holds the pipes does not hold the session. */
    if (self->output >= 0)
        close_output(self, false);
    if (self->errors >= 0)
        close_output(self, true);
    look_for_end(self);
}

void ak_program_end(struct ak_program *self)
{
    if (self->pid && !self->exited) {
        (void)kill(-self->pid, SIGHUP);
        (void)kill(-self->pid, SIGTERM);
        (void)kill(-self->pid, SIGCONT);
        ak_timer_set(self->timer, self->grace);
    }
}

void ak_program_done(struct ak_program *self)
{
    if (self->pid && !self->exited)
        (void)kill(-self->pid, SIGKILL);
    for (size_t i = 0; i < self->family->n; i++) /* who is not there any more is not told */
        if (self->family->children[i].user == self)
            self->family->children[i].exited = true;
    for (size_t i = 0; i < self->n_files; i++) {
        ak_client_file_remove(self->files[i].path, self->files[i].fd);
        ak_free(self->files[i].path);
    }
    close_input(self);
    if (self->output >= 0)
        close_output(self, false);
    if (self->errors >= 0)
        close_output(self, true);
    ak_buf_done(&self->pending);
    self->timer = ak_timer_free(self->timer);
}

/* --- the start --- */

static int write_files(struct ak_program *self, const struct ak_client_command *command,
                       struct ak_error **reterr)
{
    for (size_t i = 0; i < command->n_files; i++) {
        int fd = ak_client_file_write(&command->files[i], reterr);

        if (fd < 0)
            return fd;
        self->files[self->n_files].fd = fd;
        self->files[self->n_files].path = ak_strdup(command->files[i].path);
        if (!self->files[self->n_files].path) {
            ak_client_file_remove(command->files[i].path, fd);
            return ak_error_oom(reterr);
        }
        self->n_files++;
    }
    return 0;
}

/* PATH and the like as the image has them; what the command says comes last and counts. */
static const char **environment(const struct ak_link_start *start, struct ak_arena *arena)
{
    static const char *const kept[] = {"PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH",
                                       "SSL_CERT_FILE"};
    const char **out = ak_arena_alloc(arena, (AK_LINK_MAX_ARGS + 16) * sizeof(*out));
    size_t n = 0;

    if (!out)
        return NULL;
    for (size_t i = 0; i < AK_ARRAY_LEN(kept); i++) {
        const char *value = getenv(kept[i]);

        if (value)
            out[n++] = ak_arena_printf(arena, "%s=%s", kept[i], value);
        else if (i == 0)
            out[n++] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    }
    out[n++] = "HOME=/tmp";
    out[n++] = "TERM=xterm-256color";
    for (size_t i = 0; start->command.env[i]; i++) {
        size_t name = strcspn(start->command.env[i], "="), k = 0;

        while (k < n && !(out[k] && strncmp(out[k], start->command.env[i], name + 1) == 0))
            k++;
        out[k] = start->command.env[i];
        n += k == n;
    }
    return out;
}

static int open_terminal(struct ak_program *self, const struct ak_link_start *start, char *name,
                         size_t size)
{
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    self->terminal = true;
    self->input = self->output = fd;
    if (grantpt(fd) < 0 || unlockpt(fd) < 0 || ptsname_r(fd, name, size) != 0 ||
        fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        return -errno;
    set_size(self, start->rows ? start->rows : 24, start->columns ? start->columns : 80);
    return 0;
}

static int open_pipe(int *ours, int *theirs, bool we_read)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    *ours = fds[we_read ? 0 : 1];
    *theirs = fds[we_read ? 1 : 0];
    return fcntl(*ours, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

static int launch(struct ak_program *self, const struct ak_link_start *start, const char **envp,
                  struct ak_error **reterr)
{
    struct ak_spawn what = {.path = start->command.argv[0],
                            .argv = start->command.argv,
                            .envp = envp,
                            .cwd = start->command.cwd};
    int theirs[3] = {-1, -1, -1}, r;
    char name[64];

    if (start->terminal) {
        r = open_terminal(self, start, name, sizeof(name));
        what.terminal = name;
    } else {
        r = open_pipe(&self->input, &theirs[0], false);
        r = r < 0 ? r : open_pipe(&self->output, &theirs[1], true);
        r = r < 0 ? r : open_pipe(&self->errors, &theirs[2], true);
        what.input = theirs[0];
        what.output = theirs[1];
        what.error = theirs[2];
    }
    if (r < 0)
        r = ak_error_set(reterr, r, "pipes: %s", ak_code_text(r));
    else
        r = ak_family_start(self->family, &what, on_exit_of_leader, self, &self->pid, reterr);
    for (int i = 0; i < 3; i++)
        close_fd(&theirs[i]);
    if (r < 0)
        self->pid = 0;
    return r;
}

static int watch(struct ak_program *self)
{
    struct event_base *base = ak_loop_base(self->loop);

    self->readable[0] = event_new(base, self->output, EV_READ | EV_PERSIST, on_output, self);
    self->writable = event_new(base, self->input, EV_WRITE, on_input, self);
    if (self->errors >= 0)
        self->readable[1] = event_new(base, self->errors, EV_READ | EV_PERSIST, on_errors, self);
    if (!self->readable[0] || !self->writable || (self->errors >= 0 && !self->readable[1]))
        return -ENOMEM;
    ak_program_resume(self);
    return 0;
}

int ak_program_start(struct ak_program *self, const struct ak_link_start *start)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO(ak_arena) arena = {0};
    const char **envp;
    int r = 0;

    ak_arena_init(&arena, 4096, 1u << 20);
    self->input = self->output = self->errors = -1;
    envp = environment(start, &arena);
    self->timer = ak_timer_new(self->loop, on_timer, self);
    if (!self->timer || !envp)
        r = ak_error_oom(&err);
    if (r >= 0)
        r = write_files(self, &start->command, &err);
    if (r >= 0)
        r = launch(self, start, envp, &err);
    if (r >= 0)
        r = watch(self);
    if (r < 0) {
        tell_exit(self, AK_LINK_NOT_STARTED, r == -ENOENT ? 127 : 126, ak_error_message(err));
        return r;
    }
    reply(self, AK_LINK_STARTED, NULL, 0);
    return 0;
}
