{{/* What scales server and canary. */}}

{{/* Whether the canary has an autoscaler of its own: with the server's, unless the server's query counts all requests. */}}
{{- define "image-classifier.canary.scaled" -}}
{{- if and .Values.canary.enabled (or .Values.autoscaling.enabled (and .Values.keda.enabled (not .Values.keda.query))) }}true{{ end }}
{{- end }}

{{/* The most pods of server and canary, as JSON. The canary's autoscaler never has fewer pods than canary.replicaCount. */}}
{{- define "image-classifier.mostPods" -}}
{{- $v := .Values }}
{{- $scaler := $v.autoscaling.enabled | ternary $v.autoscaling ($v.keda.enabled | ternary $v.keda dict) }}
{{- $most := dict "server" ($scaler.maxReplicas | default $v.replicaCount) }}
{{- if $v.canary.enabled }}
{{- $_ := set $most "canary" (include "image-classifier.canary.scaled" . | empty | ternary $v.canary.replicaCount (max $v.canary.replicaCount $most.server)) }}
{{- end }}
{{- toJson $most }}
{{- end }}

{{/* The fewest pods of what an autoscaler scales, by component, as JSON. */}}
{{- define "image-classifier.fewestPods" -}}
{{- $fewest := dict "server" (.Values.autoscaling.enabled | ternary .Values.autoscaling.minReplicas .Values.keda.minReplicas) }}
{{- if include "image-classifier.canary.scaled" . }}{{ $_ := set $fewest "canary" .Values.canary.replicaCount }}{{ end }}
{{- toJson $fewest }}
{{- end }}
