{{/* Source of the model: variables, volumes, and the container that downloads it. Each template takes root, model and image. */}}

{{- define "image-classifier.model.env" -}}
- name: BENTOML_HOME
  value: /bentoml
{{- with .model.tag }}
- name: MODEL_TAG
  value: {{ . | quote }}
{{- end }}
{{- end }}

{{- define "image-classifier.model.volumes" -}}
- name: tmp
  emptyDir: {medium: Memory, sizeLimit: 64Mi}
- name: bentoml
  emptyDir: {}
{{- if eq .model.source "pvc" }}
- name: models
  persistentVolumeClaim:
    claimName: {{ .model.pvc.claimName | quote }}
    readOnly: true
{{- end }}
{{- end }}

{{- define "image-classifier.model.mounts" -}}
- name: tmp
  mountPath: /tmp
- name: bentoml
  mountPath: /bentoml
{{- if eq .model.source "pvc" }}
- name: models
  mountPath: /bentoml/models
  {{- with .model.pvc.subPath }}
  subPath: {{ . | quote }}
  {{- end }}
  readOnly: true
{{- end }}
{{- end }}

{{- define "image-classifier.model.fetch" -}}
- name: fetch-model
  image: {{ include "image-classifier.image" . }}
  imagePullPolicy: {{ .image.pullPolicy }}
  command: [python, -m, bento.fetch]
  args:
    - {{ .model.url.location | quote }}
    - --sha256={{ .model.url.sha256 }}
    - --into=/bentoml
    {{- if .model.url.plainHttp }}
    - --plain-http
    {{- end }}
  {{- $values := .root.Values }}
  {{- with $values.extraEnv }}
  env:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if or .model.url.existingSecret $values.extraEnvFrom }}
  envFrom:
    {{- with $values.extraEnvFrom }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- with .model.url.existingSecret }}
    - secretRef: {name: {{ . | quote }}}
    {{- end }}
  {{- end }}
  {{- with $values.securityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  resources:
    {{- toYaml $values.resources | nindent 4 }}
  volumeMounts:
    {{- include "image-classifier.model.mounts" . | nindent 4 }}
    {{- with $values.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{/* The model or image of a canary or shadow: its own keys (own) over the server's (base). */}}
{{- define "image-classifier.merged" -}}
{{- $base := deepCopy .base }}
{{- /* The server's digest belongs to another image or model, and would override the canary's own tag. */}}
{{- if .own.tag }}{{ $_ := set $base "digest" "" }}{{ end }}
{{- mergeOverwrite $base .own | toYaml }}
{{- end }}
