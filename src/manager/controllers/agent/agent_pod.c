/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a pod's status says, as one state, a reason and a sentence for people: what happened, in
 * Kubernetes' or the agentlet's words, and what to do about it. Pure.
 */
#include <ak/base/text.h>
#include <string.h>

#include "manager/controllers/agent/agent_internal.h"
#include "manager/images.h"

#define AGENT AK_AGENT_CONTAINER
#define KEEPER AK_KEEPER_CONTAINER
#define WORKSPACE "workspace"
#define KEEPER_TRIES                                                                               \
    3 /* restarts after which a keeper that waits for the next is taken for broken */

struct words {
    struct ak_arena *arena;
    const struct ak_pod_images *images;
    struct ak_pod_view *view;
    bool oom;
};

const char *ak_agent_cut(struct ak_arena *arena, const char *text, size_t max)
{
    size_t len = strnlen(text, max + 1);
    if (len > max) {
        len = max;
        while (len && ((unsigned char)text[len] & 0xc0) == 0x80)
            len--;
    }
    while (len && strchr(" \t\r\n", text[len - 1]))
        len--;
    return ak_arena_strndup(arena, text, len);
}

static void say(struct words *w, enum ak_agent_phase phase, const char *reason, const char *message)
{
    w->view->phase = phase;
    w->view->reason = reason;
    w->view->message = message;
    w->view->warning = phase == AK_AGENT_PHASE_FAILED;
    w->oom = w->oom || !message;
}

/* A finding that quotes what the kubelet or a container said. `quoted` may be NULL. */
static void say_quoting(struct words *w, enum ak_agent_phase phase, const char *reason,
                        const char *what, const char *quoted, const char *advice)
{
    const char *cut =
        ak_is_empty(quoted) ? "" : ak_agent_cut(w->arena, quoted, AK_AGENT_MESSAGE_MAX);
    if (!cut) {
        w->oom = true;
        return;
    }
    say(w, phase, reason,
        ak_arena_printf(w->arena, "%s%s%s; %s", what, *cut ? ": " : "", cut, advice));
    w->view->warning = true;
}

/* Why a container waits, by the kubelet's reason. */
static const struct trouble {
    const char *kubelet, *reason;
    bool about_image;
    bool sticky; /* the kubelet alternates between two reasons with different messages */
    const char *what, *advice;
} troubles[] = {
    {"ErrImagePull", "ImagePullBackOff", true, true, "cannot be pulled",
     "check the image's name, spec.imagePullSecrets and the registry"},
    {"ImagePullBackOff", "ImagePullBackOff", true, true, "cannot be pulled",
     "check the image's name, spec.imagePullSecrets and the registry"},
    {"RegistryUnavailable", "ImagePullBackOff", true, true, "cannot be pulled",
     "check the registry"},
    {"InvalidImageName", "InvalidImageName", true, false, "is not a valid reference",
     "correct spec.image, or the registry that AGENTKUBE_IMAGE_REGISTRY names"},
    {"ErrImageNeverPull", "ErrImageNeverPull", true, false,
     "is not on the node, and spec.imagePullPolicy is Never",
     "load the image on the node or change the policy"},
    {"ImageInspectError", "ImageInspectError", true, false, "is damaged on the node",
     "remove it there, so that it is pulled again"},
    {"CreateContainerConfigError", "ContainerConfigError", false, false,
     "the container cannot be configured", "correct what the message names"},
    {"CreateContainerError", "ContainerCreateError", false, true, "the container cannot be created",
     "see the events of the pod"},
    {"RunContainerError", "ContainerStartError", false, true, "the container cannot be started",
     "see the events of the pod"},
};

/* Why a container ended, by the word in front of the agentlet's message. */
static const struct ending {
    const char *agentlet, *reason, *what, *advice;
} endings[] = {
    {"SetupFailed", "SetupFailed", "the setup command failed",
     "correct spec.workspace.setupCommand; its output is in the log of the pod"},
    {"SetupTimeout", "SetupFailed", "the setup command took too long",
     "raise spec.workspace.setupTimeoutSeconds or make it faster; its output is in the log of the "
     "pod"},
    {"GitMissing", "WorkspaceFailed", "the image cannot clone the repository",
     "use an image that has git"},
    {"CloneFailed", "WorkspaceFailed", "the repository cannot be cloned",
     "check spec.workspace.repo.url and the Secret of secretRef"},
    {"CloneTimeout", "WorkspaceFailed", "cloning the repository took too long",
     "check that the server can be reached from the pod"},
    {"RefNotFound", "WorkspaceFailed", "the repository has no such ref",
     "correct spec.workspace.repo.ref"},
    {"WorkspaceNotEmpty", "WorkspaceFailed",
     "the workspace holds files that are not of the repository",
     "move them away, or use a new workspace"},
    {"WorkspaceConflict", "WorkspaceFailed", "the workspace holds a clone of another repository",
     "correct spec.workspace.repo.url, or use a new workspace"},
    {"InvalidConfiguration", "InvalidConfiguration", "the agentlet refuses its configuration",
     "correct what the message names"},
};

