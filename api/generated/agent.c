/* SPDX-License-Identifier: Apache-2.0 */
/* Generated from api/v1alpha1/agent.yaml by api/generate.py: change that file, not this one. */
#include <ak/api/agent.h>

#include <stddef.h>

/* clang-format off */
const char *const ak_agent_runtime_names[] = {
    "",
    "ClaudeCode",
    "Codex",
    "OpenCode",
    "Aider",
    "Cline",
    "Goose",
    "Cursor",
    "Custom",
    NULL,
};

const char *const ak_agent_mode_names[] = {
    "",
    "supervised",
    "system",
    NULL,
};

const char *const ak_agent_concurrency_names[] = {
    "",
    "Allow",
    "Forbid",
    "Replace",
    NULL,
};

const char *const ak_agent_access_mode_names[] = {
    "",
    "ReadWriteOnce",
    "ReadWriteMany",
    "ReadWriteOncePod",
    NULL,
};

const char *const ak_agent_reclaim_policy_names[] = {
    "",
    "Delete",
    "Retain",
    NULL,
};

const char *const ak_agent_phase_names[] = {
    "",
    "Pending",
    "Paused",
    "Starting",
    "Running",
    "Suspended",
    "Failed",
    "Terminating",
    NULL,
};

const char *const ak_run_phase_names[] = {
    "",
    "Pending",
    "Queued",
    "Running",
    "Succeeded",
    "Failed",
    "Cancelled",
    "TimedOut",
    "Interrupted",
    "Skipped",
    NULL,
};

const char *const ak_run_trigger_names[] = {
    "",
    "Invocation",
    "Schedule",
    NULL,
};

static const struct ak_field ak_agent_goal_fields[] = {
    AK_FIELD(struct ak_agent_goal, inline_, "inline", AK_F_STRING),
    AK_FIELD(struct ak_agent_goal, config_map_key_ref, "configMapKeyRef", AK_F_STRUCT, .sub = &ak_config_map_key_ref_type),
};
static const struct ak_type ak_agent_goal_type =
    AK_TYPE("agent_goal", struct ak_agent_goal, ak_agent_goal_fields);

static const struct ak_field ak_agent_model_fields[] = {
    AK_FIELD(struct ak_agent_model, name, "name", AK_F_STRING, .flags = AK_FIELD_REQUIRED),
    AK_FIELD(struct ak_agent_model, provider, "provider", AK_F_STRING),
    AK_FIELD(struct ak_agent_model, base_url, "baseURL", AK_F_STRING),
};
static const struct ak_type ak_agent_model_type =
    AK_TYPE("agent_model", struct ak_agent_model, ak_agent_model_fields);

static const struct ak_field ak_agent_token_fields[] = {
    AK_FIELD(struct ak_agent_token, secret_ref, "secretRef", AK_F_STRUCT, .flags = AK_FIELD_REQUIRED, .sub = &ak_secret_key_ref_type),
};
static const struct ak_type ak_agent_token_type =
    AK_TYPE("agent_token", struct ak_agent_token, ak_agent_token_fields);

static const struct ak_field ak_agent_tool_fields[] = {
    AK_FIELD(struct ak_agent_tool, name, "name", AK_F_STRING, .flags = AK_FIELD_REQUIRED),
    AK_FIELD(struct ak_agent_tool, read_only, "readOnly", AK_F_BOOL, .default_int = 0),
    AK_FIELD(struct ak_agent_tool, operations, "operations", AK_F_STRING_LIST),
};
static const struct ak_type ak_agent_tool_type =
    AK_TYPE("agent_tool", struct ak_agent_tool, ak_agent_tool_fields);

static const struct ak_field ak_agent_schedule_fields[] = {
    AK_FIELD(struct ak_agent_schedule, cron, "cron", AK_F_STRING, .flags = AK_FIELD_REQUIRED),
    AK_FIELD(struct ak_agent_schedule, time_zone, "timeZone", AK_F_STRING, .default_text = "UTC"),
    AK_FIELD(struct ak_agent_schedule, concurrency_policy, "concurrencyPolicy", AK_F_ENUM, .enum_names = ak_agent_concurrency_names, .default_int = AK_AGENT_CONCURRENCY_FORBID),
    AK_FIELD(struct ak_agent_schedule, starting_deadline_seconds, "startingDeadlineSeconds", AK_F_OPT_INT),
};
static const struct ak_type ak_agent_schedule_type =
    AK_TYPE("agent_schedule", struct ak_agent_schedule, ak_agent_schedule_fields);

