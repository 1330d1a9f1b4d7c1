{{/* The settings of the service as environment variables. */}}
{{- define "image-classifier.settings" -}}
{{- $settings := dict }}
{{- range $name, $value := .Values.settings }}
{{- /* Helm reads numbers as floating point and would write 20000000 as 2e+07. */}}
{{- $whole := and (kindIs "float64" $value) (eq $value (floor $value)) }}
{{- $_ := set $settings (snakecase $name | upper) ($whole | ternary (int64 $value) $value | toString) }}
{{- end }}
{{- if not (int .Values.settings.threads) }}{{ $_ := unset $settings "THREADS" }}{{ end }}
{{- if not .Values.settings.corsOrigins }}{{ $_ := unset $settings "CORS_ORIGINS" }}{{ end }}
{{- /* The pod sets it, beside the ports and probes that it must fit: pods of an older revision read this ConfigMap too. */}}
{{- $_ := unset $settings "MANAGEMENT_PORT" }}
{{- if not .Values.settings.disabledRoutes }}{{ $_ := unset $settings "DISABLED_ROUTES" }}{{ end }}
{{- with .Values.tracing.endpoint }}{{ $_ := set $settings "OTEL_EXPORTER_OTLP_ENDPOINT" . }}{{ end }}
{{- toYaml $settings }}
{{- end }}