static const struct ending *find_ending(const char *message)
{
    for (size_t i = 0; message && i < AK_ARRAY_LEN(endings); i++) {
        size_t len = strlen(endings[i].agentlet);
        if (strncmp(message, endings[i].agentlet, len) == 0 && message[len] == ':')
            return &endings[i];
    }
    return NULL;
}

static const struct ak_container_status *find_status(const ak_container_status_list *list,
                                                     const char *name)
{
    for (size_t i = 0; i < list->len; i++)
        if (ak_streq(list->items[i].name, name))
            return &list->items[i];
    return NULL;
}

static const struct ak_container_ended *ended_of(const struct ak_container_status *status)
{
    if (status && status->state && status->state->ended)
        return status->state->ended;
    return status && status->last ? status->last->ended : NULL;
}

/* The agent's image is in the containers that it and the clone of its repository run in. */
static const char *image_of(const struct words *w, const char *container)
{
    bool agents = ak_streq(container, AGENT) || ak_streq(container, WORKSPACE);
    const char *image = agents ? w->images->agent : w->images->manager;
    return image ? image : "";
}

static void say_waiting(struct words *w, const struct trouble *t, const char *container,
                        const char *message)
{
    const char *what = t->what;
    if (t->about_image)
        what = ak_arena_printf(w->arena, "image \"%s\" %s", image_of(w, container), t->what);
    if (!what) {
        w->oom = true;
        return;
    }
    say_quoting(w, AK_AGENT_PHASE_FAILED, t->reason, what, message, t->advice);
    w->view->sticky = t->sticky;
}

/* How a container ended that the kubelet starts again. */
static void say_ended(struct words *w, const char *container, const struct ak_container_ended *e)
{
    const struct ending *known = find_ending(e->message);
    if (ak_streq(e->reason, "OOMKilled") && ak_streq(container, KEEPER)) {
        say_quoting(w, AK_AGENT_PHASE_FAILED, "OOMKilled",
                    "the keeper used more memory than it may have and was killed", e->message,
                    "it is started again with growing pauses; runs go on meanwhile");
        return;
    }
    if (ak_streq(e->reason, "OOMKilled")) {
        say_quoting(w, AK_AGENT_PHASE_FAILED, "OOMKilled",
                    "a process used more memory than the container may have and was killed",
                    e->message, "raise spec.resources.limits.memory");
        return;
    }
    if (known) {
        say_quoting(w, AK_AGENT_PHASE_FAILED, known->reason, known->what,
                    e->message + strlen(known->agentlet) + 2, known->advice);
        return;
    }
    const char *what = ak_arena_printf(
        w->arena, "the container \"%s\" ended with exit code %lld (%s)", container,
        (long long)e->exit_code, ak_is_empty(e->reason) ? "no reason given" : e->reason);
    if (!what) {
        w->oom = true;
        return;
    }
    bool workspace = ak_streq(container, WORKSPACE);
    say_quoting(w, AK_AGENT_PHASE_FAILED, workspace ? "WorkspaceFailed" : "CrashLoopBackOff", what,
                e->message, "it is started again with growing pauses; see the log of the pod");
}

/* Anything that is wrong with one container; false: nothing. */
static bool say_container(struct words *w, const struct ak_container_status *c)
{
    const struct ak_container_waiting *waiting = c->state ? c->state->waiting : NULL;
    for (size_t i = 0; waiting && i < AK_ARRAY_LEN(troubles); i++) {
        if (ak_streq(troubles[i].kubelet, waiting->reason)) {
            say_waiting(w, &troubles[i], c->name, waiting->message);
            return true;
        }
    }
    const struct ak_container_ended *ended = ended_of(c);
    if (!ended || c->ready || (ended->exit_code == 0 && !ak_streq(c->name, AGENT)))
        return false; /* an init container that has done its work */
    say_ended(w, c->name, ended);
    return true;
}

static const struct ak_condition *pod_condition(const struct ak_pod *pod, const char *type)
{
    return ak_condition_find(pod->status->conditions.items, pod->status->conditions.len, type);
}

