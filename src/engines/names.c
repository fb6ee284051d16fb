/* SPDX-License-Identifier: Apache-2.0 */
#include "engines/names.h"

#include <ak/base/text.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* The first ten hexadecimal digits of a UUID, dashes left out; false: it is not one. */
static bool digits_of_uuid(const char *uid, char ret[11])
{
    size_t n = 0;

    if (strlen(uid) != 36)
        return false;
    for (size_t i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? uid[i] != '-' : !strchr("0123456789abcdef", uid[i]))
            return false;
        if (!dash && n < 10)
            ret[n++] = uid[i];
    }
    ret[n] = '\0';
    return true;
}

int ak_identity_name(const char *uid, bool writer, char *buf, size_t size)
{
    char digits[11];

    if (ak_is_empty(uid) || size < AK_IDENTITY_NAME_SIZE)
        return -EINVAL;
    if (!digits_of_uuid(uid, digits))
        (void)snprintf(
            digits, sizeof(digits), "%010llx",
            (unsigned long long)(ak_hash_bytes(AK_HASH_SEED, uid, strlen(uid)) & 0xffffffffffULL));
    (void)snprintf(buf, size, "agentkube_%s_%c", digits, writer ? 'w' : 'r');
    return 0;
}

/* Dots of a Tool's name become "-"; "_" is what parts it from the operation, so a name has none. */
static int add_clean(char *out, size_t *len, size_t max, const char *text)
{
    for (; *text; text++) {
        bool plain = (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') ||
                     (*text >= '0' && *text <= '9') || *text == '-' || *text == '_';
        if (!plain && *text != '.')
            return -EINVAL;
        if (*len < max)
            out[(*len)++] = (char)(plain ? *text : '-');
    }
    return 0;
}

int ak_mcp_tool_name(const char *tool, const char *operation, char buf[AK_MCP_NAME_MAX + 1])
{
    char whole[512];
    size_t len = 0;

    if (ak_is_empty(tool) || ak_is_empty(operation))
        return -EINVAL;
    if (strlen(tool) + strlen(operation) + 2 > sizeof(whole))
        return -EINVAL;
    if (add_clean(whole, &len, sizeof(whole) - 1, tool) < 0)
        return -EINVAL;
    whole[len++] = '_';
    if (add_clean(whole, &len, sizeof(whole) - 1, operation) < 0)
        return -EINVAL;
    whole[len] = '\0';
    /* With a dot in it two names could become one: those are told apart by a hash as well. */
    bool changed = strchr(tool, '.') != NULL;
    if (len <= AK_MCP_NAME_MAX && !changed) {
        memcpy(buf, whole, len + 1);
        return 0;
    }
    uint64_t hash = ak_hash_bytes(AK_HASH_SEED, tool, strlen(tool) + 1);
    hash = ak_hash_bytes(hash, operation, strlen(operation));
    if (len > AK_MCP_NAME_MAX - 7)
        len = AK_MCP_NAME_MAX - 7;
    (void)snprintf(buf, AK_MCP_NAME_MAX + 1, "%.*s_%06llx", (int)len, whole,
                   (unsigned long long)((hash ^ (hash >> 32)) & 0xffffff));
    return 0;
}
