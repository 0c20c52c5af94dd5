{{/* The Secret that holds web.yml, if any. */}}
{{- define "stream-exporter.webSecret" -}}
{{- with .Values.webConfig }}
{{- if and .config .existingSecret }}
{{- fail "webConfig: give config or existingSecret, not both" }}
{{- end }}
{{- if .existingSecret }}
{{- .existingSecret }}
{{- else if .config }}
{{- printf "%s-web" (include "stream-exporter.fullname" $) }}
{{- else if or .tlsSecret .tls .clientCertificates }}
{{- fail "webConfig: tlsSecret, tls and clientCertificates do nothing without config or existingSecret" }}
{{- end }}
{{- if and $.Values.demo (or .config .existingSecret) }}
{{- fail "webConfig: the demo knows no web configuration" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "stream-exporter.scheme" -}}
{{- $web := .Values.webConfig }}
{{- if or $web.tls $web.clientCertificates ($web.config).tls_server_config }}https{{ else }}http{{ end }}
{{- end }}

{{/* "true" where whoever connects must show a certificate: the kubelet cannot. */}}
{{- define "stream-exporter.clientCertificates" -}}
{{- $web := .Values.webConfig }}
{{- if or $web.clientCertificates (hasPrefix "Require" ((($web.config).tls_server_config).client_auth_type | default "")) }}true{{ end }}
{{- end }}

{{/* The probes of the container, asking the way that the web configuration and the prefix of the paths demand. */}}
{{- define "stream-exporter.probes" -}}
{{- $root := . }}
{{- $secure := eq (include "stream-exporter.scheme" .) "https" }}
{{- $blind := include "stream-exporter.clientCertificates" . }}
{{- range $name := list "livenessProbe" "readinessProbe" "startupProbe" }}
{{- with get $root.Values $name }}
{{- $probe := deepCopy . }}
{{- with $probe.httpGet }}
{{- if $blind }}
{{- $_ := set $probe "tcpSocket" (dict "port" .port) }}
{{- $_ := unset $probe "httpGet" }}
{{- else }}
{{- $_ := set . "path" (printf "%s%s" $root.Values.routePrefix .path) }}
{{- if and $secure (not .scheme) }}
{{- $_ := set . "scheme" "HTTPS" }}
{{- end }}
{{- end }}
{{- end }}
{{ $name }}:
  {{- toYaml $probe | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}
