{{/* How the release's series are told from others'. */}}
{{- define "image-classifier.series" -}}
namespace="{{ .Release.Namespace }}", app_kubernetes_io_instance="{{ .Release.Name }}"
{{- end }}

{{/* Labels of the pods that both monitors put on every series. */}}
{{- define "image-classifier.podTargetLabels" -}}
podTargetLabels: [app.kubernetes.io/instance, app.kubernetes.io/component, app.kubernetes.io/version]
{{- end }}

{{/* Annotation that leads to the alert's entry in docs/operating.md. */}}
{{- define "image-classifier.runbook" -}}
{{- $alert := .alert }}
{{- with .root.Values.prometheusRule.runbookUrl }}{{ printf "runbook_url: %q" (printf "%s#%s" . (lower $alert)) | nindent 12 }}{{ end }}
{{- end }}
