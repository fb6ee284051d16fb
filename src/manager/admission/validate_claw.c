/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/text.h>

#include "manager/admission/validate.h"

static bool has_registry(const struct ak_claw_spec *spec, const char *name)
{
    for (size_t i = 0; i < spec->registries.len; i++)
        if (ak_streq(spec->registries.items[i].name, name))
            return true;
    return false;
}

static bool is_pinned(const char *version)
{
    return version && !ak_streq(version, "latest") && !ak_streq(version, "*");
}

static void check_packages(const struct ak_claw_spec *spec, struct ak_findings *f)
{
    for (size_t i = 0; i < spec->packages.len; i++) {
        const struct ak_claw_package *package = &spec->packages.items[i];
        if (package->registry && !has_registry(spec, package->registry))
            ak_refuse(f, ak_path(f, "spec.packages[%zu].registry", i),
                      "there is no \"%s\" in spec.registries", package->registry);
        if (!is_pinned(package->version))
            ak_warn_of(f, ak_path(f, "spec.packages[%zu].version", i),
                       "\"%s\" may be another version after each restart; pin one", package->name);
    }
}

static void check_registries(const struct ak_claw_spec *spec, struct ak_findings *f)
{
    for (size_t i = 0; i < spec->registries.len; i++)
        if (spec->registries.items[i].url &&
            ak_has_prefix(spec->registries.items[i].url, "http://"))
            ak_warn_of(f, ak_path(f, "spec.registries[%zu].url", i),
                       "packages come over the network in clear text; use https://");
}

static void check_service(const struct ak_claw_spec *spec, struct ak_findings *f)
{
    enum ak_claw_service_type type =
        spec->service ? spec->service->type : AK_CLAW_SERVICE_TYPE_UNSET;

    if (!spec->auth &&
        (type == AK_CLAW_SERVICE_TYPE_NODE_PORT || type == AK_CLAW_SERVICE_TYPE_LOAD_BALANCER))
        ak_warn_of(f, "spec.auth", "whoever reaches the %s is served without a token",
                   ak_claw_service_type_to_string(type));
}

void ak_validate_claw(const struct ak_claw_spec *spec, struct ak_findings *findings)
{
    check_registries(spec, findings);
    check_packages(spec, findings);
    check_service(spec, findings);
    ak_check_image(findings, "spec.image", spec->image);
    ak_check_resources(findings, "spec.resources", spec->resources);
}
