/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of ours, before they are stored. No request is made, so the answer is immediate. */
#include <ak/base/text.h>
#include <ak/base/time.h>

#include "manager/admission/admission.h"
#include "manager/admission/validate.h"

struct spec_review {
    const struct ak_review *review;
    const struct ak_admission *admission;
    const char *name;
    const void *spec, *old_spec; /* decoded; old_spec may be NULL */
    struct ak_findings *findings;
};

static int review_agent(struct spec_review *r, struct ak_error **reterr)
{
    const struct ak_agent_spec *spec = r->spec;
    struct ak_agent_candidate c = {.name = r->name, .spec = spec, .old_spec = r->old_spec};
    ak_msec now = ak_clock_wall(r->admission->clock);
    const struct ak_schedule_query when = {.zoneinfo_dir = r->admission->options->zoneinfo_dir,
                                           .now = now,
                                           .since = now,
                                           .anchor = now};
    struct ak_schedule_times times;
    int n = 0;

    if (spec->schedule)
        n = ak_agent_schedule_times(spec->schedule, when, r->review->arena, &times,
                                    &c.schedule_problem, reterr);
    if (n >= 0)
        ak_validate_agent(&c, r->findings);
    return n;
}

static int review_tool(struct spec_review *r, struct ak_error **reterr)
{
    (void)reterr;
    ak_validate_tool(r->spec, r->findings);
    return 0;
}

static int review_mcp(struct spec_review *r, struct ak_error **reterr)
{
    (void)reterr;
    ak_validate_mcp(r->name, r->spec, r->findings);
    return 0;
}

static int review_gateway(struct spec_review *r, struct ak_error **reterr)
{
    (void)reterr;
    ak_validate_llm_gateway(r->spec, r->findings);
    return 0;
}

static int review_claw(struct spec_review *r, struct ak_error **reterr)
{
    (void)reterr;
    ak_validate_claw(r->spec, r->findings);
    return 0;
}

static const struct spec_kind {
    const char *resource;
    const struct ak_type *type; /* of the spec */
    int (*review)(struct spec_review *r, struct ak_error **reterr);
} kinds[] = {
    {"agents", &ak_agent_spec_type, review_agent},
    {"tools", &ak_tool_spec_type, review_tool},
    {"mcps", &ak_mcp_spec_type, review_mcp},
    {"llmgateways", &ak_llm_gateway_spec_type, review_gateway},
    {"claws", &ak_claw_spec_type, review_claw},
};

static const struct spec_kind *find_kind(const struct ak_review *review)
{
    if (!ak_streq(review->resource->group, "agentkube.io") || *review->sub_resource)
        return NULL;
    for (size_t i = 0; i < AK_ARRAY_LEN(kinds); i++)
        if (ak_streq(kinds[i].resource, review->resource->resource))
            return &kinds[i];
    return NULL;
}

/* What goes is let go: removing a finalizer must never be refused. */
static bool is_wanted(const struct ak_review *review)
{
    if (review->operation != AK_REVIEW_CREATE && review->operation != AK_REVIEW_UPDATE)
        return false;
    return review->object && !ak_json_text(review->object, "metadata", "deletionTimestamp", NULL);
}

/* A spec that could not be decoded is NULL. */
static int decode_spec(const struct spec_kind *kind, const json_t *object, struct ak_arena *arena,
                       const void **ret, struct ak_error **reterr)
{
    const json_t *tree = ak_json_at(object, "spec", NULL);
    void *spec = ak_arena_alloc(arena, kind->type->size);

    if (!spec)
        return ak_error_oom(reterr);
    if (!json_is_object(tree))
        return ak_error_set(reterr, AK_E_INVALID, "must be an object");
    int r = ak_decode(kind->type, tree, spec, arena, reterr);
    if (r >= 0)
        *ret = spec;
    return r;
}

static int refuse_undecoded(const struct ak_review *review, struct ak_review_answer *answer,
                            const struct ak_error *err)
{
    int r = ak_review_deny(answer, 422, "Invalid", "%s \"%s\" is invalid: spec: %s",
                           review->kind->kind, review->name, ak_error_message(err));

    return r < 0 ? r : ak_review_cause(answer, "spec", ak_error_message(err));
}

static int refuse(const struct ak_review *review, const struct ak_findings *found,
                  struct ak_review_answer *answer)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(AK_REVIEW_MAX_MESSAGE);
    int r = 0;

    for (size_t i = 0; i < found->len && r >= 0; i++) {
        const struct ak_finding *item = &found->items[i];
        if (item->warning)
            continue;
        /* Too long is not a failure: the causes have it all. */
        if (ak_buf_addf(&text, "%s%s: %s", text.len ? "; " : "", item->path, item->message) ==
            -ENOMEM)
            return -ENOMEM;
        r = ak_review_cause(answer, item->path, item->message);
    }
    return r < 0 ? r
                 : ak_review_deny(answer, 422, "Invalid", "%s \"%s\" is invalid: %s",
                                  review->kind->kind, review->name, ak_buf_text(&text));
}

/* `all`: errors too, because the object is accepted in spite of them. */
static int add_warnings(const struct ak_findings *found, bool all, struct ak_review_answer *answer)
{
    int r = 0;

    for (size_t i = 0; i < found->len && r >= 0; i++)
        if (all || found->items[i].warning)
            r = ak_review_warn(answer, "%s: %s", found->items[i].path, found->items[i].message);
    return r;
}

/* Does an update leave the spec as it was? Then what is wrong with it is not this update's doing, and labels or
 * a pause must stay possible. */
static bool is_spec_kept(const struct ak_review *review)
{
    return review->operation == AK_REVIEW_UPDATE && review->old_object &&
           json_equal(ak_json_at(review->object, "spec", NULL),
                      ak_json_at(review->old_object, "spec", NULL));
}

int ak_admission_validate(const struct ak_review *review, struct ak_review_answer *answer,
                          void *user, struct ak_error **reterr)
{
    const struct spec_kind *kind = find_kind(review);
    struct ak_findings found = {.arena = review->arena};
    struct spec_review r = {.review = review, .admission = user, .findings = &found};
    AK_AUTO_PTR(ak_error) err = NULL;

    if (!kind || !is_wanted(review))
        return 0;
    r.name = ak_json_text(review->object, "metadata", "name", NULL);
    int n = decode_spec(kind, review->object, review->arena, &r.spec, &err);
    if (n == AK_E_INVALID)
        return refuse_undecoded(review, answer, err);
    if (n >= 0 && review->operation == AK_REVIEW_UPDATE && review->old_object)
        /* One that is not readable any more is as good as none. */
        (void)!decode_spec(kind, review->old_object, review->arena, &r.old_spec, NULL);
    if (n >= 0)
        n = kind->review(&r, &err);
    if (n >= 0 && found.oom)
        n = -ENOMEM;
    if (n < 0)
        return ak_error_set(reterr, n, "%s", err ? ak_error_message(err) : "out of memory");
    bool keep = found.n_errors && is_spec_kept(review);
    n = add_warnings(&found, keep, answer);
    if (n >= 0 && found.n_errors && !keep)
        n = refuse(review, &found, answer);
    return n;
}
