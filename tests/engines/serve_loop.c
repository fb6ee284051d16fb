/* SPDX-License-Identifier: Apache-2.0 */
#include "serve_loop.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "session.h"

struct server {
    const struct ak_engine *engine;
    struct ak_session *session;
    struct ak_loop *loop;
    struct ak_timer *last;
    void *listening; /* NULL: it was ended */
};

static void on_last(void *user)
{
    struct server *self = user;

    ak_loop_stop(self->loop);
}

/* As the core does it: the cancel first, then the end of the listening; the loop goes on. */
static void on_signal(evutil_socket_t fd, short what, void *user)
{
    struct server *self = user;
    struct signalfd_siginfo info;

    (void)what;
    if (read(fd, &info, sizeof(info)) != sizeof(info))
        return;
    driver_session_end(self->session, "the Tool was changed");
    if (self->listening)
        self->engine->unlisten(self->listening);
    self->listening = NULL;
    if (info.ssi_signo == SIGTERM)
        ak_timer_set(self->last, AK_ENGINE_LAST_WORDS);
}

static int run(struct server *self, const struct ak_target *target, const char *path, int signals)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    struct event *event =
        event_new(ak_loop_base(self->loop), signals, EV_READ | EV_PERSIST, on_signal, self);
    int r;

    self->last = ak_timer_new(self->loop, on_last, self);
    if (!event || event_add(event, NULL) < 0 || !self->last)
        return 2;
    r = self->engine->listen(target, self->session, self->loop, path, &self->listening, &err);
    if (r >= 0) {
        driver_session_set_listening(self->session, self->listening);
        puts("{\"event\":\"listening\"}");
        (void)fflush(stdout);
        r = ak_loop_run(self->loop, &err);
    }
    if (r < 0)
        (void)fprintf(stderr, "listen: %s\n", ak_error_message(err));
    event_free(event);
    self->last = ak_timer_free(self->last);
    return r < 0 ? 2 : 0;
}

int driver_serve_on_loop(const struct ak_target *target, const struct ak_engine *engine,
                         struct ak_session *session, const char *path)
{
    struct server self = {.engine = engine, .session = session};
    sigset_t signals;
    int fd, r;

    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGUSR1);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    fd = signalfd(-1, &signals, SFD_CLOEXEC);
    if (fd < 0 || !session || ak_loop_new(&self.loop, NULL) < 0)
        return 2;
    r = run(&self, target, path, fd);
    (void)ak_loop_free(self.loop);
    (void)close(fd);
    return r;
}
