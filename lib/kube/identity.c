/* SPDX-License-Identifier: Apache-2.0 */
#include "config_internal.h"

#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#define EXPIRY_MARGIN AK_SECONDS(5)        /* a request may take a while to arrive */
#define RETRY_AFTER_FAILURE AK_SECONDS(10) /* of a file, while an older value is there */
#define CANCEL_CHECK 200                   /* ms, while somebody else renews */

void ak__identity_init(struct ak__identity *self)
{
    ak_mutex_init(&self->lock);
    ak_cond_init(&self->renewed);
}

void ak__identity_done(struct ak__identity *self)
{
    ak__fresh_done(&self->now);
    self->exec = ak__exec_plugin_free(self->exec);
    ak_free(self->token_path);
    ak_free(self->cert_path);
    ak_free(self->key_path);
    ak_cond_done(&self->renewed);
    ak_mutex_done(&self->lock);
}

static bool has_files(const struct ak__identity *self)
{
    return self->token_path || self->cert_path || self->key_path;
}

bool ak__identity_is_refreshable(const struct ak__identity *self)
{
    return self->exec || has_files(self);
}

static int read_file(const char *path, size_t max, struct ak_buf *out, struct ak_error **reterr)
{
    int r;

    out->max = max;
    out->wipe = true;
    r = ak_buf_add_file(out, path);
    if (r < 0)
        return ak_error_set(reterr, r, "%s: %s", path, ak_code_text(r));
    return 0;
}

static int read_token(const char *path, struct ak_secret **ret, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = {0};
    int r = read_file(path, AK_TOKEN_MAX_BYTES, &text, reterr);
    const char *p = ak_buf_text(&text);
    size_t len = text.len;

    if (r < 0)
        return r;
    for (; len && (unsigned char)*p <= ' '; p++)
        len--;
    while (len && (unsigned char)p[len - 1] <= ' ')
        len--;
    if (!len)
        return ak_error_set(reterr, -EINVAL, "%s: the token file is empty", path);
    *ret = ak_secret_new(p, len);
    return *ret ? 0 : ak_error_oom(reterr);
}

static int read_files(const struct ak__identity *self, struct ak__fresh *fresh,
                      struct ak_error **reterr)
{
    AK_AUTO(ak_buf) cert = {0};
    AK_AUTO(ak_buf) key = {0};
    int r = self->token_path ? read_token(self->token_path, &fresh->token, reterr) : 0;

    if (r >= 0 && self->cert_path)
        r = read_file(self->cert_path, AK_KUBECONFIG_MAX_BYTES, &cert, reterr);
    if (r >= 0 && self->key_path)
        r = read_file(self->key_path, AK_KUBECONFIG_MAX_BYTES, &key, reterr);
    if (r < 0)
        return r;
    if (self->cert_path && !(fresh->cert_pem = ak_strdup(ak_buf_text(&cert))))
        return ak_error_oom(reterr);
    if (self->key_path && !(fresh->key = ak_secret_new(ak_buf_text(&key), key.len)))
        return ak_error_oom(reterr);
    return 0;
}

static int renew(const struct ak__identity *self, const struct ak_cancel *cancel,
                 struct ak__fresh *fresh, struct ak_error **reterr)
{
    if (self->exec)
        return ak__exec_plugin_run(self->exec, AK_EXEC_TIMEOUT, cancel, fresh, reterr);
    return read_files(self, fresh, reterr);
}

static bool same_key(const struct ak_secret *a, const struct ak_secret *b)
{
    return a && b ? ak_secret_equal(a, b) : a == b;
}

