/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/flow/key.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const causes[AK_CAUSE_MAX] = {
    [AK_CAUSE_CHANGED] = "changed", [AK_CAUSE_CHILD] = "child", [AK_CAUSE_REFERENCE] = "reference",
    [AK_CAUSE_TIMER] = "timer",     [AK_CAUSE_RETRY] = "retry", [AK_CAUSE_RESYNC] = "resync",
};

const char *ak_cause_to_string(enum ak_cause cause)
{
    return (unsigned)cause < AK_CAUSE_MAX ? causes[cause] : "?";
}

int ak_key_text(struct ak_key key, char buf[static AK_KEY_MAX])
{
    const char *ns = key.namespace_ ? key.namespace_ : "";
    size_t ns_len = strlen(ns), name_len = key.name ? strlen(key.name) : 0;

    if (!name_len || ns_len >= AK_KEY_NS_SIZE || name_len >= AK_KEY_NAME_SIZE || strchr(ns, '/'))
        return -EINVAL;
    (void)snprintf(buf, AK_KEY_MAX, "%s/%s", ns, key.name);
    return 0;
}

void ak_key_split(const char *text, char ns[static AK_KEY_NS_SIZE],
                  char name[static AK_KEY_NAME_SIZE])
{
    const char *slash = strchr(text, '/');

    (void)snprintf(ns, AK_KEY_NS_SIZE, "%.*s", (int)(slash - text), text);
    (void)snprintf(name, AK_KEY_NAME_SIZE, "%s", slash + 1);
}
