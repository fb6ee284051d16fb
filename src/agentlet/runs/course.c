/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/runs/course.h"

#define SWEEP_EVERY 20                /* ms between two looks at what is left */
#define SWEEP_LAST_WAIT AK_SECONDS(2) /* for what KILL does not end at once */

static ak_msec after(ak_msec now, ak_msec span)
{
    return span == AK_MSEC_NEVER ? AK_MSEC_NEVER : now + span;
}

void ak_course_init(struct ak_course *self, const struct ak_step *steps, size_t n_steps,
                    ak_msec timeout, ak_msec grace, ak_msec now)
{
    *self = (struct ak_course){
        .steps = steps,
        .n_steps = n_steps,
        .grace = grace,
        .run_deadline = after(now, timeout),
        .step_deadline = AK_MSEC_NEVER,
        .next = AK_MSEC_NEVER,
        .last = AK_MSEC_NEVER,
    };
}

void ak_course_stop(struct ak_course *self, enum ak_stop stop)
{
    if (self->stop == AK_STOP_NONE && self->state < AK_COURSE_SWEEP)
        self->stop = stop;
}

static bool has_process(const struct ak_course *self)
{
    return self->state == AK_COURSE_RUNNING || self->state == AK_COURSE_TERMINATING ||
           self->state == AK_COURSE_KILLED;
}

static enum ak_act start_step(struct ak_course *self, ak_msec now)
{
    if (self->stop != AK_STOP_NONE || self->failed || self->step == self->n_steps) {
        self->state = AK_COURSE_SWEEP;
        return AK_ACT_WAIT;
    }
    self->attempt++;
    self->step_timed_out = false;
    self->step_deadline = after(now, self->steps[self->step].timeout);
    self->state = AK_COURSE_RUNNING;
    return AK_ACT_START;
}

static enum ak_act watch_step(struct ak_course *self, ak_msec now)
{
    if (self->stop == AK_STOP_NONE && now < self->step_deadline)
        return AK_ACT_WAIT;
    self->step_timed_out = self->stop == AK_STOP_NONE;
    self->state = AK_COURSE_TERMINATING;
    self->next = now + self->grace;
    return AK_ACT_TERM;
}

static enum ak_act kill_step(struct ak_course *self, ak_msec now)
{
    if (now < self->next)
        return AK_ACT_WAIT;
    self->state = AK_COURSE_KILLED;
    self->next = AK_MSEC_NEVER;
    return AK_ACT_KILL;
}

static enum ak_act begin_sweep(struct ak_course *self, ak_msec now)
{
    self->state = AK_COURSE_SWEEPING;
    self->next = now + SWEEP_EVERY;
    self->last = now + self->grace;
    return AK_ACT_SWEEP_TERM;
}

static enum ak_act sweep(struct ak_course *self, ak_msec now)
{
    if (now < self->next)
        return AK_ACT_WAIT;
    self->next = now + SWEEP_EVERY;
    if (now < self->last)
        return AK_ACT_SWEEP_LOOK;
    if (self->state == AK_COURSE_SWEEPING) {
        self->state = AK_COURSE_SWEPT_KILL;
        self->last = now + SWEEP_LAST_WAIT;
        return AK_ACT_SWEEP_KILL;
    }
    self->state = AK_COURSE_DONE;
    return AK_ACT_WAIT;
}

static enum ak_act act(struct ak_course *self, ak_msec now)
{
    switch (self->state) {
    case AK_COURSE_READY:
        return start_step(self, now);
    case AK_COURSE_RUNNING:
        return watch_step(self, now);
    case AK_COURSE_TERMINATING:
        return kill_step(self, now);
    case AK_COURSE_SWEEP:
        return begin_sweep(self, now);
    case AK_COURSE_SWEEPING:
    case AK_COURSE_SWEPT_KILL:
        return sweep(self, now);
    case AK_COURSE_DONE:
        self->state = AK_COURSE_OVER;
        self->next = AK_MSEC_NEVER;
        return AK_ACT_FINISH;
    case AK_COURSE_KILLED:
    case AK_COURSE_OVER:
        break;
    }
    return AK_ACT_WAIT;
}

enum ak_act ak_course_next(struct ak_course *self, ak_msec now)
{
    enum ak_course_state before = self->state;
    enum ak_act what = AK_ACT_WAIT;

    if (now >= self->run_deadline)
        ak_course_stop(self, AK_STOP_TIMED_OUT);
    /* A state that only leads to another has nothing to do itself. */
    do {
        before = self->state;
        what = act(self, now);
    } while (what == AK_ACT_WAIT && self->state != before);
    return what;
}

ak_msec ak_course_deadline(const struct ak_course *self)
{
    ak_msec first = self->next;

    if (self->state == AK_COURSE_READY || self->state == AK_COURSE_SWEEP ||
        self->state == AK_COURSE_DONE)
        return 0;
    if (self->state == AK_COURSE_RUNNING) {
        if (self->stop != AK_STOP_NONE)
            return 0;
        first = AK_MIN(self->step_deadline, self->run_deadline);
    }
    return first;
}

bool ak_course_will_retry(const struct ak_course *self)
{
    return self->stop == AK_STOP_NONE && self->step < self->n_steps &&
           self->attempt <= self->steps[self->step].retries;
}

void ak_course_step_ended(struct ak_course *self, bool ok)
{
    if (!has_process(self))
        return;
    self->state = AK_COURSE_READY;
    self->next = AK_MSEC_NEVER;
    self->step_deadline = AK_MSEC_NEVER;
    if (self->stop != AK_STOP_NONE)
        return;
    if ((!ok || self->step_timed_out) && ak_course_will_retry(self))
        return;
    if ((!ok || self->step_timed_out) && !self->steps[self->step].continue_on_error) {
        self->failed = true;
        return;
    }
    self->step++;
    self->attempt = 0;
}

void ak_course_swept(struct ak_course *self, size_t left)
{
    if (left == 0 && (self->state == AK_COURSE_SWEEPING || self->state == AK_COURSE_SWEPT_KILL)) {
        self->state = AK_COURSE_DONE;
        self->next = AK_MSEC_NEVER;
    }
}
