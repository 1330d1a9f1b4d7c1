{{/* Where the model comes from: variables, volumes and the container that fetches it. Each takes root, model and image. */}}

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
  {{- with .model.url.existingSecret }}
  envFrom:
    - secretRef: {name: {{ . | quote }}}
  {{- end }}
  {{- with .root.Values.securityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  resources:
    {{- toYaml .root.Values.resources | nindent 4 }}
  volumeMounts:
    {{- include "image-classifier.model.mounts" . | nindent 4 }}
{{- end }}

{{/* A release's model or image with what a canary or shadow has of its own. Takes base, own. */}}
{{- define "image-classifier.merged" -}}
{{- $base := deepCopy .base }}
{{- /* A tag of its own is not to be overruled by the server's digest, which is another image's or model's. */}}
{{- if .own.tag }}{{ $_ := set $base "digest" "" }}{{ end }}
{{- mergeOverwrite $base .own | toYaml }}
{{- end }}
