/* SPDX-License-Identifier: Apache-2.0 */
/* Generated from api/v1alpha1/agent.yaml by api/generate.py: change that file, not this one. */
/*
 * An Agent is one coding or automation agent: a runtime with a goal, a model and the tools that it
 * may use. The manager keeps exactly one pod for it, with the same name.
 */
#ifndef AK_API_AGENT_H
#define AK_API_AGENT_H

#include <ak/api/types.h>
#include <ak/base/compiler.h>
#include <ak/base/time.h>
#include <ak/json/decode.h>
#include <ak/kube/condition.h>
#include <ak/kube/resource.h>
#include <stdbool.h>
#include <stdint.h>

/* The agent's command line program. It selects the image; Custom needs spec.image. */
enum ak_agent_runtime {
    AK_AGENT_RUNTIME_UNSET, /* the field is absent */
    AK_AGENT_RUNTIME_CLAUDE_CODE,
    AK_AGENT_RUNTIME_CODEX,
    AK_AGENT_RUNTIME_OPEN_CODE,
    AK_AGENT_RUNTIME_AIDER,
    AK_AGENT_RUNTIME_CLINE,
    AK_AGENT_RUNTIME_GOOSE,
    AK_AGENT_RUNTIME_CURSOR,
    AK_AGENT_RUNTIME_CUSTOM,
    AK_AGENT_RUNTIME_MAX,
};
extern AK_PUBLIC const char *const ak_agent_runtime_names[]; /* as in JSON; NULL ends it */
static inline const char *ak_agent_runtime_to_string(enum ak_agent_runtime value)
{
    return ak_enum_to_string(ak_agent_runtime_names, AK_AGENT_RUNTIME_MAX, (int)value);
}
static inline enum ak_agent_runtime ak_agent_runtime_from_string(const char *text)
{
    return (enum ak_agent_runtime)ak_enum_from_string(ak_agent_runtime_names, text);
}

/*
 * supervised: the agent chooses its steps towards the goal. system: the steps of spec.playbook run
 * in their order, which needs at least one step.
 */
enum ak_agent_mode {
    AK_AGENT_MODE_UNSET, /* the field is absent */
    AK_AGENT_MODE_SUPERVISED,
    AK_AGENT_MODE_SYSTEM,
    AK_AGENT_MODE_MAX,
};
extern AK_PUBLIC const char *const ak_agent_mode_names[]; /* as in JSON; NULL ends it */
static inline const char *ak_agent_mode_to_string(enum ak_agent_mode value)
{
    return ak_enum_to_string(ak_agent_mode_names, AK_AGENT_MODE_MAX, (int)value);
}
static inline enum ak_agent_mode ak_agent_mode_from_string(const char *text)
{
    return (enum ak_agent_mode)ak_enum_from_string(ak_agent_mode_names, text);
}

/*
 * What happens when a run is due and another is not finished. Allow: the new one is queued. Forbid:
 * it is skipped. Replace: the old one is stopped.
 */
enum ak_agent_concurrency {
    AK_AGENT_CONCURRENCY_UNSET, /* the field is absent */
    AK_AGENT_CONCURRENCY_ALLOW,
    AK_AGENT_CONCURRENCY_FORBID,
    AK_AGENT_CONCURRENCY_REPLACE,
    AK_AGENT_CONCURRENCY_MAX,
};
extern AK_PUBLIC const char *const ak_agent_concurrency_names[]; /* as in JSON; NULL ends it */
static inline const char *ak_agent_concurrency_to_string(enum ak_agent_concurrency value)
{
    return ak_enum_to_string(ak_agent_concurrency_names, AK_AGENT_CONCURRENCY_MAX, (int)value);
}
static inline enum ak_agent_concurrency ak_agent_concurrency_from_string(const char *text)
{
    return (enum ak_agent_concurrency)ak_enum_from_string(ak_agent_concurrency_names, text);
}

