{{/* Checks of single values whose format Kubernetes refuses or misreads later. JSON Schema could only print the pattern. */}}

{{- define "image-classifier.checks.formats" -}}
{{- $v := .Values }}
{{- $full := include "image-classifier.fullname" . }}
{{- if not (regexMatch "^[a-z]([a-z0-9-]*[a-z0-9])?$" $full) }}
{{- fail (printf "The name %q cannot be that of a Service, which begins with a letter and has only a-z, 0-9 and -. Choose another release name, or set fullnameOverride." $full) }}
{{- end }}
{{- $registry := "([A-Za-z0-9.-]+(:[0-9]+)?)" }}
{{- range $what, $value := dict "image.registry" $v.image.registry "global.imageRegistry" $v.global.imageRegistry }}
{{- if and $value (not (regexMatch (printf "^%s(/[a-z0-9._/-]*[a-z0-9])?$" $registry) $value)) }}
{{- fail (printf "%s %q is not a registry. Write HOST or HOST:PORT, without https:// and without a / at the end." $what $value) }}
{{- end }}
{{- end }}
{{- range $what, $image := dict "image" $v.image "canary.image" $v.canary.image "shadow.image" $v.shadow.image }}
{{- with $image.repository }}
{{- if not (regexMatch (printf "^(%s/)?[a-z0-9._-]*[a-z0-9](/[a-z0-9._-]*[a-z0-9])*$" $registry) .) }}
{{- fail (printf "%s.repository %q is not the name of an image. Write it in lower case, without https:// and without a tag or digest, which belong in %s.tag and %s.digest." $what . $what $what) }}
{{- end }}
{{- end }}
{{- if not (kindIs "string" ($image.tag | default "")) }}
{{- fail (printf "%s.tag is the number %v, and a number loses its zeros: 1.10 becomes 1.1. Write it in quotes (tag: \"1.10\"), or use --set-string." $what $image.tag) }}
{{- end }}
{{- end }}
{{- range $what, $hosts := dict "ingress.hosts" $v.ingress.hosts "httpRoute.hostnames" $v.httpRoute.hostnames }}
{{- range $hosts }}
{{- if not (regexMatch "^(\\*\\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$" .) }}
{{- fail (printf "%s: %q is not a host name. Write it in lower case, without https://, port or path, such as images.example.com." $what .) }}
{{- end }}
{{- end }}
{{- end }}
{{- range $kind, $amounts := $v.resources }}
{{- range $name, $value := $amounts }}
{{- $amount := include "image-classifier.amount" $value }}
{{- if not $amount }}
{{- fail (printf "resources.%s.%s %q is not a quantity of Kubernetes. Write 512Mi or 2Gi for memory and disk, 500m or 2 for CPUs." $kind $name (toString $value)) }}
{{- end }}
{{- if and (has $name (list "memory" "ephemeral-storage")) (lt (float64 $amount) 1048576.0) }}
{{- fail (printf "resources.%s.%s %v is less than 1 MiB: without a unit it is in bytes. Write a unit, such as 512Mi or 2Gi." $kind $name $value) }}
{{- end }}
{{- $limit := dig "limits" $name "" $v.resources }}
{{- if and (eq $kind "requests") $limit (gt (float64 $amount) (float64 (include "image-classifier.amount" $limit))) }}
{{- fail (printf "resources.requests.%s (%v) is more than resources.limits.%s (%v). Lower the request or raise the limit." $name $value $name $limit) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* A quantity of Kubernetes, such as 512Mi, as a plain number. Empty if it is not a quantity. */}}
{{- define "image-classifier.amount" -}}
{{- $text := kindIs "string" . | ternary . (printf "%v" .) }}
{{- if regexMatch "^[0-9]+(\\.[0-9]+)?([eE][+]?[0-9]+|[KMGTPE]i|[numkMGTPE])?$" $text }}
{{- $unit := regexFind "([KMGTPE]i|[numkMGTPE])$" $text }}
{{- $factors := dict "" 1 "n" 1e-9 "u" 1e-6 "m" 1e-3 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "Pi" 1125899906842624 "Ei" 1152921504606846976 }}
{{- mulf (trimSuffix $unit $text | float64) (index $factors $unit) }}
{{- end }}
{{- end }}
