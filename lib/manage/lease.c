/* SPDX-License-Identifier: Apache-2.0 */
#include "lease.h"

#include <errno.h>

#include <ak/base/text.h>

const char *ak_lease_holder(const json_t *lease)
{
    const char *holder = ak_json_text(lease, "spec", "holderIdentity", NULL);

    return holder ? holder : "";
}

/* The holder's promise counts, not ours: it may have been started with another duration. */
static ak_msec duration_of(const json_t *lease, ak_msec own_duration)
{
    json_int_t seconds =
        json_integer_value(ak_json_at(lease, "spec", "leaseDurationSeconds", NULL));

    if (seconds <= 0)
        return own_duration;
    return AK_SECONDS(AK_MIN(seconds, AK_LEASE_MAX_SECONDS));
}

enum ak_lease_verdict ak_lease_judge(const json_t *lease, const char *identity,
                                     ak_msec own_duration, ak_msec now, struct ak_lease_seen *seen)
{
    const json_t *spec = ak_json_at(lease, "spec", NULL);
    uint64_t hash = spec ? ak_json_hash(spec) : 1;
    const char *holder = ak_lease_holder(lease);

    hash += hash == 0;
    if (hash != seen->spec_hash)
        *seen = (struct ak_lease_seen){.spec_hash = hash, .since = now};
    if (ak_streq(holder, identity))
        return AK_LEASE_OURS;
    if (!holder[0] || now - seen->since >= duration_of(lease, own_duration))
        return AK_LEASE_FREE;
    return AK_LEASE_TAKEN;
}

json_t *ak_lease_make(const char *ns, const char *name)
{
    return json_pack("{s:s, s:s, s:{s:s, s:s}, s:{}}", "apiVersion", "coordination.k8s.io/v1",
                     "kind", "Lease", "metadata", "name", name, "namespace", ns, "spec");
}

static int set_time(json_t *spec, const char *field, ak_msec wall)
{
    char text[AK_RFC3339_SIZE];

    return json_object_set_new(spec, field, json_string(ak_format_rfc3339_micro(wall, text)));
}

static json_t *spec_of(json_t *lease)
{
    json_t *spec = json_object_get(lease, "spec");

    if (json_is_object(spec))
        return spec;
    spec = json_object();
    /* On failure the reference is gone too. */
    return json_object_set_new(lease, "spec", spec) < 0 ? NULL : spec;
}

const char *ak_lease_address(const json_t *lease, const char *annotation)
{
    const char *address = ak_json_text(lease, "metadata", "annotations", annotation, NULL);

    return ak_lease_holder(lease)[0] && !ak_is_empty(address) ? address : NULL;
}

int ak_lease_set_address(json_t *lease, const char *annotation, const char *address)
{
    json_t *annotations = ak_json_at(lease, "metadata", "annotations", NULL);

    if (!address) {
        (void)json_object_del(annotations, annotation);
        return 0;
    }
    if (!json_is_object(annotations)) {
        annotations = json_object();
        if (json_object_set_new(json_object_get(lease, "metadata"), "annotations", annotations) < 0)
            return -ENOMEM;
    }
    return json_object_set_new(annotations, annotation, json_string(address)) < 0 ? -ENOMEM : 0;
}

int ak_lease_renew(json_t *lease, const char *identity, ak_msec duration, ak_msec wall)
{
    json_t *spec = spec_of(lease);
    json_int_t transitions = json_integer_value(ak_json_at(spec, "leaseTransitions", NULL));
    bool taking = !ak_streq(ak_lease_holder(lease), identity);
    /* The first holder ever is not a transition; one that follows a release is. */
    bool first = !ak_json_at(spec, "renewTime", NULL);
    int r = 0;

    if (!spec)
        return -ENOMEM;
    if (taking) {
        r |= set_time(spec, "acquireTime", wall);
        r |= json_object_set_new(spec, "leaseTransitions", json_integer(transitions + !first));
    }
    r |= json_object_set_new(spec, "holderIdentity", json_string(identity));
    r |= json_object_set_new(spec, "leaseDurationSeconds", json_integer((duration + 999) / 1000));
    r |= set_time(spec, "renewTime", wall);
    return r < 0 ? -ENOMEM : 0;
}

int ak_lease_release(json_t *lease, ak_msec wall)
{
    json_t *spec = spec_of(lease);
    int r = 0;

    if (!spec)
        return -ENOMEM;
    r |= json_object_set_new(spec, "holderIdentity", json_string(""));
    r |= json_object_set_new(spec, "leaseDurationSeconds", json_integer(1));
    r |= set_time(spec, "renewTime", wall);
    return r < 0 ? -ENOMEM : 0;
}
