{{/* The Deployment of server, canary or shadow. Takes root, component, replicas (omitted if an autoscaler sets them), image and model. */}}

{{- define "image-classifier.deployment" -}}
{{- $root := .root }}
{{- $values := .root.Values }}
{{- /* `python -m k8s status` reads these, because it may not read Helm's records. */}}
{{- $notes := dict "image-classifier/revision" (toString .root.Release.Revision) }}
{{- if eq .component "canary" }}{{ $_ := set $notes "image-classifier/canary-weight" (toString $values.canary.weight) }}{{ end }}
{{- $selector := printf "%s\napp.kubernetes.io/component: %s" (include "image-classifier.selectorLabels" .root) .component }}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "image-classifier.metadata" (dict "root" .root "component" .component "suffix" (eq .component "server" | ternary "" .component) "annotations" $notes) | nindent 2 }}
spec:
  {{- if hasKey . "replicas" }}
  replicas: {{ .replicas }}
  {{- end }}
  {{- with $values.rollout }}
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxSurge: {{ .maxSurge }}
      maxUnavailable: {{ .maxUnavailable }}
  minReadySeconds: {{ .minReadySeconds }}
  progressDeadlineSeconds: {{ .progressDeadlineSeconds }}
  revisionHistoryLimit: {{ .revisionHistoryLimit }}
  {{- end }}
  selector:
    matchLabels:
      {{- $selector | nindent 6 }}
  template:
    metadata:
      labels:
        {{- $own := fromYaml $selector }}
        {{- $_ := set $own "app.kubernetes.io/version" (.image.tag | default (.image.digest | trimPrefix "sha256:" | trunc 12) | default .root.Chart.AppVersion | include "image-classifier.labelValue") }}
        {{- $_ := set $own "app.kubernetes.io/part-of" "image-classifier" }}
        {{- merge $own $values.podLabels $values.commonLabels | toYaml | nindent 8 }}
      annotations:
        {{- $notes := dict "checksum/settings" (include "image-classifier.settings" .root | sha256sum) }}
        {{- with .model.digest }}{{ $_ := set $notes "image-classifier/model-digest" . }}{{ end }}
        {{- with .model.tag }}{{ $_ := set $notes "image-classifier/model-tag" . }}{{ end }}
        {{- merge $notes $values.podAnnotations $values.commonAnnotations | toYaml | nindent 8 }}
    spec:
      {{- include "image-classifier.pod" . | nindent 6 }}
      {{- if or $values.gpu.enabled $values.tolerations }}
      tolerations:
        {{- if $values.gpu.enabled }}
        - key: {{ $values.gpu.resourceName | quote }}
          operator: Exists
          effect: NoSchedule
        {{- end }}
        {{- with $values.tolerations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- end }}
      topologySpreadConstraints:
        {{- with $values.topologySpreadConstraints }}
        {{- toYaml . | nindent 8 }}
        {{- else }}
        {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
        - topologyKey: {{ . }}
          maxSkew: 1
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- $selector | nindent 14 }}
          matchLabelKeys: [pod-template-hash]
        {{- end }}
        {{- end }}
      terminationGracePeriodSeconds: {{ $values.shutdown.gracePeriodSeconds }}
      {{- if or (eq .model.source "url") $values.extraInitContainers }}
      initContainers:
        {{- if eq .model.source "url" }}
        {{- include "image-classifier.model.fetch" . | nindent 8 }}
        {{- end }}
        {{- with $values.extraInitContainers }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- end }}
      containers:
        {{- include "image-classifier.container" . | nindent 8 }}
        {{- with $values.extraContainers }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      volumes:
        {{- include "image-classifier.model.volumes" . | nindent 8 }}
        {{- with $values.extraVolumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
{{- end }}

{{/* The part of the pod spec that the Deployments and the test pod share. Takes root. */}}
{{- define "image-classifier.pod" -}}
{{- with .root.Values -}}
serviceAccountName: {{ include "image-classifier.serviceAccountName" $.root | quote }}
automountServiceAccountToken: false
# The service could mistake Kubernetes' variables for Services for its settings.
enableServiceLinks: false
{{- with .imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .runtimeClassName }}
runtimeClassName: {{ . | quote }}
{{- end }}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}
