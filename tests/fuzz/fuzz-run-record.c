/* SPDX-License-Identifier: Apache-2.0 */
/* What an agentlet says of a run, heard by a book that has that run in every phase: what comes of it is a status that
 * can be written, and read back as the same. The answer of a TokenReview goes the same way. */
#include <stdlib.h>
#include <string.h>

#include "manager/runs/book.h"

#include <ak/kube/object.h>

#include "manager/kinds.h"
#include "manager/runs/trust.h"

#define POD "pod"
#define WALL ((ak_msec)1795000000000)

static json_t *write_status(const struct ak_book *book)
{
    json_t *tree = NULL;

    if (ak_book_status(book, 1u << 20, &tree, NULL) < 0)
        abort();
    return tree;
}

static void check(struct ak_book *book)
{
    AK_AUTO_JSON *first = write_status(book);
    AK_AUTO_JSON *agent =
        json_pack("{s:s, s:s, s:{s:s, s:s}, s:{s:s}, s:O}", "apiVersion",
                  AK_API_GROUP "/" AK_API_VERSION, "kind", "Agent", "metadata", "name", "a", "uid",
                  "u", "spec", "runtime", "Codex", "status", json_object_get(first, "status"));
    AK_AUTO_OBJECT object = NULL;
    AK_AUTO(ak_book) next = {0};

    if (!agent || ak_object_decode(&ak_agent_kind, agent, "m", &object, NULL) < 0 ||
        ak_object_decode_error(object))
        abort();
    if (ak_book_load(&next, ((const struct ak_agent *)ak_object_body(object))->status, 0) < 0 ||
        next.len != book->len || ak_book_active(&next) != ak_book_active(book))
        abort();
    json_decref(write_status(&next));
}

static void hear(const json_t *record)
{
    static const enum ak_run_phase phases[] = {AK_RUN_PHASE_PENDING, AK_RUN_PHASE_QUEUED,
                                               AK_RUN_PHASE_RUNNING, AK_RUN_PHASE_INTERRUPTED,
                                               AK_RUN_PHASE_SUCCEEDED};
    for (size_t i = 0; i < AK_ARRAY_LEN(phases); i++) {
        AK_AUTO(ak_book) book = {.rules = {.max_queued = 5, .paused = i % 2}};
        const struct ak_book_ask ask = {.id = "r-1", .trigger = AK_RUN_TRIGGER_INVOCATION};
        struct ak_run *run = NULL;
        if (ak_book_accept(&book, &ask, WALL, 0, &run) < 0)
            abort();
        run->phase = phases[i];
        run->assumed = phases[i] == AK_RUN_PHASE_INTERRUPTED;
        int r = ak_book_heard(&book, record, POD);
        if (r < 0 && r != AK_E_INVALID)
            abort();
        if (phases[i] == AK_RUN_PHASE_SUCCEEDED && r > 0)
            abort();
        check(&book);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AK_AUTO_JSON *tree = NULL;

    if (ak_json_parse((const char *)data, size, &tree, NULL) < 0)
        return 0;
    hear(tree);
    (void)!ak_trust_judge(tree, "n", "u", NULL);
    return 0;
}
