/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/runs/link.h"

#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/log.h>
#include <ak/base/text.h>

#include "manager/runs/runs.h"

#define LOG "runs"
#define DAY AK_HOURS(24)
#define LINK_LEAF_LIFE (365 * DAY)
#define LINK_SWITCH_AFTER (90 * DAY) /* a pod that was not replaced for so long loses its keeper */

static const char *const names[] = {AK_RUNS_SUBJECT, NULL};

static int on_certs(const struct ak_certs *certs, void *user, struct ak_error **reterr)
{
    struct ak_link *self = user;
    AK_AUTO_TEXT char *bundle = ak_strdup(ak_certs_bundle(certs));
    AK_AUTO_TEXT char *cert = NULL;
    AK_AUTO_PTR(ak_secret) key = NULL;
    char expires[AK_RFC3339_SIZE];
    int r = bundle ? ak_certs_to_pem(certs, &cert, &key, reterr) : ak_error_oom(reterr);

    if (r < 0)
        return r;
    ak_mutex_lock(&self->lock);
    bool another = !ak_streq(self->bundle, bundle);
    ak_free(self->bundle);
    ak_free(self->cert);
    ak_secret_free(self->key);
    self->bundle = AK_TAKE(bundle);
    self->cert = AK_TAKE(cert);
    self->key = AK_TAKE(key);
    ak_mutex_unlock(&self->lock);
    ak_info(LOG, "keepers know the manager by a certificate",
            AK_STR("expires", ak_format_rfc3339(ak_certs_leaf_expires(certs), expires)));
    self->changed(another, self->user);
    return 0;
}

static void on_report(const struct ak_error *err, void *user)
{
    (void)user;
    if (err)
        ak_warn(LOG, "the certificate for keepers cannot be looked after, trying again",
                AK_ERR(err));
    else
        ak_info(LOG, "the certificate for keepers is looked after again");
}

int ak_link_init(struct ak_link *self, const struct ak_link_options *options,
                 struct ak_error **reterr)
{
    const struct ak_certs_keeper_options keeper = {
        .client = options->client,
        .clock = options->clock,
        .namespace_ = options->namespace_,
        .secret = AK_RUNS_SECRET,
        .manager = options->manager,
        .certs = {.names = names,
                  .issuer = AK_RUNS_SUBJECT,
                  .leaf_life = LINK_LEAF_LIFE,
                  .client = true,
                  .switch_after = LINK_SWITCH_AFTER},
        .may_write = options->may_write,
        .may_write_user = options->may_write_user,
        .changed = on_certs,
        .report = on_report,
        .user = self,
    };

    ak_mutex_init(&self->lock);
    self->changed = options->changed;
    self->user = options->user;
    return ak_certs_keeper_new(&keeper, &self->keeper, reterr);
}

void ak_link_done(struct ak_link *self)
{
    self->keeper = ak_certs_keeper_free(self->keeper);
    ak_free(self->bundle);
    ak_free(self->cert);
    ak_secret_free(self->key);
    ak_mutex_done(&self->lock);
}

int ak_link_start(struct ak_link *self, struct ak_error **reterr)
{
    return ak_certs_keeper_start(self->keeper, reterr);
}

void ak_link_stop(struct ak_link *self)
{
    if (self->keeper)
        ak_certs_keeper_stop(self->keeper);
}

int ak_link_pair(struct ak_link *self, char **ret_cert, struct ak_secret **ret_key)
{
    AK_AUTO_TEXT char *cert = NULL;
    AK_AUTO_PTR(ak_secret) key = NULL;
    int r = -EAGAIN;

    ak_mutex_lock(&self->lock);
    if (self->cert) {
        size_t len = 0;
        const char *bytes = ak_secret_peek(self->key, &len);
        cert = ak_strdup(self->cert);
        key = ak_secret_new(bytes, len);
        r = cert && key ? 0 : -ENOMEM;
    }
    ak_mutex_unlock(&self->lock);
    if (r < 0)
        return r;
    *ret_cert = AK_TAKE(cert);
    *ret_key = AK_TAKE(key);
    return 0;
}

const char *ak_link_bundle(struct ak_link *self, struct ak_arena *arena)
{
    const char *copy;

    ak_mutex_lock(&self->lock);
    copy = self->bundle ? ak_arena_strdup(arena, self->bundle) : NULL;
    ak_mutex_unlock(&self->lock);
    return copy;
}

bool ak_link_is_there(struct ak_link *self)
{
    ak_mutex_lock(&self->lock);
    bool there = self->bundle != NULL;
    ak_mutex_unlock(&self->lock);
    return there;
}
