/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/text.h>
#include <string.h>

#include "engines/policy_internal.h"

#define PATH_MAX_BYTES 8192 /* of a path that rules can allow */

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
        return (c | 0x20) - 'a' + 10;
    return -1;
}

/* One character of a path, an escape decoded; false: servers disagree about what it means. */
static bool take_character(const char **p, char *ret)
{
    unsigned char c = (unsigned char)**p;
    size_t used = 1;

    if (c == '%') {
        int high = hex((*p)[1]);
        int low = high < 0 ? -1 : hex((*p)[2]);
        if (low < 0)
            return false;
        c = (unsigned char)(high * 16 + low);
        used = 3;
        if (c == '/' || c == '%' || c == '?' || c == '#')
            return false;
    } else if (c >= 0x7f || c == ' ' || c == '#') {
        return false;
    }
    if (c < ' ' || c == 0x7f || c == '\\' || c == ';')
        return false;
    *p += used;
    *ret = (char)c;
    return true;
}

static bool is_dots(const char *segment, size_t len)
{
    return (len == 1 && segment[0] == '.') || (len == 2 && segment[0] == '.' && segment[1] == '.');
}

bool ak__plain_path(const char *path, char *out, size_t size)
{
    size_t len = 0, begin = 1;

    if (path[0] != '/')
        return false;
    for (const char *p = path; *p && *p != '?';) {
        bool slash = *p == '/';
        char c = '\0';
        if (!take_character(&p, &c) || len + 1 >= size)
            return false;
        if (slash) {
            if (len && (len == begin || is_dots(out + begin, len - begin)))
                return false;
            begin = len + 1;
        }
        out[len++] = c;
    }
    out[len] = '\0';
    return !is_dots(out + begin, len - begin);
}

bool ak_http_path_is_plain(const char *path)
{
    char plain[PATH_MAX_BYTES];

    return ak__plain_path(path, plain, sizeof(plain));
}

/* "*" is any text within one part, and at least something; a last part that is "*" is everything below. */
static bool matches(const char *pattern, const char *path)
{
    const char *star = NULL, *from = NULL;

    for (;;) {
        if (pattern[0] == '*' && !pattern[1] && pattern[-1] == '/')
            return path[0] && path[0] != '/';
        if (*pattern == '*') {
            if (!*path || *path == '/')
                return false;
            star = pattern++;
            from = ++path;
        } else if (*pattern == *path) {
            if (!*pattern)
                return true;
            if (*pattern == '/')
                star = NULL;
            pattern++;
            path++;
        } else if (star && *from && *from != '/') {
            pattern = star + 1;
            path = ++from;
        } else {
            return false;
        }
    }
}

static bool allows_method(const struct ak_tool_request_rule *rule, const char *method)
{
    if (!rule->methods.len)
        return true;
    for (size_t i = 0; i < rule->methods.len; i++)
        if (ak_streq(rule->methods.items[i], method) ||
            (ak_streq(method, "HEAD") && ak_streq(rule->methods.items[i], "GET")))
            return true;
    return false;
}

static bool allows_path(const struct ak_tool_request_rule *rule, const char *plain)
{
    if (!rule->paths.len)
        return true;
    for (size_t i = 0; i < rule->paths.len; i++)
        if (rule->paths.items[i][0] == '/' && matches(rule->paths.items[i], plain))
            return true;
    return false;
}

bool ak_http_rule_allows(const struct ak_tool_spec *spec, const char *method, const char *path,
                         size_t *ret_rule)
{
    const struct ak_tool_permissions *p = spec->permissions;
    char plain[PATH_MAX_BYTES];

    *ret_rule = SIZE_MAX;
    if (!ak__plain_path(path, plain, sizeof(plain)))
        return false;
    if (!p)
        return true;
    if (p->read_only && ak_classify_http(spec->type, method, path) != AK_CLASS_READ)
        return false;
    for (size_t i = 0; i < p->requests.len; i++) {
        if (allows_method(&p->requests.items[i], method) &&
            allows_path(&p->requests.items[i], plain)) {
            *ret_rule = i;
            return true;
        }
    }
    if (p->requests.len)
        return false;
    /* Nothing is said about requests: what grants or roles say decides the server, and without them one may read. */
    return p->grants.len || p->roles.len || p->rules.len ||
           ak_classify_http(spec->type, method, path) == AK_CLASS_READ;
}
