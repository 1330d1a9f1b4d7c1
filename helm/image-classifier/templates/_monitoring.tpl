{{/* Label matchers that select the series of this release. A parent chart's release holds one such chart per alias, which
     differ by their name. */}}
{{- define "image-classifier.series" -}}
namespace="{{ .Release.Namespace }}", app_kubernetes_io_instance="{{ .Release.Name }}", app_kubernetes_io_name="{{ include "image-classifier.name" . }}"
{{- end }}

{{/* Pod labels that both monitors copy to every series. */}}
{{- define "image-classifier.podTargetLabels" -}}
podTargetLabels: [app.kubernetes.io/name, app.kubernetes.io/instance, app.kubernetes.io/component, app.kubernetes.io/version]
{{- end }}

{{/* Annotation with the address of the alert's section in docs/operating.md. Takes root and alert. */}}
{{- define "image-classifier.runbook" -}}
{{- $alert := .alert }}
{{- with .root.Values.prometheusRule.runbookUrl }}{{ printf "runbook_url: %q" (printf "%s#%s" . (lower $alert)) | nindent 12 }}{{ end }}
{{- end }}
