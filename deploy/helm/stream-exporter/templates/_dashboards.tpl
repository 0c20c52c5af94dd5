{{/*
A shipped dashboard, fitted to the values as `stream-exporter dashboards` fits it to its flags: the labels and the runbook
of the rules, and the status page at `externalUrl`.
*/}}
{{- define "stream-exporter.dashboard" -}}
{{- $given := .context.Values.prometheusRule }}
{{- $labels := without (uniq $given.infoLabels) "provider" "account" "stream" "job" }}
{{- $page := .context.Values.externalUrl }}
{{- $runbook := toRawJson $given.runbookUrl | trimAll "\"" }}
{{- $text := replace "https://github.com/stream-exporter/stream-exporter/blob/main/docs/runbook.md" $runbook .text }}
{{- range $labels }}
{{- $text = replace "stream_info{" (printf "stream_info{%s=~\\\"$info_%s\\\", " . .) $text }}
{{- $text = replace "ALERTS_FOR_STATE{" (printf "ALERTS_FOR_STATE{%s=~\\\"$info_%s|\\\", " . .) $text }}
{{- end }}
{{- if $page }}
{{- $text = replace "http://${page:raw}" (trimSuffix "/" $page) $text }}
{{- end }}
{{- if or $labels $page }}
{{- $board := fromJson $text }}
{{- $variables := list }}
{{- range $board.templating.list }}
{{- if eq .name "provider" }}
{{- $source := .datasource }}
{{- range $labels }}
{{- $query := printf "label_values(stream_info{cluster=~\"$cluster\", job=~\"$job\", instance=~\"$instance\"}, %s)" . }}
{{- $name := printf "info_%s" . }}
{{- $all := dict "selected" true "text" (list "All") "value" (list "$__all") }}
{{- $variables = append $variables (dict
  "allValue" ".*" "current" $all "datasource" $source "definition" $query "hide" 0 "includeAll" true "label" . "multi" true
  "description" "A label from the configuration of the streams" "name" $name "refresh" 2 "sort" 7 "type" "query"
  "query" (dict "query" $query "refId" (printf "variable-%s" $name))) }}
{{- end }}
{{- end }}
{{- if not (and $page (eq .name "page")) }}
{{- $variables = append $variables (ternary (omit . "allValue") . (and (eq .name "account") (not (empty $labels)))) }}
{{- end }}
{{- end }}
{{- $_ := set $board.templating "list" $variables }}
{{- $text = toPrettyJson $board }}
{{- end }}
{{- $text }}
{{- end }}
