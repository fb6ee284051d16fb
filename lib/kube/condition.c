/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/kube/condition.h>

#include <ak/base/text.h>

static const struct ak_field condition_fields[] = {
    AK_FIELD_STRING(struct ak_condition, type, "type", AK_FIELD_REQUIRED),
    AK_FIELD_STRING(struct ak_condition, status, "status", AK_FIELD_REQUIRED),
    AK_FIELD_STRING(struct ak_condition, reason, "reason", 0),
    AK_FIELD_STRING(struct ak_condition, message, "message", 0),
    AK_FIELD(struct ak_condition, last_transition, "lastTransitionTime", AK_F_TIME,
             .flags = AK_FIELD_LENIENT),
    AK_FIELD_INT(struct ak_condition, observed_generation, "observedGeneration", 0, 0),
};
const struct ak_type ak_condition_type =
    AK_TYPE("condition", struct ak_condition, condition_fields);

const struct ak_condition *ak_condition_find(const struct ak_condition *items, size_t len,
                                             const char *type)
{
    for (size_t i = 0; i < len; i++)
        if (ak_streq(items[i].type, type))
            return &items[i];
    return NULL;
}

bool ak_condition_is_true(const struct ak_condition *items, size_t len, const char *type)
{
    const struct ak_condition *c = ak_condition_find(items, len, type);

    return c && ak_streq(c->status, "True");
}

void ak_condition_carry_time(struct ak_condition *next, const struct ak_condition *old,
                             size_t old_len, ak_msec now_wall)
{
    const struct ak_condition *before = ak_condition_find(old, old_len, next->type);
    bool same = before && ak_streq(before->status, next->status);

    /* metav1.Time has whole seconds: what we keep must survive being written and read back. */
    next->last_transition = same && before->last_transition ? before->last_transition
                                                            : now_wall - now_wall % AK_SECONDS(1);
}
