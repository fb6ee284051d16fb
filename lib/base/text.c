/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/text.h>

#include <string.h>

#define DNS_LABEL_MAX 63
#define DNS_SUBDOMAIN_MAX 253

bool ak_streq(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

bool ak_has_prefix(const char *s, const char *prefix)
{
    return s && strncmp(s, prefix, strlen(prefix)) == 0;
}

bool ak_has_suffix(const char *s, const char *suffix)
{
    size_t len = s ? strlen(s) : 0, suffix_len = strlen(suffix);

    return s && len >= suffix_len && memcmp(s + len - suffix_len, suffix, suffix_len) == 0;
}

bool ak_is_empty(const char *s)
{
    return !s || !s[0];
}

/* Length of the label [a-z0-9]([-a-z0-9]*[a-z0-9])? that s starts with; 0: there is none. */
static size_t label_length(const char *s)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-");

    return n == 0 || s[0] == '-' || s[n - 1] == '-' ? 0 : n;
}

bool ak_is_dns_label(const char *s)
{
    size_t n = s ? label_length(s) : 0;

    return n > 0 && n <= DNS_LABEL_MAX && !s[n];
}

/* Like the apiserver, this limits the whole name, not each of its labels. */
bool ak_is_dns_subdomain(const char *s)
{
    const char *p = s;

    if (!s || strlen(s) > DNS_SUBDOMAIN_MAX)
        return false;
    for (;;) {
        size_t n = label_length(p);

        if (n == 0)
            return false;
        p += n;
        if (!*p)
            return true;
        if (*p++ != '.')
            return false;
    }
}

uint64_t ak_hash_bytes(uint64_t seed, const void *data, size_t len)
{
    const unsigned char *p = data;
    uint64_t h = seed;

    for (size_t i = 0; i < len; i++)
        h = (h ^ p[i]) * 0x100000001b3ULL;
    return h;
}
