/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/net/http_client.h>

#include <assert.h>
#include <pthread.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "http_internal.h"
#include "sigpipe.h"

#define DEFAULT_CONNECT_TIMEOUT AK_SECONDS(10)
#define DEFAULT_TIMEOUT AK_SECONDS(30)
#define DEFAULT_MAX_REPLY (64u << 20)
#define MAX_UNIX_PATH 107 /* sun_path without its NUL */

/* An easy handle in a multi handle of its own: the multi keeps the connection, and can be waited on
 * together with a cancellation, which curl_easy_perform() cannot. */
struct ak__http_slot {
    CURLM *multi;
    CURL *easy;
    ak_msec idle_since;
    struct ak__http_slot *next;
};

static pthread_once_t global_once = PTHREAD_ONCE_INIT;
static CURLcode global_result;

static void global_init(void)
{
    global_result = curl_global_init(CURL_GLOBAL_DEFAULT);
}

struct ak__http_slot *ak__http_slot_free(struct ak__http_slot *slot)
{
    if (!slot)
        return NULL;
    if (slot->multi && slot->easy) /* a tunnel's is still in it */
        (void)curl_multi_remove_handle(slot->multi, slot->easy);
    curl_easy_cleanup(slot->easy);
    (void)curl_multi_cleanup(slot->multi);
    ak_free(slot);
    return NULL;
}

struct ak__http_slot *ak__http_slot_new(void)
{
    struct ak__http_slot *slot = ak_new0(struct ak__http_slot);

    if (!slot)
        return NULL;
    slot->multi = curl_multi_init();
    slot->easy = curl_easy_init();
    if (!slot->multi || !slot->easy)
        return ak__http_slot_free(slot);
    (void)curl_multi_setopt(slot->multi, CURLMOPT_MAXCONNECTS, 1L);
    return slot;
}

static struct ak__http_slot *slot_get(struct ak_http_client *self)
{
    struct ak__http_slot *slot;

    ak_mutex_lock(&self->lock);
    slot = self->idle;
    if (slot) {
        self->idle = slot->next;
        self->n_idle--;
    }
    ak_mutex_unlock(&self->lock);
    return slot ? slot : ak__http_slot_new();
}

/* Takes those out that nobody needed for a while. The list is sorted by idle_since, newest first. */
static struct ak__http_slot *cut_old_locked(struct ak_http_client *self, ak_msec now)
    AK_REQUIRES(&self->lock)
{
    struct ak__http_slot **p = &self->idle, *old;
    size_t n = 0;

    while (*p && n < AK_HTTP_MAX_IDLE_SLOTS && now - (*p)->idle_since < AK_HTTP_IDLE_SLOT) {
        p = &(*p)->next;
        n++;
    }
    old = *p;
    *p = NULL;
    self->n_idle = n;
    return old;
}

static void slot_put(struct ak_http_client *self, struct ak__http_slot *slot)
{
    struct ak__http_slot *old;

    curl_easy_reset(slot->easy);
    slot->idle_since = ak_now();
    ak_mutex_lock(&self->lock);
    slot->next = self->idle;
    self->idle = slot;
    old = cut_old_locked(self, slot->idle_since);
    ak_mutex_unlock(&self->lock);
    while (old) {
        struct ak__http_slot *next = old->next;

        (void)ak__http_slot_free(old);
        old = next;
    }
}

static void share_lock(CURL *easy, curl_lock_data data, curl_lock_access access,
                       void *user) AK_NO_THREAD_SAFETY
{
    struct ak_http_client *self = user;

    (void)easy;
    (void)access;
    ak_mutex_lock(&self->share_locks[data]);
}

static void share_unlock(CURL *easy, curl_lock_data data, void *user) AK_NO_THREAD_SAFETY
{
    struct ak_http_client *self = user;

    (void)easy;
    ak_mutex_unlock(&self->share_locks[data]);
}

static int make_share(struct ak_http_client *self, struct ak_error **reterr)
{
    self->share = curl_share_init();
    if (!self->share)
        return ak_error_oom(reterr);
    if (curl_share_setopt(self->share, CURLSHOPT_LOCKFUNC, share_lock) != CURLSHE_OK ||
        curl_share_setopt(self->share, CURLSHOPT_UNLOCKFUNC, share_unlock) != CURLSHE_OK ||
        curl_share_setopt(self->share, CURLSHOPT_USERDATA, self) != CURLSHE_OK ||
        curl_share_setopt(self->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION) != CURLSHE_OK)
        return ak_error_oom(reterr);
    return 0;
}

