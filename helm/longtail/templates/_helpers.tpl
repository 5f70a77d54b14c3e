{{- define "longtail.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 53 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 53 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "longtail.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "longtail.labels" -}}
{{ include "longtail.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "longtail.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "longtail.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* One image's reference: (dict "image" .Values.image.trainer "chart" .Chart) */}}
{{- define "longtail.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ default .chart.AppVersion .image.tag }}
{{- end -}}
{{- end -}}

{{/* What the operator may do; the same rules in a ClusterRole, or in a Role per namespace. */}}
{{- define "longtail.rules" -}}
- apiGroups: [longtail.dev]
  resources: [heavymodels, scenarios]
  verbs: [get, list, watch, patch, update]
- apiGroups: [longtail.dev]
  resources: [lightmodelsearches]
  verbs: [get, list, watch, create, patch, update, delete]
- apiGroups: [longtail.dev]
  resources: [heavymodels/status, scenarios/status, lightmodelsearches/status]
  verbs: [get, patch, update]
- apiGroups: [longtail.dev]
  resources: [heavymodels/finalizers, scenarios/finalizers, lightmodelsearches/finalizers]
  verbs: [update]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, update, delete]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, update, delete]
- apiGroups: [""]
  resources: [services, configmaps]
  verbs: [get, list, watch, create, patch, update, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, update, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
# Only the Secrets that a resource names are read; no listing, no watching.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
- apiGroups: ["", events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
