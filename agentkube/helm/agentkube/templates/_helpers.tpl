{{- /* SPDX-License-Identifier: Apache-2.0 */ -}}

{{- /* All names are fixed: one manager per cluster, where every document and tool expects it. */ -}}
{{- define "agentkube.name" -}}agentkube-manager{{- end }}
{{- define "agentkube.namespace" -}}agentkube-system{{- end }}

{{- define "agentkube.selector" -}}
app.kubernetes.io/name: agentkube-manager
app.kubernetes.io/component: manager
{{- end }}

{{- define "agentkube.labels" -}}
{{ include "agentkube.selector" . }}
app.kubernetes.io/part-of: agentkube
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* "adaptivelive/x" lives in image.registry; "host/x" or "host:5000/x" was chosen as it is. */ -}}
{{- define "agentkube.image" -}}
{{- $repository := .Values.image.manager.repository -}}
{{- $first := splitList "/" $repository | first -}}
{{- $pinned := and (contains "/" $repository) (or (contains "." $first) (contains ":" $first) (eq $first "localhost")) -}}
{{- if not $pinned -}}
{{- $repository = printf "%s/%s" (.Values.image.registry | default "docker.io" | trimSuffix "/") $repository -}}
{{- end -}}
{{- printf "%s:%s" $repository (.Values.image.manager.tag | default (printf "v%s" .Chart.AppVersion)) -}}
{{- end }}

{{- define "agentkube.check" -}}
{{- if ne .Release.Namespace (include "agentkube.namespace" .) -}}
{{- fail (printf "agentkube is installed into the namespace agentkube-system, not %q: add --namespace agentkube-system --create-namespace" .Release.Namespace) -}}
{{- end -}}
{{- if .Values.watchNamespaces -}}
{{- if gt (len .Values.watchNamespaces) 1 -}}
{{- fail "watchNamespaces: this version serves the Agents of all namespaces, or of one" -}}
{{- end -}}
{{- if .Values.webhook.enabled -}}
{{- fail "watchNamespaces: the webhook needs rights in the whole cluster: add --set webhook.enabled=false, or use manager.watchNamespace, which leaves the ClusterRole" -}}
{{- end -}}
{{- if and .Values.manager.watchNamespace (ne .Values.manager.watchNamespace (first .Values.watchNamespaces)) -}}
{{- fail "watchNamespaces and manager.watchNamespace name different namespaces: leave one of them out" -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- /*
Which definitions this release may carry, as a JSON list of their files in crds/. Helm refuses a release with an
object that somebody else made, so those that are not ours are left to whoever installed them (see NOTES.txt).
The files in crds/ name the release "agentkube" as their owner: Helm makes them before it looks at the templates,
and then finds them to be ours.
*/ -}}
{{- define "agentkube.definitions" -}}
{{- $ours := list -}}
{{- $others := list -}}
{{- range $path, $_ := .Files.Glob "crds/*.yaml" -}}
{{- $name := ($.Files.Get $path | fromYaml).metadata.name -}}
{{- $live := lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" $name -}}
{{- $labels := dig "metadata" "labels" dict ($live | default dict) | default dict -}}
{{- $notes := dig "metadata" "annotations" dict ($live | default dict) | default dict -}}
{{- if or (not $live) (and
      (eq (get $labels "app.kubernetes.io/managed-by") "Helm")
      (eq (get $notes "meta.helm.sh/release-name") $.Release.Name)
      (eq (get $notes "meta.helm.sh/release-namespace") $.Release.Namespace)) -}}
{{- $ours = append $ours $path -}}
{{- else -}}
{{- $others = append $others $name -}}
{{- end -}}
{{- end -}}
{{- dict "ours" $ours "others" $others | toJson -}}
{{- end }}
