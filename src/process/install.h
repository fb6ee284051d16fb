/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies the running program into a volume that a container of another image mounts. The rename comes
 * last: a container that starts meanwhile sees no file or a whole one.
 */
#ifndef AK_PROCESS_INSTALL_H
#define AK_PROCESS_INSTALL_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>

/* To dir/name, for everybody to run. */
AK_MUST_USE int ak_install_self(const char *dir, const char *name, struct ak_error **reterr);

#endif
