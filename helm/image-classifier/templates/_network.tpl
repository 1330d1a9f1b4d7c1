{{/* The ports of a list of addresses, as JSON. Empty addresses are skipped. */}}
{{- define "image-classifier.ports" -}}
{{- $ports := list }}
{{- range compact . }}
{{- $url := urlParse . }}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" }}
{{- $ports = append $ports (int ($port | default (eq $url.scheme "http" | ternary "80" "443"))) }}
{{- end }}
{{- uniq $ports | toJson }}
{{- end }}

{{/* The addresses that pods download models from, as JSON. */}}
{{- define "image-classifier.modelAddresses" -}}
{{- $addresses := list }}
{{- range list (dict "enabled" true "model" .Values.model) .Values.canary .Values.shadow }}
{{- if and .enabled (eq (.model.source | default $.Values.model.source) "url") }}
{{- $addresses = append $addresses (dig "url" "location" $.Values.model.url.location .model) }}
{{- end }}
{{- end }}
{{- toJson $addresses }}
{{- end }}
