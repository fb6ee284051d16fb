/* SPDX-License-Identifier: Apache-2.0 */
#include "exo-install/manifests.h"

#include <openssl/evp.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

/* Files of the built-in table are the list of what a bundle must have. */
static const struct ak_embedded *find_embedded(const char *name)
{
    for (const struct ak_embedded *f = ak_embedded_files; f->name; f++)
        if (ak_streq(f->name, name))
            return f;
    return NULL;
}

int ak_manifests_text(const char *dir, const char *name, struct ak_buf *out,
                      struct ak_error **reterr)
{
    const struct ak_embedded *file = find_embedded(name);
    int r;

    if (!file)
        return ak_error_set(reterr, AK_E_NOT_FOUND, "%s: not a part of this version", name);
    if (!dir) {
        r = ak_buf_add(out, file->data, file->len);
        return r < 0 ? ak_error_set(reterr, r, "%s: %s", name, ak_code_text(r)) : 0;
    }
    AK_AUTO_TEXT char *path = ak_asprintf("%s/manifests/%s", dir, name);
    if (!path)
        return ak_error_oom(reterr);
    r = ak_buf_add_file(out, path);
    return r < 0 ? ak_error_set(reterr, r, "%s: %s", path, ak_code_text(r)) : 0;
}

int ak_manifests_tree(const char *dir, const char *name, json_t **ret, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(AK_MANIFEST_MAX_BYTES);
    int r = ak_manifests_text(dir, name, &text, reterr);
    if (r >= 0)
        r = ak_yaml_parse(ak_buf_text(&text), text.len, ret, reterr);
    return r < 0 ? ak_error_wrap(reterr, r, "%s", name) : 0;
}

static int add_objects(const char *dir, const char *name, json_t *all, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(AK_MANIFEST_MAX_BYTES);
    AK_AUTO_JSON *some = NULL;
    int r = ak_manifests_text(dir, name, &text, reterr);
    if (r >= 0)
        r = ak_yaml_parse_all(ak_buf_text(&text), text.len, &some, reterr);
    if (r < 0)
        return ak_error_wrap(reterr, r, "%s", name);
    return json_array_extend(all, some) < 0 ? ak_error_oom(reterr) : 0;
}

int ak_manifests_objects(const char *dir, const char *folder, json_t **ret_array,
                         struct ak_error **reterr)
{
    AK_AUTO_JSON *all = json_array();
    size_t len = strlen(folder);

    if (!all)
        return ak_error_oom(reterr);
    for (const struct ak_embedded *f = ak_embedded_files; f->name; f++) {
        if (strncmp(f->name, folder, len) != 0 || f->name[len] != '/')
            continue;
        int r = add_objects(dir, f->name, all, reterr);
        if (r < 0)
            return r;
    }
    *ret_array = AK_TAKE(all);
    return 0;
}

json_t *ak_manifests_find(const json_t *objects, const char *kind, const char *name)
{
    for (size_t i = 0; i < json_array_size(objects); i++) {
        json_t *one = json_array_get(objects, i);
        if (ak_streq(ak_json_text(one, "kind", NULL), kind) &&
            (!name || ak_streq(ak_json_text(one, "metadata", "name", NULL), name)))
            return one;
    }
    return NULL;
}

int ak_manifests_digest(const void *data, size_t len, char ret[static 65])
{
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    static const char digits[] = "0123456789abcdef";

    if (EVP_Digest(data, len, raw, &n, EVP_sha256(), NULL) != 1 || n != 32)
        return -EIO;
    for (unsigned int i = 0; i < n; i++) {
        ret[2 * i] = digits[raw[i] >> 4];
        ret[2 * i + 1] = digits[raw[i] & 15];
    }
    ret[64] = 0;
    return 0;
}

static int check_file(const char *dir, const char *name, const json_t *index,
                      struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(AK_MANIFEST_MAX_BYTES);
    char digest[65];
    int r = ak_manifests_text(dir, name, &text, reterr);
    if (r < 0)
        return r;
    r = ak_manifests_digest(ak_buf_text(&text), text.len, digest);
    if (r < 0)
        return ak_error_set(reterr, r, "%s: cannot be hashed", name);
    if (!ak_streq(ak_json_text(index, "manifests", name, NULL), digest))
        return ak_error_set(reterr, AK_E_INVALID,
                            "%s/manifests/%s: is not the file that was packed", dir, name);
    return 0;
}

int ak_manifests_check(const char *dir, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(AK_MANIFEST_MAX_BYTES);
    AK_AUTO_JSON *index = NULL;

    if (!dir)
        return 0;
    AK_AUTO_TEXT char *path = ak_asprintf("%s/bundle.json", dir);
    if (!path)
        return ak_error_oom(reterr);
    int r = ak_buf_add_file(&text, path);
    if (r < 0)
        return ak_error_set(reterr, r, "%s: %s (--offline wants the folder of an unpacked bundle)",
                            path, ak_code_text(r));
    r = ak_json_parse(ak_buf_text(&text), text.len, &index, reterr);
    if (r < 0)
        return ak_error_wrap(reterr, r, "%s", path);
    const char *version = ak_json_text(index, "version", NULL);
    if (!ak_streq(version, AK_VERSION))
        return ak_error_set(reterr, AK_E_INVALID,
                            "%s: is of version %s, and this exo-install of " AK_VERSION
                            ": use the one in the bundle",
                            dir, version ? version : "?");
    for (const struct ak_embedded *f = ak_embedded_files; r >= 0 && f->name; f++)
        r = check_file(dir, f->name, index, reterr);
    return r;
}
