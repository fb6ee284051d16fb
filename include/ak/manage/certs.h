/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates of an admission webhook, made by the program itself: an authority (ECDSA P-256),
 * and a serving certificate that it signs (or one for a client: `client` in the options). Both
 * live in one Secret that all replicas share, and both are replaced before they expire, without a
 * restart and without a moment in which the apiserver trusts one authority and a replica shows a
 * certificate of another:
 *
 *   RENEW_CA      a new authority is put in front of the bundle; the old serving certificate stays
 *   (the bundle, old and new, reaches the webhook configuration's caBundle)
 *   SWITCH        the serving certificate is made anew, by the new authority
 *   RENEW_LEAF    the serving certificate is made anew; an authority that nobody needs is dropped
 *
 *     r = ak_certs_issue(&options, NULL, clock, &certs, &err);          a first set
 *     if (ak_certs_judge(certs, &options, clock) != AK_CERTS_GOOD)
 *         r = ak_certs_issue(&options, certs, clock, &next, &err);       the step that judge() names
 *
 * struct ak_certs_keeper does all this against an apiserver. Nothing here reads the system's clock
 * but through the struct ak_clock that it is given.
 */
#ifndef AK_MANAGE_CERTS_H
#define AK_MANAGE_CERTS_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/secret.h>
#include <ak/base/time.h>
#include <ak/json/json.h>
#include <ak/kube/client.h>
#include <stdbool.h>

typedef struct ssl_ctx_st SSL_CTX;

#define AK_CERTS_MAX_NAMES 24
#define AK_CERTS_MAX_PEM (64u << 10) /* bytes of each part of the Secret */

struct ak_certs_options {
    const char *const
        *names;         /* DNS names and IP addresses, NULL-terminated; the first is the subject */
    const char *issuer; /* begins the authority's name; NULL: the first name */
    ak_msec ca_life;    /* 0: 10 years */
    ak_msec leaf_life;  /* 0: 90 days */
    bool client;        /* the certificate is for a TLS client (clientAuth) instead of a server */
    /* For who hands the bundle to others that take their time: a new authority signs nothing before it is
     * so old, as long as the certificate of the older one is good. 0: at once */
    ak_msec switch_after;
};

/* Immutable. Thread: any. */
struct ak_certs;
AK_PUBLIC struct ak_certs *ak_certs_free(struct ak_certs *self);
AK_DEFINE_AUTO_PTR(ak_certs, ak_certs_free)

enum ak_certs_verdict {
    AK_CERTS_GOOD,
    AK_CERTS_RENEW_LEAF, /* less than a third of its life is left, it lacks a name, or the older authority is
                          * still in the bundle ten minutes after a switch */
    AK_CERTS_RENEW_CA, /* less than a tenth of its life is left */
    AK_CERTS_SWITCH,   /* the serving certificate is of the older authority */
    AK_CERTS_UNUSABLE, /* the authority has expired: everything is made anew */
    AK_CERTS_VERDICT_MAX
};
AK_PUBLIC const char *ak_certs_verdict_to_string(enum ak_certs_verdict verdict);
AK_PUBLIC enum ak_certs_verdict ak_certs_judge(const struct ak_certs *self,
                                               const struct ak_certs_options *options,
                                               const struct ak_clock *clock);
/* Takes the step that ak_certs_judge() names for `before`; GOOD is treated as RENEW_LEAF. NULL: a first
 * set. -EINVAL: a name is neither a DNS name nor an IP address. */
AK_PUBLIC AK_MUST_USE int ak_certs_issue(const struct ak_certs_options *options,
                                         const struct ak_certs *before,
                                         const struct ak_clock *clock, struct ak_certs **ret,
                                         struct ak_error **reterr);

/* A new authority beside the one that signed what is shown, whatever the verdict is: as RENEW_CA
 * does it. */
AK_PUBLIC AK_MUST_USE int ak_certs_issue_authority(const struct ak_certs_options *options,
                                                   const struct ak_certs *before,
                                                   const struct ak_clock *clock,
                                                   struct ak_certs **ret, struct ak_error **reterr);

/* A Secret of type kubernetes.io/tls with tls.crt, tls.key, ca.crt (the bundle, newest first) and
 * ca.key. */
AK_PUBLIC AK_MUST_USE int ak_certs_to_secret(const struct ak_certs *self, const char *ns,
                                             const char *name, json_t **ret,
                                             struct ak_error **reterr);
/* AK_E_INVALID: something is missing, is not PEM, or does not belong together. The text quotes nothing. */
AK_PUBLIC AK_MUST_USE int ak_certs_from_secret(const json_t *secret, struct ak_certs **ret,
                                               struct ak_error **reterr);
/* PEM: every authority that may sign what a replica shows. Borrowed. */
AK_PUBLIC const char *ak_certs_bundle(const struct ak_certs *self);
AK_PUBLIC bool ak_certs_equal(const struct ak_certs *a, const struct ak_certs *b);
AK_PUBLIC ak_msec ak_certs_leaf_expires(const struct ak_certs *self); /* wall clock */
AK_PUBLIC ak_msec ak_certs_ca_expires(const struct ak_certs *self);   /* of the newest authority */
/* A server's context: TLS 1.2 or newer, forward secrecy only. The caller SSL_CTX_free()s it. */
AK_PUBLIC AK_MUST_USE int ak_certs_tls(const struct ak_certs *self, SSL_CTX **ret,
                                       struct ak_error **reterr);
/* The certificate and its key as PEM, for a client. The caller ak_free()s the first. */
AK_PUBLIC AK_MUST_USE int ak_certs_to_pem(const struct ak_certs *self, char **ret_cert,
                                          struct ak_secret **ret_key, struct ak_error **reterr);

/*
 * Puts `bundle` (PEM) into clientConfig.caBundle of every webhook of a configuration object and touches
 * nothing else. Returns 1 if something changed, 0 if it was there everywhere.
 */
AK_PUBLIC AK_MUST_USE int ak_certs_put_bundle(json_t *configuration, const char *bundle,
                                              struct ak_error **reterr);

/*
 * One thread that looks at the Secret and the webhook configuration, both by name, every `period`.
 * Any replica may create the Secret (whoever comes second uses what is there); only who may write
 * renews it and writes the configuration. Before everything is in its place it looks every second.
 */
struct ak_certs_keeper;
struct ak_certs_keeper_options {
    struct ak_client *client;     /* borrowed */
    const struct ak_clock *clock; /* NULL: the system's */
    const char *namespace_, *secret;
    const char *configuration; /* ValidatingWebhookConfiguration; NULL: none is looked after */
    const char *manager;       /* field manager */
    struct ak_certs_options certs;
    bool (*may_write)(void *user); /* NULL: always */
    void *may_write_user;
    ak_msec period; /* 0: 30 s */
    /* A set that is to be shown from now on. Borrowed for the call. Thread: the keeper's. A
     * failure is reported, and the call repeated at the next look. */
    int (*changed)(const struct ak_certs *certs, void *user, struct ak_error **reterr);
    /* Something went wrong, and differently than the last time; NULL: it works again. May be NULL. */
    void (*report)(const struct ak_error *err, void *user);
    void *user;
};
AK_PUBLIC struct ak_certs_keeper *ak_certs_keeper_free(struct ak_certs_keeper *self); /* stops */
AK_PUBLIC AK_MUST_USE int ak_certs_keeper_new(const struct ak_certs_keeper_options *options,
                                              struct ak_certs_keeper **ret,
                                              struct ak_error **reterr);
AK_DEFINE_AUTO_PTR(ak_certs_keeper, ak_certs_keeper_free)
AK_PUBLIC AK_MUST_USE int ak_certs_keeper_start(struct ak_certs_keeper *self,
                                                struct ak_error **reterr);
AK_PUBLIC void ak_certs_keeper_stop(struct ak_certs_keeper *self); /* joins */
/* One look, on the calling thread; for who does not want the thread. *ret_settled: all is in its place.
 * Not while started. */
AK_PUBLIC AK_MUST_USE int ak_certs_keeper_look(struct ak_certs_keeper *self, bool *ret_settled,
                                               struct ak_error **reterr);
/* When what is shown expires, wall clock; 0: nothing is shown yet. Thread: any. */
AK_PUBLIC ak_msec ak_certs_keeper_leaf_expires(struct ak_certs_keeper *self);
AK_PUBLIC ak_msec ak_certs_keeper_ca_expires(struct ak_certs_keeper *self);

#endif
