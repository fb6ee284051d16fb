/* SPDX-License-Identifier: Apache-2.0 */
#include "exo-install/diagnose.h"

#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#define MAX_QUOTED 400 /* bytes of somebody else's message */

/* What a container's waiting reason means. */
static const struct {
    const char *reason, *text;
} waiting_reasons[] = {
    {"ErrImagePull", "the image cannot be pulled"},
    {"ImagePullBackOff", "the image cannot be pulled"},
    {"ErrImageNeverPull", "the image is not on the node, and must not be pulled"},
    {"InvalidImageName", "the image's name is not valid"},
    {"ImageInspectError", "the image cannot be read"},
    {"CrashLoopBackOff", "the manager starts and ends again and again"},
    {"CreateContainerConfigError", "the container cannot be set up"},
    {"CreateContainerError", "the container cannot be made"},
    {"RunContainerError", "the container cannot be started"},
};

static const char *words_for(const char *reason)
{
    for (size_t i = 0; i < AK_ARRAY_LEN(waiting_reasons); i++)
        if (ak_streq(waiting_reasons[i].reason, reason))
            return waiting_reasons[i].text;
    return NULL;
}

static int add_container(const json_t *status, const char *pod, struct ak_buf *out)
{
    const char *reason = ak_json_text(status, "state", "waiting", "reason", NULL);
    const char *message = ak_json_text(status, "state", "waiting", "message", NULL);
    const json_t *last = ak_json_at(status, "lastState", "terminated", NULL);
    const char *words = words_for(reason);
    const char *image = ak_json_text(status, "image", NULL);

    if (!words)
        return 0;
    int r = ak_buf_addf(out, "pod %s: %s (%s, image %s)", pod, words, reason, image ? image : "?");
    if (r >= 0 && last)
        r = ak_buf_addf(out, ", exit code %" JSON_INTEGER_FORMAT,
                        json_integer_value(json_object_get(last, "exitCode")));
    if (r >= 0 && ak_json_text(last, "message", NULL))
        message = ak_json_text(last, "message", NULL);
    if (r >= 0 && message)
        r = ak_buf_addf(out, ": %.*s", MAX_QUOTED, message);
    return r;
}

static int add_condition(const json_t *pod, const char *name, struct ak_buf *out)
{
    const json_t *conditions = ak_json_at(pod, "status", "conditions", NULL);

    for (size_t i = 0; i < json_array_size(conditions); i++) {
        const json_t *one = json_array_get(conditions, i);
        const char *message = ak_json_text(one, "message", NULL);
        if (ak_streq(ak_json_text(one, "type", NULL), "PodScheduled") &&
            ak_streq(ak_json_text(one, "status", NULL), "False"))
            return ak_buf_addf(out, "pod %s: no node takes it: %.*s", name, MAX_QUOTED,
                               message ? message : "?");
    }
    return 0;
}

/* Runs, but says itself that it is not ready. */
static int add_unready(const json_t *status, const char *name, struct ak_buf *out)
{
    if (!ak_json_at(status, "state", "running", NULL) ||
        json_is_true(json_object_get(status, "ready")))
        return 0;
    return ak_buf_addf(out, "pod %s: runs, and is not ready yet", name);
}

int ak_diagnose_pod(const json_t *pod, struct ak_buf *out)
{
    const char *name = ak_json_text(pod, "metadata", "name", NULL);
    const json_t *statuses = ak_json_at(pod, "status", "containerStatuses", NULL);
    size_t before = out->len;

    if (ak_json_at(pod, "metadata", "deletionTimestamp", NULL))
        return 0;
    int r = add_condition(pod, name ? name : "?", out);
    for (size_t i = 0; r >= 0 && out->len == before && i < json_array_size(statuses); i++)
        r = add_container(json_array_get(statuses, i), name ? name : "?", out);
    for (size_t i = 0; r >= 0 && out->len == before && i < json_array_size(statuses); i++)
        r = add_unready(json_array_get(statuses, i), name ? name : "?", out);
    return r;
}

struct search {
    struct ak_buf *out;
    size_t before;
    json_t *last_event; /* the newest warning about one of ours */
};

static int look_at_pod(const json_t *pod, void *user, struct ak_error **reterr)
{
    struct search *s = user;
    if (s->out->len != s->before)
        return 0;
    return ak_diagnose_pod(pod, s->out) < 0 ? ak_error_oom(reterr) : 0;
}

static const char *time_of(const json_t *event)
{
    const char *at = ak_json_text(event, "lastTimestamp", NULL);
    if (!at)
        at = ak_json_text(event, "eventTime", NULL);
    return at ? at : "";
}

static int look_at_event(const json_t *event, void *user, struct ak_error **reterr)
{
    struct search *s = user;

    (void)reterr;
    if (!ak_streq(ak_json_text(event, "type", NULL), "Warning") ||
        !ak_has_prefix(ak_json_text(event, "involvedObject", "name", NULL), AK_INSTALL_NAME))
        return 0;
    if (s->last_event && strcmp(time_of(s->last_event), time_of(event)) > 0)
        return 0;
    json_decref(s->last_event);
    s->last_event = json_incref((json_t *)(uintptr_t)event);
    return 0;
}

/* Quotas, limits and PodSecurity refuse the pod: then there is none, and the Deployment says so. */
static int add_replica_failure(const json_t *deployment, struct ak_buf *out)
{
    const json_t *conditions = ak_json_at(deployment, "status", "conditions", NULL);

    for (size_t i = 0; i < json_array_size(conditions); i++) {
        const json_t *one = json_array_get(conditions, i);
        const char *message = ak_json_text(one, "message", NULL);
        if (ak_streq(ak_json_text(one, "type", NULL), "ReplicaFailure") &&
            ak_streq(ak_json_text(one, "status", NULL), "True"))
            return ak_buf_addf(out, "no pod can be made: %.*s", MAX_QUOTED,
                               message ? message : "?");
    }
    return 0;
}

int ak_diagnose(struct ak_install *self, const json_t *deployment, struct ak_buf *out,
                struct ak_error **reterr)
{
    struct search s = {.out = out, .before = out->len};

    if (add_replica_failure(deployment, out) < 0)
        return ak_error_oom(reterr);
    if (out->len != s.before)
        return 0;
    int r = ak_cluster_each(self, "Pod", AK_INSTALL_NAMESPACE, AK_INSTALL_SELECTOR, false,
                            look_at_pod, &s, reterr);
    if (r >= 0 && out->len == s.before)
        r = ak_cluster_each(self, "Event", AK_INSTALL_NAMESPACE, NULL, false, look_at_event, &s,
                            reterr);
    const char *message = ak_json_text(s.last_event, "message", NULL);
    if (r >= 0 && message &&
        ak_buf_addf(out, "%s: %.*s",
                    ak_json_text(s.last_event, "reason", NULL)
                        ? ak_json_text(s.last_event, "reason", NULL)
                        : "event",
                    MAX_QUOTED, message) < 0)
        r = ak_error_oom(reterr);
    json_decref(s.last_event);
    return r;
}