static const struct ak_field ak_agent_step_tool_fields[] = {
    AK_FIELD(struct ak_agent_step_tool, name, "name", AK_F_STRING, .flags = AK_FIELD_REQUIRED),
    AK_FIELD(struct ak_agent_step_tool, arguments, "arguments", AK_F_STRING),
};
static const struct ak_type ak_agent_step_tool_type =
    AK_TYPE("agent_step_tool", struct ak_agent_step_tool, ak_agent_step_tool_fields);

static const struct ak_field ak_agent_step_fields[] = {
    AK_FIELD(struct ak_agent_step, name, "name", AK_F_STRING, .flags = AK_FIELD_REQUIRED),
    AK_FIELD(struct ak_agent_step, prompt, "prompt", AK_F_STRING),
    AK_FIELD(struct ak_agent_step, run, "run", AK_F_STRING),
    AK_FIELD(struct ak_agent_step, tool, "tool", AK_F_STRUCT, .sub = &ak_agent_step_tool_type),
    AK_FIELD(struct ak_agent_step, timeout_seconds, "timeoutSeconds", AK_F_OPT_INT),
    AK_FIELD(struct ak_agent_step, retries, "retries", AK_F_INT, .default_int = 0),
    AK_FIELD(struct ak_agent_step, continue_on_error, "continueOnError", AK_F_BOOL, .default_int = 0),
};
static const struct ak_type ak_agent_step_type =
    AK_TYPE("agent_step", struct ak_agent_step, ak_agent_step_fields);

static const struct ak_field ak_agent_playbook_fields[] = {
    AK_FIELD(struct ak_agent_playbook, steps, "steps", AK_F_LIST, .flags = AK_FIELD_REQUIRED, .sub = &ak_agent_step_type),
};
static const struct ak_type ak_agent_playbook_type =
    AK_TYPE("agent_playbook", struct ak_agent_playbook, ak_agent_playbook_fields);

static const struct ak_field ak_agent_repo_fields[] = {
    AK_FIELD(struct ak_agent_repo, url, "url", AK_F_STRING, .flags = AK_FIELD_REQUIRED),
    AK_FIELD(struct ak_agent_repo, ref, "ref", AK_F_STRING),
    AK_FIELD(struct ak_agent_repo, secret_ref, "secretRef", AK_F_STRUCT, .sub = &ak_object_name_type),
};
static const struct ak_type ak_agent_repo_type =
    AK_TYPE("agent_repo", struct ak_agent_repo, ak_agent_repo_fields);

static const struct ak_field ak_agent_workspace_fields[] = {
    AK_FIELD(struct ak_agent_workspace, persistent, "persistent", AK_F_BOOL, .default_int = 0),
    AK_FIELD(struct ak_agent_workspace, size, "size", AK_F_INT_OR_STRING, .default_text = "10Gi"),
    AK_FIELD(struct ak_agent_workspace, storage_class_name, "storageClassName", AK_F_STRING),
    AK_FIELD(struct ak_agent_workspace, access_mode, "accessMode", AK_F_ENUM, .enum_names = ak_agent_access_mode_names, .default_int = AK_AGENT_ACCESS_MODE_READ_WRITE_ONCE),
    AK_FIELD(struct ak_agent_workspace, reclaim_policy, "reclaimPolicy", AK_F_ENUM, .enum_names = ak_agent_reclaim_policy_names, .default_int = AK_AGENT_RECLAIM_POLICY_DELETE),
    AK_FIELD(struct ak_agent_workspace, repo, "repo", AK_F_STRUCT, .sub = &ak_agent_repo_type),
    AK_FIELD(struct ak_agent_workspace, setup_command, "setupCommand", AK_F_STRING),
    AK_FIELD(struct ak_agent_workspace, setup_timeout_seconds, "setupTimeoutSeconds", AK_F_INT, .default_int = 600),
};
static const struct ak_type ak_agent_workspace_type =
    AK_TYPE("agent_workspace", struct ak_agent_workspace, ak_agent_workspace_fields);

