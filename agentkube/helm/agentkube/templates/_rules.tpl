{{- /* SPDX-License-Identifier: Apache-2.0 */ -}}

{{- /* The rules of the manager: the documented ones, or with rbac.strict what this version uses. */ -}}
{{- define "agentkube.rules" -}}
{{- if .Values.rbac.strict -}}
# What this version uses, request by request: docs/rbac.md.
- apiGroups: [agentkube.io]
  resources: [agents, mcps, llmgateways, claws, tools]
  verbs: [get, list, watch]
# spec.paused, for who asks the invocation API; the finalizer of a Tool, and the wish for a check of it.
- apiGroups: [agentkube.io]
  resources: [agents, tools]
  verbs: [patch]
- apiGroups: [agentkube.io]
  resources: [agents/status, mcps/status, llmgateways/status, claws/status, tools/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, create, delete]
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch]
# Only by the name that an Agent or a Tool gives; never listed, never watched. Written: the users that are made for a
# Tool, and recordings of its terminals.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create, update, delete]
# Users for a Tool in its system.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [create]
# What a Kubernetes Tool may do: without bind and escalate not more than the manager may do itself. Who has those two
# can give every right.
- apiGroups: [rbac.authorization.k8s.io]
  resources: [clusterroles, clusterrolebindings, roles, rolebindings]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, create, update]
{{- else -}}
- apiGroups: [agentkube.io]
  resources:
    - agents
    - agents/status
    - mcps
    - mcps/status
    - llmgateways
    - llmgateways/status
    - claws
    - claws/status
    - tools
    - tools/status
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [""]
  resources: [services, configmaps, persistentvolumeclaims, pods]
  verbs: [get, list, watch, create, update, patch, delete]
# Run logs.
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
# Shells in agent pods.
- apiGroups: [""]
  resources: [pods/exec]
  verbs: [create]
# Credential management.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
# Provisioning of Tool permissions.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [create]
# Policies of Kubernetes Tools.
- apiGroups: [rbac.authorization.k8s.io]
  resources: [clusterroles, clusterrolebindings, roles, rolebindings]
  verbs: [get, list, watch, create, update, patch, delete, bind, escalate]
# Leader election.
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, list, watch, create, update, patch, delete]
# The webhook's certificate.
- apiGroups: [admissionregistration.k8s.io]
  resources: [validatingwebhookconfigurations]
  verbs: [update]
{{- end }}
{{- end -}}

{{- /* Those of them that a Role can grant, for the namespace that is watched, as JSON. What is the cluster's, and what
the manager needs in its own namespace, is left out. */ -}}
{{- define "agentkube.namespacedRules" -}}
{{- $elsewhere := list "clusterroles" "clusterrolebindings" "validatingwebhookconfigurations" "namespaces"
      "subjectaccessreviews" "tokenreviews" "leases" -}}
{{- $rules := list -}}
{{- range (printf "rules:\n%s" (include "agentkube.rules" .) | fromYaml).rules -}}
{{- $resources := without .resources -}}
{{- range $elsewhere -}}
{{- $resources = without $resources . -}}
{{- end -}}
{{- if $resources -}}
{{- $rules = append $rules (dict "apiGroups" .apiGroups "resources" $resources "verbs" .verbs) -}}
{{- end -}}
{{- end -}}
{{- toJson $rules -}}
{{- end -}}
