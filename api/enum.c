/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/api/enum.h>

#include <ak/base/text.h>
#include <stddef.h>

const char *ak_enum_to_string(const char *const names[], int max, int value)
{
    return value > 0 && value < max ? names[value] : "";
}

int ak_enum_from_string(const char *const names[], const char *text)
{
    for (int i = 0; text && names[i]; i++) {
        if (ak_streq(names[i], text))
            return i;
    }
    return 0;
}
