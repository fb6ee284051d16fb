/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The users of a Tool in the system. Their names and passwords are minted into a Secret; a pod of ours, with the
 * administrator's credential, makes them and gives them their rights. The first for a set of permissions is a Job; what
 * follows for the same set (new passwords, checks for drift, another try) are pods, because Jobs are never deleted.
 */
#include <ak/base/text.h>
#include <stdio.h>
#include <string.h>

#include "engines/names.h"
#include "manager/controllers/tool/tool_planning.h"

#define PLACE_LEN 8
#define MADE_FOR_AT (PLACE_LEN + 1)
#define IDENTITY_LEN 8
#define JOB_NAME_SIZE 64 /* of a label's value, with the end */
#define JOB_DIGITS 8
#define SETTLED AK_SECONDS(10) /* until then a Secret that we wrote may not be seen */
#define WORK_AGAIN AK_SECONDS(5)

/* One piece of work: what a pod is to be made from. */
struct work {
    enum ak_tool_role role;
    const char *hash;
    const struct ak_tool_spec *spec;
    const char *text;
    bool needed;  /* now, as far as the last result goes */
    bool as_job;  /* a Job, once */
    bool unowned; /* it must survive the Tool's dependents */
};

bool ak_tool_has_earlier(const struct ak_tool_planning *p)
{
    return p->old->permissions_hash || p->old->identity;
}

/* ---- hashes ---- */

static int make_hash(struct ak_tool_planning *p, char ret[static AK_TOOL_HASH_SIZE])
{
    char rotated[AK_RFC3339_SIZE], identity[AK_TOOL_HASH_LEN + 1];
    const char *text = ak_format_rfc3339(p->old->identity->rotated_time, rotated);
    if (ak_tool_hash(identity, &text, 1) < 0)
        return ak_error_oom(p->reterr);
    (void)snprintf(ret, AK_TOOL_HASH_SIZE, "%.*s-%s-%.*s", PLACE_LEN, p->m.place, p->m.made_for,
                   IDENTITY_LEN, identity);
    return 0;
}

static bool is_of_place(const char *hash, const char *place)
{
    return strncmp(hash, place, PLACE_LEN) == 0;
}

/* Was this the result of work for the permissions as they are? */
static bool is_for_permissions(const struct ak_tool_planning *p, const char *record)
{
    return record && strlen(record) > MADE_FOR_AT + AK_TOOL_HASH_LEN &&
           is_of_place(record, p->m.place) &&
           strncmp(record + MADE_FOR_AT, p->m.made_for, AK_TOOL_HASH_LEN) == 0;
}

/* ---- results ---- */

static const char *say_of(const struct ak_tool_pod_view *pod)
{
    if (pod->has_outcome && !ak_is_empty(pod->outcome.message))
        return pod->outcome.message;
    if (pod->message)
        return pod->message;
    return pod->has_outcome ? NULL : "the pod ended without a result";
}

static void tell_changes(struct ak_tool_planning *p, const struct ak_string_list *changed)
{
    size_t n = changed->len;
    const char *text =
        n == 1 ? ak_arena_printf(p->arena, "%s", changed->items[0])
               : ak_arena_printf(p->arena, "%s (and %zu more: status.lastProvisioned.changed)",
                                 n ? changed->items[0] : "", n - 1);
    if (n && text)
        ak_tool_tell(p, false, "PermissionsChanged", text);
}

static void forget_identity(struct ak_tool_planning *p)
{
    p->plan->status.identity = NULL;
    p->plan->recall.minted = 0;
}

static void settle(struct ak_tool_planning *p, const struct ak_tool_pod_view *pod,
                   enum ak_tool_role role)
{
    struct ak_tool_status *s = &p->plan->status;
    if (role == AK_TOOL_ROLE_PROVISION) {
        s->permissions_hash = pod->hash;
        tell_changes(p, &pod->outcome.changed);
        return;
    }
    s->permissions_hash = NULL;
    forget_identity(p);
    p->plan->drop_identity = !p->meta->deleting; /* else it goes with the Tool */
    ak_tool_tell(p, false, "PermissionsRemoved",
                 "the users that were made in the system are removed");
}

