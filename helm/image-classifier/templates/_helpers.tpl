{{/* Names, labels and images. Every object gets its name from here. */}}

{{- define "image-classifier.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* At most 52 characters, so that "-headless" and the suffixes of the ReplicaSet fit. */}}
{{- define "image-classifier.fullname" -}}
{{- $name := include "image-classifier.name" . }}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) }}
{{- .Values.fullnameOverride | default $full | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "image-classifier.chart" -}}
{{- printf "%s-%s" .Chart.Name .Chart.Version | include "image-classifier.labelValue" }}
{{- end }}

{{/* A text as the value of a label: at most 63 characters, of which the first and the last are letters or digits. */}}
{{- define "image-classifier.labelValue" -}}
{{- regexReplaceAll "^[^A-Za-z0-9]+|[^A-Za-z0-9]+$" (. | replace "+" "_" | trunc 63) "" }}
{{- end }}

{{- define "image-classifier.selectorLabels" -}}
{{- dict "app.kubernetes.io/name" (include "image-classifier.name" .) "app.kubernetes.io/instance" .Release.Name | toYaml }}
{{- end }}

{{/* The selector of the pods of server, canary and shadow, and of no Job or test with the name of the release. */}}
{{- define "image-classifier.podsSelector" -}}
matchLabels:
  {{- include "image-classifier.selectorLabels" . | nindent 2 }}
matchExpressions:
  - {key: app.kubernetes.io/component, operator: In, values: [server, canary, shadow]}
{{- end }}

{{/* The labels of the test pod: another name, so that no Service, PodDisruptionBudget or NetworkPolicy of the server selects it. */}}
{{- define "image-classifier.test.labels" -}}
app.kubernetes.io/name: {{ include "image-classifier.name" . }}-test
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "image-classifier.labels" -}}
helm.sh/chart: {{ include "image-classifier.chart" . }}
{{ include "image-classifier.selectorLabels" . }}
app.kubernetes.io/version: {{ include "image-classifier.labelValue" .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: image-classifier
{{- end }}

{{- define "image-classifier.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "image-classifier.fullname" .) "default") }}
{{- end }}

{{/* The reference of an image. Takes root and image. */}}
{{- define "image-classifier.image" -}}
{{- with .image.registry | default .root.Values.global.imageRegistry }}{{ . }}/{{ end }}
{{- .image.repository }}
{{- if .image.digest }}@{{ .image.digest }}{{ else }}:{{ .image.tag | default .root.Chart.AppVersion }}{{ end }}
{{- end }}

{{/* The metadata of every object. Takes root, component, labels, annotations, and either name or suffix, which is appended to the full name. */}}
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
