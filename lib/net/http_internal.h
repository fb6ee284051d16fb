/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the HTTP client share:
 *   http_tls.c      certificates parsed once a client, put into every TLS connection of libcurl
 *   http_request.c  one request as options of an easy handle
 *   http_client.c   the client, its pool and the blocking call
 *   http_stream.c   streams on a loop
 */
#ifndef AK_NET_HTTP_INTERNAL_H
#define AK_NET_HTTP_INTERNAL_H

#include <curl/curl.h>
#include <openssl/x509.h>

#include <ak/base/buf.h>
#include <ak/base/error.h>
#include <ak/base/thread.h>
#include <ak/net/http_client.h>

#define AK_HTTP_MAX_HEADERS 128              /* of one request */
#define AK_HTTP_MAX_HEADER_BYTES (64u << 10) /* of one request, its bearer token included */
#define AK_HTTP_MAX_URL (16u << 10)
#define AK_HTTP_MAX_IDLE_SLOTS 16        /* kept-alive connections of the blocking form */
#define AK_HTTP_IDLE_SLOT AK_SECONDS(30) /* an unused one goes after this */

/* Certificates, parsed once. Connections share them by reference. */
struct ak__http_tls {
    X509_STORE *store;
    X509 *cert;
    STACK_OF(X509) * chain; /* what follows the certificate in client_cert_pem */
    EVP_PKEY *key;
};
AK_MUST_USE int ak__http_tls_init(struct ak__http_tls *self, const struct ak_http_target *target,
                                  struct ak_error **reterr);
void ak__http_tls_done(struct ak__http_tls *self);

struct ak__http_slot; /* http_client.c: an easy handle with its connection */
struct ak__http_slot *ak__http_slot_free(struct ak__http_slot *slot);
AK_MUST_USE struct ak__http_slot *ak__http_slot_new(void);
CURL *ak__http_slot_easy(const struct ak__http_slot *slot);
/* Adds the handle, which then stays in, and waits for the end of its transfer. */
AK_MUST_USE int ak__http_slot_run(struct ak__http_slot *slot, const struct ak_cancel *cancel,
                                  CURLcode *ret);
struct ak__http_hub; /* http_stream.c: all streams of one client on one loop */

struct ak_http_client {
    char *base_url;    /* without a trailing slash */
    char *connect_to;  /* with tls_server_name: where its host really is */
    char *host_header; /* with tls_server_name: the host of base_url */
    char *request_url; /* base_url, with tls_server_name as its host */
    char *proxy_url, *no_proxy, *user_agent;
    char *pin, *unix_path;
    bool insecure;
    bool any_name; /* of the certificate */
    ak_msec connect_timeout;
    size_t max_reply;
    struct ak__http_tls tls;
    CURLSH *share; /* TLS sessions: a new connection of any thread resumes instead of handshaking */
    struct ak_mutex share_locks[CURL_LOCK_DATA_LAST]; /* libcurl decides about their order */

    struct ak_mutex lock;       /* guards what follows */
    struct ak__http_slot *idle; /* last used first, so that few stay in use */
    size_t n_idle;
    struct ak__http_hub *hubs;
};

/* Memory that libcurl refers to while a request runs. */
struct ak__http_request {
    struct ak_buf lines; /* header lines, each NUL-terminated; wiped */
    struct ak_buf url;
    struct curl_slist *nodes; /* one for each line */
    size_t n_lines;
    struct curl_slist connect_to;
    char error[CURL_ERROR_SIZE];
};
/* Sets `easy` (reset before) up for the request. The body is borrowed until the request is done. */
AK_MUST_USE int ak__http_request_init(struct ak__http_request *self, CURL *easy,
                                      struct ak_http_client *client,
                                      const struct ak_http_request *req, struct ak_error **reterr);
void ak__http_request_done(struct ak__http_request *self);
AK_DEFINE_AUTO(ak__http_request, ak__http_request_done)

ak_msec ak__http_retry_after(CURL *easy);
/* What libcurl reports, in our codes and words. */
int ak__http_failed(const struct ak_http_client *client, CURLcode code, const char *detail,
                    struct ak_error **reterr);
void ak__http_hub_free(struct ak__http_hub *self);
struct ak__http_hub *ak__http_hub_next(struct ak__http_hub *self);

#endif