/* Access mode of the claim. Cannot be changed later. */
enum ak_agent_access_mode {
    AK_AGENT_ACCESS_MODE_UNSET, /* the field is absent */
    AK_AGENT_ACCESS_MODE_READ_WRITE_ONCE,
    AK_AGENT_ACCESS_MODE_READ_WRITE_MANY,
    AK_AGENT_ACCESS_MODE_READ_WRITE_ONCE_POD,
    AK_AGENT_ACCESS_MODE_MAX,
};
extern AK_PUBLIC const char *const ak_agent_access_mode_names[]; /* as in JSON; NULL ends it */
static inline const char *ak_agent_access_mode_to_string(enum ak_agent_access_mode value)
{
    return ak_enum_to_string(ak_agent_access_mode_names, AK_AGENT_ACCESS_MODE_MAX, (int)value);
}
static inline enum ak_agent_access_mode ak_agent_access_mode_from_string(const char *text)
{
    return (enum ak_agent_access_mode)ak_enum_from_string(ak_agent_access_mode_names, text);
}

/* What happens to the claim when the Agent is deleted. */
enum ak_agent_reclaim_policy {
    AK_AGENT_RECLAIM_POLICY_UNSET, /* the field is absent */
    AK_AGENT_RECLAIM_POLICY_DELETE,
    AK_AGENT_RECLAIM_POLICY_RETAIN,
    AK_AGENT_RECLAIM_POLICY_MAX,
};
extern AK_PUBLIC const char *const ak_agent_reclaim_policy_names[]; /* as in JSON; NULL ends it */
static inline const char *ak_agent_reclaim_policy_to_string(enum ak_agent_reclaim_policy value)
{
    return ak_enum_to_string(ak_agent_reclaim_policy_names, AK_AGENT_RECLAIM_POLICY_MAX,
                             (int)value);
}
static inline enum ak_agent_reclaim_policy ak_agent_reclaim_policy_from_string(const char *text)
{
    return (enum ak_agent_reclaim_policy)ak_enum_from_string(ak_agent_reclaim_policy_names, text);
}

/* The state in one word; the conditions say why. */
enum ak_agent_phase {
    AK_AGENT_PHASE_UNSET, /* the field is absent */
    AK_AGENT_PHASE_PENDING,
    AK_AGENT_PHASE_PAUSED,
    AK_AGENT_PHASE_STARTING,
    AK_AGENT_PHASE_RUNNING,
    AK_AGENT_PHASE_SUSPENDED,
    AK_AGENT_PHASE_FAILED,
    AK_AGENT_PHASE_TERMINATING,
    AK_AGENT_PHASE_MAX,
};
extern AK_PUBLIC const char *const ak_agent_phase_names[]; /* as in JSON; NULL ends it */
static inline const char *ak_agent_phase_to_string(enum ak_agent_phase value)
{
    return ak_enum_to_string(ak_agent_phase_names, AK_AGENT_PHASE_MAX, (int)value);
}
static inline enum ak_agent_phase ak_agent_phase_from_string(const char *text)
{
    return (enum ak_agent_phase)ak_enum_from_string(ak_agent_phase_names, text);
}

/*
 * Pending: it waits for the pod. Queued: for other runs. Interrupted: the pod ended under it; it is
 * not repeated. Skipped: its time passed, or another run was under way.
 */
enum ak_run_phase {
    AK_RUN_PHASE_UNSET, /* the field is absent */
    AK_RUN_PHASE_PENDING,
    AK_RUN_PHASE_QUEUED,
    AK_RUN_PHASE_RUNNING,
    AK_RUN_PHASE_SUCCEEDED,
    AK_RUN_PHASE_FAILED,
    AK_RUN_PHASE_CANCELLED,
    AK_RUN_PHASE_TIMED_OUT,
    AK_RUN_PHASE_INTERRUPTED,
    AK_RUN_PHASE_SKIPPED,
    AK_RUN_PHASE_MAX,
};
extern AK_PUBLIC const char *const ak_run_phase_names[]; /* as in JSON; NULL ends it */
static inline const char *ak_run_phase_to_string(enum ak_run_phase value)
{
    return ak_enum_to_string(ak_run_phase_names, AK_RUN_PHASE_MAX, (int)value);
}
static inline enum ak_run_phase ak_run_phase_from_string(const char *text)
{
    return (enum ak_run_phase)ak_enum_from_string(ak_run_phase_names, text);
}

