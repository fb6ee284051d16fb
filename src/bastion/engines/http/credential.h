/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Tool's credential as the header lines that carry it, in the way of each type, with the headers that the Tool wants
 * in every request. Credentials that live shorter than a session (snowflake's and bigquery's tokens, the token of a
 * pod) say when they have to be made anew.
 */
#ifndef AK_BASTION_HTTP_CREDENTIAL_H
#define AK_BASTION_HTTP_CREDENTIAL_H

#include "bastion/engine.h"
#include "bastion/engines/http/fetch.h"
#include "bastion/engines/http/kubeconfig.h"

#define AK_CREDENTIAL_MAX_LINES 40 /* the Tool's 32 headers and our own */

struct ak_http_credential {
    struct ak_buf text; /* wiped */
    const char
        *lines[AK_CREDENTIAL_MAX_LINES + 1]; /* "Name: value", NULL-terminated; point into text */
    size_t n;
    struct ak_secret *secret; /* what must not come back in an answer; NULL: there is none */
    ak_msec renew_at;         /* monotonic; AK_MSEC_NEVER */
};
void ak_http_credential_done(struct ak_http_credential *self);
AK_DEFINE_AUTO(ak_http_credential, ak_http_credential_done)

/*
 * Makes it. With read_only the credential itself only reads where that can be had (bigquery's scope). `login` as of
 * ak_login_read(); `kubeconfig` for kubernetes outside the cluster, else NULL. Only bigquery asks a server (the
 * token_uri of its file) and heeds `limits`; the rest reads at most files. AK_E_INVALID: the credential is not what
 * the type needs.
 */
AK_MUST_USE int ak_http_credential_make(const struct ak_target *target,
                                        const struct ak_login *login,
                                        const struct ak_kubeconfig *kubeconfig, bool read_only,
                                        const struct ak_fetch_limits *limits,
                                        struct ak_http_credential *ret, struct ak_error **reterr);
/* Does making it ask a server? */
bool ak_http_credential_is_remote(const struct ak_target *target);
/* Does a request header of this name belong to the credential, or can it change who asks, what is asked or whom: such
 * do not come from callers. */
bool ak_http_header_is_ours(const struct ak_tool_spec *spec, const char *name);

#endif