static bool say_containers(struct words *w, const ak_container_status_list *list)
{
    for (size_t i = 0; i < list->len; i++)
        if (say_container(w, &list->items[i]))
            return true;
    return false;
}

static void say_starting(struct words *w, const struct ak_pod *pod)
{
    const struct ak_condition *scheduled = pod_condition(pod, "PodScheduled");
    const struct ak_container_status *agent = find_status(&pod->status->containers, AGENT);
    if (say_containers(w, &pod->status->init) || say_containers(w, &pod->status->containers))
        return;
    if (!pod->spec->node && scheduled && ak_streq(scheduled->status, "False"))
        say_quoting(w, AK_AGENT_PHASE_PENDING, "Unschedulable", "no node can take the pod",
                    scheduled->message,
                    "check spec.resources, spec.nodeSelector, spec.tolerations and the volumes");
    else if (!pod->spec->node)
        say(w, AK_AGENT_PHASE_PENDING, "PodPending", "the pod waits for a node");
    else if (agent && agent->ready)
        say(w, AK_AGENT_PHASE_STARTING, "PodStarting", "the agent is ready, its keeper is not yet");
    else if (agent && agent->state && agent->state->running)
        say(w, AK_AGENT_PHASE_STARTING, "PodStarting",
            "the container runs and is not ready yet; what its setup command does is in its log");
    else
        say(w, AK_AGENT_PHASE_STARTING, "PodStarting", "the pod is being started");
}

/* When a pod that is over ended: a fixed time, so that a failure is counted once (agent_plan.c). */
static ak_msec end_of(const struct ak_object *object, const struct ak_pod *pod)
{
    ak_msec end = 0;
    for (size_t i = 0; i < pod->status->containers.len; i++) {
        const struct ak_container_ended *e = ended_of(&pod->status->containers.items[i]);
        end = e ? AK_MAX(end, e->finished) : end;
    }
    end = AK_MAX(end, pod->status->started);
    return AK_MAX(end, ak_object_meta(object)->created);
}

static void say_over(struct words *w, const struct ak_object *object, const struct ak_pod *pod)
{
    const struct ak_container_ended *e = ended_of(find_status(&pod->status->containers, AGENT));
    struct ak_agent_termination *last = ak_arena_alloc(w->arena, sizeof(*last));
    w->oom = w->oom || !last;
    if (!last)
        return;
    w->view->ended = end_of(object, pod);
    last->time = w->view->ended;
    last->reason = !ak_is_empty(pod->status->reason) ? pod->status->reason
                   : e && !ak_is_empty(e->reason)    ? e->reason
                                                     : "PodFailed";
    last->exit_code = e ? e->exit_code : 0;
    const char *text = !ak_is_empty(pod->status->message) ? pod->status->message
                       : e && !ak_is_empty(e->message)    ? e->message
                                                          : "";
    last->message = ak_agent_cut(w->arena, text, AK_AGENT_MESSAGE_MAX);
    w->oom = w->oom || !last->message;
    w->view->last = last;
    say_quoting(w, AK_AGENT_PHASE_PENDING, last->reason, "the pod is over", text,
                "a new one is made after a pause");
}

/* The last end of the agent's container in a pod that lives. */
static void note_last_end(struct words *w, const struct ak_container_status *agent)
{
    const struct ak_container_ended *e = ended_of(agent);
    if (!e)
        return;
    struct ak_agent_termination *last = ak_arena_alloc(w->arena, sizeof(*last));
    w->oom = w->oom || !last;
    if (!last)
        return;
    *last = (struct ak_agent_termination){
        .reason = ak_is_empty(e->reason) ? "Error" : e->reason,
        .exit_code = e->exit_code,
        .time = e->finished,
        .message = e->message ? ak_agent_cut(w->arena, e->message, AK_AGENT_MESSAGE_MAX) : NULL};
    w->oom = w->oom || (e->message && !last->message);
    w->view->last = last;
}

static bool is_ready(const struct ak_pod *pod)
{
    const struct ak_condition *ready = pod_condition(pod, "Ready");
    return ready && ak_streq(ready->status, "True");
}

/* A node that stops answering leaves the phase as it was; the node controller then says NodeLost, or sets
 * Ready to Unknown (newer ones: False with that reason). The pod may still run there. */
static bool is_lost(const struct ak_pod *pod)
{
    const struct ak_condition *ready = pod_condition(pod, "Ready");
    return ak_streq(pod->status->phase, "Unknown") || ak_streq(pod->status->reason, "NodeLost") ||
           (ready && ak_streq(ready->status, "Unknown"));
}

