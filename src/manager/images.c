/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/images.h"

#include <ak/base/text.h>
#include <string.h>

#define DEFAULT_REGISTRY "docker.io"
#define ORGANISATION "adaptivelive"

const char *ak_image_default(struct ak_arena *arena, const char *name, const char *registry)
{
    if (ak_is_empty(registry))
        registry = DEFAULT_REGISTRY;
    size_t len = strlen(registry);
    while (len && registry[len - 1] == '/')
        len--;
    return ak_arena_printf(arena, "%.*s/" ORGANISATION "/%s:v" AK_VERSION, (int)len, registry,
                           name);
}

const char *ak_image_digest(const char *image_id)
{
    if (ak_is_empty(image_id))
        return NULL;
    const char *at = strrchr(image_id, '@');
    const char *digest = at ? at + 1 : image_id;
    return ak_has_prefix(digest, "sha256:") ? digest : NULL;
}
