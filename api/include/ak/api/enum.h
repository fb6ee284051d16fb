/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of enum values, for the generated headers of this folder. Value 0 of every enum is "not set"
 * and its name is "".
 */
#ifndef AK_API_ENUM_H
#define AK_API_ENUM_H

#include <ak/base/compiler.h>

/* "" for a value out of range. */
AK_PUBLIC const char *ak_enum_to_string(const char *const names[], int max, int value);
/* 0 for NULL and for a text that names none; `names` ends with NULL. */
AK_PUBLIC int ak_enum_from_string(const char *const names[], const char *text);

#endif
