/* SPDX-License-Identifier: Apache-2.0 */
/* What certs.c (a set), certs_issue.c (making one) and certs_secret.c (storing one) share. */
#ifndef AK_MANAGE_CERTS_INTERNAL_H
#define AK_MANAGE_CERTS_INTERNAL_H

#include <ak/manage/certs.h>
#include <openssl/x509.h>

#define AK__CERTS_MAX_CAS 2              /* while one replaces the other */
#define AK__CERTS_SKEW AK_HOURS(1)       /* the apiserver's clock may be behind ours */
#define AK__CERTS_OVERLAP AK_MINUTES(10) /* by then every replica shows the new one */

struct ak_certs {
    X509 *cas[AK__CERTS_MAX_CAS]; /* newest first */
    size_t n_cas;
    EVP_PKEY *ca_key; /* of cas[0] */
    X509 *leaf;
    EVP_PKEY *key; /* of leaf */
    char *bundle;  /* PEM of cas */
};

static inline ak_msec ak__certs_ca_life(const struct ak_certs_options *o)
{
    return o->ca_life ? o->ca_life : AK_HOURS(24) * 3653;
}
static inline ak_msec ak__certs_leaf_life(const struct ak_certs_options *o)
{
    return o->leaf_life ? o->leaf_life : AK_HOURS(24) * 90;
}

/* OpenSSL's reason, in an error. Empties its queue. */
int ak__certs_tls_error(struct ak_error **reterr, const char *what);
/* Fills self->bundle from self->cas. */
AK_MUST_USE int ak__certs_write_bundle(struct ak_certs *self, struct ak_error **reterr);
/* Do the parts belong together: keys to certificates, at least one authority? */
AK_MUST_USE int ak__certs_check(const struct ak_certs *self, struct ak_error **reterr);
/* Which authority signed the serving certificate; n_cas: none. */
size_t ak__certs_signer(const struct ak_certs *self);
ak_msec ak__certs_not_before(const X509 *cert);
ak_msec ak__certs_not_after(const X509 *cert);
bool ak__certs_is_ip(const char *name);

#endif
