/* SPDX-License-Identifier: Apache-2.0 */
#include "exo-install/images.h"

#include <string.h>

#include <ak/base/text.h>

#include "exo-install/manifests.h"

#define DEFAULT_REGISTRY "docker.io"
#define ORGANISATION "adaptivelive"

int ak_images_list(const char *dir, const char *registry, json_t **ret_array,
                   struct ak_error **reterr)
{
    AK_AUTO(ak_buf) names = AK_BUF_INIT(64u << 10);
    AK_AUTO_JSON *list = json_array();

    if (ak_is_empty(registry))
        registry = DEFAULT_REGISTRY;
    size_t host = strlen(registry);
    while (host && registry[host - 1] == '/')
        host--;
    int r = ak_manifests_text(dir, "images.txt", &names, reterr);
    if (r < 0)
        return r;
    for (const char *at = ak_buf_text(&names); *at;) {
        size_t len = strcspn(at, "\n");
        json_t *image = json_sprintf("%.*s/" ORGANISATION "/%.*s:v" AK_VERSION, (int)host, registry,
                                     (int)len, at);
        if (!list || json_array_append_new(list, image) < 0)
            return ak_error_oom(reterr);
        at += len + (at[len] == '\n');
    }
    *ret_array = AK_TAKE(list);
    return 0;
}
