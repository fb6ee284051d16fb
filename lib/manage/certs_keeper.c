/* SPDX-License-Identifier: Apache-2.0 */
/* Looks after the Secret and the caBundle; see certs.h. */
#include <ak/manage/certs.h>

#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/log.h>
#include <ak/base/text.h>
#include <ak/base/thread.h>

#define LOG "certs"
#define DEFAULT_PERIOD AK_SECONDS(30)
#define IMPATIENT AK_SECONDS(1)      /* between looks until everything is in its place, at first */
#define MAX_STEPS 4                  /* in one look: create, renew, and what others did meanwhile */
#define TRUSTED_AFTER AK_SECONDS(10) /* apiservers learn of a changed configuration by a watch */

static const struct ak_resource secrets = {
    .version = "v1", .kind = "Secret", .plural = "secrets", .namespaced = true, .group = ""};
static const struct ak_resource configurations = {
    .group = "admissionregistration.k8s.io",
    .version = "v1",
    .kind = "ValidatingWebhookConfiguration",
    .plural = "validatingwebhookconfigurations",
};

struct ak_certs_keeper {
    struct ak_certs_keeper_options options;
    struct ak_cancel stop;
    struct ak_thread thread;

    /* Of the thread that looks. */
    struct ak_certs *shown;  /* what changed() was told last */
    json_t *secret;          /* as it was read last; NULL: there is none */
    struct ak_certs *stored; /* what is in it; NULL: nothing of use */
    ak_msec
        in_place_since; /* monotonic: the bundle has been there at every look; NEVER: it was not */
    char *reported;     /* message of the last report; NULL: all was well */

    struct ak_mutex lock; /* guards what follows */
    ak_msec leaf_expires, ca_expires;
};

struct ak_certs_keeper *ak_certs_keeper_free(struct ak_certs_keeper *self)
{
    if (!self)
        return NULL;
    ak_certs_keeper_stop(self);
    ak_cancel_done(&self->stop);
    ak_mutex_done(&self->lock);
    ak_certs_free(self->shown);
    ak_certs_free(self->stored);
    json_decref(self->secret);
    ak_free(self->reported);
    ak_free(self);
    return NULL;
}

int ak_certs_keeper_new(const struct ak_certs_keeper_options *options, struct ak_certs_keeper **ret,
                        struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_certs_keeper) self = ak_new0(struct ak_certs_keeper);

    if (!self)
        return ak_error_oom(reterr);
    self->options = *options;
    self->stop.fd = -1;
    self->in_place_since = AK_MSEC_NEVER;
    ak_mutex_init(&self->lock);
    if (!self->options.clock)
        self->options.clock = ak_clock_system();
    if (!self->options.period)
        self->options.period = DEFAULT_PERIOD;
    int r = ak_cancel_init(&self->stop);
    if (r < 0)
        return ak_error_set(reterr, r, "eventfd");
    *ret = AK_TAKE(self);
    return 0;
}

static bool may_write(const struct ak_certs_keeper *self)
{
    return !self->options.may_write || self->options.may_write(self->options.may_write_user);
}

/* ---- the Secret ---- */

/* Reads it. What cannot be used counts as none; who may write replaces it. */
static int read_secret(struct ak_certs_keeper *self, struct ak_error **reterr)
{
    const struct ak_certs_keeper_options *o = &self->options;
    AK_AUTO_PTR(ak_error) err = NULL;
    json_t *tree = NULL;
    int r = ak_client_get(o->client, &secrets, o->namespace_, o->secret, &tree, &err);

    json_decref(self->secret);
    self->secret = NULL;
    self->stored = ak_certs_free(self->stored);
    if (r == AK_E_NOT_FOUND)
        return 0;
    if (r >= 0) {
        self->secret = tree;
        ak_error_free(err);
        err = NULL;
        r = ak_certs_from_secret(tree, &self->stored, &err);
        if (r == AK_E_INVALID) {
            ak_debug(LOG, "the Secret is of no use", AK_STR("name", o->secret), AK_ERR(err));
            return 0;
        }
    }
    if (r >= 0)
        return 0;
    if (reterr)
        *reterr = AK_TAKE(err);
    return ak_error_wrap(reterr, r, "Secret \"%s/%s\"", o->namespace_, o->secret);
}

/* Puts our data into what was read: labels, annotations and resourceVersion stay. */
static int merge_into_read(const struct ak_certs_keeper *self, json_t *fresh, json_t **ret,
                           struct ak_error **reterr)
{
    AK_AUTO_JSON *copy = ak_json_copy(self->secret);

    if (!copy || json_object_set(copy, "data", json_object_get(fresh, "data")) < 0)
        return ak_error_oom(reterr);
    *ret = AK_TAKE(copy);
    return 0;
}

