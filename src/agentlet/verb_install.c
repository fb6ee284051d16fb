/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/verbs.h"

#include <ak/base/error.h>
#include <ak/base/log.h>

#include "process/install.h"

int ak_verb_install(int argc, char **argv)
{
    AK_AUTO_PTR(ak_error) err = NULL;

    (void)argc;
    if (ak_install_self(argv[0], "agentlet", &err) < 0) {
        ak_err("agentlet", "install failed", AK_ERR(err));
        return 1;
    }
    return 0;
}