/* What started it. */
enum ak_run_trigger {
    AK_RUN_TRIGGER_UNSET, /* the field is absent */
    AK_RUN_TRIGGER_INVOCATION,
    AK_RUN_TRIGGER_SCHEDULE,
    AK_RUN_TRIGGER_MAX,
};
extern AK_PUBLIC const char *const ak_run_trigger_names[]; /* as in JSON; NULL ends it */
static inline const char *ak_run_trigger_to_string(enum ak_run_trigger value)
{
    return ak_enum_to_string(ak_run_trigger_names, AK_RUN_TRIGGER_MAX, (int)value);
}
static inline enum ak_run_trigger ak_run_trigger_from_string(const char *text)
{
    return (enum ak_run_trigger)ak_enum_from_string(ak_run_trigger_names, text);
}

/* What the agent is to achieve. Exactly one of the fields. */
struct ak_agent_goal {
    /* The text itself. */
    const char *inline_;
    /* The text is the value of this key. A change of it replaces the pod. */
    const struct ak_config_map_key_ref *config_map_key_ref;
};

/* The model that the runtime uses; left out, the runtime's own default. */
struct ak_agent_model {
    /* Name of the model, as its provider calls it. */
    const char *name;
    /*
     * Who serves the model, for example anthropic, openai, bedrock, vertex, azure-openai, ollama or
     * vllm. Left out, it follows from the family that the name belongs to.
     */
    const char *provider;
    /*
     * Where the provider's API is, as its clients are told: without /v1 for anthropic, with it for
     * openai and what speaks like it. Left out, the provider's own address.
     */
    const char *base_url;
};

/* The API key of the runtime. A change of the Secret replaces the pod. */
struct ak_agent_token {
    /* Where the key is. */
    const struct ak_secret_key_ref *secret_ref;
};

/* A Tool, and how much of it the agent gets. */
struct ak_agent_tool {
    /* Name of the Tool. */
    const char *name;
    /* Whether the agent may only read, whatever the Tool allows. */
    bool read_only;
    /*
     * Operations that the agent may use, for example query; left out, all that the Tool offers it.
     */
    struct ak_string_list operations;
};

/* When runs start by themselves; left out, runs start on demand only. */
struct ak_agent_schedule {
    /*
     * Five fields (minute, hour, day of month, month, day of week) or a macro such as @hourly. No
     * TZ= prefix: that is timeZone.
     */
    const char *cron;
    /* Name of the time zone that the fields are read in, for example Europe/Berlin. */
    const char *time_zone;
    /*
     * What happens when a run is due and another is not finished. Allow: the new one is queued.
     * Forbid: it is skipped. Replace: the old one is stopped.
     */
    enum ak_agent_concurrency concurrency_policy;
    /*
     * How many seconds late a run may start when its time was missed; left out, it may start until
     * the next one is due.
     */
    struct ak_opt_int starting_deadline_seconds;
};

/* A tool of the agent's MCP endpoint that is called. */
struct ak_agent_step_tool {
    /* Name of the tool, as the endpoint lists it. */
    const char *name;
    /* Arguments as a JSON object; left out, none. */
    const char *arguments;
};

/* One step. Exactly one of prompt, run and tool. */
struct ak_agent_step {
    /* Name of the step, for logs and results. */
    const char *name;
    /* Text that is given to the runtime. */
    const char *prompt;
    /* Command that `/bin/sh -c` runs in the workspace. */
    const char *run;
    /* A tool of the agent's MCP endpoint that is called. */
    const struct ak_agent_step_tool *tool;
    /* Seconds after which the step has failed; left out, only the run's time limit counts. */
    struct ak_opt_int timeout_seconds;
    /* How often the step is tried again after it failed. */
    int64_t retries;
    /* Whether the next step runs although this one failed. */
    bool continue_on_error;
};

