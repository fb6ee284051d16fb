/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/invoke/identity.h"

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/json/json.h>

#include "manager/invoke/answer.h"

#define MAX_REVIEW (64u << 10)
#define ASK_TIMEOUT AK_SECONDS(10)

struct ak_identities {
    struct ak_client *client;
    struct ak_memo *memo;
};

struct ak_identity *ak_identity_unref(struct ak_identity *self)
{
    if (self && atomic_fetch_sub(&self->refs, 1) == 1) {
        ak_arena_done(&self->arena);
        ak_free(self);
    }
    return NULL;
}

static void *ref_identity(void *value)
{
    struct ak_identity *self = value;

    (void)atomic_fetch_add(&self->refs, 1);
    return self;
}

static void unref_identity(void *value)
{
    (void)ak_identity_unref(value);
}

struct ak_identities *ak_identities_free(struct ak_identities *self)
{
    if (!self)
        return NULL;
    (void)ak_memo_free(self->memo);
    ak_free(self);
    return NULL;
}

int ak_identities_new(struct ak_client *client, const struct ak_clock *clock,
                      struct ak_identities **ret, struct ak_error **reterr)
{
    const struct ak_memo_options memo = {
        .max = AK_IDENTITY_MAX, .clock = clock, .ref = ref_identity, .unref = unref_identity};
    AK_AUTO_PTR(ak_identities) self = ak_new0(struct ak_identities);

    if (!self)
        return ak_error_oom(reterr);
    self->client = client;
    int r = ak_memo_new(&memo, &self->memo, reterr);
    if (r < 0)
        return r;
    *ret = AK_TAKE(self);
    return 0;
}

/* ---- the question */

static int write_question(const struct ak_secret *token, bool ours, struct ak_buf *out)
{
    size_t len;
    const char *text = ak_secret_peek(token, &len);
    int r =
        ak_buf_adds(out, "{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"TokenReview\","
                         "\"spec\":{\"token\":");

    if (r >= 0)
        r = ak_buf_add_json_string(out, text, len);
    if (r >= 0 && ours)
        r = ak_buf_adds(out, ",\"audiences\":[\"" AK_IDENTITY_AUDIENCE "\"]");
    return r < 0 ? r : ak_buf_adds(out, "}}");
}

/* An authenticator that knows nothing of audiences says yes without naming ours: that is no yes. */
static bool is_for_us(const json_t *status)
{
    const json_t *list = json_object_get(status, "audiences");

    for (size_t i = 0; i < json_array_size(list); i++)
        if (ak_streq(json_string_value(json_array_get(list, i)), AK_IDENTITY_AUDIENCE))
            return true;
    return false;
}

/* The answer carries the token again. */
static int review(struct ak_identities *self, const struct ak_secret *token, bool ours,
                  const struct ak_cancel *cancel, json_t **ret_user, struct ak_error **reterr)
{
    struct ak_buf body __attribute__((cleanup(ak_buf_done))) = {.max = MAX_REVIEW, .wipe = true};
    struct ak_buf said
        __attribute__((cleanup(ak_buf_done))) = {.max = MAX_REVIEW * 4, .wipe = true};
    AK_AUTO_JSON *tree = NULL;
    int r = write_question(token, ours, &body);

    if (r < 0)
        return ak_error_set(reterr, r, "TokenReview");
    const struct ak_call call = {
        .method = "POST",
        .path = "/apis/authentication.k8s.io/v1/tokenreviews",
        .body = body.data,
        .body_len = body.len,
        .timeout = ASK_TIMEOUT,
        .cancel = cancel,
    };
    r = ak_client_call_raw(self->client, &call, &said, reterr);
    if (r >= 0)
        r = ak_json_parse(said.data, said.len, &tree, reterr);
    if (r < 0)
        return r;
    const json_t *status = json_object_get(tree, "status");
    if (!json_is_true(json_object_get(status, "authenticated")) || (ours && !is_for_us(status)))
        return 0;
    *ret_user = json_incref(json_object_get(status, "user"));
    return *ret_user != NULL;
}

/* ---- the answer */

static int copy_groups(const json_t *list, struct ak_identity *self)
{
    size_t n = json_array_size(list);
    const char **items = ak_arena_alloc(&self->arena, (n + 1) * sizeof(*items));

    if (!items)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const char *group = json_string_value(json_array_get(list, i));
        items[i] = ak_arena_strdup(&self->arena, group ? group : "");
        if (!items[i])
            return -ENOMEM;
    }
    self->groups = (struct ak_string_list){.items = items, .len = n};
    return 0;
}

static int copy_extra(const json_t *extra, struct ak_identity *self, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(AK_IDENTITY_MAX_BYTES);

    if (!json_object_size(extra))
        return 0;
    int r = ak_json_write(extra, &text, reterr);
    if (r < 0)
        return r;
    self->extra = ak_arena_strdup(&self->arena, text.data);
    return self->extra ? 0 : -ENOMEM;
}

/* user NULL: refused. */
static int make_identity(const json_t *user, const struct ak_memo_key *key,
                         struct ak_identity **ret, struct ak_error **reterr)
{
    const char *name = ak_json_text(user, "username", NULL), *uid = ak_json_text(user, "uid", NULL);
    AK_AUTO_IDENTITY self = ak_new0(struct ak_identity);
    int r = 0;

    if (!self)
        return ak_error_oom(reterr);
    atomic_init(&self->refs, 1);
    ak_arena_init(&self->arena, 512, AK_IDENTITY_MAX_BYTES);
    self->key = *key;
    self->refused = ak_is_empty(name);
    if (!self->refused) {
        self->name = ak_arena_strdup(&self->arena, name);
        self->uid = ak_arena_strdup(&self->arena, uid ? uid : "");
        r = self->name && self->uid ? copy_groups(json_object_get(user, "groups"), self) : -ENOMEM;
        if (r >= 0)
            r = copy_extra(json_object_get(user, "extra"), self, reterr);
    }
    if (r < 0)
        return ak_invoke_error(reterr, 503, "what the API server says about this user is too much");
    *ret = AK_TAKE(self);
    return 0;
}

static int digest_token(const struct ak_secret *token, struct ak_memo_key *ret)
{
    return ak_memo_digest(ret, (const char *const[]){ak_secret_peek(token, NULL), NULL});
}

int ak_identities_find(struct ak_identities *self, const struct ak_secret *token,
                       struct ak_identity **ret)
{
    struct ak_memo_key key;
    void *found = NULL;

    if (digest_token(token, &key) < 0 || !ak_memo_find(self->memo, &key, &found))
        return 0;
    *ret = found;
    return 1;
}

int ak_identities_ask(struct ak_identities *self, const struct ak_secret *token,
                      const struct ak_cancel *cancel, struct ak_identity **ret,
                      struct ak_error **reterr)
{
    AK_AUTO_JSON *user = NULL;
    struct ak_memo_key key;

    if (ak_identities_find(self, token, ret) > 0)
        return 0;
    int r = digest_token(token, &key);
    if (r < 0)
        return ak_error_oom(reterr);
    r = review(self, token, true, cancel, &user, reterr);
    if (r == 0)
        r = review(self, token, false, cancel, &user, reterr);
    if (r < 0) {
        (void)ak_error_wrap(reterr, r, "TokenReview");
        return ak_invoke_error_of_server(reterr, r);
    }
    r = make_identity(user, &key, ret, reterr);
    if (r >= 0)
        ak_memo_put(self->memo, &key, *ret,
                    (*ret)->refused ? AK_IDENTITY_REFUSED_LIFE : AK_IDENTITY_LIFE);
    return r;
}
