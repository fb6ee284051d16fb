/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/repo_url.h"

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <string.h>
#include <strings.h>

#define VARIABLE "AGENTKUBE_REPO_URL"

static const struct {
    const char *prefix;
    enum ak_transport transport;
    bool has_host;
} schemes[] = {
    {"https://", AK_TRANSPORT_HTTP, true},  {"http://", AK_TRANSPORT_HTTP, true},
    {"ssh://", AK_TRANSPORT_SSH, true},     {"git://", AK_TRANSPORT_OTHER, true},
    {"file://", AK_TRANSPORT_OTHER, false},
};

/* The parts of "scheme://user@host:port/path"; for "user@host:path" the scheme is empty. */
struct parts {
    const char *scheme;
    size_t scheme_len; /* with "://" */
    const char *user;
    size_t user_len; /* 0: none */
    const char *host;
    size_t host_len; /* with the port */
    const char *path;
};

/* The last '@' before the path ends the user, because a password may contain one. */
static void split_authority(const char *from, const char *end, struct parts *ret)
{
    const char *at = memrchr(from, '@', (size_t)(end - from));

    ret->user = from;
    ret->user_len = at ? (size_t)(at - from) : 0;
    ret->host = at ? at + 1 : from;
    ret->host_len = (size_t)(end - ret->host);
    ret->path = end;
}

static bool split(const char *url, struct parts *ret)
{
    const char *mark = strstr(url, "://");
    const char *end = NULL;

    *ret = (struct parts){.scheme = url};
    if (mark) {
        ret->scheme_len = (size_t)(mark - url) + strlen("://");
        mark += strlen("://");
        split_authority(mark, mark + strcspn(mark, "/"), ret);
        return true;
    }
    end = strchr(url, ':');
    if (!end || end[1] == ':' || memchr(url, '/', (size_t)(end - url)))
        return false;
    split_authority(url, end, ret);
    return true;
}

static bool is_plain(const char *url)
{
    for (const char *p = url; *p; p++)
        if (*p <= ' ' || *p == 0x7f)
            return false;
    return url[0] != '-' && strlen(url) <= AK_REPO_URL_MAX;
}

static bool find_transport(const struct parts *p, enum ak_transport *ret)
{
    *ret = AK_TRANSPORT_SSH;
    if (p->scheme_len == 0)
        return p->user_len > 0 && p->host_len > 0 && p->host[0] != '-' && p->path[1];
    for (size_t i = 0; i < AK_ARRAY_LEN(schemes); i++) {
        if (strncmp(p->scheme, schemes[i].prefix, p->scheme_len) != 0)
            continue;
        *ret = schemes[i].transport;
        if (!schemes[i].has_host)
            return p->host == p->path && p->path[0] == '/';
        return p->host_len > 0 && p->host[0] != '-';
    }
    return false;
}

int ak_repo_url_check(const char *url, enum ak_transport *ret, struct ak_error **reterr)
{
    struct parts p;

    if (!url[0])
        return ak_error_set(reterr, -EINVAL, VARIABLE ": must be set");
    if (!is_plain(url))
        return ak_error_set(reterr, -EINVAL,
                            VARIABLE ": must not contain blanks, begin with \"-\" or have more "
                                     "than %d characters",
                            AK_REPO_URL_MAX);
    if (split(url, &p) && memchr(p.user, ':', p.user_len))
        return ak_error_set(reterr, -EINVAL,
                            VARIABLE ": must not contain a password: put it into a Secret");
    if (!split(url, &p) || !find_transport(&p, ret))
        return ak_error_set(reterr, -EINVAL,
                            VARIABLE
                            " \"%s\": must begin with https://, http://, ssh://, git:// or "
                            "file:///, or be like git@host:path",
                            url);
    return 0;
}

static size_t comparable_length(const char *path)
{
    size_t len = strlen(path);

    while (len > 0 && path[len - 1] == '/')
        len--;
    if (len >= 4 && strncmp(path + len - 4, ".git", 4) == 0)
        len -= 4;
    while (len > 0 && path[len - 1] == '/')
        len--;
    return len;
}

static bool is_same_server(const struct parts *a, const struct parts *b)
{
    return a->scheme_len == b->scheme_len && a->host_len == b->host_len &&
           strncasecmp(a->scheme, b->scheme, a->scheme_len) == 0 &&
           strncasecmp(a->host, b->host, a->host_len) == 0;
}

bool ak_repo_url_is_same(const char *a, const char *b)
{
    struct parts pa, pb;
    size_t len = 0;

    if (!split(a, &pa) || !split(b, &pb))
        return strcmp(a, b) == 0;
    len = comparable_length(pa.path);
    return is_same_server(&pa, &pb) && len == comparable_length(pb.path) &&
           strncmp(pa.path, pb.path, len) == 0;
}

bool ak_repo_url_is_same_server(const char *url, const char *asked)
{
    struct parts a, b;

    return split(url, &a) && split(asked, &b) && a.scheme_len > 0 && is_same_server(&a, &b);
}

char *ak_repo_url_for_display(const char *url)
{
    struct parts p;

    if (!split(url, &p) || p.user_len == 0)
        return ak_strdup(url);
    return ak_asprintf("%.*s%s", (int)p.scheme_len, p.scheme, p.host);
}
