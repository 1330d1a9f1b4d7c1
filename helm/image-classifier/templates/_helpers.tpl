{{/* Names, labels and images. Everything that has a name gets it from here. */}}

{{- define "image-classifier.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Leaves room for "-headless" and what the ReplicaSet adds. */}}
{{- define "image-classifier.fullname" -}}
{{- $name := include "image-classifier.name" . }}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) }}
{{- .Values.fullnameOverride | default $full | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "image-classifier.chart" -}}
{{- printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "image-classifier.selectorLabels" -}}
{{- dict "app.kubernetes.io/name" (include "image-classifier.name" .) "app.kubernetes.io/instance" .Release.Name | toYaml }}
{{- end }}

{{- define "image-classifier.labels" -}}
helm.sh/chart: {{ include "image-classifier.chart" . }}
{{ include "image-classifier.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: image-classifier
{{- end }}

{{- define "image-classifier.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "image-classifier.fullname" .) "default") }}
{{- end }}

{{/* Takes root, image. */}}
{{- define "image-classifier.image" -}}
{{- with .image.registry | default .root.Values.global.imageRegistry }}{{ . }}/{{ end }}
{{- .image.repository }}
{{- if .image.digest }}@{{ .image.digest }}{{ else }}:{{ .image.tag | default .root.Chart.AppVersion }}{{ end }}
{{- end }}

{{/* The head of every object. Takes root, component, further labels and annotations, and a suffix of the name or a whole name. */}}
{{- define "image-classifier.metadata" -}}
{{ dict "name" (.name | default (list (include "image-classifier.fullname" .root) .suffix | compact | join "-")) | toYaml }}
labels:
  {{- $own := include "image-classifier.labels" .root | fromYaml }}
  {{- with .component }}{{ $_ := set $own "app.kubernetes.io/component" . }}{{ end }}
  {{- merge (dict) (.labels | default dict) $own .root.Values.commonLabels | toYaml | nindent 2 }}
{{- with merge (dict) (.annotations | default dict) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* A value as text; Helm reads numbers as floating point and would write 2e+07. */}}
{{- define "image-classifier.number" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- end }}