/* The fixed sequence that mode system runs. */
struct ak_agent_playbook {
    /* Steps in the order in which they run. */
    AK_LIST_OF(struct ak_agent_step) steps;
};

/*
 * A git repository that is cloned into the workspace when it has none yet. Work that is already
 * there is never overwritten.
 */
struct ak_agent_repo {
    /* Where it is. Credentials in an http URL are refused; use secretRef. */
    const char *url;
    /* Branch, tag or commit; left out, the repository's default branch. */
    const char *ref;
    /*
     * Secret with the credential: keys `username` and `password`, or `token`, or `ssh-privatekey`
     * with an optional `known_hosts`.
     */
    const struct ak_object_name *secret_ref;
};

/* The folder that the agent works in, mounted at /workspace. */
struct ak_agent_workspace {
    /*
     * true: a claim named `<agent>-workspace` that outlives the pod. false: it is empty in each new
     * pod.
     */
    bool persistent;
    /*
     * How large the claim is, or how large the folder may grow when it is not persistent. A claim
     * can grow later where its storage class allows that.
     */
    const char *size;
    /* Storage class of the claim; left out, the cluster's default one. Cannot be changed later. */
    const char *storage_class_name;
    /* Access mode of the claim. Cannot be changed later. */
    enum ak_agent_access_mode access_mode;
    /* What happens to the claim when the Agent is deleted. */
    enum ak_agent_reclaim_policy reclaim_policy;
    /*
     * A git repository that is cloned into the workspace when it has none yet. Work that is already
     * there is never overwritten.
     */
    const struct ak_agent_repo *repo;
    /*
     * Command that `/bin/sh -c` runs in the workspace each time the pod starts, before the agent is
     * ready.
     */
    const char *setup_command;
    /* Seconds after which the setup command has failed. */
    int64_t setup_timeout_seconds;
};

/* How runs are started, and their limits. */
struct ak_agent_run {
    /*
     * Program and arguments of one run, for runtime Custom, which needs it to have runs. `{prompt}`
     * in an argument stands for the prompt; without one the prompt is given on standard input.
     */
    struct ak_string_list command;
    /* Seconds after which a run is stopped. */
    int64_t timeout_seconds;
    /* How many runs may wait for the one that is running. */
    int64_t max_queued;
    /* How many finished runs are remembered. */
    int64_t max_retained;
};