static const struct ak_field ak_agent_run_fields[] = {
    AK_FIELD(struct ak_agent_run, command, "command", AK_F_STRING_LIST),
    AK_FIELD(struct ak_agent_run, timeout_seconds, "timeoutSeconds", AK_F_INT, .default_int = 3600),
    AK_FIELD(struct ak_agent_run, max_queued, "maxQueued", AK_F_INT, .default_int = 10),
    AK_FIELD(struct ak_agent_run, max_retained, "maxRetained", AK_F_INT, .default_int = 20),
};
static const struct ak_type ak_agent_run_type =
    AK_TYPE("agent_run", struct ak_agent_run, ak_agent_run_fields);

static const struct ak_field ak_agent_spec_fields[] = {
    AK_FIELD(struct ak_agent_spec, runtime, "runtime", AK_F_ENUM, .flags = AK_FIELD_REQUIRED, .enum_names = ak_agent_runtime_names),
    AK_FIELD(struct ak_agent_spec, mode, "mode", AK_F_ENUM, .enum_names = ak_agent_mode_names, .default_int = AK_AGENT_MODE_SUPERVISED),
    AK_FIELD(struct ak_agent_spec, paused, "paused", AK_F_BOOL, .default_int = 1),
    AK_FIELD(struct ak_agent_spec, goal, "goal", AK_F_STRUCT, .sub = &ak_agent_goal_type),
    AK_FIELD(struct ak_agent_spec, model, "model", AK_F_STRUCT, .sub = &ak_agent_model_type),
    AK_FIELD(struct ak_agent_spec, agent_token, "agentToken", AK_F_STRUCT, .sub = &ak_agent_token_type),
    AK_FIELD(struct ak_agent_spec, image, "image", AK_F_STRING),
    AK_FIELD(struct ak_agent_spec, image_pull_policy, "imagePullPolicy", AK_F_ENUM, .enum_names = ak_pull_policy_names),
    AK_FIELD(struct ak_agent_spec, image_pull_secrets, "imagePullSecrets", AK_F_LIST, .sub = &ak_object_name_type),
    AK_FIELD(struct ak_agent_spec, tools, "tools", AK_F_LIST, .sub = &ak_agent_tool_type),
    AK_FIELD(struct ak_agent_spec, mcp_refs, "mcpRefs", AK_F_LIST, .sub = &ak_object_name_type),
    AK_FIELD(struct ak_agent_spec, gateway_ref, "gatewayRef", AK_F_STRUCT, .sub = &ak_object_name_type),
    AK_FIELD(struct ak_agent_spec, schedule, "schedule", AK_F_STRUCT, .sub = &ak_agent_schedule_type),
    AK_FIELD(struct ak_agent_spec, playbook, "playbook", AK_F_STRUCT, .sub = &ak_agent_playbook_type),
    AK_FIELD(struct ak_agent_spec, workspace, "workspace", AK_F_STRUCT, .flags = AK_FIELD_MATERIALIZE, .sub = &ak_agent_workspace_type),
    AK_FIELD(struct ak_agent_spec, suspend_after, "suspendAfter", AK_F_STRING),
    AK_FIELD(struct ak_agent_spec, run, "run", AK_F_STRUCT, .flags = AK_FIELD_MATERIALIZE, .sub = &ak_agent_run_type),
    AK_FIELD(struct ak_agent_spec, resources, "resources", AK_F_JSON),
    AK_FIELD(struct ak_agent_spec, node_selector, "nodeSelector", AK_F_STRING_MAP),
    AK_FIELD(struct ak_agent_spec, tolerations, "tolerations", AK_F_JSON),
    AK_FIELD(struct ak_agent_spec, runtime_class_name, "runtimeClassName", AK_F_STRING),
    AK_FIELD(struct ak_agent_spec, service_account_name, "serviceAccountName", AK_F_STRING),
    AK_FIELD(struct ak_agent_spec, env, "env", AK_F_LIST, .sub = &ak_env_var_type),
    AK_FIELD(struct ak_agent_spec, pod_labels, "podLabels", AK_F_STRING_MAP),
    AK_FIELD(struct ak_agent_spec, pod_annotations, "podAnnotations", AK_F_STRING_MAP),
};
const struct ak_type ak_agent_spec_type =
    AK_TYPE("agent_spec", struct ak_agent_spec, ak_agent_spec_fields);

