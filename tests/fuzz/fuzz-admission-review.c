/* SPDX-License-Identifier: Apache-2.0 */
/* The body of an AdmissionReview, through the check of our objects and the quick part of the gate, to the answer:
 * which is JSON, carries the request's uid, and never allows what it found errors in. */
#include <stdlib.h>
#include <string.h>

#include "manager/admission/admission.h"

#include <ak/base/text.h>

static const struct ak_options options = {.zoneinfo_dir = "/usr/share/zoneinfo"};

static void check_answer(const struct ak_review *review, const char *version,
                         const struct ak_review_answer *answer)
{
    AK_AUTO(ak_buf) out = AK_BUF_INIT(1u << 20);
    AK_AUTO_JSON *tree = NULL;
    int r = ak_review_encode(review, version, answer, &out);

    if (r == AK_E_TOO_LARGE)
        return;
    if (r < 0 || ak_json_parse(out.data, out.len, &tree, NULL) < 0)
        abort();
    const json_t *response = ak_json_at(tree, "response", NULL);
    if (!ak_streq(ak_json_text(response, "uid", NULL), review->uid) ||
        json_is_true(ak_json_at(response, "allowed", NULL)) == answer->denied)
        abort();
}

static int review(const uint8_t *data, size_t size, const char *const *skip)
{
    AK_AUTO(ak_arena) arena = {0};
    AK_AUTO_JSON *tree = NULL;
    struct ak_admission self = {.options = &options, .clock = ak_clock_system()};
    struct ak_review review;
    const char *version = NULL;

    ak_arena_init(&arena, 1024, 16u << 20);
    if (ak_review_decode((const char *)data, size, skip, &arena, &review, &version, &tree, NULL) <
        0)
        return -1;
    struct ak_review_answer answer = {.arena = &arena};
    if (ak_admission_validate(&review, &answer, &self, NULL) >= 0)
        check_answer(&review, version, &answer);
    struct ak_review_answer gate = {.arena = &arena};
    if (ak_admission_gate_quick(&review, &gate, &self, NULL) == AK_REVIEW_LATER) {
        const struct ak_gate_guard guard = {"Agent", review.name, "agents", "exec"};
        AK_AUTO_JSON *question = ak_gate_question(&review, &guard);
        if (!question || ak_gate_deny(&review, &guard, &gate) < 0)
            abort();
        check_answer(&review, version, &gate);
    }
    return answer.denied;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int whole = review(data, size, NULL);
    int pruned = review(data, size, ak_admission_handlers[0].skip);

    /* What is not parsed decides nothing. (A mistake in it makes the whole no review.) */
    if (whole >= 0 && pruned != whole)
        abort();
    return 0;
}
