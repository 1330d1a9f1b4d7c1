{{/* How the release's series are told from others'. */}}
{{- define "image-classifier.series" -}}
namespace="{{ .Release.Namespace }}", app_kubernetes_io_instance="{{ .Release.Name }}"
{{- end }}

{{/* Labels of the pods that both monitors put on every series. */}}
{{- define "image-classifier.podTargetLabels" -}}
podTargetLabels: [app.kubernetes.io/instance, app.kubernetes.io/component, app.kubernetes.io/version]
{{- end }}