static int oom_text(CURLU *u, char *part, struct ak_error **reterr)
{
    curl_free(part);
    curl_url_cleanup(u);
    return ak_error_oom(reterr);
}

/* https://ADDR:PORT/prefix with tls_server_name NAME: libcurl is told to go to https://NAME:PORT/prefix, that
 * this is at ADDR:PORT, and to send "Host: ADDR:PORT" as kubectl does. */
static int set_server_name(struct ak_http_client *self, const char *name, struct ak_error **reterr)
{
    CURLU *u = curl_url();
    char *host = NULL, *port = NULL, *text = NULL;

    if (!u || curl_url_set(u, CURLUPART_URL, self->base_url, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK)
        return oom_text(u, host, reterr);
    self->connect_to = ak_asprintf("%s:%s:%s:%s", name, port, host, port);
    self->host_header = ak_asprintf("%s:%s", host, port);
    curl_free(host);
    curl_free(port);
    if (curl_url_set(u, CURLUPART_HOST, name, 0) != CURLUE_OK) {
        curl_url_cleanup(u);
        return ak_error_set(reterr, -EINVAL, "\"%s\" is not a server name", name);
    }
    if (curl_url_get(u, CURLUPART_URL, &text, CURLU_NO_DEFAULT_PORT) != CURLUE_OK)
        return oom_text(u, text, reterr);
    self->request_url = ak_strndup(text, strlen(text) - (ak_has_suffix(text, "/") ? 1 : 0));
    curl_free(text);
    curl_url_cleanup(u);
    if (!self->connect_to || !self->host_header || !self->request_url)
        return ak_error_oom(reterr);
    return 0;
}

static int check_more(const struct ak_http_target *t, struct ak_error **reterr)
{
    if (t->pinned_public_key && !ak_has_prefix(t->pinned_public_key, "sha256//"))
        return ak_error_set(reterr, -EINVAL, "pinned key \"%s\": must begin with sha256//",
                            t->pinned_public_key);
    if (t->pinned_public_key && !ak_has_prefix(t->base_url, "https:"))
        return ak_error_set(reterr, -EINVAL, "\"%s\" has no key to be pinned: must be https://",
                            t->base_url);
    if (t->unix_path && (t->unix_path[0] != '/' || strlen(t->unix_path) > MAX_UNIX_PATH))
        return ak_error_set(reterr, -EINVAL,
                            "socket \"%s\": must be an absolute path of at most %d characters",
                            t->unix_path, MAX_UNIX_PATH);
    return 0;
}

static int check_base_url(const char *url, struct ak_error **reterr)
{
    CURLU *u = curl_url();
    char *scheme = NULL, *query = NULL;
    CURLUcode rc;
    bool good;

    if (!u)
        return ak_error_oom(reterr);
    rc = curl_url_set(u, CURLUPART_URL, url, 0);
    (void)curl_url_get(u, CURLUPART_SCHEME, &scheme, 0);
    (void)curl_url_get(u, CURLUPART_QUERY, &query, 0);
    good = rc == CURLUE_OK && !query && scheme && !strchr(url, '#') &&
           (ak_streq(scheme, "http") || ak_streq(scheme, "https"));
    curl_free(scheme);
    curl_free(query);
    curl_url_cleanup(u);
    if (rc == CURLUE_OUT_OF_MEMORY)
        return ak_error_oom(reterr);
    if (!good)
        return ak_error_set(reterr, -EINVAL, "\"%s\" is not an http:// or https:// address", url);
    return 0;
}

static int copy_target(struct ak_http_client *self, const struct ak_http_target *t,
                       struct ak_error **reterr)
{
    size_t len = strlen(t->base_url);

    while (len > 0 && t->base_url[len - 1] == '/')
        len--;
    self->base_url = ak_strndup(t->base_url, len);
    self->proxy_url = ak_strdup(t->proxy_url);
    self->no_proxy = ak_strdup(t->no_proxy);
    self->pin = ak_strdup(t->pinned_public_key);
    self->unix_path = ak_strdup(t->unix_path);
    self->user_agent = ak_strdup(t->user_agent ? t->user_agent : "agentkube/" AK_VERSION);
    if (!self->base_url || !self->user_agent || (t->proxy_url && !self->proxy_url) ||
        (t->no_proxy && !self->no_proxy) || (t->pinned_public_key && !self->pin) ||
        (t->unix_path && !self->unix_path))
        return ak_error_oom(reterr);
    self->insecure = t->insecure_skip_verify || t->pinned_public_key;
    self->any_name = t->skip_name_check;
    self->connect_timeout = t->connect_timeout ? t->connect_timeout : DEFAULT_CONNECT_TIMEOUT;
    self->max_reply = t->max_reply ? t->max_reply : DEFAULT_MAX_REPLY;
    if (t->tls_server_name && t->tls_server_name[0])
        return set_server_name(self, t->tls_server_name, reterr);
    self->request_url = ak_strdup(self->base_url);
    return self->request_url ? 0 : ak_error_oom(reterr);
}

int ak_http_client_new(const struct ak_http_target *target, struct ak_http_client **ret,
                       struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_http_client) self = NULL;
    int r;

    (void)pthread_once(&global_once, global_init);
    if (global_result != CURLE_OK)
        return ak_error_set(reterr, -ENOMEM, "cannot set libcurl up: %s",
                            curl_easy_strerror(global_result));
    r = check_base_url(target->base_url, reterr);
    if (r >= 0)
        r = check_more(target, reterr);
    if (r < 0)
        return r;
    self = ak_new0(struct ak_http_client);
    if (!self)
        return ak_error_oom(reterr);
    ak_mutex_init(&self->lock);
    for (size_t i = 0; i < AK_ARRAY_LEN(self->share_locks); i++)
        ak_mutex_init(&self->share_locks[i]);
    r = copy_target(self, target, reterr);
    if (r >= 0 && ak_has_prefix(self->base_url, "https:"))
        r = ak__http_tls_init(&self->tls, target, reterr);
    if (r >= 0)
        r = make_share(self, reterr);
    if (r < 0)
        return r;
    *ret = AK_TAKE(self);
    return 0;
}

