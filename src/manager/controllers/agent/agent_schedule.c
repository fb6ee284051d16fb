/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which time of the schedule is due. Two marks tell what has been dealt with: the book's last time that was
 * acted upon, and the next time that the status promised. A time before that promise is not due, whatever
 * the clock did since: that an Agent was paused or had another schedule then is no reason to run it now.
 */
#include <ak/base/text.h>

#include "manager/admission/validate.h"
#include "manager/controllers/agent/agent_internal.h"

/* Is the schedule the one of the status? */
static bool is_known(const struct ak_agent_status *old, const struct ak_agent_schedule *schedule)
{
    const struct ak_agent_resolved_schedule *s = old->resolved ? old->resolved->schedule : NULL;
    return s && ak_streq(s->cron, schedule->cron) && ak_streq(s->time_zone, schedule->time_zone);
}

ak_msec ak_agent_schedule_since(const struct ak_agent_observed *o)
{
    const struct ak_agent_spec *spec = ak_agent_spec_of(o);
    const struct ak_agent_status *old = ak_agent_status_of(o);
    const struct ak_condition *paused =
        old ? ak_condition_find(old->conditions.items, old->conditions.len, "Paused") : NULL;
    ak_msec since = o->now;
    if (!paused && !spec->paused)
        since = AK_MIN(ak_object_meta(o->agent)->created, o->now); /* never looked at */
    else if (paused && !spec->paused && ak_streq(paused->status, "False") &&
             is_known(old, spec->schedule) && old->next_run_time)
        since = old->next_run_time - 1;
    return AK_MAX(since, o->runs.last_schedule);
}

int ak_agent_schedule_observe(struct ak_agent_observed *o, struct ak_arena *arena,
                              struct ak_error **reterr)
{
    const struct ak_agent_schedule *schedule = ak_agent_spec_of(o)->schedule;
    const struct ak_schedule_query when = {
        .zoneinfo_dir = o->options->zoneinfo_dir,
        .now = o->now,
        .since = ak_agent_schedule_since(o),
        .anchor = ak_object_meta(o->agent)->created,
    };
    struct ak_schedule_times times = {0};
    int r = ak_agent_schedule_times(schedule, when, arena, &times, &o->schedule_error, reterr);
    o->next_run = times.next;
    o->due = times.due;
    return r;
}

bool ak_agent_schedule_is_late(const struct ak_agent_observed *o, ak_msec due)
{
    const struct ak_opt_int *deadline = &ak_agent_spec_of(o)->schedule->starting_deadline_seconds;
    return deadline->set &&
           o->now - due > AK_SECONDS(deadline->value) + AK_AGENT_SCHEDULE_TOLERANCE;
}
