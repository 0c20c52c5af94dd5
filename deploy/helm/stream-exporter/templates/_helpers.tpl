{{- define "stream-exporter.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* At most 63 characters, the limit of a DNS label; a release named after the chart is not doubled. */}}
{{- define "stream-exporter.fullname" -}}
{{- $name := include "stream-exporter.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "stream-exporter.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride }}
{{- end }}

{{- define "stream-exporter.selectorLabels" -}}
app.kubernetes.io/name: {{ include "stream-exporter.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/* One map of several, the later ones winning: a key that stood there twice would be no valid YAML. */}}
{{- define "stream-exporter.merged" -}}
{{- $merged := dict }}
{{- range . }}
{{- range $key, $value := . }}
{{- $_ := set $merged $key $value }}
{{- end }}
{{- end }}
{{- toYaml $merged }}
{{- end }}

{{/* The labels of a resource: give the context, then maps of its own. */}}
{{- define "stream-exporter.labels" -}}
{{- $root := first . }}
{{- $chart := dict
  "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/version" $root.Chart.AppVersion
  "app.kubernetes.io/managed-by" $root.Release.Service }}
{{- $selector := include "stream-exporter.selectorLabels" $root | fromYaml }}
{{- include "stream-exporter.merged" (concat (list $chart $root.Values.commonLabels) (rest .) (list $selector)) }}
{{- end }}

{{- define "stream-exporter.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "stream-exporter.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "stream-exporter.image" -}}
{{- with .Values.image }}
{{- with coalesce ($.Values.global).imageRegistry .registry }}{{ . }}/{{ end }}{{ .repository }}
{{- if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{/* Redis or Valkey is there: in values of its own, or in the configuration. */}}
{{- define "stream-exporter.store" -}}
{{- with .Values.store }}
{{- if and .url .existingSecret }}
{{- fail "store: give url or existingSecret, not both" }}
{{- end }}
{{- if and (or .url .existingSecret) $.Values.config.store }}
{{- fail "store: give it here or in config, not both" }}
{{- end }}
{{- if and (or .url .existingSecret) (not (include "stream-exporter.ownConfig" $)) }}
{{- fail "store: goes into config, which existingConfigMap replaces and the demo does not read" }}
{{- end }}
{{- if or .url .existingSecret $.Values.config.store }}true{{ end }}
{{- end }}
{{- end }}

{{/* How many pods there are. */}}
{{- define "stream-exporter.pods" -}}
{{- $shards := int .Values.shards }}
{{- if and (gt $shards 1) (gt (int .Values.replicas) 1) }}
{{- fail "shards: leave replicas at 1; every shard is one pod" }}
{{- end }}
{{- if and (gt $shards 1) .Values.demo }}
{{- fail "shards: the demo has none" }}
{{- end }}
{{- ternary $shards (int .Values.replicas) (gt $shards 1) }}
{{- end }}

{{/* "true" where several pods divide the work, or do it together. */}}
{{- define "stream-exporter.together" -}}
{{- $store := include "stream-exporter.store" . }}
{{- if and (gt (include "stream-exporter.pods" . | int) 1) (or (gt (int .Values.shards) 1) $store) }}true{{ end }}
{{- end }}

{{- define "stream-exporter.kind" -}}
{{- if include "stream-exporter.together" . }}StatefulSet{{ else }}{{ .Values.kind }}{{ end }}
{{- end }}

{{/* What tells a pod which shard it is: the number at the end of its name. */}}
{{- define "stream-exporter.shardEnv" -}}
{{- if gt (int .Values.shards) 1 }}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: STREAM_EXPORTER_SHARD
  value: $(POD_NAME)/{{ .Values.shards }}
{{- end }}
{{- end }}

{{/* The Service that names the pods of a StatefulSet. */}}
{{- define "stream-exporter.headless" -}}
{{- printf "%s-headless" (include "stream-exporter.fullname" . | trunc 54 | trimSuffix "-") }}
{{- end }}

{{/* The configuration with the store in it. */}}
{{- define "stream-exporter.config" -}}
{{- $store := dict }}
{{- with .Values.store.url }}
{{- $_ := set $store "url" . }}
{{- end }}
{{- if .Values.store.existingSecret }}
{{- $_ := set $store "url_file" "/run/secrets/stream-exporter-store/url" }}
{{- end }}
{{- if $store }}
{{- $_ := set $store "replicas" (include "stream-exporter.pods" . | int) }}
{{- end }}
{{- if $store }}
{{- toYaml (merge (dict "store" $store) .Values.config) }}
{{- else }}
{{- toYaml .Values.config }}
{{- end }}
{{- end }}

{{/* The chart renders a ConfigMap of its own: neither in the demo, which reads no file, nor when another one is named. */}}
{{- define "stream-exporter.ownConfig" -}}
{{- if not (or .Values.demo .Values.existingConfigMap) }}true{{ end }}
{{- end }}
