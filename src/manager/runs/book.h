/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runs of one Agent: records, and everything that can happen to them. Pure: no I/O, no clock, no lock; what
 * is decided here is decided by tables in tests. Who holds a book also sees to its lock.
 *
 *     accept ──▶ Pending ──bind──▶ Pending, with a pod ──heard──▶ Queued ──▶ Running ──▶ final
 *                   │                   │                            │          │
 *                   └── expire ─────────┴──── cancel ── lost ────────┴──────────┴──▶ final (our word)
 *
 * Two can say how a run ends: the agentlet that had it, and we, when there is nobody left to ask. What we said
 * ourselves (`assumed`) is corrected when the agentlet says it better; what it said stays.
 */
#ifndef AK_MANAGER_RUNS_BOOK_H
#define AK_MANAGER_RUNS_BOOK_H

#include <ak/api/agent.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/time.h>
#include <ak/json/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AK_BOOK_MAX_MESSAGE 256 /* bytes of a message in a record; more is cut */
#define AK_BOOK_MAX_NAME 256    /* bytes of who asked */
#define AK_BOOK_UNHELD AK_SECONDS(60)

/* One run. Texts are its own; absent ones are NULL. */
struct ak_run {
    char *id;
    enum ak_run_phase phase;
    enum ak_run_trigger trigger;
    char *requested_by;
    ak_msec scheduled, queued, started, completed; /* wall; 0: not (yet) */
    char *pod_uid;                                 /* the pod that has it, or may have it */
    bool has_exit_code;
    int64_t exit_code;
    char *reason, *message;
    int64_t input_tokens, output_tokens; /* 0: unknown */
    char *cost;                          /* US dollars */

    /* What no status shows. */
    bool assumed;           /* its end is our own word */
    bool told;              /* the agentlet of pod_uid has it */
    bool cancel_wanted;     /* the agentlet is to be told, as soon as it has it */
    bool cancel_sent;       /* it was */
    int refused;            /* HTTP status with which the agentlet refused it; 0: it did not */
    char *cancel_why;       /* what it is told then; NULL: no words */
    char *prompt;           /* while Pending; NULL: none */
    ak_msec timeout;        /* asked for; 0: the Agent's */
    unsigned holders;       /* requests that wait for it */
    ak_msec unheld_since;   /* monotonic, while nobody waits for it */
    enum ak_run_phase news; /* the phase that an Event told last */
};

/* What the Agent's spec says about its runs. */
struct ak_book_rules {
    size_t max_queued, max_retained;
    enum ak_agent_concurrency concurrency;
    bool persistent; /* its workspace outlives a pod */
    bool paused;
};

struct ak_book {
    struct ak_run **items; /* by when they were accepted, newest first */
    size_t len, cap;
    ak_msec last_schedule; /* wall; 0: never */
    ak_msec last_run_time; /* wall; when the last one began; 0: never */
    enum ak_run_phase last_run_phase;
    ak_msec last_queued; /* of the one that last_run_phase is about */
    uint64_t version;    /* moves with whatever the status shows */
    struct ak_book_rules rules;
};
void ak_book_done(struct ak_book *self);
AK_DEFINE_AUTO(ak_book, ak_book_done)
/* An empty book, filled from a status. -ENOMEM: nothing is in it. */
AK_MUST_USE int ak_book_load(struct ak_book *self, const struct ak_agent_status *status,
                             ak_msec monotonic);
void ak_book_rules_of(const struct ak_agent_spec *spec, struct ak_book_rules *ret);

bool ak_run_is_final(enum ak_run_phase phase);
struct ak_run *ak_book_find(const struct ak_book *self, const char *id); /* or NULL */
size_t ak_book_active(const struct ak_book *self);
/* The next that is to be given to this pod: scheduled, or held by somebody, and in no other.
 * Oldest first; NULL: none. */
struct ak_run *ak_book_next(const struct ak_book *self, const char *pod_uid);
/* The next that the agentlet of this pod is to be told to stop; NULL: none. */
struct ak_run *ak_book_next_cancel(const struct ak_book *self, const char *pod_uid);
/* A pod that an active run is bound to and that is not this one (NULL: any); borrowed, NULL: there
 * is none. */
const char *ak_book_other_pod(const struct ak_book *self, const char *pod_uid);
/* Is it in this pod, or may it be? */
bool ak_book_is_in_pod(const struct ak_book *self, const char *pod_uid);

/* ---- what we do ---- */

struct ak_book_ask {
    const char *id;
    enum ak_run_trigger trigger;
    const char *requested_by, *prompt; /* may be NULL */
    ak_msec scheduled, timeout;
};
/* ret is a new Pending run, or the one of that id. 1: new; 0: it is there already; -ENOBUFS: as
 * many wait as may; -ENOMEM. One that nobody can have begun (RequestLost, never bound) begins anew
 * when it is asked for again. */
