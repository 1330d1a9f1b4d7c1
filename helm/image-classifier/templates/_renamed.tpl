{{/* Refuses an upgrade that changes the names: Helm would delete the old pods before the new ones are ready. Without a cluster,
     as in `helm template`, `lookup` finds nothing. */}}
{{- define "image-classifier.checks.renamed" -}}
{{- $full := include "image-classifier.fullname" . }}
{{- $selector := include "image-classifier.selectorLabels" . | fromYaml }}
{{- range (lookup "apps/v1" "Deployment" .Release.Namespace "").items }}
{{- $labels := .metadata.labels | default dict }}
{{- $ours := eq (index $labels "app.kubernetes.io/instance" | toString) $.Release.Name }}
{{- /* Another alias of the chart in a parent chart has another chart's name. */}}
{{- $ours = and $ours (regexMatch (printf "^%s-[0-9]" $.Chart.Name) (index $labels "helm.sh/chart" | toString)) }}
{{- if and $ours (eq (index $labels "app.kubernetes.io/component" | toString) "server") }}
{{- $name := index $labels "app.kubernetes.io/name" }}
{{- if or (ne .metadata.name $full) (ne $name (index $selector "app.kubernetes.io/name")) }}
{{- fail (printf "nameOverride or fullnameOverride changes the name of the running Deployment %s, and Helm would delete its pods before the new ones are ready. Set nameOverride=%s and fullnameOverride=%s to keep the name, or install a second release, move the traffic, and uninstall this one." .metadata.name $name .metadata.name) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
