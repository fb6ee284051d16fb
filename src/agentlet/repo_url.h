/* SPDX-License-Identifier: Apache-2.0 */
/*
 * URLs of git repositories, as far as we must understand them: which transport, which server,
 * whether two name the same repository. Transports that run programs ("ext::") are not among them.
 */
#ifndef AK_AGENTLET_REPO_URL_H
#define AK_AGENTLET_REPO_URL_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <stdbool.h>

#define AK_REPO_URL_MAX 2048

enum ak_transport { AK_TRANSPORT_HTTP, AK_TRANSPORT_SSH, AK_TRANSPORT_OTHER };

/* -EINVAL names AGENTKUBE_REPO_URL. A URL with a password is not shown in the message. */
AK_MUST_USE int ak_repo_url_check(const char *url, enum ak_transport *ret,
                                  struct ak_error **reterr);
/* Apart from a final "/" and ".git", and from a user and password in it. */
bool ak_repo_url_is_same(const char *a, const char *b);
/* Same scheme, host and port? `asked` is what git shows in a prompt: "https://user@host:port". */
bool ak_repo_url_is_same_server(const char *url, const char *asked);
/* For messages: without user and password. NULL when there is no memory; the caller frees it. */
AK_MUST_USE char *ak_repo_url_for_display(const char *url);

#endif
