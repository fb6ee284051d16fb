/* SPDX-License-Identifier: Apache-2.0 */
/* exo-install images */
#include <ak/base/buf.h>

#include "exo-install/images.h"
#include "exo-install/install.h"
#include "exo-install/manifests.h"

static int print_list(struct ak_install *self, const json_t *list, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(64u << 10);

    int r = self->options->output == AK_OUTPUT_JSON ? ak_json_write(list, &text, reterr)
                                                    : ak_yaml_write(list, &text, reterr);
    if (r < 0)
        return r;
    while (text.len && text.data[text.len - 1] == '\n')
        text.data[--text.len] = 0;
    ak_screen_say(&self->screen, "%s", ak_buf_text(&text));
    return 0;
}

int ak_verb_images(struct ak_install *self, struct ak_error **reterr)
{
    AK_AUTO_JSON *list = NULL;

    int r = ak_manifests_check(self->options->offline, reterr);
    if (r >= 0)
        r = ak_images_list(self->options->offline, self->options->image_registry, &list, reterr);
    if (r < 0)
        return r;
    if (self->options->output != AK_OUTPUT_TEXT)
        return print_list(self, list, reterr);
    for (size_t i = 0; i < json_array_size(list); i++)
        ak_screen_say(&self->screen, "%s", json_string_value(json_array_get(list, i)));
    return AK_EXIT_OK;
}
