/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The objects as the release has them: built into the program (embed.py), or from the manifests/ folder
 * of an unpacked bundle, which holds the same files.
 */
#ifndef AK_EXO_INSTALL_MANIFESTS_H
#define AK_EXO_INSTALL_MANIFESTS_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/json/json.h>

#define AK_MANIFEST_MAX_BYTES (4u << 20)

struct ak_embedded {
    const char *name; /* "crds/agentkube.io_agents.yaml"; NULL ends the table */
    const char *data;
    size_t len;
};
extern const struct ak_embedded ak_embedded_files[];

/* Text of one file; dir NULL: the embedded one, else DIR/manifests/NAME. AK_E_NOT_FOUND: there is none. */
AK_MUST_USE int ak_manifests_text(const char *dir, const char *name, struct ak_buf *out,
                                  struct ak_error **reterr);
/* One file as a tree (YAML or JSON). */
AK_MUST_USE int ak_manifests_tree(const char *dir, const char *name, json_t **ret,
                                  struct ak_error **reterr);
/* All objects of a folder, "crds" or "operator", in the order of the files. */
AK_MUST_USE int ak_manifests_objects(const char *dir, const char *folder, json_t **ret_array,
                                     struct ak_error **reterr);
/* Is this an unpacked bundle of this version, whole and as it was packed? dir NULL: nothing to check. */
AK_MUST_USE int ak_manifests_check(const char *dir, struct ak_error **reterr);
/* SHA-256 in hexadecimal digits. */
AK_MUST_USE int ak_manifests_digest(const void *data, size_t len, char ret[static 65]);

/* The object of that kind (and name, if not NULL), borrowed; NULL: none. */
json_t *ak_manifests_find(const json_t *objects, const char *kind, const char *name);

#endif
