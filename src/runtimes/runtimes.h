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

/* The shape in which a provider answers errors, and so what its clients can read. */
enum ak_provider_dialect {
    AK_DIALECT_OPENAI,    /* {"error": {"message", "type", "code"}} */
    AK_DIALECT_ANTHROPIC, /* {"type": "error", "error": {"type", "message"}} */
    AK_DIALECT_GOOGLE,    /* {"error": {"code", "message", "status"}} */
    AK_DIALECT_MAX
};

/* How a key travels. */
struct ak_credential {
    const char *header; /* lower case */
    const char *prefix; /* before the key: "Bearer " or "" */
    /* A word that has to be in the header anthropic-beta as well (a list, comma-separated); NULL: none. */
    const char *anthropic_beta;
};

struct ak_provider {
    const char *name;
    const char *token_variable;
    const char *base_url_variable; /* NULL: its clients have none */
    const char *const *families;   /* prefixes of model names, NULL-terminated */
    /* Where its API is, as its clients are told (without /v1 for anthropic, with it for openai); NULL:
     * everybody has another address, so spec.model.baseURL has to say. */
    const char *base_url;
    struct ak_credential credential;
    enum ak_provider_dialect dialect;
};

/* What a program prints on its standard output: see reader.h. */
enum ak_output_format {
    AK_OUTPUT_TEXT,
    AK_OUTPUT_CLAUDE,   /* stream-json; Cursor's is nearly the same */
    AK_OUTPUT_CODEX,    /* codex exec --json */
    AK_OUTPUT_OPENCODE, /* opencode run --format json */
    AK_OUTPUT_CLINE,    /* cline --json */
    AK_OUTPUT_MAX
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
    /* It talks to its vendor's service only and cannot be pointed at the keeper: the real key has to be in
     * its own environment (condition TokenExposed). */
    bool keeper_unaware;
    enum ak_output_format format;
    /* What tests with the real program in this version have shown: names out of ak_capabilities(), NULL-terminated.
     * What is in neither list is not tested. */
    const char *tested_version; /* NULL: nothing is tested */
    const char *const *can, *const *cannot;
};

const struct ak_runtime *ak_runtime_find(const char *name);   /* or NULL */
const struct ak_provider *ak_provider_find(const char *name); /* or NULL */
/* How this key is sent to this provider; NULL provider: as "Authorization: Bearer". Anthropic has two kinds of
 * keys, told apart by their beginning. The key need not be terminated and is not kept. */
const struct ak_credential *ak_provider_credential(const struct ak_provider *provider,
                                                   const char *key, size_t len);
/* The provider of a model's family ("claude-..." is anthropic's, "openai/..." is openai's), or NULL. */
const struct ak_provider *ak_provider_of_model(const char *model);
/* Every capability (name, what it means), in the order of docs/runtimes.md; ends with a NULL key. */
const struct ak_pair *ak_capabilities(void);
/* What this runtime can do for certain: names, NULL-terminated, for status.capabilities. */
const char *const *ak_runtime_capabilities(const struct ak_runtime *runtime);
/* The variable in which this runtime looks for its key; provider may be NULL. */
const char *ak_runtime_token_variable(const struct ak_runtime *runtime,
                                      const struct ak_provider *provider);
/* May spec.env not set it? AGENTKUBE_*, and everything that a runtime or provider reads a key from. */
bool ak_is_reserved_variable(const char *name);

#endif
