/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/controllers/tool/tool_secret.h"

#include <ak/base/secret.h>
#include <ak/base/text.h>
#include <ak/flow/apply.h>
#include <ak/manage/manager.h>
#include <string.h>
#include <sys/random.h>

#define PASSWORD_SIZE 41 /* 160 bits in hexadecimal, with its NUL */

static void wipe_values(json_t *values)
{
    const char *key;
    json_t *value;
    json_object_foreach(values, key, value)
    {
        /* jansson hands out its own buffer as const; these bytes must not stay in the heap. */
        if (json_is_string(value))
            ak_wipe((char *)(uintptr_t)json_string_value(value), json_string_length(value));
    }
}

static int make_password(char ret[static PASSWORD_SIZE], struct ak_error **reterr)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char raw[(PASSWORD_SIZE - 1) / 2];
    if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
        return ak_error_set(reterr, -EIO, "read random bytes");
    for (size_t i = 0; i < sizeof(raw); i++) {
        ret[2 * i] = digits[raw[i] >> 4];
        ret[2 * i + 1] = digits[raw[i] & 15];
    }
    ret[PASSWORD_SIZE - 1] = '\0';
    ak_wipe(raw, sizeof(raw));
    return 0;
}

/* The one that is there. 1: it is the Tool's, *ret_uid is copied; 0: none; AK_E_TERMINAL: another's. */
static int look(struct ak_tool_controller *self, const struct ak_meta *meta, const char *name,
                char ret_uid[static 64], struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_JSON *found = NULL;
    int r = ak_client_get(ak_manager_client(self->manager), &ak_secret_resource, meta->namespace_,
                          name, &found, &err);
    if (r == AK_E_NOT_FOUND)
        return 0;
    if (r < 0) {
        if (reterr)
            *reterr = AK_TAKE(err);
        return r;
    }
    wipe_values(json_object_get(found, "data"));
    const json_t *refs = ak_json_at(found, "metadata", "ownerReferences", NULL);
    const char *uid = ak_json_text(found, "metadata", "uid", NULL);
    for (size_t i = 0; uid && i < json_array_size(refs); i++) {
        if (!ak_streq(ak_json_text(json_array_get(refs, i), "uid", NULL), meta->uid))
            continue;
        (void)snprintf(ret_uid, 64, "%s", uid);
        return 1;
    }
    return ak_error_set(reterr, AK_E_TERMINAL,
                        "Secret \"%s\" exists and does not belong to this Tool; delete it", name);
}

static int may_write(const struct ak_apply *apply, struct ak_error **reterr)
{
    if (!apply->may_write || apply->may_write(apply->user))
        return 0;
    return ak_error_set(reterr, AK_E_CANCELLED, "not the leader");
}

/* POST, or PUT over what is there. The bytes that were sent are wiped. */
static int send(struct ak_tool_controller *self, const struct ak_meta *meta, const char *name,
                const json_t *secret, bool exists, struct ak_error **reterr)
{
    const struct ak_apply *apply = ak_manager_apply(self->manager);
    AK_AUTO(ak_buf) path = AK_BUF_INIT(1024);
    AK_AUTO(ak_buf) body = AK_BUF_INIT(1u << 20);
    AK_AUTO(ak_buf) answer = AK_BUF_INIT(AK_JSON_MAX_BYTES);
    body.wipe = answer.wipe = true;
    char base[128];
    int r = 0;
    if (exists)
        r = ak_resource_path(&ak_secret_resource, meta->namespace_, name, NULL, &path);
    else
        r = ak_buf_addf(&path, "/api/v1/namespaces/%s/secrets", meta->namespace_);
    (void)snprintf(base, sizeof(base), "?fieldManager=%s", apply->manager);
    if (r >= 0)
        r = ak_buf_adds(&path, base);
    if (r >= 0)
        r = ak_json_write(secret, &body, reterr);
    if (r < 0)
        return ak_error_oom(reterr);
    r = may_write(apply, reterr);
    if (r < 0)
        return r;
    const struct ak_call call = {.method = exists ? "PUT" : "POST",
                                 .path = ak_buf_text(&path),
                                 .body = body.data,
                                 .body_len = body.len};
    return ak_client_call_raw(apply->client, &call, &answer, reterr);
}

int ak_tool_secret_mint(struct ak_tool_controller *self, const struct ak_meta *meta,
                        const char *text, struct ak_error **reterr)
{
    char passwords[2][PASSWORD_SIZE], uid[64];
    AK_AUTO_JSON *secret = NULL;
    struct ak_tool_names names;
    ak_tool_names_make(meta->name, &names);
    int exists = look(self, meta, names.identity, uid, reterr);
    int r = exists < 0 ? exists : make_password(passwords[0], reterr);
    if (r >= 0)
        r = make_password(passwords[1], reterr);
    if (r < 0)
        return r;
    const struct ak_tool_identity_input in = {.meta = meta,
                                              .name = names.identity,
                                              .text = text,
                                              .passwords = {passwords[0], passwords[1]}};
    r = ak_tool_identity_build(&in, &secret, reterr);
    ak_wipe(passwords, sizeof(passwords));
    if (r >= 0)
        r = send(self, meta, names.identity, secret, exists > 0, reterr);
    wipe_values(json_object_get(secret, "stringData"));
    return r < 0 ? r : 0;
}

int ak_tool_secret_drop(struct ak_tool_controller *self, const struct ak_meta *meta,
                        struct ak_error **reterr)
{
    const struct ak_apply *apply = ak_manager_apply(self->manager);
    AK_AUTO_PTR(ak_error) err = NULL;
    struct ak_tool_names names;
    char uid[64];
    ak_tool_names_make(meta->name, &names);
    int r = look(self, meta, names.identity, uid, &err);
    if (r == AK_E_TERMINAL || r == 0)
        return 0;
    if (r > 0)
        r = may_write(apply, &err);
    const struct ak_delete_options options = {.uid = uid, .grace_seconds = -1};
    if (r >= 0)
        r = ak_client_delete(apply->client, &ak_secret_resource, meta->namespace_, names.identity,
                             &options, &err);
    if (r >= 0 || r == AK_E_NOT_FOUND)
        return 0;
    if (reterr)
        *reterr = AK_TAKE(err);
    return r;
}