static const struct ak_field ak_agent_backoff_fields[] = {
    AK_FIELD(struct ak_agent_backoff, failures, "failures", AK_F_INT, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_backoff, until, "until", AK_F_TIME, .flags = AK_FIELD_LENIENT),
};
static const struct ak_type ak_agent_backoff_type =
    AK_TYPE("agent_backoff", struct ak_agent_backoff, ak_agent_backoff_fields);

static const struct ak_field ak_agent_termination_fields[] = {
    AK_FIELD(struct ak_agent_termination, reason, "reason", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_termination, exit_code, "exitCode", AK_F_INT, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_termination, time, "time", AK_F_TIME, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_termination, message, "message", AK_F_STRING, .flags = AK_FIELD_LENIENT),
};
static const struct ak_type ak_agent_termination_type =
    AK_TYPE("agent_termination", struct ak_agent_termination, ak_agent_termination_fields);

static const struct ak_field ak_agent_resolved_schedule_fields[] = {
    AK_FIELD(struct ak_agent_resolved_schedule, cron, "cron", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_resolved_schedule, time_zone, "timeZone", AK_F_STRING, .flags = AK_FIELD_LENIENT),
};
static const struct ak_type ak_agent_resolved_schedule_type =
    AK_TYPE("agent_resolved_schedule", struct ak_agent_resolved_schedule, ak_agent_resolved_schedule_fields);

static const struct ak_field ak_agent_resolved_ref_fields[] = {
    AK_FIELD(struct ak_agent_resolved_ref, name, "name", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_resolved_ref, type, "type", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_resolved_ref, found, "found", AK_F_BOOL, .flags = AK_FIELD_LENIENT, .default_int = 0),
    AK_FIELD(struct ak_agent_resolved_ref, ready, "ready", AK_F_BOOL, .flags = AK_FIELD_LENIENT, .default_int = 0),
};
static const struct ak_type ak_agent_resolved_ref_type =
    AK_TYPE("agent_resolved_ref", struct ak_agent_resolved_ref, ak_agent_resolved_ref_fields);

static const struct ak_field ak_agent_resolved_fields[] = {
    AK_FIELD(struct ak_agent_resolved, runtime, "runtime", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_resolved, image, "image", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_resolved, image_digest, "imageDigest", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_resolved, model, "model", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_resolved, provider, "provider", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_resolved, base_url, "baseURL", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_resolved, token_variable, "tokenVariable", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_resolved, token_secret, "tokenSecret", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_resolved, goal_source, "goalSource", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_resolved, goal_hash, "goalHash", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_resolved, workspace, "workspace", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_resolved, memory, "memory", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_resolved, schedule, "schedule", AK_F_STRUCT, .flags = AK_FIELD_LENIENT, .sub = &ak_agent_resolved_schedule_type),
    AK_FIELD(struct ak_agent_resolved, tools, "tools", AK_F_LIST, .flags = AK_FIELD_LENIENT, .sub = &ak_agent_resolved_ref_type),
    AK_FIELD(struct ak_agent_resolved, mcps, "mcps", AK_F_LIST, .flags = AK_FIELD_LENIENT, .sub = &ak_agent_resolved_ref_type),
    AK_FIELD(struct ak_agent_resolved, gateway, "gateway", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_resolved, problems, "problems", AK_F_STRING_LIST, .flags = AK_FIELD_LENIENT),
};
static const struct ak_type ak_agent_resolved_type =
    AK_TYPE("agent_resolved", struct ak_agent_resolved, ak_agent_resolved_fields);

