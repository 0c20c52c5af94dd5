{{/*
The groups of the shipped rules, fitted to the values as `stream-exporter rules` fits them to its flags. They are read,
not rendered: their own {{ }} are for Prometheus.
*/}}
{{- define "stream-exporter.groups" -}}
{{- $given := .Values.prometheusRule }}
{{- $labels := without (append $given.infoLabels $given.severityLabel | uniq) "" "provider" "account" "stream" "job" }}
{{- $more := "" }}
{{- range $labels }}
{{- $more = printf "%s, %s" $more . }}
{{- end }}
{{- /* A label that tells deployments apart tells no streams apart once it is a stream's own. */}}
{{- $keys := list }}
{{- range list "cluster" "environment" "namespace" }}
{{- if not (has . $labels) }}
{{- $keys = append $keys . }}
{{- end }}
{{- end }}
{{- $keys = append $keys "job, provider, stream" | join ", " }}
{{- /* An AlertmanagerConfig hears alerts of its own namespace; the watchdog and a vanished target have none. */}}
{{- $site := dict }}
{{- with .Values.alertmanagerConfig }}
{{- if .enabled }}
{{- $namespace := .namespace | default (include "stream-exporter.namespace" $) }}
{{- $_ := set $site "namespace" (printf "{{ if $labels.namespace }}{{ $labels.namespace }}{{ else }}%s{{ end }}" $namespace) }}
{{- end }}
{{- end }}
{{- $groups := list }}
{{- range (.Files.Get "files/rules-template.yml" | fromYaml).groups }}
{{- $rules := list }}
{{- range .rules }}
{{- $expr := replace ", INFO_LABELS, SEVERITY_LABEL" $more .expr | replace "\"EXPORTER_JOB\"" (toRawJson $given.job) }}
{{- $_ := set . "expr" (replace "cluster, environment, namespace, job, provider, stream" $keys $expr) }}
{{- if .alert }}
{{- $severity := regexReplaceAll "^{{ if .*{{ else }}(.*){{ end }}$" .labels.severity "${1}" }}
{{- if $given.severityLabel }}
{{- $severity = replace "SEVERITY_LABEL" $given.severityLabel .labels.severity }}
{{- end }}
{{- $own := dict "severity" $severity }}
{{- $_ := set . "labels" (include "stream-exporter.merged" (list .labels $site $given.alertLabels $own) | fromYaml) }}
{{- $_ := set .annotations "runbook_url" (replace "RUNBOOK_URL" $given.runbookUrl .annotations.runbook_url) }}
{{- end }}
{{- if not (has (coalesce .alert .record) $given.disabled) }}
{{- $rules = append $rules . }}
{{- end }}
{{- end }}
{{- if $rules }}
{{- $groups = append $groups (set . "rules" $rules) }}
{{- end }}
{{- end }}
{{- concat $groups $given.additionalGroups | toYaml }}
{{- end }}

{{/* Matchers of Alertmanager's own files, such as severity="critical", as the operator writes them. */}}
{{- define "stream-exporter.matchers" -}}
{{- range . }}
- name: {{ regexFind "^[a-zA-Z_][a-zA-Z0-9_]*" . }}
  matchType: {{ regexFind "(=~|!~|!=|=)" . | quote }}
  value: {{ regexReplaceAll "^[^\"]*\"(.*)\"$" . "${1}" | quote }}
{{- end }}
{{- end }}

{{/* A route of Alertmanager's own files, with those below it, as the operator writes it. */}}
{{- define "stream-exporter.route" -}}
{{- range $key, $value := . }}
{{- if eq $key "matchers" }}
matchers:
  {{- include "stream-exporter.matchers" $value | trim | nindent 2 }}
{{- else if eq $key "routes" }}
routes:
  {{- range $value }}
  - {{ include "stream-exporter.route" . | trim | nindent 4 | trim }}
  {{- end }}
{{- else }}
{{ $key | camelcase | untitle }}: {{ toJson $value }}
{{- end }}
{{- end }}
{{- end }}
