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

{{/*
Texts that hold a secret: a password in an address, one in its query, an access key, a private key. `why` says who would
see it. The names of parameters are those of exporter/fields.py, and what is like them.
*/}}
{{- define "stream-exporter.refuseText" -}}
{{- $at := printf "%s: %s" .at (.why | default "config becomes a ConfigMap") }}
{{- if regexMatch "//[^/?#\\s]*@|^[^/@\\s]+:[^/@\\s]+@" .text }}
{{- printf "%s; an address there holds a user or a password. Take it out, or put the address into a Secret" $at | fail }}
{{- end }}
{{- $once := include "stream-exporter.unquoted" .text }}
{{- $twice := include "stream-exporter.unquoted" $once }}
{{- $signs := "sign|signature|sig|token|auth|key|passwd|password|pwd|tx_?time|ws_?time|hw_?time|volc_?time" }}
{{- $named := printf "(?i)(\\w*secret|auth_?(key|info|token)|access_?key|(^|[^a-z0-9])(\\w+[_-])?(%s))\\s*=" $signs }}
{{- $like := "(?i)(^|[?&;])[a-z_-]*(secret|token|sign|signature|auth|auth_key|passw|password|access_?key|api_?key)[a-z_-]*=" }}
{{- range list .text $once $twice }}
{{- if or (regexMatch $named .) (regexMatch $like .) }}
{{- printf "%s; an address there holds a secret in its query. Take it out, or put the address into a Secret: one of playback as url_file or url_env, or unsigned, with the key that signs it as tencent_key_file or alibaba_key_file" $at | fail }}
{{- end }}
{{- end }}
{{- if or (regexMatch "\\b(LTAI|STS\\.|AKID|IKID|AKLT|AKTP|AKIA|ASIA)[A-Za-z0-9]{12,}" .text) (contains "PRIVATE KEY-----" .text) }}
{{- printf "%s; a text there looks like an access key or a private key. Put it into a Secret" $at | fail }}
{{- end }}
{{- end }}

{{/* A variable of the environment whose value stands in the pod, where everybody who may read pods sees it. */}}
{{- define "stream-exporter.refuseVariable" -}}
{{- if and (kindIs "string" .value) (not (regexMatch "^[$][(][A-Za-z0-9_]+[)]$" .value)) }}
{{- $at := printf "extraEnv %s" .name }}
{{- $why := "its value stands in the pod; take it from a Secret, by valueFrom" }}
{{- $secret := regexMatch "(?i)secret|passw|token|(access|api|auth|callback|play|private|sign)_?key|_[as]k$" .name }}
{{- if and $secret (not (regexMatch "(?i)_(file|path|uri|url|endpoint|arn)$" .name)) }}
{{- printf "%s: %s. It is named like a secret" $at $why | fail }}
{{- end }}
{{- include "stream-exporter.refuseText" (dict "at" $at "text" .value "why" $why) }}
{{- end }}
{{- end }}

{{/* A text with what is percent-encoded in it decoded. */}}
{{- define "stream-exporter.unquoted" -}}
{{- $text := . }}
{{- range regexFindAll "%[0-9A-Fa-f]{2}" $text -1 | uniq }}
{{- $text = replace . (printf "%c" (printf "0x%s" (trimPrefix "%" .) | int)) $text }}
{{- end }}
{{- $text }}
{{- end }}
