/* SPDX-License-Identifier: Apache-2.0 */
/* The body of PUT /v1/runs/ID: what parses keeps every promise of struct ak_request. */
#include "agentlet/runs/request.h"

#include <ak/base/text.h>
#include <ak/json/json.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_step(const struct ak_step *step)
{
    if (!ak_is_dns_label(step->name) || ak_is_empty(step->text) || step->retries > 10 ||
        step->timeout <= 0)
        abort();
    if (step->kind == AK_STEP_TOOL) {
        AK_AUTO_JSON *arguments = NULL;

        if (ak_json_parse(step->arguments, strlen(step->arguments), &arguments, NULL) < 0 ||
            !json_is_object(arguments))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AK_AUTO(ak_arena) arena = {0};
    AK_AUTO_PTR(ak_error) err = NULL;
    struct ak_request request;

    ak_arena_init(&arena, 4096, 4 * AK_REQUEST_MAX);
    if (ak_request_parse((const char *)data, size, &arena, &request, &err) < 0) {
        if (!err)
            abort();
        return 0;
    }
    if ((request.prompt && (!*request.prompt || strlen(request.prompt) > AK_REQUEST_MAX_PROMPT)) ||
        request.timeout <= 0 || request.n_steps > AK_REQUEST_MAX_STEPS)
        abort();
    for (size_t i = 0; i < request.n_steps; i++)
        check_step(&request.steps[i]);
    return 0;
}