/* 1: written. 0: somebody else was faster, so it must be read again. */
static int write_secret(struct ak_certs_keeper *self, const struct ak_certs *next,
                        struct ak_error **reterr)
{
    const struct ak_certs_keeper_options *o = &self->options;
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_JSON *fresh = NULL;
    AK_AUTO_JSON *whole = NULL;
    int r = ak_certs_to_secret(next, o->namespace_, o->secret, &fresh, reterr);

    if (r >= 0 && self->secret)
        r = merge_into_read(self, fresh, &whole, reterr);
    if (r < 0)
        return r;
    if (self->secret)
        r = ak_client_update(o->client, &secrets, NULL, whole, o->manager, NULL, &err);
    else
        r = ak_client_create(o->client, &secrets, fresh, o->manager, NULL, &err);
    if (r == AK_E_ALREADY_EXISTS || r == AK_E_CONFLICT || r == AK_E_NOT_FOUND)
        return 0;
    if (r >= 0) {
        ak_debug(LOG, "certificates written", AK_STR("namespace", o->namespace_),
                 AK_STR("name", o->secret));
        return 1;
    }
    if (reterr)
        *reterr = AK_TAKE(err);
    return ak_error_wrap(reterr, r, "write Secret \"%s/%s\"", o->namespace_, o->secret);
}

/* ---- the configuration ---- */

/* *ret stays NULL when there is none. */
static int read_configuration(struct ak_certs_keeper *self, json_t **ret, struct ak_error **reterr)
{
    const struct ak_certs_keeper_options *o = &self->options;
    AK_AUTO_PTR(ak_error) err = NULL;
    int r = 0;

    if (o->configuration)
        r = ak_client_get(o->client, &configurations, NULL, o->configuration, ret, &err);
    if (r >= 0 || r == AK_E_NOT_FOUND)
        return 0;
    if (reterr)
        *reterr = AK_TAKE(err);
    return ak_error_wrap(reterr, r, "webhook configuration \"%s\"", o->configuration);
}

/* 1: it had to be written; 0: the bundle is in place, or there is no configuration. */
static int write_bundle(struct ak_certs_keeper *self, struct ak_error **reterr)
{
    const struct ak_certs_keeper_options *o = &self->options;
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_JSON *tree = NULL;
    int r = read_configuration(self, &tree, reterr);

    if (r >= 0 && tree)
        r = ak_certs_put_bundle(tree, ak_certs_bundle(self->stored), reterr);
    if (r != 0)
        self->in_place_since = AK_MSEC_NEVER;
    else if (self->in_place_since == AK_MSEC_NEVER)
        self->in_place_since = ak_clock_now(o->clock);
    if (r <= 0 || !may_write(self))
        return r;
    r = ak_client_update(o->client, &configurations, NULL, tree, o->manager, NULL, &err);
    if (r == AK_E_CONFLICT || r == AK_E_NOT_FOUND)
        return 1;
    if (r < 0 && reterr)
        *reterr = AK_TAKE(err);
    return r < 0 ? ak_error_wrap(reterr, r, "write the caBundle of \"%s\"", o->configuration) : 1;
}

/* ---- one look ---- */

/* Tells of a new set, and remembers it. */
static int show(struct ak_certs_keeper *self, struct ak_error **reterr)
{
    const struct ak_certs_keeper_options *o = &self->options;

    if (!ak_certs_equal(self->shown, self->stored)) {
        int r = o->changed ? o->changed(self->stored, o->user, reterr) : 0;
        if (r < 0)
            return ak_error_wrap(reterr, r, "use the certificate");
        ak_mutex_lock(&self->lock);
        self->leaf_expires = ak_certs_leaf_expires(self->stored);
        self->ca_expires = ak_certs_ca_expires(self->stored);
        ak_mutex_unlock(&self->lock);
    }
    ak_certs_free(self->shown);
    self->shown = AK_TAKE(self->stored);
    return 0;
}

static bool is_trusted(const struct ak_certs_keeper *self)
{
    return self->in_place_since != AK_MSEC_NEVER &&
           ak_clock_now(self->options.clock) - self->in_place_since >= TRUSTED_AFTER;
}

/* What has to be made now; GOOD: nothing, or nothing by us. */
static enum ak_certs_verdict due(const struct ak_certs_keeper *self, const struct ak_certs *now)
{
    enum ak_certs_verdict verdict =
        now ? ak_certs_judge(now, &self->options.certs, self->options.clock) : AK_CERTS_UNUSABLE;

    /* A first set may come from anybody: creating is a race that one of us wins. */
    if (!may_write(self) && self->secret)
        return AK_CERTS_GOOD;
    /* Until the new authority is trusted, nobody may show its certificates. */
    if (verdict == AK_CERTS_SWITCH && !is_trusted(self))
        return AK_CERTS_GOOD;
    return verdict;
}