/* What the agent is and how it runs. */
struct ak_agent_spec {
    /* The agent's command line program. It selects the image; Custom needs spec.image. */
    enum ak_agent_runtime runtime;
    /*
     * supervised: the agent chooses its steps towards the goal. system: the steps of spec.playbook
     * run in their order, which needs at least one step.
     */
    enum ak_agent_mode mode;
    /*
     * true: everything is resolved and shown in the status, and nothing is started. false arms the
     * Agent. A running pod is stopped when this becomes true.
     */
    bool paused;
    /* What the agent is to achieve. Exactly one of the fields. */
    const struct ak_agent_goal *goal;
    /* The model that the runtime uses; left out, the runtime's own default. */
    const struct ak_agent_model *model;
    /* The API key of the runtime. A change of the Secret replaces the pod. */
    const struct ak_agent_token *agent_token;
    /*
     * Image to run in place of the runtime's default one; required for runtime Custom. Never
     * rewritten to a mirror.
     */
    const char *image;
    /* When the image is pulled. Left out, Kubernetes decides from the image's tag. */
    enum ak_pull_policy image_pull_policy;
    /* Secrets with registry credentials for the image. */
    AK_LIST_OF(struct ak_object_name) image_pull_secrets;
    /* Tools that the agent may use, in its own namespace. */
    AK_LIST_OF(struct ak_agent_tool) tools;
    /* MCPs that the agent may use, in its own namespace. */
    AK_LIST_OF(struct ak_object_name) mcp_refs;
    /* The LLMGateway that serves the agent's model calls, in its own namespace. */
    const struct ak_object_name *gateway_ref;
    /* When runs start by themselves; left out, runs start on demand only. */
    const struct ak_agent_schedule *schedule;
    /* The fixed sequence that mode system runs. */
    const struct ak_agent_playbook *playbook;
    /* The folder that the agent works in, mounted at /workspace. */
    const struct ak_agent_workspace *workspace;
    /*
     * How long the agent may be without a run before its pod is stopped until the next one, for
     * example 30m; left out, the pod stays.
     */
    const char *suspend_after;
    /* How runs are started, and their limits. */
    const struct ak_agent_run *run;
    /* Requests and limits of the agent's container. */
    const char *resources;
    /* Labels that a node must have. */
    struct ak_string_map node_selector;
    /* Taints that the pod tolerates. */
    const char *tolerations;
    /* Runtime class of the pod, for example one that isolates it in a virtual machine. */
    const char *runtime_class_name;
    /*
     * ServiceAccount of the pod; left out, the namespace's default one. Its token is not mounted.
     */
    const char *service_account_name;
    /*
     * Environment of the agent. Names that begin with AGENTKUBE_ and variables that hold a
     * runtime's or provider's API key are refused.
     */
    AK_LIST_OF(struct ak_env_var) env;
    /* More labels for the pod. Keys of agentkube.io and app.kubernetes.io are refused. */
    struct ak_string_map pod_labels;
    /* More annotations for the pod. Keys of agentkube.io are refused. */
    struct ak_string_map pod_annotations;
};

/* Why a new pod has to wait. */
struct ak_agent_backoff {
    /* Pods that failed one after another. */
    int64_t failures;
    /* No new pod before this time. */
    ak_msec until;
};

/* How the agent's container or pod ended the last time. */
struct ak_agent_termination {
    /* One word, for example OOMKilled, Error, Evicted. */
    const char *reason;
    /* Exit code of the container. */
    int64_t exit_code;
    /* When it ended. */
    ak_msec time;
    /* What it said at its end. */
    const char *message;
};

/* The schedule that is in force. */
struct ak_agent_resolved_schedule {
    /* When runs are due. */
    const char *cron;
    /* Time zone that it is read in. */
    const char *time_zone;
};

/* A referenced object as it was found. */
struct ak_agent_resolved_ref {
    /* Name of the object. */
    const char *name;
    /* Type of a Tool, for example postgres. */
    const char *type;
    /* Whether it exists. */
    bool found;
    /* Whether it can be used now. */
    bool ready;
};

/* What the spec means here and now. Complete also while the Agent is paused. */
struct ak_agent_resolved {
    /* Runtime that is used. */
    const char *runtime;
    /* Image that is used, after a mirror was applied. */
    const char *image;
    /* Digest of the image that runs. */
    const char *image_digest;
    /* Model that is used; empty when the runtime decides. */
    const char *model;
    /* Provider that serves the model. */
    const char *provider;
    /* Where the pod's keeper sends model calls; empty when it has nowhere to send them. */
    const char *base_url;
    /* Environment variable in which the runtime looks for its API key. */
    const char *token_variable;
    /* Name of the Secret that the API key comes from. */
    const char *token_secret;
    /* Where the goal comes from: `inline` or `configmap/NAME/KEY`. */
    const char *goal_source;
    /* Hash of the goal's text. */
    const char *goal_hash;
    /* Claim that holds the workspace; empty when it is not persistent. */
    const char *workspace;
    /* Claim that holds the memory shared in the agent group. */
    const char *memory;
    /* The schedule that is in force. */
    const struct ak_agent_resolved_schedule *schedule;
    /* The Tools that the agent may use. */
    AK_LIST_OF(struct ak_agent_resolved_ref) tools;
    /* The MCPs that the agent may use. */
    AK_LIST_OF(struct ak_agent_resolved_ref) mcps;
    /* LLMGateway that serves the model calls. */
    const char *gateway;
    /* What is wrong, one sentence each, with the field that it is about. */
    struct ak_string_list problems;
};