AK_MUST_USE int ak_book_accept(struct ak_book *self, const struct ak_book_ask *ask, ak_msec wall,
                               ak_msec monotonic, struct ak_run **ret);
/* From now on this pod may have it. 1: changed. */
AK_MUST_USE int ak_book_bind(struct ak_book *self, struct ak_run *run, const char *pod_uid);
void ak_book_hold(struct ak_book *self, struct ak_run *run);
/* The last one that goes takes the prompt with it, and a run that was refused: it may be gone
 * afterwards. */
void ak_book_let_go(struct ak_book *self, struct ak_run *run, ak_msec monotonic);
/* Ends it in our own words. */
AK_MUST_USE int ak_book_end(struct ak_book *self, struct ak_run *run, enum ak_run_phase phase,
                            const char *reason, const char *message, ak_msec wall);
/* The write of it did not succeed: as if it had not been asked for. */
void ak_book_forget(struct ak_book *self, struct ak_run *run);
/* The agentlet does not take it. Who waits is told so; then it is as if it had not been asked for. */
AK_MUST_USE int ak_book_refuse(struct ak_book *self, struct ak_run *run, int http_status,
                               const char *reason, const char *message, ak_msec wall);

enum ak_book_fired {
    AK_BOOK_FIRED_NOT,     /* that time was dealt with already */
    AK_BOOK_FIRED_RUN,     /* *ret is Pending */
    AK_BOOK_FIRED_SKIPPED, /* *ret is Skipped */
};
/* One firing. Replace wants the others cancelled: those that no pod has are, the others have
 * cancel_wanted set. */
AK_MUST_USE int ak_book_fire(struct ak_book *self, const char *agent_uid, ak_msec scheduled,
                             bool too_late, ak_msec wall, ak_msec monotonic, struct ak_run **ret);
/* Marks it; one that no pod can have ends at once. 1: changed what the status shows. */
AK_MUST_USE int ak_book_cancel(struct ak_book *self, struct ak_run *run, const char *message,
                               ak_msec wall);
/* Pending invocations that nobody has waited for since AK_BOOK_UNHELD end. *ret_next: monotonic,
 * when to look again; AK_MSEC_NEVER. 1: something changed. */
AK_MUST_USE int ak_book_expire(struct ak_book *self, ak_msec wall, ak_msec monotonic,
                               ak_msec *ret_next);
/* Drops finished ones beyond max_retained. */
void ak_book_retain(struct ak_book *self);

/* ---- what we hear ---- */

/* A record of the agentlet in that pod. 1: what the status shows has changed; 0: it has not;
 * AK_E_INVALID: it is no record; -ENOMEM. One that we do not know is not taken in: only we start
 * runs. */
AK_MUST_USE int ak_book_heard(struct ak_book *self, const json_t *record, const char *pod_uid);
/* `ids` are all that the agentlet of the pod has. Who is said to be there and is not, is lost. 1:
 * something changed. */
AK_MUST_USE int ak_book_heard_all(struct ak_book *self, const char *pod_uid,
                                  bool (*has)(const char *id, void *user), void *user,
                                  ak_msec wall);
/* The pods of these runs, but for `pod_uid` (NULL: all), are gone; `why` for the message, may be
 * NULL. 1: something changed. */
AK_MUST_USE int ak_book_pod_gone(struct ak_book *self, const char *pod_uid, const char *why,
                                 ak_msec wall);

/* ---- how it is written ---- */

/* {"status": {...}}: the fields that are ours, and no others. Older finished ones are left out
 * beyond `max` bytes. */
AK_MUST_USE int ak_book_status(const struct ak_book *self, size_t max, json_t **ret,
                               struct ak_error **reterr);
/* As the API shows it. */
AK_MUST_USE int ak_run_json(const struct ak_run *run, const char *ns, const char *agent,
                            json_t **ret, struct ak_error **reterr);
/* The same of a record in a status. */
AK_MUST_USE int ak_run_record_json(const struct ak_agent_run_record *record, const char *ns,
                                   const char *agent, json_t **ret, struct ak_error **reterr);

/* ---- names ---- */

#define AK_RUN_ID_SIZE 64
AK_MUST_USE int ak_run_id_of_key(const char *agent_uid, const char *key,
                                 char ret[static AK_RUN_ID_SIZE]);
AK_MUST_USE int ak_run_id_random(char ret[static AK_RUN_ID_SIZE]);
AK_MUST_USE int ak_run_id_of_schedule(const char *agent_uid, ak_msec scheduled,
                                      char ret[static AK_RUN_ID_SIZE]);

#endif
