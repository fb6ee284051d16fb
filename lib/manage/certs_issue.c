/* SPDX-License-Identifier: Apache-2.0 */
/* Makes authorities and serving certificates: RFC 5280 with ECDSA on P-256. */
#include "certs_internal.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#define SERIAL_BITS 127    /* positive in 16 octets */
#define MAX_COMMON_NAME 64 /* ub-common-name */
#define MAX_NAMES_TEXT (AK_CERTS_MAX_NAMES * 260)

struct extension {
    int nid;
    const char *value;
};

/* What a certificate says. */
struct draft {
    const char *common_name;
    ak_msec from, until;
    const struct extension *extensions; /* ended by nid 0 */
    X509 *issuer;                       /* NULL: itself */
    EVP_PKEY *issuer_key;
};

static bool set_serial(X509 *cert)
{
    BIGNUM *number = BN_new();
    bool ok = number && BN_rand(number, SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
              BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL;

    BN_free(number);
    return ok;
}

static bool set_subject(X509 *cert, const char *common_name)
{
    X509_NAME *name = X509_get_subject_name(cert);

    return X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const unsigned char *)"agentkube",
                                      -1, -1, 0) == 1 &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)common_name,
                                      -1, -1, 0) == 1;
}

static bool set_times(X509 *cert, const struct draft *draft)
{
    return ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)(draft->from / 1000)) &&
           ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)(draft->until / 1000));
}

static bool add_extensions(X509 *cert, X509 *issuer, const struct extension *list)
{
    X509V3_CTX ctx;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    for (; list->nid; list++) {
        X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, list->nid, list->value);
        bool ok = ext && X509_add_ext(cert, ext, -1) == 1;
        X509_EXTENSION_free(ext);
        if (!ok)
            return false;
    }
    return true;
}

/* Makes a key and a certificate for it. */
static int make(const struct draft *draft, X509 **ret_cert, EVP_PKEY **ret_key,
                struct ak_error **reterr)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    X509 *issuer = draft->issuer ? draft->issuer : cert;
    bool ok = key && cert && X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert) &&
              set_subject(cert, draft->common_name) && set_times(cert, draft) &&
              X509_set_issuer_name(cert, X509_get_subject_name(issuer)) == 1 &&
              X509_set_pubkey(cert, key) == 1 && add_extensions(cert, issuer, draft->extensions) &&
              X509_sign(cert, draft->issuer ? draft->issuer_key : key, EVP_sha256()) > 0;

    if (!ok) {
        X509_free(cert);
        EVP_PKEY_free(key);
        return ak__certs_tls_error(reterr, "make a certificate");
    }
    *ret_cert = cert;
    *ret_key = key;
    return 0;
}

/* "DNS:a,DNS:b,IP:10.0.0.1". A text that could end a name early is refused here. */
static int names_text(const struct ak_certs_options *options, struct ak_buf *out,
                      struct ak_error **reterr)
{
    size_t n = 0;

    for (const char *const *name = options->names; *name; name++, n++) {
        bool ip = ak__certs_is_ip(*name);
        if (n == AK_CERTS_MAX_NAMES)
            return ak_error_set(reterr, -EINVAL, "more than %d names", AK_CERTS_MAX_NAMES);
        if (!ip && !ak_is_dns_subdomain(*name))
            return ak_error_set(reterr, -EINVAL, "\"%s\" is neither a DNS name nor an IP address",
                                *name);
        int r = ak_buf_addf(out, "%s%s:%s", n ? "," : "", ip ? "IP" : "DNS", *name);
        if (r < 0)
            return ak_error_set(reterr, r, "names of the certificate");
    }
    return n ? 0 : ak_error_set(reterr, -EINVAL, "a certificate needs a name");
}