static bool is_over(const struct ak_pod *pod)
{
    return ak_streq(pod->status->phase, "Failed") || ak_streq(pod->status->phase, "Succeeded");
}

static enum ak_pod_state foreign_state(const struct ak_meta *pod, const struct ak_meta *agent)
{
    const struct ak_owner_ref *owner = ak_meta_controller(pod);
    if (owner && ak_streq(owner->uid, agent->uid))
        return AK_POD_ABSENT; /* that is: not foreign */
    if (owner && ak_streq(owner->kind, "Agent") && ak_streq(owner->name, agent->name) &&
        ak_has_prefix(owner->api_version, AK_API_GROUP "/"))
        return AK_POD_FORMER;
    return AK_POD_FOREIGN;
}

/* A keeper that is only being started again holds nothing up: the run goes on without it. */
static bool is_lost_cause(const struct ak_container_status *keeper)
{
    const struct ak_container_waiting *waiting =
        keeper && keeper->state ? keeper->state->waiting : NULL;
    if (!waiting)
        return false;
    for (size_t i = 0; i < AK_ARRAY_LEN(troubles); i++)
        if (ak_streq(troubles[i].kubelet, waiting->reason))
            return true;
    return ak_streq(waiting->reason, "CrashLoopBackOff") && keeper->restarts >= KEEPER_TRIES;
}

static void describe(struct words *w, const struct ak_object *object, const struct ak_pod *pod)
{
    struct ak_pod_view *v = w->view;
    const struct ak_container_status *agent = find_status(&pod->status->containers, AGENT);
    v->can_work = agent && agent->state && agent->state->running &&
                  !is_lost_cause(find_status(&pod->status->containers, KEEPER));
    v->node = pod->spec->node;
    v->started = pod->status->started;
    v->restarts = agent ? agent->restarts : 0;
    v->image_digest = agent ? ak_image_digest(agent->image_id) : NULL;
    note_last_end(w, agent);
    if (ak_object_meta(object)->deleting) {
        v->state = AK_POD_STOPPING;
        say(w, AK_AGENT_PHASE_PENDING, "PodStopping", "the pod is being stopped");
    } else if (is_over(pod)) {
        v->state = AK_POD_ENDED;
        say_over(w, object, pod);
    } else if (is_lost(pod)) {
        v->state = AK_POD_LOST;
        say(w, AK_AGENT_PHASE_PENDING, "NodeLost",
            ak_arena_printf(
                w->arena,
                "node \"%s\" does not answer, the pod may still run there; no second one "
                "is made before Kubernetes has removed it: bring the node back or delete it",
                v->node ? v->node : ""));
        v->warning = true;
    } else if (is_ready(pod)) {
        v->state = AK_POD_READY;
        say(w, AK_AGENT_PHASE_RUNNING, "PodReady", "the pod is ready");
    } else {
        v->state = AK_POD_WAITING;
        say_starting(w, pod);
    }
}

static void say_not_ours(struct words *w, const struct ak_object *object)
{
    const struct ak_meta *meta = ak_object_meta(object);
    if (w->view->state == AK_POD_FORMER) {
        say(w, AK_AGENT_PHASE_PENDING, "PodStopping",
            "the pod of an earlier Agent of this name is not gone yet");
        return;
    }
    say(w, AK_AGENT_PHASE_FAILED, "PodNameTaken",
        ak_arena_printf(
            w->arena,
            "pod \"%s\" exists and does not belong to this Agent; delete it, or give the "
            "Agent another name",
            meta->name));
}

int ak_pod_view_make(const struct ak_object *object, const struct ak_meta *agent,
                     const struct ak_pod_images *images, struct ak_arena *arena,
                     struct ak_pod_view *ret, struct ak_error **reterr)
{
    struct ak_pod_view view = {.state = AK_POD_ABSENT};
    struct words w = {.arena = arena, .images = images, .view = &view};
    if (object) {
        const struct ak_meta *meta = ak_object_meta(object);
        view.state = foreign_state(meta, agent);
        if (view.state != AK_POD_ABSENT) {
            say_not_ours(&w, object);
        } else {
            view.uid = meta->uid;
            view.hash = ak_string_map_get(&meta->annotations, AK_ANNOTATION_POD_HASH);
            describe(&w, object, ak_object_body(object));
        }
    }
    if (w.oom)
        return ak_error_oom(reterr);
    *ret = view;
    return 0;
}
