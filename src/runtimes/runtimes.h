/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known about the eight runtimes and about model providers: tables, and look-ups in
 * them. A new runtime is a new row.
 */
#ifndef AK_RUNTIMES_RUNTIMES_H
#define AK_RUNTIMES_RUNTIMES_H

#include <ak/base/compiler.h>
#include <ak/json/decode.h>
#include <stdbool.h>
#include <stddef.h>

/* What a runtime's token variable holds in its container: text that opens nothing anywhere. */
#define AK_TOKEN_PLACEHOLDER "agentkube-placeholder-not-a-key"

struct ak_provider {
    const char *name;
    const char *token_variable;
    const char *base_url_variable; /* NULL: its clients have none */
    const char *const *families;   /* prefixes of model names, NULL-terminated */
};

struct ak_runtime {
    const char *name;    /* spec.runtime */
    const char *image;   /* name of our image; NULL: spec.image must say */
    const char *command; /* the command line program; NULL: unknown */
    /* Who serves the runtime's own default model, and models of families that the table does not
     * know; NULL: spec.model.provider has to say. */
    const char *provider;
    const char *token_variable;    /* NULL: the provider's */
    const char *model_variable;    /* environment that selects the model; NULL: an argument does */
    const char *provider_variable; /* environment that selects the provider; NULL: none */
    const char *base_url_variable; /* NULL: the provider's, or a configuration file */
    /* Switches off update checks and telemetry. NULL-terminated keys. */
    const struct ak_pair *quiet;
    bool read_only_root; /* works with nothing writable but home, /tmp and the workspace */
};

const struct ak_runtime *ak_runtime_find(const char *name);   /* or NULL */
const struct ak_provider *ak_provider_find(const char *name); /* or NULL */
/* The provider of a model's family ("claude-..." is anthropic's, "openai/..." is openai's), or NULL. */
const struct ak_provider *ak_provider_of_model(const char *model);
/* The variable in which this runtime looks for its key; provider may be NULL. */
const char *ak_runtime_token_variable(const struct ak_runtime *runtime,
                                      const struct ak_provider *provider);
/* May spec.env not set it? AGENTKUBE_*, and everything that a runtime or provider reads a key from. */
bool ak_is_reserved_variable(const char *name);

#endif
