/* SPDX-License-Identifier: Apache-2.0 */
/*
 * References of our own images. A default reference is REGISTRY/adaptivelive/NAME:vVERSION, where
 * AGENTKUBE_IMAGE_REGISTRY ("mirror.example:5000", "mirror.example/team") replaces the registry.
 */
#ifndef AK_MANAGER_IMAGES_H
#define AK_MANAGER_IMAGES_H

#include <ak/base/arena.h>
#include <ak/base/compiler.h>

#define AK_IMAGE_MANAGER "agentkube-manager"

/* The default reference of one of our images; registry NULL: where releases are published.
 * NULL: no memory. */
AK_MUST_USE const char *ak_image_default(struct ak_arena *arena, const char *name,
                                         const char *registry);
/* "sha256:..." of a container status's imageID ("registry/name@sha256:...", or with a scheme in
 * front as older runtimes write it), borrowed; NULL if it names none. */
const char *ak_image_digest(const char *image_id);

#endif
