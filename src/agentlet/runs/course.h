/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The course of one run, decided and not done: which step is next, when a process is asked to end and
 * when it is ended, when all that the run has left behind is gone. Who owns it does what
 * ak_course_next() says until it says AK_ACT_WAIT, and tells it what happened. Pure; time is a parameter.
 *
 *     READY -> RUNNING -> (TERMINATING -> KILLED ->) READY ... -> SWEEPING -> DONE
 */
#ifndef AK_AGENTLET_RUNS_COURSE_H
#define AK_AGENTLET_RUNS_COURSE_H

#include <ak/base/compiler.h>
#include <ak/base/time.h>
#include <stdbool.h>
#include <stddef.h>

#include "agentlet/runs/request.h"

/* Why a run ends before its time. The first one counts. */
enum ak_stop { AK_STOP_NONE, AK_STOP_CANCELLED, AK_STOP_TIMED_OUT, AK_STOP_SHUTDOWN };

enum ak_act {
    AK_ACT_WAIT, /* until ak_course_deadline(), or something happens */
    AK_ACT_START, /* start step `step`, attempt `attempt`; ak_course_step_ended() when it has ended */
    AK_ACT_TERM,       /* TERM to the step's process group */
    AK_ACT_KILL,       /* KILL to it */
    AK_ACT_SWEEP_TERM, /* TERM to all that the run has left; ak_course_swept() */
    AK_ACT_SWEEP_LOOK, /* count them */
    AK_ACT_SWEEP_KILL, /* KILL to them */
    AK_ACT_FINISH,     /* it is over; said once */
};

enum ak_course_state {
    AK_COURSE_READY,
    AK_COURSE_RUNNING,
    AK_COURSE_TERMINATING,
    AK_COURSE_KILLED,
    AK_COURSE_SWEEP,
    AK_COURSE_SWEEPING,
    AK_COURSE_SWEPT_KILL,
    AK_COURSE_DONE,
    AK_COURSE_OVER
};

struct ak_course {
    const struct ak_step *steps;
    size_t n_steps;
    ak_msec grace;
    enum ak_course_state state;
    enum ak_stop stop;
    size_t step;         /* n_steps: all are done */
    unsigned attempt;    /* of the step: 1, 2, ... */
    bool step_timed_out; /* the attempt was stopped by the step's own limit */
    bool failed;         /* `step` failed for good */
    ak_msec run_deadline;
    ak_msec step_deadline;
    ak_msec next; /* when this state wants to be looked at; AK_MSEC_NEVER: not by itself */
    ak_msec last; /* when sweeping becomes harder */
};

void ak_course_init(struct ak_course *self, const struct ak_step *steps, size_t n_steps,
                    ak_msec timeout, ak_msec grace, ak_msec now);
enum ak_act ak_course_next(struct ak_course *self, ak_msec now);
ak_msec ak_course_deadline(const struct ak_course *self);
void ak_course_stop(struct ak_course *self, enum ak_stop stop);
/* The process of the step is gone (or could not be started); `ok` if it did what it should. */
void ak_course_step_ended(struct ak_course *self, bool ok);
/* After each AK_ACT_SWEEP_...: how many processes there still are. */
void ak_course_swept(struct ak_course *self, size_t left);
/* Will the attempt that just ended be followed by another of the same step? To be asked before step_ended(). */
bool ak_course_will_retry(const struct ak_course *self);

#endif
