/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any JSON as an object of each of our kinds. What is accepted can be written, and what was written is
 * read and written again without a difference.
 */
#include "../unit/api/kinds.h"

#include <ak/base/arena.h>
#include <ak/json/json.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ARENA_MAX ((size_t)4 << 20)

/* The object as the C type sees it, or NULL if it is refused. */
static json_t *pass(const struct ak_type *type, const json_t *tree, bool must_work)
{
    AK_AUTO(ak_arena) arena = {0};
    AK_AUTO_PTR(ak_error) err = NULL;
    json_t *out = NULL;
    void *body;

    ak_arena_init(&arena, 4096, ARENA_MAX);
    body = ak_arena_alloc(&arena, type->size);
    if (!body)
        abort();
    if (ak_decode(type, tree, body, &arena, &err) < 0) {
        if (must_work || !err || !ak_error_message(err)[0])
            abort();
        return NULL;
    }
    if (ak_encode(type, body, &out, &err) < 0)
        abort();
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AK_AUTO_JSON *tree = NULL;

    if (ak_json_parse((const char *)data, size, &tree, NULL) < 0)
        return 0;
    for (size_t i = 0; i < AK_ARRAY_LEN(kinds); i++) {
        AK_AUTO_JSON *first = pass(kinds[i].type, tree, false);
        AK_AUTO_JSON *second = first ? pass(kinds[i].type, first, true) : NULL;

        if (first && !json_equal(first, second))
            abort();
    }
    return 0;
}