struct ak_http_client *ak_http_client_free(struct ak_http_client *self)
{
    struct ak__sigpipe sigpipe;

    if (!self)
        return NULL;
    ak__sigpipe_block(&sigpipe); /* connections say goodbye */
    while (self->hubs) {
        struct ak__http_hub *hub = self->hubs;

        self->hubs = ak__http_hub_next(hub);
        ak__http_hub_free(hub);
    }
    while (self->idle) {
        struct ak__http_slot *slot = self->idle;

        self->idle = slot->next;
        (void)ak__http_slot_free(slot);
    }
    ak__sigpipe_restore(&sigpipe);
    if (self->share)
        (void)curl_share_cleanup(self->share);
    ak__http_tls_done(&self->tls);
    if (self->proxy_url) /* may hold a password */
        ak_wipe(self->proxy_url, strlen(self->proxy_url));
    char *texts[] = {self->base_url,    self->connect_to, self->host_header,
                     self->request_url, self->proxy_url,  self->no_proxy,
                     self->user_agent,  self->pin,        self->unix_path};
    for (size_t i = 0; i < AK_ARRAY_LEN(texts); i++)
        ak_free(texts[i]);
    for (size_t i = 0; i < AK_ARRAY_LEN(self->share_locks); i++)
        ak_mutex_done(&self->share_locks[i]);
    ak_mutex_done(&self->lock);
    ak_free(self);
    return NULL;
}

void ak_http_reply_done(struct ak_http_reply *self)
{
    ak_buf_done(&self->body);
}

struct collect {
    struct ak_buf *body;
    int failed; /* why the body could not be kept */
};

static size_t on_data(char *data, size_t size, size_t n, void *user)
{
    struct collect *c = user;

    c->failed = ak_buf_add(c->body, data, size * n);
    return c->failed < 0 ? 0 : size * n;
}

