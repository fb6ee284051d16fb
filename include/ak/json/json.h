/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON in and out, on jansson. Trees (json_t) live as long as one request or one reconcile; the
 * cache never stores them. YAML is read into the same trees.
 *
 * Limits: the caller's byte limit, and AK_JSON_MAX_DEPTH levels (jansson's own parser limit is 2048;
 * a depth check runs first, so that hostile nesting never recurses).
 */
#ifndef AK_JSON_JSON_H
#define AK_JSON_JSON_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AK_JSON_MAX_DEPTH 128
#define AK_JSON_MAX_BYTES (8u << 20) /* one object: etcd's own limit is 1.5 MiB */

static inline void ak__auto_json(json_t **p)
{
    json_decref(*p);
}
#define AK_AUTO_JSON __attribute__((cleanup(ak__auto_json))) json_t

/* Sends jansson's allocations through ak_malloc (so that fault injection reaches them). Call once,
 * before any thread starts. */
AK_PUBLIC void ak_json_setup(void);

/* One value of any type. AK_E_INVALID (the text never quotes `data`), AK_E_TOO_LARGE, -ENOMEM. Numbers
 * beyond int64 and invalid UTF-8 are refused. */
AK_PUBLIC AK_MUST_USE int ak_json_parse(const char *data, size_t len, json_t **ret,
                                        struct ak_error **reterr);
/*
 * The first YAML document of `data`; JSON null if there is none. Plain scalars mean what they mean to
 * kubectl (YAML 1.1: `yes` is true, 0644 is octal), a key given twice is an error, tags of one's own
 * are refused. Aliases and merge keys are copied, 100,000 values at most: they are how a small file
 * becomes a large tree.
 */
AK_PUBLIC AK_MUST_USE int ak_yaml_parse(const char *data, size_t len, json_t **ret,
                                        struct ak_error **reterr);
/* All documents of a stream, as a JSON array; empty documents are left out. */
AK_PUBLIC AK_MUST_USE int ak_yaml_parse_all(const char *data, size_t len, json_t **ret_array,
                                            struct ak_error **reterr);
/* A copy that shares nothing; NULL on no memory (json_deep_copy() can then lose members and succeed). */
AK_PUBLIC AK_MUST_USE json_t *ak_json_copy(const json_t *tree);
/* Compact text; reals with as many digits as they need. */
AK_PUBLIC AK_MUST_USE int ak_json_write(const json_t *tree, struct ak_buf *out,
                                        struct ak_error **reterr);
/* YAML text as kubectl prints it (block style, strings quoted where needed). */
AK_PUBLIC AK_MUST_USE int ak_yaml_write(const json_t *tree, struct ak_buf *out,
                                        struct ak_error **reterr);
/* Order of object members does not matter, order of lists does. FNV-1a over a canonical walk. */
AK_PUBLIC uint64_t ak_json_hash(const json_t *tree);

/* Reads along a path of object keys: ak_json_text(pod, "status", "phase", NULL). NULL when absent or
 * of another type. Borrowed. */
AK_PUBLIC const char *ak_json_text(const json_t *tree, ...) __attribute__((sentinel));
AK_PUBLIC json_t *ak_json_at(const json_t *tree, ...) __attribute__((sentinel));

#endif
