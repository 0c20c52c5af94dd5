{{/*
The groups of the shipped rules, fitted to the values. They are read, not rendered: their own {{ }} are for Prometheus.
Where alerts carry labels of the streams, files/rules.labels.yml is their form, with STREAM_LABELS for the names.
*/}}
{{- define "stream-exporter.groups" -}}
{{- $given := .Values.prometheusRule }}
{{- $labels := $given.infoLabels }}
{{- with $given.severityLabel }}
{{- $labels = append $labels . | uniq }}
{{- end }}
{{- $text := .Files.Get (ternary "files/rules.labels.yml" "files/rules.yml" (gt (len $labels) 0)) }}
{{- $text = replace ".*stream-exporter.*" $given.job $text }}
{{- with $given.runbookUrl }}
{{- $text = regexReplaceAll "(runbook_url: )[^#\n]+" $text (printf "${1}%s" .) }}
{{- end }}
{{- $groups := list }}
{{- range ($text | fromYaml).groups }}
{{- $rules := list }}
{{- range .rules }}
{{- if not (has (coalesce .alert .record) $given.disabled) }}
{{- if .alert }}
{{- $own := dict }}
{{- if and $given.severityLabel (contains "STREAM_LABELS" .expr) }}
{{- $_ := set $own "severity" (printf "{{ with $labels.%s }}{{ . }}{{ else }}%s{{ end }}" $given.severityLabel .labels.severity) }}
{{- end }}
{{- $_ := set . "labels" (include "stream-exporter.merged" (list .labels $given.alertLabels $own) | fromYaml) }}
{{- $_ := set . "expr" (replace "STREAM_LABELS" (join ", " $labels) .expr) }}
{{- end }}
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
