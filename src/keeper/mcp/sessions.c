/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/mcp/sessions.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include <ak/base/text.h>

#define RANDOM_DIGITS 32u
#define CHECK_DIGITS 8u

/* With sessions, newest first. The place in this list is the first two digits of a name, so entries are
 * only ever added at the end of `digits`. */
static const struct {
    const char *version;
    char digits[3];
} versions[] = {
    {"2025-11-25", "03"},
    {"2025-06-18", "02"},
    {"2025-03-26", "01"},
};

const char *ak_mcp_version_find(const char *version)
{
    for (size_t i = 0; i < AK_ARRAY_LEN(versions); i++)
        if (ak_streq(versions[i].version, version))
            return versions[i].version;
    return NULL;
}

const char *ak_mcp_version_for(const char *wish)
{
    const char *found = ak_mcp_version_find(wish);

    return found ? found : versions[0].version;
}

void ak_mcp_sessions_init(struct ak_mcp_sessions *self, const char *pod_uid)
{
    memset(self, 0, sizeof(*self));
    self->pod_uid = pod_uid;
}

static void add_hex(char *out, const unsigned char *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * n] = '\0';
}

/* Over the version, the random digits and the pod: text of another pod, or typed by hand, has another. */
static int check_digits(const struct ak_mcp_sessions *self, const char *id,
                        char out[static CHECK_DIGITS + 1])
{
    unsigned char raw[EVP_MAX_MD_SIZE];
    char text[256];
    int len = snprintf(text, sizeof(text), "mcp %.34s %.128s", id, self->pod_uid);

    if (EVP_Digest(text, (size_t)len, raw, NULL, EVP_sha256(), NULL) != 1)
        return -ENOMEM;
    add_hex(out, raw, CHECK_DIGITS / 2);
    return 0;
}

static const char *version_of(const char *id)
{
    for (size_t i = 0; i < AK_ARRAY_LEN(versions); i++)
        if (strncmp(versions[i].digits, id, 2) == 0)
            return versions[i].version;
    return NULL;
}

static const char *digits_of(const char *version)
{
    for (size_t i = 0; i < AK_ARRAY_LEN(versions); i++)
        if (ak_streq(versions[i].version, version))
            return versions[i].digits;
    return versions[0].digits;
}

static struct ak_mcp_session *use(struct ak_mcp_sessions *self, struct ak_mcp_session *session)
{
    session->used = ++self->uses;
    return session;
}

/* A free place, or that of the one that was used longest ago. */
static struct ak_mcp_session *make_room(struct ak_mcp_sessions *self)
{
    struct ak_mcp_session *oldest = &self->list[0];

    for (size_t i = 0; i < AK_MCP_MAX_SESSIONS; i++) {
        if (!self->list[i].id[0])
            return &self->list[i];
        if (self->list[i].used < oldest->used)
            oldest = &self->list[i];
    }
    return oldest;
}

struct ak_mcp_session *ak_mcp_sessions_begin(struct ak_mcp_sessions *self, const char *version)
{
    unsigned char random[RANDOM_DIGITS / 2];
    char id[AK_MCP_SESSION_ID];
    struct ak_mcp_session *session;

    memcpy(id, digits_of(version), 2);
    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return NULL;
    add_hex(id + 2, random, sizeof(random));
    if (check_digits(self, id, id + 2 + RANDOM_DIGITS) < 0)
        return NULL;
    session = make_room(self);
    memcpy(session->id, id, sizeof(id));
    session->version = version;
    return use(self, session);
}

static bool is_ours(const struct ak_mcp_sessions *self, const char *id)
{
    char check[CHECK_DIGITS + 1];

    if (strlen(id) != AK_MCP_SESSION_ID - 1 || !version_of(id) ||
        strspn(id, "0123456789abcdef") != AK_MCP_SESSION_ID - 1)
        return false;
    if (check_digits(self, id, check) < 0 || strcmp(id + 2 + RANDOM_DIGITS, check) != 0)
        return false;
    for (size_t i = 0; i < AK_MCP_MAX_ENDED; i++)
        if (strcmp(self->ended[i], id) == 0)
            return false;
    return true;
}

struct ak_mcp_session *ak_mcp_sessions_find(struct ak_mcp_sessions *self, const char *id)
{
    struct ak_mcp_session *session;

    for (size_t i = 0; i < AK_MCP_MAX_SESSIONS; i++)
        if (self->list[i].id[0] && strcmp(self->list[i].id, id) == 0)
            return use(self, &self->list[i]);
    if (!is_ours(self, id))
        return NULL;
    session = make_room(self);
    memcpy(session->id, id, AK_MCP_SESSION_ID);
    session->version = version_of(id);
    return use(self, session);
}

void ak_mcp_sessions_end(struct ak_mcp_sessions *self, struct ak_mcp_session *session)
{
    memcpy(self->ended[self->next_ended], session->id, AK_MCP_SESSION_ID);
    self->next_ended = (self->next_ended + 1) % AK_MCP_MAX_ENDED;
    *session = (struct ak_mcp_session){0};
}

size_t ak_mcp_sessions_count(const struct ak_mcp_sessions *self)
{
    size_t n = 0;

    for (size_t i = 0; i < AK_MCP_MAX_SESSIONS; i++)
        n += self->list[i].id[0] ? 1 : 0;
    return n;
}