static int record(struct ak_tool_planning *p, const struct ak_tool_pod_view *pod,
                  enum ak_tool_role role)
{
    const struct ak_tool_provisioning *was = p->old->last_provisioned;
    struct ak_tool_provisioning *now = ak_arena_alloc(p->arena, sizeof(*now));
    if (!now)
        return ak_error_oom(p->reterr);
    now->time = p->o->now;
    now->succeeded =
        pod->has_outcome && pod->outcome.done && !pod->failed && !pod->outcome.unenforceable.len;
    now->message = say_of(pod);
    now->changed = pod->outcome.changed;
    now->unenforceable = pod->outcome.unenforceable;
    now->failures = now->succeeded ? 0 : (was ? was->failures : 0) + 1;
    now->hash = ak_tool_record_of(p, pod);
    if (!now->hash)
        return ak_error_oom(p->reterr);
    p->plan->status.last_provisioned = now;
    if (now->succeeded)
        settle(p, pod, role);
    else if (now->unenforceable.len)
        p->plan->status.permissions_hash = NULL;
    ak_tool_again(p, WORK_AGAIN); /* in case the wake-up by our own status write is lost */
    return 0;
}

/* ---- work ---- */

/* A Job's name is a label of its pods, so it is short: of a long name of the Tool a part. */
static int job_name(const struct ak_tool_planning *p, const struct work *w,
                    char ret[static JOB_NAME_SIZE])
{
    static const char middle[] = "-permissions-";
    const char *const texts[] = {w->hash, p->meta->uid};
    char digest[AK_TOOL_HASH_LEN + 1];
    size_t len = strnlen(p->meta->name, JOB_NAME_SIZE - sizeof(middle) - JOB_DIGITS);
    while (len && strchr(".-", p->meta->name[len - 1])) /* cut between two words */
        len--;
    if (ak_tool_hash(digest, texts, AK_ARRAY_LEN(texts)) < 0)
        return ak_error_oom(p->reterr);
    (void)snprintf(ret, JOB_NAME_SIZE, "%.*s%s%.*s", (int)len, p->meta->name, middle, JOB_DIGITS,
                   digest);
    return 0;
}

static int create_work(struct ak_tool_planning *p, const struct work *w, bool as_job)
{
    char name[JOB_NAME_SIZE];
    int r = as_job ? job_name(p, w, name) : 0;
    if (r < 0)
        return r;
    const char *image = ak_tool_image(w->spec);
    const struct ak_tool_pod_input in = {
        .role = w->role,
        .name = as_job ? name : p->names.worker,
        .meta = p->meta,
        .spec = w->spec,
        .text = w->text,
        .info = ak_engine_info(w->spec->type),
        .options = p->o->options,
        .image = image ? image : p->m.image,
        .account = p->names.bastion,
        .identity = p->names.identity,
        .hash = w->hash,
        .unowned = w->unowned,
    };
    if (!as_job)
        return ak_tool_pod_build(&in, &p->plan->worker, p->reterr);
    (void)snprintf(p->plan->recall.job, sizeof(p->plan->recall.job), "%s", w->hash);
    p->plan->recall.job_since = p->o->uptime;
    return ak_tool_job_build(&in, &p->plan->job, p->reterr);
}

/* Nothing runs. What the last result was, and how long ago, decides. */
static int start_work(struct ak_tool_planning *p, const struct work *w)
{
    const struct ak_tool_provisioning *last = p->old->last_provisioned;
    const struct ak_tool_recall *recall = &p->o->recall;
    bool tried = last && ak_tool_record_is_for(last->hash, w->hash);
    ak_msec until = tried && !last->succeeded ? last->time + ak_tool_backoff(last->failures) : 0;
    if (!w->needed)
        return 0;
    if (until > p->o->now) {
        ak_tool_again(p, until - p->o->now);
        return 0;
    }
    if (!w->as_job)
        return create_work(p, w, /* as_job= */ false);
    if (!ak_streq(recall->job, w->hash))
        return create_work(p, w, /* as_job= */ true);
    ak_msec left = recall->job_since + AK_TOOL_JOB_SEEN - p->o->uptime;
    if (left <= 0)
        return create_work(p, w, /* as_job= */ false);
    ak_tool_again(p, left);
    return 0;
}