static void install_locked(struct ak__identity *self, struct ak__fresh *fresh)
    AK_REQUIRES(&self->lock)
{
    struct ak__fresh *now = &self->now;
    /* What the files or the plug-in do not provide stays as the kubeconfig has it. */
    bool tls_changed = (fresh->cert_pem && !ak_streq(fresh->cert_pem, now->cert_pem)) ||
                       (fresh->key && !same_key(fresh->key, now->key));

    if (fresh->token) {
        (void)ak_secret_free(now->token);
        now->token = AK_TAKE(fresh->token);
    }
    if (fresh->cert_pem) {
        ak_free(now->cert_pem);
        now->cert_pem = AK_TAKE(fresh->cert_pem);
    }
    if (fresh->key) {
        (void)ak_secret_free(now->key);
        now->key = AK_TAKE(fresh->key);
    }
    now->expires = fresh->expires;
    self->generation++;
    self->tls_generation += tls_changed;
}

static bool is_expired_locked(const struct ak__identity *self) AK_REQUIRES(&self->lock)
{
    return self->now.expires && ak_wall_now() >= self->now.expires - EXPIRY_MARGIN;
}

static bool is_due_locked(const struct ak__identity *self, enum ak__identity_mode mode,
                          uint64_t refused) AK_REQUIRES(&self->lock)
{
    if (!ak__identity_is_refreshable(self))
        return false;
    if (self->exec && mode == AK__IDENTITY_LAST)
        return false;
    if (self->generation == 0 || (refused && refused == self->generation))
        return true;
    return self->exec ? is_expired_locked(self) : ak_now() >= self->next_read;
}

/* Renews without the lock. A failed one is no error while the older value may still be good. */
static int renew_locked(struct ak__identity *self, const struct ak_cancel *cancel,
                        struct ak_error **reterr) AK_REQUIRES(&self->lock)
{
    AK_AUTO(ak__fresh) fresh = {0};
    AK_AUTO_PTR(ak_error) err = NULL;
    int r;

    self->renewing = true;
    ak_mutex_unlock(&self->lock);
    r = renew(self, cancel, &fresh, &err);
    ak_mutex_lock(&self->lock);
    self->renewing = false;
    ak_cond_broadcast(&self->renewed);
    self->next_read = ak_now() + (r < 0 ? RETRY_AFTER_FAILURE : AK_TOKEN_FILE_PERIOD);
    if (r >= 0) {
        install_locked(self, &fresh);
        return 0;
    }
    if (self->generation && !is_expired_locked(self) && !self->exec)
        return 0;
    if (reterr)
        *reterr = AK_TAKE(err);
    return r;
}

static int wait_or_renew_locked(struct ak__identity *self, enum ak__identity_mode mode,
                                uint64_t refused, const struct ak_cancel *cancel,
                                struct ak_error **reterr) AK_REQUIRES(&self->lock)
{
    while (is_due_locked(self, mode, refused)) {
        if (cancel && ak_cancel_is_set(cancel))
            return ak_error_set(reterr, AK_E_CANCELLED, "cancelled while renewing the credential");
        if (!self->renewing)
            return renew_locked(self, cancel, reterr);
        if (mode == AK__IDENTITY_LAST && self->generation)
            return 0;
        ak_cond_wait_until(&self->renewed, &self->lock, ak_now() + CANCEL_CHECK);
    }
    return 0;
}

int ak__identity_get(struct ak__identity *self, enum ak__identity_mode mode, uint64_t refused,
                     const struct ak_cancel *cancel, struct ak_secret **ret_token,
                     uint64_t *ret_generation, uint64_t *ret_tls_generation,
                     struct ak_error **reterr)
{
    struct ak_secret *token = NULL;
    const char *text;
    size_t len;
    int r;

    ak_mutex_lock(&self->lock);
    r = wait_or_renew_locked(self, mode, refused, cancel, reterr);
    if (r >= 0 && self->exec && self->generation == 0)
        r = ak_error_set(reterr, AK_E_UNAUTHORIZED, "the credential plug-in has not run yet");
    if (r >= 0 && self->now.token) {
        text = ak_secret_peek(self->now.token, &len);
        token = ak_secret_new(text, len);
        if (!token)
            r = ak_error_oom(reterr);
    }
    if (r >= 0) {
        *ret_token = token;
        *ret_generation = self->generation;
        *ret_tls_generation = self->tls_generation;
    }
    ak_mutex_unlock(&self->lock);
    return r;
}
