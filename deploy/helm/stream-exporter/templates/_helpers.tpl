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

{{/* The chart renders a ConfigMap of its own: neither in the demo, which reads no file, nor when another one is named. */}}
{{- define "stream-exporter.ownConfig" -}}
{{- if not (or .Values.demo .Values.existingConfigMap) }}true{{ end }}
{{- end }}