static int renew(struct ak_certs_keeper *self, const struct ak_certs *now,
                 enum ak_certs_verdict verdict, struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_certs) next = NULL;
    int r = ak_certs_issue(&self->options.certs, now, self->options.clock, &next, reterr);

    ak_debug(LOG, "certificates are due", AK_STR("step", ak_certs_verdict_to_string(verdict)));
    if (r < 0)
        return ak_error_wrap(reterr, r, "certificates");
    return write_secret(self, next, reterr);
}

/* There is no Secret, or it is of no use. Somebody who deletes it wants another authority: a new one is made
 * beside the one that other replicas still show. */
static int replace(struct ak_certs_keeper *self, struct ak_error **reterr)
{
    const struct ak_certs_keeper_options *o = &self->options;
    AK_AUTO_PTR(ak_certs) next = NULL;
    int r;

    if (due(self, NULL) == AK_CERTS_GOOD)
        return 0; /* not ours to replace */
    if (self->shown && ak_certs_judge(self->shown, &o->certs, o->clock) != AK_CERTS_UNUSABLE)
        r = ak_certs_issue_authority(&o->certs, self->shown, o->clock, &next, reterr);
    else
        r = ak_certs_issue(&o->certs, NULL, o->clock, &next, reterr);
    if (r < 0)
        return ak_error_wrap(reterr, r, "certificates");
    r = write_secret(self, next, reterr);
    return r < 0 ? r : 1;
}

/* 1: something was written, so look again. 0: nothing to do; *ret_settled says whether all is well. */
static int look_once(struct ak_certs_keeper *self, bool *ret_settled, struct ak_error **reterr)
{
    int r = read_secret(self, reterr);
    if (r < 0)
        return r;
    if (!self->stored)
        return replace(self, reterr);
    int wrote = write_bundle(self, reterr);
    if (wrote < 0)
        return wrote;
    r = show(self, reterr);
    if (r < 0)
        return r;
    enum ak_certs_verdict verdict = due(self, self->shown);
    if (verdict != AK_CERTS_GOOD) {
        r = renew(self, self->shown, verdict, reterr);
        return r < 0 ? r : 1;
    }
    *ret_settled = wrote == 0 && (is_trusted(self) || !self->options.configuration);
    return wrote && may_write(self);
}

int ak_certs_keeper_look(struct ak_certs_keeper *self, bool *ret_settled, struct ak_error **reterr)
{
    bool settled = false;
    int r = 1;

    for (int i = 0; i < MAX_STEPS && r > 0; i++)
        r = look_once(self, &settled, reterr);
    if (r < 0)
        return r;
    *ret_settled = settled;
    return 0;
}

/* ---- the thread ---- */

/* The same trouble again is not news. */
static void report(struct ak_certs_keeper *self, const struct ak_error *err)
{
    const char *message = err ? ak_error_message(err) : NULL;

    if (ak_streq(message, self->reported))
        return;
    ak_free(self->reported);
    self->reported = ak_strdup(message);
    if (self->options.report)
        self->options.report(err, self->options.user);
}

static void run(void *user)
{
    struct ak_certs_keeper *self = user;
    ak_msec wait = IMPATIENT;

    while (!ak_cancel_is_set(&self->stop)) {
        AK_AUTO_PTR(ak_error) err = NULL;
        bool settled = false;
        int r = ak_certs_keeper_look(self, &settled, &err);

        if (r != AK_E_CANCELLED)
            report(self, r < 0 ? err : NULL);
        if (settled)
            wait = self->options.period;
        else if (r < 0)
            wait = AK_MIN(wait * 2, self->options.period);
        else
            wait = AK_MIN(IMPATIENT, self->options.period);
        (void)ak_cancel_sleep(&self->stop, wait);
    }
}

int ak_certs_keeper_start(struct ak_certs_keeper *self, struct ak_error **reterr)
{
    int r = ak_thread_start(&self->thread, "certs", run, self);

    return r < 0 ? ak_error_set(reterr, r, "start the thread for certificates") : 0;
}

void ak_certs_keeper_stop(struct ak_certs_keeper *self)
{
    ak_cancel_now(&self->stop);
    ak_thread_join(&self->thread);
}

ak_msec ak_certs_keeper_leaf_expires(struct ak_certs_keeper *self)
{
    ak_mutex_lock(&self->lock);
    ak_msec when = self->leaf_expires;
    ak_mutex_unlock(&self->lock);
    return when;
}

ak_msec ak_certs_keeper_ca_expires(struct ak_certs_keeper *self)
{
    ak_mutex_lock(&self->lock);
    ak_msec when = self->ca_expires;
    ak_mutex_unlock(&self->lock);
    return when;
}
