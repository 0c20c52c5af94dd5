{{/*
A ConfigMap is no place for a secret. What looks like one is refused, wherever it stands in config and streamFiles, and
neither its value nor its key is repeated: the key may be the secret.
*/}}
{{- define "stream-exporter.refuseSecrets" -}}
{{- include "stream-exporter.refuse" (dict "at" "config" "value" .Values.config "key" "") }}
{{- include "stream-exporter.refuse" (dict "at" "store" "value" .Values.store.url "key" "") }}
{{- range $name, $streams := .Values.streamFiles }}
{{- include "stream-exporter.refuse" (dict "at" (printf "streamFiles %s" $name) "value" $streams "key" "") }}
{{- end }}
{{- end }}

{{/* Looks through a value with all that is in it; `at` is its place for messages, `key` the key it stands under. */}}
{{- define "stream-exporter.refuse" -}}
{{- $at := .at }}
{{- if kindIs "map" .value }}
{{- range $key, $value := .value }}
{{- include "stream-exporter.refuseKey" (dict "at" $at "key" $key "value" $value) }}
{{- include "stream-exporter.refuseText" (dict "at" $at "text" $key "key" "") }}
{{- $plain := regexMatch "^[a-z_]{1,24}$" $key | ternary $key "<key>" }}
{{- include "stream-exporter.refuse" (dict "at" (printf "%s.%s" $at $plain) "value" $value "key" $key) }}
{{- end }}
{{- else if kindIs "slice" .value }}
{{- $key := .key }}
{{- range $index, $value := .value }}
{{- include "stream-exporter.refuse" (dict "at" (printf "%s[%d]" $at $index) "value" $value "key" $key) }}
{{- end }}
{{- else if kindIs "string" .value }}
{{- include "stream-exporter.refuseText" (dict "at" $at "text" .value "key" .key) }}
{{- end }}
{{- end }}

{{/* The keys that hold a secret, in any spelling: SECRET_KEY, secretKey, secret-key. Their forms _file and _env do not. */}}
{{- define "stream-exporter.refuseKey" -}}
{{- $secrets := list
  "access_key" "access_key_id" "access_key_secret" "api_key" "api_secret" "callback_key" "callback_secret" "password"
  "alibaba_key" "secret_access_key" "secret_id" "secret_key" "security_token" "server_secret" "session_token"
  "tencent_key" "token" }}
{{- $word := regexReplaceAll "[^a-z0-9]" (lower .key) "" }}
{{- $at := .at }}
{{- range $secrets }}
{{- if eq $word (replace "_" "" .) }}
{{- printf "%s: config becomes a ConfigMap; give %s_file or %s_env instead of %s, and a Secret" $at . . . | fail }}
{{- end }}
{{- end }}
{{- $secret := "secret|passw|passphrase|token|credential|privatekey|accesskey|apikey|authkey|callbackkey|signkey|authorization" }}
{{- if and (regexMatch $secret $word) (not (regexMatch "(file|env)$" $word)) (not (kindIs "map" .value)) }}
{{- printf "%s: config becomes a ConfigMap; a key there is named like a secret. Give its form that ends in _file or _env, and a Secret" $at | fail }}
{{- end }}
{{- if and (regexMatch $secret $word) (kindIs "string" .value) }}
{{- if and (hasSuffix "env" $word) (not (regexMatch "^[A-Za-z_][A-Za-z0-9_]{0,127}$" .value)) }}
{{- printf "%s: config becomes a ConfigMap; a key that ends in _env wants the name of an environment variable, not a secret" $at | fail }}
{{- end }}
{{- if and (hasSuffix "file" $word) (not (contains "/" .value)) }}
{{- printf "%s: config becomes a ConfigMap; a key that ends in _file wants the path of a file, not a secret" $at | fail }}
{{- end }}
{{- end }}
{{- end }}

{{/* Texts that hold a secret: a password in an address, one in its query, an access key, a private key. */}}
{{- define "stream-exporter.refuseText" -}}
{{- if regexMatch "//[^/?#\\s]*@|^[^/@\\s]+:[^/@\\s]+@" .text }}
{{- printf "%s: config becomes a ConfigMap; an address there holds a user or a password. Take it out, or put the address into a Secret" .at | fail }}
{{- end }}
{{- if regexMatch "(?i)(^|[?&;])[a-z_-]*(secret|token|sign|signature|auth|auth_key|passw|password|access_?key|api_?key)[a-z_-]*=" .text }}
{{- printf "%s: config becomes a ConfigMap; an address there holds a secret in its query. Take it out, or put the address into a Secret" .at | fail }}
{{- end }}
{{- if or (regexMatch "\\b(LTAI|STS\\.|AKID|IKID|AKLT|AKTP|AKIA|ASIA)[A-Za-z0-9]{12,}" .text) (contains "PRIVATE KEY-----" .text) }}
{{- printf "%s: config becomes a ConfigMap; a text there looks like an access key or a private key. Put it into a Secret" .at | fail }}
{{- end }}
{{- end }}
