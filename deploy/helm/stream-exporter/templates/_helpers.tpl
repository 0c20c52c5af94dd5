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
app.kubernetes.io/name: {{ include "stream-exporter.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "stream-exporter.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "stream-exporter.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
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
{{- with .registry }}{{ . }}/{{ end }}{{ .repository }}
{{- if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{/* The chart renders a ConfigMap of its own: neither in the demo, which reads no file, nor when another one is named. */}}
{{- define "stream-exporter.ownConfig" -}}
{{- if not (or .Values.demo .Values.existingConfigMap) }}true{{ end }}
{{- end }}

{{/* A ConfigMap is no place for a secret. The fields are those of all providers that also have the forms _file and _env. */}}
{{- define "stream-exporter.refuseSecrets" -}}
{{- $secrets := list
  "access_key_id" "access_key_secret" "callback_key" "callback_secret" "secret_access_key" "secret_id" "secret_key"
  "security_token" "server_secret" "session_token" "token" }}
{{- range $account := .Values.config.accounts }}
{{- range $secrets }}
{{- if hasKey $account . }}
{{- printf "account %s: config becomes a ConfigMap; give %s_file or %s_env instead of %s, and a Secret" $account.name . . . | fail }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
