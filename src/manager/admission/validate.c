/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/admission/validate.h"

#include <ak/base/text.h>
#include <ak/json/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

AK_PRINTF(4, 0)
static void add(struct ak_findings *self, bool warning, const char *path, const char *fmt,
                va_list ap)
{
    char text[1024];

    if (warning && self->n_warnings == AK_FINDINGS_MAX_WARNINGS)
        return;
    if (!warning && self->n_errors == AK_FINDINGS_MAX_ERRORS) {
        self->more++;
        return;
    }
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    const char *message = ak_arena_strdup(self->arena, text);
    self->oom = self->oom || !message || !path;
    if (!message || !path)
        return;
    self->items[self->len++] = (struct ak_finding){path, message, warning};
    self->n_errors += !warning;
    self->n_warnings += warning;
}

void ak_refuse(struct ak_findings *self, const char *path, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add(self, /* warning= */ false, path, fmt, ap);
    va_end(ap);
}

void ak_warn_of(struct ak_findings *self, const char *path, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add(self, /* warning= */ true, path, fmt, ap);
    va_end(ap);
}

const char *ak_path(struct ak_findings *self, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    const char *path = ak_arena_strdup(self->arena, text);
    self->oom = self->oom || !path;
    return path;
}

/* A reference without a digest whose tag is "latest", stated or not. */
static bool is_floating(const char *image)
{
    const char *slash = strrchr(image, '/');
    const char *tag = strchr(slash ? slash : image, ':');

    return !strchr(image, '@') && (!tag || ak_streq(tag, ":latest"));
}

void ak_check_image(struct ak_findings *self, const char *path, const char *image)
{
    if (!ak_is_empty(image) && is_floating(image))
        ak_warn_of(self, path,
                   "\"%s\" may be another image after each pull; pin a version or a digest", image);
}

void ak_check_duration(struct ak_findings *self, const char *path, const char *text)
{
    ak_msec span = 0;

    if (text && (ak_parse_duration(text, &span) < 0 || span <= 0))
        ak_refuse(self, path, "\"%s\" must be a duration above zero, such as 30m", text);
}

void ak_check_quantity(struct ak_findings *self, const char *path, const char *text)
{
    int64_t milli = 0;

    if (text && (ak_parse_quantity(text, &milli) < 0 || milli <= 0))
        ak_refuse(self, path, "\"%s\" must be a quantity above zero, such as 10Gi", text);
}

/* Quantities are written as text or as numbers. */
static int quantity_of(const json_t *value, int64_t *ret_milli)
{
    if (json_is_string(value))
        return ak_parse_quantity(json_string_value(value), ret_milli);
    if (!json_is_number(value))
        return -EINVAL;
    *ret_milli = (int64_t)(json_number_value(value) * 1000);
    return 0;
}

void ak_check_resources(struct ak_findings *self, const char *path, const char *json)
{
    AK_AUTO_JSON *tree = NULL;
    const char *name;
    json_t *value;
    int r = json ? ak_json_parse(json, strlen(json), &tree, NULL) : 0;

    self->oom = self->oom || r == -ENOMEM;
    if (!tree)
        return;
    const json_t *limits = json_object_get(tree, "limits");
    json_object_foreach(json_object_get(tree, "requests"), name, value)
    {
        int64_t request = 0, limit = 0;
        if (quantity_of(value, &request) == 0 &&
            quantity_of(json_object_get(limits, name), &limit) == 0 && request > limit)
            ak_refuse(self, ak_path(self, "%s.requests[%s]", path, name),
                      "must not be above the limit");
    }
}

void ak_check_clear_text(struct ak_findings *self, const char *path, const char *url,
                         bool has_credential)
{
    if (url && has_credential && ak_has_prefix(url, "http://"))
        ak_warn_of(self, path, "the credential goes over the network in clear text; use https://");
}

bool ak_is_key_of(const char *key, const char *domain)
{
    const char *slash = strchr(key, '/');
    size_t len = strlen(domain);

    if (!slash || (size_t)(slash - key) < len || strncmp(slash - len, domain, len) != 0)
        return false;
    return slash - len == key || slash[-(ptrdiff_t)len - 1] == '.';
}