/* A pod of a Job is left alone: the Job belongs to the Tool, and goes with it. */
static int follow_job(struct ak_tool_planning *p, const struct work *w)
{
    return p->job.state == AK_TOOL_POD_ENDED ? record(p, &p->job, w->role) : 0;
}

/* What must wait, or be done, about the pod that is there. */
static int do_work(struct ak_tool_planning *p, const struct work *w)
{
    const struct ak_tool_provisioning *last = p->old->last_provisioned;
    const struct ak_tool_pod_view *pod = &p->worker;
    bool same = ak_streq(pod->hash, w->hash) && ak_streq(pod->role, ak_tool_role_name(w->role));
    switch (pod->state) {
    case AK_TOOL_POD_ABSENT:
        if (p->job.pod && w->as_job && ak_streq(p->job.hash, w->hash))
            return follow_job(p, w);
        return start_work(p, w);
    case AK_TOOL_POD_ENDED:
        if (same && !(last && ak_tool_is_recorded(last->hash, pod)))
            return record(p, pod, w->role);
        ak_tool_remove(p, pod->pod, NULL, NULL);
        return 0;
    case AK_TOOL_POD_LIVING:
    case AK_TOOL_POD_READY:
        if (!same)
            ak_tool_remove(p, pod->pod, NULL, NULL);
        return 0;
    case AK_TOOL_POD_FOREIGN:
        p->standing_text = ak_arena_printf(
            p->arena, "pod \"%s\" exists and does not belong to this Tool; delete it",
            p->names.worker);
        ak_tool_again(p, AK_SECONDS(30));
        return p->standing_text ? 0 : ak_error_oom(p->reterr);
    default:
        return 0; /* on its way out, which wakes us */
    }
}

/* ---- removing ---- */

/* What there was made from is not known, or cannot be used any more. */
static int give_up(struct ak_tool_planning *p)
{
    char reader[AK_IDENTITY_NAME_SIZE] = "", writer[AK_IDENTITY_NAME_SIZE] = "";
    if (ak_identity_name(p->meta->uid, false, reader, sizeof(reader)) < 0 ||
        ak_identity_name(p->meta->uid, true, writer, sizeof(writer)) < 0)
        return ak_error_oom(p->reterr);
    const char *text =
        ak_arena_printf(p->arena,
                        "the users %s and %s, if they are in the system, stay there: nothing says "
                        "any more how they were made; remove them by hand",
                        reader, writer);
    if (!text)
        return ak_error_oom(p->reterr);
    ak_tool_tell(p, true, "PermissionsLeftBehind", text);
    p->plan->status.permissions_hash = NULL;
    forget_identity(p);
    p->plan->drop_identity = true;
    return 1;
}

static bool can_clean(const struct ak_tool_spec *spec)
{
    return spec && spec->permissions && spec->permissions->admin_credentials_ref &&
           ak_engine_info(spec->type);
}

int ak_tool_plan_cleanup(struct ak_tool_planning *p)
{
    char digest[AK_TOOL_HASH_LEN + 1], hash[AK_TOOL_HASH_SIZE];
    if (!ak_tool_has_earlier(p))
        return 1;
    if (!p->o->asked) {
        p->plan->ask = true;
        return 0;
    }
    const struct ak_tool_spec *spec = p->o->earlier;
    const char *text = p->o->earlier_text;
    if (!can_clean(spec) && p->m.is_provisioned) {
        spec = p->spec;
        text = p->m.text;
    }
    if (!can_clean(spec) || !text)
        return give_up(p);
    if (ak_tool_hash(digest, &text, 1) < 0)
        return ak_error_oom(p->reterr);
    (void)snprintf(hash, sizeof(hash), "cleanup-%s", digest);
    const struct work w = {.role = AK_TOOL_ROLE_DEPROVISION,
                           .hash = ak_arena_strdup(p->arena, hash),
                           .spec = spec,
                           .text = text,
                           .needed = true,
                           .unowned = p->meta->deleting != 0};
    int r = w.hash ? do_work(p, &w) : ak_error_oom(p->reterr);
    if (r < 0)
        return r;
    if (!p->plan->status.permissions_hash && !p->plan->status.identity)
        return 1;
    const struct ak_tool_provisioning *last = p->plan->status.last_provisioned;
    bool failed = last && !last->succeeded && ak_tool_record_is_for(last->hash, w.hash);
    if (!p->standing_text)
        p->standing_text = ak_arena_printf(
            p->arena, "the users that were made in the system are being removed%s%s",
            failed ? ", which did not succeed yet: " : "",
            failed ? last->message : ak_tool_aside(p, &p->worker));
    return p->standing_text ? 0 : ak_error_oom(p->reterr);
}

