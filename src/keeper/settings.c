/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/settings.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <string.h>

#include <ak/base/text.h>

enum kind { TEXT, NEEDED, PATH, URL, LISTEN };

struct setting {
    const char *name;
    const char *fallback;
    enum kind kind;
    size_t offset; /* of a const char *, for LISTEN of a struct ak_listen */
};

#define AT(member) offsetof(struct ak_keeper_settings, member)

static const struct setting settings[] = {
    {"AGENTKUBE_AGENT_NAME", "", TEXT, AT(agent_name)},
    {"AGENTKUBE_AGENT_NAMESPACE", "", TEXT, AT(agent_namespace)},
    {"AGENTKUBE_POD_UID", "", NEEDED, AT(pod_uid)},
    {"AGENTKUBE_PROVIDER", "", TEXT, AT(provider)},
    {"AGENTKUBE_MODEL_BASE_URL", "", URL, AT(upstream)},
    {"AGENTKUBE_MODEL_CA_FILE", "", PATH, AT(upstream_ca)},
    {"AGENTKUBE_KEY_FILE", "", PATH, AT(key_file)},
    {"AGENTKUBE_TOKEN_FILE", "/agentkube/token/token", PATH, AT(token_file)},
    {"AGENTKUBE_LINK", "/agentkube/link/agentlet.sock", PATH, AT(link)},
    {"AGENTKUBE_MANAGER_CA", "", NEEDED, AT(manager_ca)},
    {"AGENTKUBE_MANAGER_NAME", "agentkube-manager", NEEDED, AT(manager_name)},
    {"AGENTKUBE_MANAGER_URL", "", URL, AT(manager_url)},
    {"AGENTKUBE_RELAY_LISTEN", ":8084", LISTEN, AT(relay)},
    {"AGENTKUBE_LOOPBACK_LISTEN", "127.0.0.1:8085", LISTEN, AT(loopback)},
    {"AGENTKUBE_PROBE_LISTEN", ":8086", LISTEN, AT(probe)},
};

/* Who gave a URL with a password would find it in a process list, so it is refused and not quoted. */
static int check_url(const struct setting *s, const char *value, struct ak_error **reterr)
{
    const char *rest = NULL;

    if (!*value)
        return 0;
    if (ak_has_prefix(value, "https://"))
        rest = value + 8;
    else if (ak_has_prefix(value, "http://"))
        rest = value + 7;
    if (!rest || !*rest || *rest == '/' || *rest == ':')
        return ak_error_set(reterr, -EINVAL, "%s: must be an http:// or https:// URL", s->name);
    if (strpbrk(rest, "@?# \t\r\n\\"))
        return ak_error_set(reterr, -EINVAL,
                            "%s: must have no user, password, query or fragment in it", s->name);
    return 0;
}

static int set_one(const struct setting *s, const char *value, struct ak_keeper_settings *ret,
                   struct ak_error **reterr)
{
    char *field = (char *)ret + s->offset;
    int r;

    if (s->kind == LISTEN) {
        if (ak_listen_parse(value, (struct ak_listen *)(void *)field) < 0)
            return ak_error_set(reterr, -EINVAL,
                                "%s \"%s\": must be ADDRESS:PORT, or :PORT for all addresses",
                                s->name, value);
        return 0;
    }
    if (s->kind == NEEDED && !*value)
        return ak_error_set(reterr, -EINVAL, "%s: must be set", s->name);
    if (s->kind == PATH && *value && value[0] != '/')
        return ak_error_set(reterr, -EINVAL, "%s \"%s\": must be an absolute path", s->name, value);
    r = s->kind == URL ? check_url(s, value, reterr) : 0;
    if (r < 0)
        return r;
    *(const char **)(void *)field = value;
    return 0;
}

/* The model endpoint gives the agent's key to whoever reaches it. */
static bool is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;

    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* Both spellings exist, and of two the small one wins, as curl does it. */
static const char *find_proxy(ak_settings_lookup_fn lookup, void *user, const char *small,
                              const char *large)
{
    const char *value = lookup(small, user);

    if (ak_is_empty(value))
        value = lookup(large, user);
    return ak_is_empty(value) ? NULL : value;
}

int ak_keeper_settings_read(ak_settings_lookup_fn lookup, void *user,
                            struct ak_keeper_settings *ret, struct ak_error **reterr)
{
    struct ak_keeper_settings out = {0};
    bool tls;

    for (size_t i = 0; i < AK_ARRAY_LEN(settings); i++) {
        const char *value = lookup(settings[i].name, user);
        int r = set_one(&settings[i], value && *value ? value : settings[i].fallback, &out, reterr);

        if (r < 0)
            return r;
    }
    if (!is_loopback(out.loopback.host))
        return ak_error_set(reterr, -EINVAL,
                            "AGENTKUBE_LOOPBACK_LISTEN: must be an address of the loopback device");
    tls = ak_has_prefix(out.upstream, "https://");
    out.https_proxy = tls ? find_proxy(lookup, user, "https_proxy", "HTTPS_PROXY") : NULL;
    out.no_proxy = find_proxy(lookup, user, "no_proxy", "NO_PROXY");
    *ret = out;
    return 0;
}
