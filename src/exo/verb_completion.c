/* SPDX-License-Identifier: Apache-2.0 */
/* exo completion bash|zsh|fish */
#include "exo/completion_scripts.h"
#include "exo/verbs.h"

#include <string.h>
#include <unistd.h>

int ak_verb_completion(struct ak_exo *self, struct ak_error **reterr)
{
    const char *script = ak_completion_script(self->options->args[0]);

    if (!script)
        return ak_error_set(reterr, -EINVAL, "\"%s\": exo knows bash, zsh and fish",
                            self->options->args[0]);
    int r = ak_exo_write(STDOUT_FILENO, script, strlen(script), reterr);
    return r < 0 ? r : AK_EXIT_OK;
}
