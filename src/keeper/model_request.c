/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/model_request.h"

#include <string.h>
#include <strings.h>

#include <ak/base/text.h>

const char *const ak_model_removed_headers[] = {
    "authorization", "x-api-key", "api-key", "x-goog-api-key", AK_MODEL_RUN_HEADER, NULL,
};

/* Length of a dot at `text`, plain or as %2e; 0: there is none. */
static size_t dot_at(const char *text)
{
    if (text[0] == '.')
        return 1;
    return strncasecmp(text, "%2e", 3) == 0 ? 3 : 0;
}

/* Slashes and backslashes count when encoded too: some servers decode before they split. */
static size_t slash_at(const char *text)
{
    if (text[0] == '/' || text[0] == '\\')
        return 1;
    return strncasecmp(text, "%2f", 3) == 0 || strncasecmp(text, "%5c", 3) == 0 ? 3 : 0;
}

static bool has_dot_segment(const char *path)
{
    bool begins = true;

    while (*path) {
        size_t slash = slash_at(path), n = 0, len;

        for (size_t dots = 0; begins && dots < 2 && (len = dot_at(path + n)); dots++) {
            n += len;
            if (!path[n] || slash_at(path + n))
                return true;
        }
        begins = slash > 0;
        path += slash ? slash : 1;
    }
    return false;
}

static bool is_credential(const char *parameter, size_t len, enum ak_provider_dialect dialect)
{
    return dialect == AK_DIALECT_GOOGLE && (len == 3 || (len > 3 && parameter[3] == '=')) &&
           strncmp(parameter, "key", 3) == 0;
}

static int add_query(const char *query, enum ak_provider_dialect dialect, struct ak_buf *out)
{
    const char *mark = "?";
    int r = 0;

    while (*query && r >= 0) {
        size_t len = strcspn(query, "&");

        if (!is_credential(query, len, dialect)) {
            r = ak_buf_adds(out, mark);
            r = r < 0 ? r : ak_buf_add(out, query, len);
            mark = "&";
        }
        query += len + (query[len] ? 1 : 0);
    }
    return r;
}

int ak_model_path(const char *path, const char *query, enum ak_provider_dialect dialect,
                  struct ak_buf *out, struct ak_error **reterr)
{
    const char *rest = path + strlen(AK_MODEL_PREFIX);
    int r;

    if (!ak_has_prefix(path, AK_MODEL_PREFIX) || (*rest && *rest != '/'))
        return ak_error_set(reterr, -EINVAL, "the path must begin with " AK_MODEL_PREFIX "/");
    if (has_dot_segment(rest))
        return ak_error_set(reterr, -EINVAL, "the path must have no segment \".\" or \"..\"");
    if (strchr(rest, '#') || strchr(query, '#'))
        return ak_error_set(reterr, -EINVAL, "the path must have no fragment");
    r = ak_buf_adds(out, *rest ? rest : "/");
    if (r >= 0)
        r = add_query(query, dialect, out);
    return r < 0 ? ak_error_set(reterr, r, "the path is too long") : 0;
}

static bool has_word(const char *list, const char *word)
{
    size_t len = strlen(word);

    for (const char *at = list; (at = strstr(at, word)); at += len)
        if ((at == list || strchr(", \t", at[-1])) && (!at[len] || strchr(", \t", at[len])))
            return true;
    return false;
}

int ak_model_credential_lines(const struct ak_provider *provider, const struct ak_secret *key,
                              const char *betas, struct ak_buf *out, size_t *ret_n)
{
    size_t len;
    const char *text = ak_secret_peek(key, &len);
    const struct ak_credential *c = ak_provider_credential(provider, text, len);
    int r = ak_buf_adds(out, c->header);

    if (r >= 0)
        r = ak_buf_adds(out, ": ");
    if (r >= 0)
        r = ak_buf_adds(out, c->prefix);
    if (r >= 0)
        r = ak_buf_add(out, text, len);
    if (r >= 0)
        r = ak_buf_add(out, "", 1);
    *ret_n = 1;
    if (r < 0 || !c->anthropic_beta || has_word(betas, c->anthropic_beta))
        return r;
    r = ak_buf_adds(out, "anthropic-beta: ");
    if (r >= 0 && *betas)
        r = ak_buf_adds(out, betas);
    if (r >= 0 && *betas)
        r = ak_buf_adds(out, ",");
    if (r >= 0)
        r = ak_buf_adds(out, c->anthropic_beta);
    *ret_n = 2;
    return r < 0 ? r : ak_buf_add(out, "", 1);
}
