{{/* A Prometheus duration in milliseconds. */}}
{{- define "stream-exporter.milliseconds" -}}
{{- $units := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 "d" 86400000 "w" 604800000 "y" 31536000000 }}
{{- $sum := 0 }}
{{- range regexFindAll "[0-9]+[a-z]+" . -1 }}
{{- $sum = add $sum (mul (regexFind "[0-9]+" . | int64) (get $units (regexFind "[a-z]+" .))) }}
{{- end }}
{{- $sum }}
{{- end }}

{{/* The one endpoint of a ServiceMonitor or PodMonitor: give the context and the name of its values. */}}
{{- define "stream-exporter.endpoint" -}}
{{- $root := first . }}
{{- $name := last . }}
{{- with get $root.Values $name }}
{{- $interval := include "stream-exporter.milliseconds" .interval | int64 }}
{{- if gt (include "stream-exporter.milliseconds" .scrapeTimeout | int64) $interval }}
{{- printf "%s: scrapeTimeout %s is above interval %s, which Prometheus refuses" $name .scrapeTimeout .interval | fail }}
{{- end }}
{{- if and .basicAuth .authorization }}
{{- printf "%s: give basicAuth or authorization, not both" $name | fail }}
{{- end }}
port: http
path: {{ printf "%s%s" $root.Values.routePrefix .path }}
scheme: {{ .scheme | default (include "stream-exporter.scheme" $root) }}
interval: {{ .interval }}
scrapeTimeout: {{ .scrapeTimeout }}
honorLabels: {{ .honorLabels }}
{{- with .tlsConfig }}
tlsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .basicAuth }}
basicAuth:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .authorization }}
authorization:
  {{- toYaml . | nindent 2 }}
{{- end }}
relabelings:
  - targetLabel: job
    replacement: {{ .jobName | quote }}
  {{- with .relabelings }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}
