/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/http/renewal.h"

#include <ak/base/alloc.h>

#include "bastion/engines/http/upstream.h"

#define AT_MOST AK_SECONDS(30)

/* Made on the loop, filled by the thread, read on the loop after it was joined. */
struct ak_http_renewal {
    const struct ak_target *target;
    bool read_only;
    struct ak_loop *loop;
    ak_http_renewed_fn fn; /* NULL: forgotten */
    void *user;
    struct ak_thread thread;
    struct ak_cancel cancel;
    struct ak_http_credential credential;
    int code;
    struct ak_error *err;
};

static void release(struct ak_http_renewal *self)
{
    ak_cancel_done(&self->cancel);
    ak_http_credential_done(&self->credential);
    (void)ak_error_free(self->err);
    ak_free(self);
}

static void on_made(void *user)
{
    struct ak_http_renewal *self = user;

    ak_thread_join(&self->thread);
    if (self->fn)
        self->fn(&self->credential, self->code, self->err, self->user);
    release(self);
}

static int make(struct ak_http_renewal *self, struct ak_error **reterr)
{
    const struct ak_fetch_limits limits = {.deadline = ak_now() + AT_MOST, .cancel = &self->cancel};
    AK_AUTO(ak_login) login = {0};
    AK_AUTO(ak_kubeconfig) kubeconfig = {0};
    int r = ak_upstream_login(self->target, self->read_only, &login, &kubeconfig, reterr);

    return r < 0 ? r
                 : ak_http_credential_make(self->target, &login,
                                           kubeconfig.server ? &kubeconfig : NULL, self->read_only,
                                           &limits, &self->credential, reterr);
}

static void work(void *user)
{
    struct ak_http_renewal *self = user;

    self->code = make(self, &self->err);
    /* Without room for the post its waiters would wait for ever: there are 65,536 places, and the loop empties them.
     * */
    while (ak_loop_post(self->loop, on_made, self) == -ENOBUFS &&
           !ak_cancel_sleep(&self->cancel, 50))
        ;
}

int ak_http_renewal_start(const struct ak_target *target, bool read_only, struct ak_loop *loop,
                          ak_http_renewed_fn fn, void *user, struct ak_http_renewal **ret,
                          struct ak_error **reterr)
{
    struct ak_http_renewal *self = ak_new0(struct ak_http_renewal);
    int r;

    if (!self)
        return ak_error_oom(reterr);
    self->target = target;
    self->read_only = read_only;
    self->loop = loop;
    self->fn = fn;
    self->user = user;
    r = ak_cancel_init(&self->cancel);
    if (r < 0) {
        ak_free(self);
        return ak_error_set(reterr, r, "cannot make an event: %s", ak_code_text(r));
    }
    r = ak_thread_start(&self->thread, "http-login", work, self);
    if (r < 0) {
        release(self);
        return ak_error_set(reterr, r, "cannot start a thread: %s", ak_code_text(r));
    }
    *ret = self;
    return 0;
}

void ak_http_renewal_forget(struct ak_http_renewal *self)
{
    if (!self)
        return;
    self->fn = NULL;
    ak_cancel_now(&self->cancel);
}
