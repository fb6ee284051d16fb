/* SPDX-License-Identifier: Apache-2.0 */
/* Every image that the operator can start by itself. */
#ifndef AK_EXO_INSTALL_IMAGES_H
#define AK_EXO_INSTALL_IMAGES_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/json/json.h>

/* References as texts; registry NULL: where releases are published. */
AK_MUST_USE int ak_images_list(const char *dir, const char *registry, json_t **ret_array,
                               struct ak_error **reterr);

#endif
