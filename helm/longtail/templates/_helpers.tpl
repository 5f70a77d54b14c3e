{{- define "longtail.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else -}}
{{- $name := include "longtail.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 53 | regexFind ".*[a-z0-9]" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A parent chart may call this one by any alias of letters, digits, - and _; names of objects have less to choose from. */}}
{{- define "longtail.name" -}}
{{- if .Values.nameOverride -}}
{{- .Values.nameOverride -}}
{{- else -}}
{{- .Chart.Name | lower | replace "_" "-" | trimAll "-" | trunc 53 | trimSuffix "-" | default "longtail" -}}
{{- end -}}
{{- end -}}

{{/* A version as a label's value: `+` is legal in a version only, and 63 characters are all there may be. */}}
{{- define "longtail.labelValue" -}}
{{- regexReplaceAll "[^A-Za-z0-9_.-]" . "_" | regexFind "[A-Za-z0-9].*" | trunc 63 | regexFind ".*[A-Za-z0-9]" -}}
{{- end -}}

{{- define "longtail.selector" -}}
app.kubernetes.io/name: {{ include "longtail.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "longtail.labels" -}}
{{ include "longtail.selector" . }}
app.kubernetes.io/version: {{ include "longtail.labelValue" .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ include "longtail.labelValue" (printf "%s-%s" .Chart.Name .Chart.Version) | quote }}
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
{{ .image.repository }}:{{ default (.chart.AppVersion | replace "+" "_" | trunc 128) .image.tag }}
{{- end -}}
{{- end -}}

{{/* What no schema can say of values. */}}
{{- define "longtail.check" -}}
{{- if and (hasKey .Values "enabled") (not .Values.enabled) -}}
{{- fail "enabled: false is for a parent chart, whose dependency has `condition: longtail.enabled`; without it nothing is left out" -}}
{{- end -}}
{{- range $label := list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" -}}
{{- if hasKey (default dict $.Values.operator.podLabels) $label -}}
{{- fail (printf "operator.podLabels: %s is what the Deployment selects its pods by; leave it out" $label) -}}
{{- end -}}
{{- end -}}
{{- $setBy := dict
  "LONGTAIL_TRAINER_IMAGE" "image.trainer" "LONGTAIL_SERVING_IMAGE" "image.serving"
  "LONGTAIL_IMAGE_PULL_POLICY" "image.pullPolicy" "LONGTAIL_LOG_LEVEL" "operator.logLevel"
  "LONGTAIL_WORKERS" "operator.workers" "LONGTAIL_RESYNC_SECONDS" "operator.resyncSeconds"
  "LONGTAIL_DRAIN_SECONDS" "operator.drainSeconds" "LONGTAIL_ALLOWED_STORES" "operator.allowedStores"
  "LONGTAIL_CONCURRENT_FOLDS" "operator.concurrentFolds"
  "LONGTAIL_CONCURRENT_UPGRADES" "operator.concurrentUpgrades" -}}
{{- $seen := dict -}}
{{- range .Values.operator.env -}}
{{- if hasKey $setBy .name -}}
{{- fail (printf "operator.env: %s is what %s sets; set that" .name (get $setBy .name)) -}}
{{- end -}}
{{- if hasKey $seen .name -}}
{{- fail (printf "operator.env: %s is there twice; leave one out" .name) -}}
{{- end -}}
{{- $_ := set $seen .name true -}}
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
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
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
# Asked for by the object that waits: quota, Pod Security and volumes that can't be mounted stand in events alone.
- apiGroups: [""]
  resources: [events]
  verbs: [list]
{{- end -}}
