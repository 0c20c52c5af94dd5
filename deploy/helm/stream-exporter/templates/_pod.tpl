{{/* The template of the pod, for Deployment and StatefulSet. */}}
{{- define "stream-exporter.pod" -}}
{{- $web := include "stream-exporter.webSecret" . }}
{{- $together := include "stream-exporter.together" . }}
{{- $checksums := dict }}
{{- if .Values.restartOnConfigChange }}
{{- if include "stream-exporter.ownConfig" . }}
{{- $given := dict "config" (include "stream-exporter.config" . | fromYaml) "streamFiles" .Values.streamFiles }}
{{- $_ := set $checksums "checksum/config" ($given | toJson | sha256sum) }}
{{- end }}
{{- if .Values.webConfig.config }}
{{- $_ := set $checksums "checksum/web-config" (.Values.webConfig.config | toJson | sha256sum) }}
{{- end }}
{{- end }}
metadata:
  labels:
    {{- include "stream-exporter.labels" (list . .Values.podLabels) | nindent 4 }}
  {{- if or $checksums .Values.podAnnotations }}
  annotations:
    {{- include "stream-exporter.merged" (list $checksums .Values.podAnnotations) | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "stream-exporter.serviceAccountName" . }}
  automountServiceAccountToken: {{ .Values.automountServiceAccountToken }}
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  {{- with .Values.image.pullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.podSecurityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .Values.hostNetwork }}
  hostNetwork: true
  {{- end }}
  {{- with .Values.dnsPolicy | default (ternary "ClusterFirstWithHostNet" "" .Values.hostNetwork) }}
  dnsPolicy: {{ . }}
  {{- end }}
  {{- $fields := list "affinity" "dnsConfig" "hostAliases" "nodeSelector" "priorityClassName" "tolerations" "topologySpreadConstraints" }}
  {{- range $field := $fields }}
  {{- with get $.Values $field }}
  {{ $field }}: {{ toJson . }}
  {{- end }}
  {{- end }}
  {{- if and $together (not .Values.affinity) }}
  affinity:
    podAntiAffinity:
      preferredDuringSchedulingIgnoredDuringExecution:
        - weight: 100
          podAffinityTerm:
            topologyKey: kubernetes.io/hostname
            labelSelector:
              matchLabels:
                {{- include "stream-exporter.selectorLabels" . | nindent 16 }}
  {{- end }}
  {{- with .Values.extraInitContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: stream-exporter
      image: {{ include "stream-exporter.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        {{- if .Values.demo }}
        - demo
        {{- else }}
        - serve
        - --config.file=/etc/stream-exporter/stream-exporter.yml
        {{- end }}
        - --web.listen-address=:{{ .Values.containerPort }}
        {{- if $web }}
        - --web.config.file=/etc/stream-exporter-web/web.yml
        {{- end }}
        {{- with .Values.externalUrl }}
        - --web.external-url={{ . }}
        {{- end }}
        {{- if or .Values.routePrefix .Values.externalUrl }}
        - --web.route-prefix={{ .Values.routePrefix | default "/" }}
        {{- end }}
        {{- with .Values.extraArgs }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- $shard := include "stream-exporter.shardEnv" . | fromYamlArray }}
      {{- range .Values.extraEnv }}
      {{- include "stream-exporter.refuseVariable" . }}
      {{- end }}
      {{- with concat $shard .Values.extraEnv }}
      env:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.extraEnvFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - name: http
          containerPort: {{ .Values.containerPort }}
          protocol: TCP
      {{- include "stream-exporter.probes" . | trim | nindent 6 }}
      {{- with .Values.lifecycle }}
      lifecycle:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.securityContext }}
      securityContext:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      volumeMounts:
        - name: tmp
          mountPath: /tmp
        {{- if not .Values.demo }}
        - name: config
          mountPath: /etc/stream-exporter
          readOnly: true
        {{- end }}
        {{- if .Values.existingSecret }}
        - name: secrets
          mountPath: /run/secrets/stream-exporter
          readOnly: true
        {{- end }}
        {{- if .Values.store.existingSecret }}
        - name: store
          mountPath: /run/secrets/stream-exporter-store
          readOnly: true
        {{- end }}
        {{- if $web }}
        - name: web-config
          mountPath: /etc/stream-exporter-web
          readOnly: true
        {{- end }}
        {{- range concat .Values.extraSecretMounts .Values.extraConfigmapMounts }}
        - name: {{ .name }}
          mountPath: {{ .mountPath }}
          {{- with .subPath }}
          subPath: {{ . }}
          {{- end }}
          readOnly: true
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    {{- with .Values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    - name: tmp
      emptyDir:
        medium: Memory
        sizeLimit: 16Mi
    {{- if not .Values.demo }}
    - name: config
      configMap:
        name: {{ .Values.existingConfigMap | default (include "stream-exporter.fullname" .) }}
        {{- if include "stream-exporter.ownConfig" . }}
        items:
          - key: stream-exporter.yml
            path: stream-exporter.yml
          {{- range $name, $_ := .Values.streamFiles }}
          - key: {{ $name }}
            path: streams.d/{{ $name }}
          {{- end }}
        {{- end }}
    {{- end }}
    {{- with .Values.existingSecret }}
    - name: secrets
      secret:
        secretName: {{ . }}
        defaultMode: 288
    {{- end }}
    {{- with .Values.store.existingSecret }}
    - name: store
      secret:
        secretName: {{ . }}
        defaultMode: 288
    {{- end }}
    {{- if $web }}
    - name: web-config
      projected:
        defaultMode: 288
        sources:
          - secret:
              name: {{ $web }}
          {{- with .Values.webConfig.tlsSecret }}
          - secret:
              name: {{ . }}
          {{- end }}
    {{- end }}
    {{- range .Values.extraSecretMounts }}
    - name: {{ .name }}
      secret:
        secretName: {{ .secretName }}
        defaultMode: {{ .defaultMode | default 288 }}
    {{- end }}
    {{- range .Values.extraConfigmapMounts }}
    - name: {{ .name }}
      configMap:
        name: {{ .configMap }}
        defaultMode: {{ .defaultMode | default 420 }}
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