/* Each authority has a name of its own, so that a verifier with two of them finds the right one. */
static int make_ca(const struct ak_certs_options *options, ak_msec now, struct ak_certs *into,
                   struct ak_error **reterr)
{
    static const struct extension extensions[] = {
        {NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
        {NID_key_usage, "critical,keyCertSign,cRLSign"},
        {NID_subject_key_identifier, "hash"},
        {0},
    };
    char name[MAX_COMMON_NAME + 1], since[AK_RFC3339_SIZE];
    const struct draft draft = {
        .common_name = name,
        .from = now - AK__CERTS_SKEW,
        .until = now + ak__certs_ca_life(options),
        .extensions = extensions,
    };

    (void)snprintf(name, sizeof(name), "%.32s CA %s",
                   options->issuer ? options->issuer : options->names[0],
                   ak_format_rfc3339(now, since));
    int r = make(&draft, &into->cas[0], &into->ca_key, reterr);
    if (r >= 0)
        into->n_cas = 1;
    return r;
}

static int make_leaf(const struct ak_certs_options *options, ak_msec now, struct ak_certs *self,
                     struct ak_error **reterr)
{
    AK_AUTO(ak_buf) names = AK_BUF_INIT(MAX_NAMES_TEXT);
    int r = names_text(options, &names, reterr);
    if (r < 0)
        return r;
    const struct extension extensions[] = {
        {NID_basic_constraints, "critical,CA:FALSE"},
        {NID_key_usage, "critical,digitalSignature"},
        {NID_ext_key_usage, options->client ? "clientAuth" : "serverAuth"},
        {NID_subject_key_identifier, "hash"},
        {NID_authority_key_identifier, "keyid:always"},
        {NID_subject_alt_name, ak_buf_text(&names)},
        {0},
    };
    char subject[MAX_COMMON_NAME + 1];
    const struct draft draft = {
        .common_name = subject,
        .from = now - AK__CERTS_SKEW,
        .until = AK_MIN(now + ak__certs_leaf_life(options), ak__certs_not_after(self->cas[0])),
        .extensions = extensions,
        .issuer = self->cas[0],
        .issuer_key = self->ca_key,
    };

    (void)snprintf(subject, sizeof(subject), "%.*s", MAX_COMMON_NAME, options->names[0]);
    X509_free(self->leaf);
    EVP_PKEY_free(self->key);
    self->leaf = NULL;
    self->key = NULL;
    return make(&draft, &self->leaf, &self->key, reterr);
}

static void share_ca(struct ak_certs *self, X509 *ca)
{
    if (self->n_cas < AK__CERTS_MAX_CAS && X509_up_ref(ca) == 1)
        self->cas[self->n_cas++] = ca;
}

static void share_ca_key(struct ak_certs *self, EVP_PKEY *key)
{
    if (EVP_PKEY_up_ref(key) == 1)
        self->ca_key = key;
}

static void share_leaf(struct ak_certs *self, const struct ak_certs *before)
{
    if (X509_up_ref(before->leaf) == 1)
        self->leaf = before->leaf;
    if (EVP_PKEY_up_ref(before->key) == 1)
        self->key = before->key;
}

/* The authorities of the next set, and the serving certificate if it stays. */
static int make_authorities(const struct ak_certs_options *options, const struct ak_certs *before,
                            enum ak_certs_verdict step, ak_msec now, struct ak_certs *self,
                            struct ak_error **reterr)
{
    int r;

    if (step != AK_CERTS_UNUSABLE && step != AK_CERTS_RENEW_CA) {
        share_ca(self, before->cas[0]);
        share_ca_key(self, before->ca_key);
        /* Other replicas show the older one's certificate for a little longer. */
        if (step == AK_CERTS_SWITCH && before->n_cas > 1)
            share_ca(self, before->cas[1]);
        return 0;
    }
    r = make_ca(options, now, self, reterr);
    if (r >= 0 && step == AK_CERTS_RENEW_CA) {
        share_ca(self, before->cas[ak__certs_signer(before)]);
        share_leaf(self, before);
    }
    return r;
}

static int take_step(const struct ak_certs_options *options, const struct ak_certs *before,
                     enum ak_certs_verdict step, ak_msec now, struct ak_certs **ret,
                     struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_certs) self = ak_new0(struct ak_certs);

    if (!self)
        return ak_error_oom(reterr);
    ERR_clear_error();
    int r = make_authorities(options, before, step, now, self, reterr);
    if (r >= 0 && !self->leaf)
        r = make_leaf(options, now, self, reterr);
    if (r >= 0)
        r = ak__certs_check(self, reterr);
    if (r >= 0)
        r = ak__certs_write_bundle(self, reterr);
    if (r < 0)
        return r;
    *ret = AK_TAKE(self);
    return 0;
}

int ak_certs_issue(const struct ak_certs_options *options, const struct ak_certs *before,
                   const struct ak_clock *clock, struct ak_certs **ret, struct ak_error **reterr)
{
    enum ak_certs_verdict step =
        before ? ak_certs_judge(before, options, clock) : AK_CERTS_UNUSABLE;

    return take_step(options, before, step, ak_clock_wall(clock), ret, reterr);
}

int ak_certs_issue_authority(const struct ak_certs_options *options, const struct ak_certs *before,
                             const struct ak_clock *clock, struct ak_certs **ret,
                             struct ak_error **reterr)
{
    bool shown = ak__certs_signer(before) < before->n_cas;

    return take_step(options, before, shown ? AK_CERTS_RENEW_CA : AK_CERTS_UNUSABLE,
                     ak_clock_wall(clock), ret, reterr);
}
