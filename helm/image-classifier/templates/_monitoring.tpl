{{/* Label matchers that select the series of this release. */}}
{{- define "image-classifier.series" -}}
namespace="{{ .Release.Namespace }}", app_kubernetes_io_instance="{{ .Release.Name }}"
{{- end }}

{{/* Pod labels that both monitors copy to every series. */}}
{{- define "image-classifier.podTargetLabels" -}}
podTargetLabels: [app.kubernetes.io/instance, app.kubernetes.io/component, app.kubernetes.io/version]
{{- end }}

{{/* Annotation with the address of the alert's section in docs/operating.md. Takes root and alert. */}}
{{- define "image-classifier.runbook" -}}
{{- $alert := .alert }}
{{- with .root.Values.prometheusRule.runbookUrl }}{{ printf "runbook_url: %q" (printf "%s#%s" . (lower $alert)) | nindent 12 }}{{ end }}
{{- end }}