/* The users are in a system that is not this one any more, or nobody wants them. */
static bool is_elsewhere(struct ak_tool_planning *p, int *ret_error)
{
    char place[AK_TOOL_HASH_LEN + 1];
    if (!ak_tool_has_earlier(p))
        return false;
    if (!p->m.is_provisioned)
        return true;
    if (p->old->permissions_hash)
        return !is_of_place(p->old->permissions_hash, p->m.place);
    if (ak_streq(p->old->identity->hash, p->m.made_for))
        return false;
    if (!p->o->asked) { /* nothing was finished with them; were they begun elsewhere? */
        p->plan->ask = true;
        return false;
    }
    if (!p->o->earlier)
        return false;
    *ret_error = ak_tool_place_of(p->o->earlier, place);
    return *ret_error >= 0 && !is_of_place(place, p->m.place);
}

/* ---- making ---- */

static bool is_seen(const struct ak_tool_identity *seen, const struct ak_tool_recall *recall)
{
    ak_msec later = seen ? seen->rotated_time / AK_SECONDS(1) - recall->minted / AK_SECONDS(1) : -1;
    return later > 0 || (later == 0 && ak_streq(seen->hash, recall->minted_for));
}

/*
 * A reconcile that is woken between our write of the status and the cache's word of it would mint other passwords, and
 * make a second Job for them.
 */
int ak_tool_recall_identity(struct ak_tool_planning *p)
{
    const struct ak_tool_recall *recall = &p->o->recall;
    if (!recall->minted || p->o->uptime - recall->minted_since > SETTLED ||
        is_seen(p->old->identity, recall))
        return 0;
    struct ak_tool_identity *id = ak_arena_alloc(p->arena, sizeof(*id));
    if (!id)
        return ak_error_oom(p->reterr);
    id->rotated_time = recall->minted;
    id->hash = recall->minted_for;
    p->remembered = *p->old;
    p->remembered.identity = id;
    p->old = &p->remembered;
    return 0;
}

/* New passwords when nobody uses the old ones; new users when there are none, or for something else. */
static bool wants_mint(const struct ak_tool_planning *p)
{
    const struct ak_tool_identity *id = p->old->identity;
    ak_msec age = id ? p->o->now - id->rotated_time : 0;
    if (!id || !ak_streq(id->hash, p->m.made_for))
        return true;
    if (!p->o->identity.found && age > SETTLED)
        return true;
    return age >= AK_TOOL_ROTATE_EVERY && !p->o->use.sessions && !p->o->use.wanted &&
           (p->bastion.state != AK_TOOL_POD_READY || p->o->use.is_known);
}

static int plan_mint(struct ak_tool_planning *p)
{
    bool works = p->worker.state == AK_TOOL_POD_LIVING || p->worker.state == AK_TOOL_POD_READY;
    struct ak_tool_identity *id = ak_arena_alloc(p->arena, sizeof(*id));
    if (!id)
        return ak_error_oom(p->reterr);
    if (works) { /* it would set passwords that are gone */
        ak_tool_remove(p, p->worker.pod, NULL, NULL);
        return 0;
    }
    id->rotated_time = p->o->now;
    id->hash = ak_arena_strdup(p->arena, p->m.made_for);
    if (!id->hash)
        return ak_error_oom(p->reterr);
    p->plan->mint = true;
    p->plan->text = p->m.text;
    p->plan->status.identity = id;
    p->plan->recall.minted = id->rotated_time;
    p->plan->recall.minted_since = p->o->uptime;
    (void)snprintf(p->plan->recall.minted_for, AK_TOOL_MADE_FOR_SIZE, "%s", id->hash);
    ak_tool_again(p, WORK_AGAIN);
    return 0;
}