/* One run. */
struct ak_agent_run_record {
    /* Name of the run. */
    const char *id;
    /*
     * Pending: it waits for the pod. Queued: for other runs. Interrupted: the pod ended under it;
     * it is not repeated. Skipped: its time passed, or another run was under way.
     */
    enum ak_run_phase phase;
    /* What started it. */
    enum ak_run_trigger trigger;
    /* Who asked for it. */
    const char *requested_by;
    /* The time of the schedule that it belongs to. */
    ak_msec scheduled_time;
    /* When it was accepted. */
    ak_msec queued_time;
    /* When its process started. */
    ak_msec start_time;
    /* When it ended. */
    ak_msec completion_time;
    /* UID of the pod that has it. */
    const char *pod_uid;
    /* Exit code of its process. */
    int64_t exit_code;
    /* Why it ended so, in one word. */
    const char *reason;
    /* The same in a sentence. */
    const char *message;
    /* Tokens that the model read. */
    int64_t input_tokens;
    /* Tokens that the model wrote. */
    int64_t output_tokens;
    /* What it cost in US dollars, as the runtime reports it. */
    const char *cost_usd;
};

/* What the manager found and did. */
struct ak_agent_status {
    /* The state in one word; the conditions say why. */
    enum ak_agent_phase phase;
    /*
     * Pods that are ready out of those wanted: `0/1` or `1/1`, and `0/0` while the Agent is
     * suspended.
     */
    const char *ready;
    /* What runs of this runtime can do and report, in the words of docs/runtimes.md. */
    struct ak_string_list capabilities;
    /* Name of the pod. */
    const char *pod_name;
    /* UID of the pod. */
    const char *pod_uid;
    /* Node that the pod runs on. */
    const char *node_name;
    /* When the pod started. */
    ak_msec start_time;
    /* How often the agent's container was restarted in this pod. */
    int64_t restarts;
    /* Why a new pod has to wait. */
    const struct ak_agent_backoff *backoff;
    /* How the agent's container or pod ended the last time. */
    const struct ak_agent_termination *last_termination;
    /* What the spec means here and now. Complete also while the Agent is paused. */
    const struct ak_agent_resolved *resolved;
    /* When the schedule next starts a run. */
    ak_msec next_run_time;
    /* When the last run started. */
    ak_msec last_run_time;
    /* How the last run is doing, or how it ended. */
    const char *last_run_phase;
    /* The last time of the schedule that was acted upon. */
    ak_msec last_schedule_time;
    /* Runs that wait or are under way. */
    int64_t active_runs;
    /* Runs, newest first. What they were asked and said is kept on the workspace. */
    AK_LIST_OF(struct ak_agent_run_record) runs;
    /* The generation of the spec that this status is about. */
    int64_t observed_generation;
    /* What is true about the object right now. */
    ak_condition_list conditions;
};

/*
 * An Agent is one coding or automation agent: a runtime with a goal, a model and the tools that it
 * may use. The manager keeps exactly one pod for it, with the same name.
 */
struct ak_agent {
    /* What the agent is and how it runs. */
    const struct ak_agent_spec *spec;
    /* What the manager found and did. */
    const struct ak_agent_status *status;
};

/* Initializer of a struct ak_resource. */
#define AK_AGENT_RESOURCE                                                                          \
    {                                                                                              \
        .group = AK_API_GROUP, .version = AK_API_VERSION, .kind = "Agent", .plural = "agents",     \
        .namespaced = true                                                                         \
    }

/*
 * What ak_decode() and ak_encode() take. spec and status of a decoded object are never NULL; both
 * are NULL in the zeroed body of an object that could not be decoded.
 */
extern AK_PUBLIC const struct ak_type ak_agent_type;
extern AK_PUBLIC const struct ak_type ak_agent_spec_type;
extern AK_PUBLIC const struct ak_type ak_agent_status_type;

#endif
