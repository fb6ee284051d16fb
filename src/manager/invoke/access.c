/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/invoke/access.h"

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/json/json.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "manager/invoke/answer.h"

#define GROUP "agentkube.io"
#define MAX_REVIEW (256u << 10)
#define ASK_TIMEOUT AK_SECONDS(10)

struct ak_accesses {
    struct ak_client *client;
    struct ak_memo *memo; /* NULL or not NULL */
};

struct ak_accesses *ak_accesses_free(struct ak_accesses *self)
{
    if (!self)
        return NULL;
    (void)ak_memo_free(self->memo);
    ak_free(self);
    return NULL;
}

int ak_accesses_new(struct ak_client *client, const struct ak_clock *clock,
                    struct ak_accesses **ret, struct ak_error **reterr)
{
    const struct ak_memo_options memo = {.max = AK_ACCESS_MAX, .clock = clock};
    AK_AUTO_PTR(ak_accesses) self = ak_new0(struct ak_accesses);

    if (!self)
        return ak_error_oom(reterr);
    self->client = client;
    int r = ak_memo_new(&memo, &self->memo, reterr);
    if (r < 0)
        return r;
    *ret = AK_TAKE(self);
    return 0;
}

static const char *text_of(const char *text)
{
    return text ? text : "";
}

/* One member of an object, with the comma before it. */
static int add_member(struct ak_buf *out, const char *name, const char *value)
{
    int r = ak_buf_addf(out, ",\"%s\":", name);

    return r < 0 ? r : ak_buf_add_json_string(out, value, strlen(value));
}

static int add_attributes(struct ak_buf *out, const struct ak_access_question *question)
{
    const struct {
        const char *name, *value;
    } members[] = {
        {"verb", question->verb},       {"resource", question->resource},
        {"subresource", question->sub}, {"namespace", question->ns},
        {"name", question->name},
    };
    int r = ak_buf_adds(out, ",\"resourceAttributes\":{\"group\":\"" GROUP "\"");

    for (size_t i = 0; r >= 0 && i < AK_ARRAY_LEN(members); i++)
        if (!ak_is_empty(members[i].value))
            r = add_member(out, members[i].name, members[i].value);
    return r < 0 ? r : ak_buf_adds(out, "}");
}

static int add_groups(struct ak_buf *out, const struct ak_identity *who)
{
    int r = ak_buf_adds(out, ",\"groups\":[");

    for (size_t i = 0; r >= 0 && i < who->groups.len; i++) {
        const char *group = who->groups.items[i];
        r = i ? ak_buf_adds(out, ",") : 0;
        if (r >= 0)
            r = ak_buf_add_json_string(out, group, strlen(group));
    }
    return r < 0 ? r : ak_buf_adds(out, "]");
}

int ak_access_write(const struct ak_identity *who, const struct ak_access_question *question,
                    struct ak_buf *out)
{
    int r = ak_buf_adds(out, "{\"apiVersion\":\"authorization.k8s.io/v1\","
                             "\"kind\":\"SubjectAccessReview\",\"spec\":{\"user\":");

    if (r >= 0)
        r = ak_buf_add_json_string(out, who->name, strlen(who->name));
    if (r >= 0 && *who->uid)
        r = add_member(out, "uid", who->uid);
    if (r >= 0)
        r = add_groups(out, who);
    if (r >= 0 && who->extra)
        r = ak_buf_addf(out, ",\"extra\":%s", who->extra);
    if (r >= 0)
        r = add_attributes(out, question);
    return r < 0 ? r : ak_buf_adds(out, "}}");
}

static int review(struct ak_accesses *self, const struct ak_identity *who,
                  const struct ak_access_question *question, const struct ak_cancel *cancel,
                  struct ak_error **reterr)
{
    AK_AUTO(ak_buf) body = AK_BUF_INIT(MAX_REVIEW);
    AK_AUTO_JSON *said = NULL;

    if (ak_access_write(who, question, &body) < 0)
        return ak_error_oom(reterr);
    const struct ak_call call = {
        .method = "POST",
        .path = "/apis/authorization.k8s.io/v1/subjectaccessreviews",
        .body = body.data,
        .body_len = body.len,
        .timeout = ASK_TIMEOUT,
        .cancel = cancel,
    };
    int r = ak_client_call(self->client, &call, &said, reterr);
    if (r < 0) {
        (void)ak_error_wrap(reterr, r, "SubjectAccessReview");
        return ak_invoke_error_of_server(reterr, r);
    }
    return json_is_true(ak_json_at(said, "status", "allowed", NULL));
}

int ak_accesses_ask(struct ak_accesses *self, const struct ak_identity *who,
                    const struct ak_access_question *question, const struct ak_cancel *cancel,
                    struct ak_error **reterr)
{
    static char yes; /* its address says so */
    struct ak_memo_key key;
    void *known = NULL;

    /* The token's digest, not the name: another token of the same user may carry less (scopes are in `extra`). */
    if (ak_memo_digest(&key,
                       (const char *const[]){who->key.text, question->verb, question->resource,
                                             text_of(question->sub), text_of(question->ns),
                                             text_of(question->name), NULL}) < 0)
        return ak_error_oom(reterr);
    if (ak_memo_find(self->memo, &key, &known))
        return known == &yes;
    int r = review(self, who, question, cancel, reterr);
    if (r >= 0)
        ak_memo_put(self->memo, &key, r ? &yes : NULL, r ? AK_ACCESS_LIFE : AK_ACCESS_DENIED_LIFE);
    return r;
}

int ak_access_denied(const struct ak_identity *who, const struct ak_access_question *question,
                     struct ak_error **reterr)
{
    char resource[128], where[96], object[300] = "";

    (void)snprintf(resource, sizeof(resource), "%s%s%s", question->resource,
                   question->sub ? "/" : "", text_of(question->sub));
    if (question->ns)
        (void)snprintf(where, sizeof(where), "in the namespace \"%s\"", question->ns);
    else
        (void)snprintf(where, sizeof(where), "at the cluster scope");
    if (question->name)
        (void)snprintf(object, sizeof(object), " \"%s\"", question->name);
    return ak_invoke_error(reterr, 403,
                           "%s." GROUP "%s is forbidden: User \"%s\" cannot %s resource \"%s\" in "
                           "API group \"" GROUP "\" %s",
                           question->resource, object, who->name, question->verb, resource, where);
}