static void stand(struct ak_tool_planning *p, enum ak_tool_standing standing, const char *text)
{
    p->standing = standing;
    if (!p->standing_text)
        p->standing_text = text;
}

/* What the last result means, which may be one of this very moment. */
static int judge(struct ak_tool_planning *p, const char *hash)
{
    const struct ak_tool_status *s = &p->plan->status;
    const struct ak_tool_provisioning *last = s->last_provisioned;
    bool ours = last && is_for_permissions(p, last->hash);
    const char *text;
    if (ours && last->unenforceable.len) {
        stand(p, AK_TOOL_STANDING_UNENFORCEABLE, last->unenforceable.items[0]);
        return 0;
    }
    if (hash && ak_streq(s->permissions_hash, hash)) {
        p->check_failed = ours && !last->succeeded;
        stand(p, AK_TOOL_STANDING_IN_FORCE, p->check_failed && last->message ? last->message : "");
        return 0;
    }
    if (ours && !last->succeeded) {
        stand(p, AK_TOOL_STANDING_FAILED, last->message ? last->message : "it did not succeed");
        return 0;
    }
    text = ak_arena_printf(p->arena, "the users that the permissions mean are being made%s",
                           ak_tool_aside(p, p->worker.pod ? &p->worker : &p->job));
    stand(p, AK_TOOL_STANDING_UNDER_WAY, text);
    return text ? 0 : ak_error_oom(p->reterr);
}

static int plan_provision(struct ak_tool_planning *p)
{
    const struct ak_tool_provisioning *last = p->old->last_provisioned;
    char hash[AK_TOOL_HASH_SIZE];
    int r = make_hash(p, hash);
    if (r < 0)
        return r;
    bool in_force = ak_streq(p->old->permissions_hash, hash);
    ak_msec check = last ? last->time + ak_tool_spread(p, AK_TOOL_DRIFT_EVERY) : 0;
    const struct work w = {.role = AK_TOOL_ROLE_PROVISION,
                           .hash = ak_arena_strdup(p->arena, hash),
                           .spec = p->spec,
                           .text = p->m.text,
                           .needed = !in_force || p->o->now >= check,
                           .as_job = !(last && is_for_permissions(p, last->hash))};
    r = w.hash ? do_work(p, &w) : ak_error_oom(p->reterr);
    if (r < 0)
        return r;
    if (in_force && !w.needed)
        ak_tool_again(p, check - p->o->now);
    return judge(p, hash);
}

int ak_tool_plan_work(struct ak_tool_planning *p)
{
    int failed = 0;
    bool elsewhere = is_elsewhere(p, &failed);
    if (failed < 0)
        return ak_error_oom(p->reterr);
    if (p->plan->ask)
        return 0;
    if (elsewhere) {
        int r = ak_tool_plan_cleanup(p);
        if (r < 0 || p->plan->ask)
            return r < 0 ? r : 0;
        if (r == 0)
            p->standing = AK_TOOL_STANDING_UNDER_WAY;
        if (r == 0 || p->m.is_provisioned) /* the next reconcile goes on */
            ak_tool_again(p, WORK_AGAIN);
        if (r > 0 && p->m.is_provisioned)
            stand(p, AK_TOOL_STANDING_UNDER_WAY, "the system is another one now");
        return 0;
    }
    if (!p->m.is_provisioned) {
        if (p->worker.state == AK_TOOL_POD_ENDED) /* of the removal */
            ak_tool_remove(p, p->worker.pod, NULL, NULL);
        return 0;
    }
    if (!wants_mint(p))
        return plan_provision(p);
    int r = plan_mint(p);
    return r < 0 ? r : judge(p, NULL);
}
