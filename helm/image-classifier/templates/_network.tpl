{{/* The NetworkPolicy rule that admits peers to a port. Takes port, namespaces and extra, a list of peers. */}}
{{- define "image-classifier.admitted" -}}
- ports:
    - {port: {{ .port }}, protocol: TCP}
  from:
    - podSelector: {}
    {{- with .namespaces }}
    - namespaceSelector:
        matchExpressions:
          - key: kubernetes.io/metadata.name
            operator: In
            values:
              {{- toYaml (uniq .) | nindent 14 }}
    {{- end }}
    {{- with .extra }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{/* The NetworkPolicy rules for DNS. OpenShift's DNS pods listen on 5353. */}}
{{- define "image-classifier.egress.dns" -}}
- ports:
    {{- range $port := list 53 5353 }}
    {{- range $protocol := list "UDP" "TCP" }}
    - {port: {{ $port }}, protocol: {{ $protocol }}}
    {{- end }}
    {{- end }}
{{- end }}

{{/* The NetworkPolicy rules to reach a list of addresses, of which empty ones are skipped. A policy sees the ports of pods,
     and an address has the port of a Service. So a name inside the cluster also opens its whole namespace. */}}
{{- define "image-classifier.egress" -}}
{{- $ports := list }}
{{- $namespaces := list }}
{{- range compact . }}
{{- $url := urlParse . }}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" }}
{{- $ports = append $ports (int ($port | default (eq $url.scheme "http" | ternary "80" "443"))) }}
{{- $labels := regexReplaceAll ":[0-9]+$" $url.host "" | splitList "." }}
{{- if eq (len $labels) 1 }}
{{- $namespaces = append $namespaces "" }}
{{- else if or (eq (len $labels) 2) (eq (index $labels 2) "svc") }}
{{- $namespaces = append $namespaces (index $labels 1) }}
{{- end }}
{{- end }}
{{- with uniq $ports -}}
- ports:
    {{- range . }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
{{- end }}
{{- with uniq $namespaces }}
- to:
    {{- range . }}
    {{- if . }}
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ . | quote }}}}
    {{- else }}
    - podSelector: {}
    {{- end }}
    {{- end }}
{{- end }}
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

{{/* The names of the Services that a gateway sends requests to, as JSON. */}}
{{- define "image-classifier.backends" -}}
{{- $full := include "image-classifier.fullname" . }}
{{- $names := list $full }}
{{- range list "canary" "shadow" }}
{{- if (index $.Values .).enabled }}{{ $names = append $names (printf "%s-%s" $full .) }}{{ end }}
{{- end }}
{{- toJson $names }}
{{- end }}
