/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/text.h>

#include "manager/admission/validate.h"

#define PATH(f, i, field) ak_path((f), "spec.upstreams[%zu]" field, (i))

/* What an upstream of a provider needs to be found. */
static const struct provider_rule {
    bool endpoint; /* it has no public one */
    bool region, project;
    bool key; /* it refuses calls without one */
} rules[AK_LLM_PROVIDER_MAX] = {
    [AK_LLM_PROVIDER_OPENAI] = {.key = true},
    [AK_LLM_PROVIDER_ANTHROPIC] = {.key = true},
    [AK_LLM_PROVIDER_BEDROCK] = {.region = true, .key = true},
    [AK_LLM_PROVIDER_VERTEX] = {.region = true, .project = true, .key = true},
    [AK_LLM_PROVIDER_AZURE_OPENAI] = {.endpoint = true, .key = true},
    [AK_LLM_PROVIDER_OLLAMA] = {.endpoint = true},
    [AK_LLM_PROVIDER_VLLM] = {.endpoint = true},
};

static void check_upstream(const struct ak_llm_upstream *up, size_t i, struct ak_findings *f)
{
    const struct provider_rule *rule = &rules[up->provider];
    const char *provider = ak_llm_provider_to_string(up->provider);

    if (rule->endpoint && !up->endpoint)
        ak_refuse(f, PATH(f, i, ".endpoint"), "must be set for provider %s", provider);
    if (rule->region && !up->region && !up->endpoint)
        ak_refuse(f, PATH(f, i, ".region"), "must be set for provider %s without an endpoint",
                  provider);
    if (rule->project && !up->project)
        ak_refuse(f, PATH(f, i, ".project"), "must be set for provider %s", provider);
    if (rule->key && !up->credentials_ref)
        ak_warn_of(f, PATH(f, i, ".credentialsRef"),
                   "is not set: provider %s refuses calls without a key", provider);
    if (up->api_version && up->provider != AK_LLM_PROVIDER_AZURE_OPENAI)
        ak_warn_of(f, PATH(f, i, ".apiVersion"), "has no effect: it is for provider azure-openai");
    ak_check_clear_text(f, PATH(f, i, ".endpoint"), up->endpoint, up->credentials_ref != NULL);
}

static const struct ak_llm_upstream *find_upstream(const struct ak_llm_gateway_spec *spec,
                                                   const char *name)
{
    for (size_t i = 0; i < spec->upstreams.len; i++)
        if (ak_streq(spec->upstreams.items[i].name, name))
            return &spec->upstreams.items[i];
    return NULL;
}

static bool serves(const struct ak_llm_upstream *up, const char *model)
{
    return !up->models.len || ak_string_list_has(&up->models, model);
}

static bool is_served(const struct ak_llm_gateway_spec *spec, const char *model)
{
    for (size_t i = 0; i < spec->upstreams.len; i++)
        if (serves(&spec->upstreams.items[i], model))
            return true;
    return false;
}

static void check_map(const struct ak_llm_gateway_spec *spec, const struct ak_llm_model_map *map,
                      size_t i, struct ak_findings *f)
{
    const struct ak_llm_upstream *up = map->upstream ? find_upstream(spec, map->upstream) : NULL;

    if (map->upstream && !up)
        ak_refuse(f, ak_path(f, "spec.routing.modelMap[%zu].upstream", i),
                  "there is no upstream \"%s\"", map->upstream);
    else if (up && !serves(up, map->to))
        ak_refuse(f, ak_path(f, "spec.routing.modelMap[%zu].to", i),
                  "upstream \"%s\" does not serve \"%s\": it is not in its models", up->name,
                  map->to);
    else if (!up && !is_served(spec, map->to))
        ak_refuse(f, ak_path(f, "spec.routing.modelMap[%zu].to", i), "no upstream serves \"%s\"",
                  map->to);
    if (!map->upstream && ak_streq(map->from, map->to))
        ak_refuse(f, ak_path(f, "spec.routing.modelMap[%zu]", i),
                  "maps \"%s\" to itself; name an upstream, or leave it out", map->from);
}

static void check_routing(const struct ak_llm_gateway_spec *spec, struct ak_findings *f)
{
    const struct ak_llm_gateway_routing *routing = spec->routing;

    if (!routing)
        return;
    for (size_t i = 0; i < routing->model_map.len; i++)
        check_map(spec, &routing->model_map.items[i], i, f);
    if (routing->default_model && !is_served(spec, routing->default_model))
        ak_refuse(f, "spec.routing.defaultModel", "no upstream serves \"%s\"",
                  routing->default_model);
}

static void check_policy(const struct ak_llm_gateway_spec *spec, struct ak_findings *f)
{
    const struct ak_llm_gateway_rate_limit *rate = spec->rate_limit;

    if (rate && !rate->requests_per_minute.set && !rate->tokens_per_minute.set)
        ak_warn_of(f, "spec.rateLimit", "limits nothing: set requestsPerMinute or tokensPerMinute");
    if (spec->caching) {
        ak_check_duration(f, "spec.caching.ttl", spec->caching->ttl);
        ak_check_quantity(f, "spec.caching.maxSize", spec->caching->max_size);
    }
}

void ak_validate_llm_gateway(const struct ak_llm_gateway_spec *spec, struct ak_findings *findings)
{
    for (size_t i = 0; i < spec->upstreams.len; i++)
        check_upstream(&spec->upstreams.items[i], i, findings);
    check_routing(spec, findings);
    check_policy(spec, findings);
    ak_check_image(findings, "spec.image", spec->image);
    ak_check_resources(findings, "spec.resources", spec->resources);
}
