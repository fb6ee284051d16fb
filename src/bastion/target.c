/* SPDX-License-Identifier: Apache-2.0 */
/* Who the bastion is to the system: the files that Secrets are mounted as. */
#include "bastion/engine.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <ak/base/alloc.h>
#include <ak/base/buf.h>
#include <ak/base/text.h>

#define NAME_MAX_BYTES 1024 /* of a username */

void ak_login_done(struct ak_login *self)
{
    ak_free(self->username);
    self->username = NULL;
    self->password = ak_secret_free(self->password);
}

static bool is_there(const char *dir, const char *name)
{
    char path[PATH_MAX]; /* no memory is no answer */
    struct stat st;
    int n = dir && *dir ? snprintf(path, sizeof(path), "%s/%s", dir, name) : -1;

    return n > 0 && n < (int)sizeof(path) && stat(path, &st) == 0;
}

/* Text of one line loses the line break that editors and `echo` put there; a key keeps its last one. */
static size_t without_line_break(const char *text, size_t len)
{
    const char *first = memchr(text, '\n', len);

    if (!first || first != text + len - 1)
        return len;
    len--;
    return len && text[len - 1] == '\r' ? len - 1 : len;
}

/* 1: it was read; 0: there is no such file. */
static int read_file(const char *dir, const char *name, struct ak_buf *out,
                     struct ak_error **reterr)
{
    AK_AUTO_TEXT char *path = dir && *dir ? ak_asprintf("%s/%s", dir, name) : NULL;
    int r;

    if (!dir || !*dir)
        return 0;
    if (!path)
        return ak_error_oom(reterr);
    r = ak_buf_add_file(out, path);
    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return ak_error_set(reterr, r, "\"%s\": %s", path, ak_code_text(r));
    return 1;
}

static int read_secret(const char *dir, const char *name, struct ak_secret **ret,
                       struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = {.max = AK_LOGIN_MAX, .wipe = true};
    int r = read_file(dir, name, &text, reterr);

    if (r <= 0)
        return r;
    *ret = ak_secret_new(ak_buf_text(&text), without_line_break(ak_buf_text(&text), text.len));
    return *ret ? 1 : ak_error_oom(reterr);
}

static int read_name(const char *dir, const char *name, char **ret, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = {.max = NAME_MAX_BYTES};
    int r = read_file(dir, name, &text, reterr);

    if (r <= 0)
        return r;
    *ret = ak_strndup(ak_buf_text(&text), without_line_break(ak_buf_text(&text), text.len));
    return *ret ? 1 : ak_error_oom(reterr);
}

static int read_minted(const struct ak_target *target, bool read_only, struct ak_login *ret,
                       struct ak_error **reterr)
{
    const char *name = read_only ? "reader-username" : "writer-username";
    const char *password = read_only ? "reader-password" : "writer-password";
    int r = read_name(target->identity_dir, name, &ret->username, reterr);

    if (r > 0)
        r = read_secret(target->identity_dir, password, &ret->password, reterr);
    if (r == 0)
        return ak_error_set(reterr, -EINVAL, "the identity that was made for this Tool lacks %s",
                            ret->username ? password : name);
    ret->is_minted = true;
    ret->read_only = read_only;
    return r;
}

/* The name that the Tool itself gives; "" is none. */
static int set_name(struct ak_login *self, const char *name, struct ak_error **reterr)
{
    if (self->username || ak_is_empty(name))
        return 0;
    self->username = ak_strdup(name);
    return self->username ? 0 : ak_error_oom(reterr);
}

bool ak_target_is_minted(const struct ak_target *target)
{
    return is_there(target->identity_dir, "reader-username") ||
           is_there(target->identity_dir, "writer-username");
}

int ak_login_read(const struct ak_target *target, bool read_only, struct ak_login *ret,
                  struct ak_error **reterr)
{
    const struct ak_tool_config *config = target->spec->config;
    AK_AUTO(ak_login) out = {0};
    int r;

    if (ak_target_is_minted(target)) {
        r = read_minted(target, read_only, &out, reterr);
    } else {
        r = read_secret(target->credential_dir, "credential", &out.password, reterr);
        if (r >= 0)
            r = set_name(&out, config ? config->username : NULL, reterr);
    }
    if (r < 0)
        return r;
    *ret = out;
    out = (struct ak_login){0};
    return 0;
}

int ak_login_read_admin(const struct ak_target *target, struct ak_login *ret,
                        struct ak_error **reterr)
{
    const struct ak_tool_permissions *permissions = target->spec->permissions;
    const struct ak_tool_config *config = target->spec->config;
    AK_AUTO(ak_login) out = {0};
    int r = read_secret(target->admin_dir, "credential", &out.password, reterr);

    if (r == 0)
        return ak_error_set(
            reterr, -ENOENT,
            "spec.permissions.adminCredentialsRef: no credential of an administrator is here");
    if (r > 0)
        r = read_name(target->admin_dir, "username", &out.username, reterr);
    if (r >= 0)
        r = set_name(&out, permissions ? permissions->admin_username : NULL, reterr);
    if (r >= 0)
        r = set_name(&out, config ? config->username : NULL, reterr);
    if (r < 0)
        return r;
    *ret = out;
    out = (struct ak_login){0};
    return 0;
}

int ak_target_ca_path(const struct ak_target *target, struct ak_arena *arena, const char **ret_path,
                      struct ak_error **reterr)
{
    if (!is_there(target->credential_dir, "ca.pem")) {
        *ret_path = NULL;
        return 0;
    }
    *ret_path = ak_arena_printf(arena, "%s/ca.pem", target->credential_dir);
    return *ret_path ? 0 : ak_error_oom(reterr);
}