static const struct ak_field ak_agent_run_record_fields[] = {
    AK_FIELD(struct ak_agent_run_record, id, "id", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_run_record, phase, "phase", AK_F_ENUM, .flags = AK_FIELD_LENIENT, .enum_names = ak_run_phase_names),
    AK_FIELD(struct ak_agent_run_record, trigger, "trigger", AK_F_ENUM, .flags = AK_FIELD_LENIENT, .enum_names = ak_run_trigger_names),
    AK_FIELD(struct ak_agent_run_record, requested_by, "requestedBy", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_run_record, scheduled_time, "scheduledTime", AK_F_TIME, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_run_record, queued_time, "queuedTime", AK_F_TIME, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_run_record, start_time, "startTime", AK_F_TIME, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_run_record, completion_time, "completionTime", AK_F_TIME, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_run_record, pod_uid, "podUID", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_run_record, exit_code, "exitCode", AK_F_INT, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_run_record, reason, "reason", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_run_record, message, "message", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_run_record, input_tokens, "inputTokens", AK_F_INT, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_run_record, output_tokens, "outputTokens", AK_F_INT, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_run_record, cost_usd, "costUSD", AK_F_STRING, .flags = AK_FIELD_LENIENT),
};
static const struct ak_type ak_agent_run_record_type =
    AK_TYPE("agent_run_record", struct ak_agent_run_record, ak_agent_run_record_fields);

static const struct ak_field ak_agent_status_fields[] = {
    AK_FIELD(struct ak_agent_status, phase, "phase", AK_F_ENUM, .flags = AK_FIELD_LENIENT, .enum_names = ak_agent_phase_names),
    AK_FIELD(struct ak_agent_status, ready, "ready", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_status, capabilities, "capabilities", AK_F_STRING_LIST, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_status, pod_name, "podName", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_status, pod_uid, "podUID", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_status, node_name, "nodeName", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_status, start_time, "startTime", AK_F_TIME, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_status, restarts, "restarts", AK_F_INT, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_status, backoff, "backoff", AK_F_STRUCT, .flags = AK_FIELD_LENIENT, .sub = &ak_agent_backoff_type),
    AK_FIELD(struct ak_agent_status, last_termination, "lastTermination", AK_F_STRUCT, .flags = AK_FIELD_LENIENT, .sub = &ak_agent_termination_type),
    AK_FIELD(struct ak_agent_status, resolved, "resolved", AK_F_STRUCT, .flags = AK_FIELD_LENIENT, .sub = &ak_agent_resolved_type),
    AK_FIELD(struct ak_agent_status, next_run_time, "nextRunTime", AK_F_TIME, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_status, last_run_time, "lastRunTime", AK_F_TIME, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_status, last_run_phase, "lastRunPhase", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_status, last_schedule_time, "lastScheduleTime", AK_F_TIME, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_status, active_runs, "activeRuns", AK_F_INT, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_status, runs, "runs", AK_F_LIST, .flags = AK_FIELD_LENIENT, .sub = &ak_agent_run_record_type),
    AK_FIELD(struct ak_agent_status, observed_generation, "observedGeneration", AK_F_INT, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_agent_status, conditions, "conditions", AK_F_LIST, .flags = AK_FIELD_LENIENT, .sub = &ak_condition_type),
};
const struct ak_type ak_agent_status_type =
    AK_TYPE("agent_status", struct ak_agent_status, ak_agent_status_fields);

static const struct ak_field ak_agent_fields[] = {
    AK_FIELD(struct ak_agent, spec, "spec", AK_F_STRUCT, .flags = AK_FIELD_REQUIRED, .sub = &ak_agent_spec_type),
    AK_FIELD(struct ak_agent, status, "status", AK_F_STRUCT, .flags = AK_FIELD_MATERIALIZE | AK_FIELD_LENIENT, .sub = &ak_agent_status_type),
};
const struct ak_type ak_agent_type =
    AK_TYPE("agent", struct ak_agent, ak_agent_fields);
/* clang-format on */