/* Waits for the end of the transfer. 0, or AK_E_CANCELLED, or -EIO. */
static int drive(struct ak__http_slot *slot, const struct ak_cancel *cancel, CURLcode *ret)
{
    struct curl_waitfd extra = {.fd = cancel ? cancel->fd : -1, .events = CURL_WAIT_POLLIN};
    int running = 0, left;
    CURLMsg *msg;

    for (;;) {
        if (cancel && ak_cancel_is_set(cancel))
            return AK_E_CANCELLED;
        if (curl_multi_perform(slot->multi, &running) != CURLM_OK)
            return -EIO;
        if (!running)
            break;
        if (curl_multi_poll(slot->multi, &extra, cancel ? 1 : 0, 60000, NULL) != CURLM_OK)
            return -EIO;
    }
    while ((msg = curl_multi_info_read(slot->multi, &left))) {
        if (msg->msg == CURLMSG_DONE) {
            *ret = msg->data.result;
            return 0;
        }
    }
    return -EIO;
}

CURL *ak__http_slot_easy(const struct ak__http_slot *slot)
{
    return slot->easy;
}

int ak__http_slot_run(struct ak__http_slot *slot, const struct ak_cancel *cancel, CURLcode *ret)
{
    if (curl_multi_add_handle(slot->multi, slot->easy) != CURLM_OK)
        return -ENOMEM;
    return drive(slot, cancel, ret);
}

static void read_head(CURL *easy, struct ak_http_reply *reply)
{
    long status = 0;
    char *type = NULL;
    size_t len;

    (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(easy, CURLINFO_CONTENT_TYPE, &type);
    reply->status = (int)status;
    reply->retry_after = ak__http_retry_after(easy);
    len = type ? strnlen(type, sizeof(reply->content_type) - 1) : 0;
    if (len)
        memcpy(reply->content_type, type, len);
    reply->content_type[len] = '\0';
}

static int perform(struct ak_http_client *self, struct ak__http_slot *slot,
                   const struct ak_http_request *req, struct ak_http_reply *reply,
                   struct ak_error **reterr)
{
    AK_AUTO(ak__http_request) prepared = {0};
    struct collect collect = {.body = &reply->body};
    CURLcode rc = CURLE_OK;
    int r;

    r = ak__http_request_init(&prepared, slot->easy, self, req, reterr);
    if (r < 0)
        return r;
    (void)curl_easy_setopt(slot->easy, CURLOPT_WRITEFUNCTION, on_data);
    (void)curl_easy_setopt(slot->easy, CURLOPT_WRITEDATA, &collect);
    (void)curl_easy_setopt(slot->easy, CURLOPT_TIMEOUT_MS,
                           (long)(req->timeout ? req->timeout : DEFAULT_TIMEOUT));
    if (curl_multi_add_handle(slot->multi, slot->easy) != CURLM_OK)
        return ak_error_oom(reterr);
    r = drive(slot, req->cancel, &rc);
    if (r >= 0 && rc == CURLE_OK)
        read_head(slot->easy, reply);
    (void)curl_multi_remove_handle(slot->multi, slot->easy);
    if (r == AK_E_CANCELLED)
        return ak_error_set(reterr, r, "%s %s: cancelled", req->method, req->path);
    if (r < 0)
        return ak_error_set(reterr, r, "%s %s: libcurl failed", req->method, req->path);
    if (collect.failed == AK_E_TOO_LARGE)
        return ak_error_set(reterr, AK_E_TOO_LARGE, "%s %s: the answer has more than %zu bytes",
                            req->method, req->path, self->max_reply);
    if (collect.failed < 0)
        return ak_error_oom(reterr);
    if (rc != CURLE_OK)
        return ak__http_failed(self, rc, prepared.error, reterr);
    return 0;
}

int ak_http_do(struct ak_http_client *self, const struct ak_http_request *req,
               struct ak_http_reply *reply, struct ak_error **reterr)
{
    AK_AUTO(ak_http_reply) result = {.body = {.max = self->max_reply}};
    struct ak__http_slot *slot = slot_get(self);
    struct ak__sigpipe sigpipe;
    int r;

    if (!slot)
        return ak_error_oom(reterr);
    ak__sigpipe_block(&sigpipe);
    r = perform(self, slot, req, &result, reterr);
    slot_put(self, slot);
    ak__sigpipe_restore(&sigpipe);
    if (r < 0)
        return r;
    *reply = result;
    result.body = (struct ak_buf){0};
    return 0;
}
