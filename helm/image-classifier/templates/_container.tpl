{{/* The server's container. Takes the arguments of image-classifier.deployment. */}}

{{- define "image-classifier.container" -}}
{{- $values := .root.Values -}}
- name: server
  image: {{ include "image-classifier.image" . }}
  imagePullPolicy: {{ .image.pullPolicy }}
  ports:
    - name: http
      containerPort: 3000
    {{- with int $values.settings.managementPort }}
    - name: management
      containerPort: {{ . }}
    {{- end }}
  env:
    {{- include "image-classifier.model.env" . | nindent 4 }}
    {{- with .model.runtime }}
    - name: RUNTIME
      value: {{ . }}
    {{- end }}
    {{- if and (not (int $values.settings.threads)) (dig "limits" "cpu" "" $values.resources) }}
    - name: THREADS
      valueFrom:
        resourceFieldRef:
          containerName: server
          resource: limits.cpu
          divisor: "1"
    {{- end }}
    {{- with int $values.settings.managementPort }}
    - name: MANAGEMENT_PORT
      value: {{ . | quote }}
    {{- end }}
    {{- with $values.apiKeys.existingSecret }}
    - name: API_KEYS
      valueFrom:
        secretKeyRef: {name: {{ . | quote }}, key: {{ $values.apiKeys.key | quote }}}
    {{- end }}
    {{- with $values.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  envFrom:
    - configMapRef:
        name: {{ include "image-classifier.fullname" .root }}
    {{- with $values.extraEnvFrom }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- $probed := include "image-classifier.managementPort" .root }}
  startupProbe:
    httpGet: {path: /readyz, port: {{ $probed }}}
    {{- toYaml $values.probes.startup | nindent 4 }}
  readinessProbe:
    httpGet: {path: /readyz, port: {{ $probed }}}
    {{- toYaml $values.probes.readiness | nindent 4 }}
  livenessProbe:
    httpGet: {path: /livez, port: {{ $probed }}}
    {{- toYaml $values.probes.liveness | nindent 4 }}
  {{- if int $values.shutdown.preStopSeconds }}
  lifecycle:
    preStop:
      sleep: {seconds: {{ $values.shutdown.preStopSeconds }}}
  {{- end }}
  {{- with $values.securityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- $gpu := $values.gpu.enabled | ternary (dict "limits" (dict $values.gpu.resourceName $values.gpu.count)) (dict) }}
  {{- with mergeOverwrite (deepCopy $values.resources) $gpu }}
  resources:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  volumeMounts:
    {{- include "image-classifier.model.mounts" . | nindent 4 }}
    {{- with $values.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
