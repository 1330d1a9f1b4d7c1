{{/* What the schema can't say: values that exclude or need each other. Each message says what to do. */}}

{{- define "image-classifier.checks" -}}
{{- $v := .Values }}
{{- if and $v.autoscaling.enabled $v.keda.enabled }}
{{- fail "autoscaling.enabled and keda.enabled exclude each other: two autoscalers would fight over one Deployment; turn one off" }}
{{- end }}
{{- range $name := list "autoscaling" "keda" }}
{{- with index $v $name }}
{{- if and .enabled (gt (int .minReplicas) (int .maxReplicas)) }}
{{- fail (printf "%s.minReplicas (%v) is more than %s.maxReplicas (%v)" $name .minReplicas $name .maxReplicas) }}
{{- end }}
{{- end }}
{{- end }}
{{- with $v.autoscaling }}
{{- if and .enabled (not (or (int .targetCPUUtilizationPercentage) (int .targetInFlight) .metrics)) }}
{{- fail "autoscaling.enabled needs a metric: targetCPUUtilizationPercentage, targetInFlight or metrics" }}
{{- end }}
{{- if and .enabled (int .targetCPUUtilizationPercentage) (not (dig "requests" "cpu" "" $v.resources)) }}
{{- fail "autoscaling.targetCPUUtilizationPercentage is a share of resources.requests.cpu, which is not set" }}
{{- end }}
{{- end }}
{{- if and $v.keda.enabled (not (int $v.keda.minReplicas)) (not $v.keda.query) }}
{{- fail "keda.minReplicas 0 needs a keda.query that has an answer without pods, such as the gateway's number of requests: the pods' own metrics are gone with them" }}
{{- end }}
{{- if and $v.serviceMonitor.enabled $v.podMonitor.enabled }}
{{- fail "serviceMonitor.enabled and podMonitor.enabled exclude each other: every pod would be counted twice; turn one off" }}
{{- end }}
{{- if and $v.shadow.enabled (not $v.httpRoute.enabled) }}
{{- fail "shadow.enabled needs httpRoute.enabled: only the Gateway API can copy requests" }}
{{- end }}
{{- if and $v.httpRoute.enabled (not $v.httpRoute.parentRefs) }}
{{- fail "httpRoute.enabled needs httpRoute.parentRefs: the Gateway that the route belongs to" }}
{{- end }}
{{- with $v.networkPolicy }}
{{- if and .enabled (or $v.ingress.enabled $v.httpRoute.enabled) (not (or .gatewayNamespaces .extraFrom)) }}
{{- fail "networkPolicy.enabled with ingress or httpRoute needs networkPolicy.gatewayNamespaces: where the Ingress controller or gateway runs (or extraFrom, or networkPolicy.enabled=false)" }}
{{- end }}
{{- if and .enabled (ne $v.service.type "ClusterIP") (not .extraFrom) }}
{{- fail (printf "networkPolicy.enabled with service.type %s needs networkPolicy.extraFrom: who may send from outside, such as ipBlock.cidr (or networkPolicy.enabled=false)" $v.service.type) }}
{{- end }}
{{- end }}
{{- if lt (int $v.settings.maxBufferedBytes) (int $v.settings.maxBodyBytes) }}
{{- fail "settings.maxBufferedBytes must be at least settings.maxBodyBytes" }}
{{- end }}
{{- if and (eq (toString $v.rollout.maxSurge) "0") (eq (toString $v.rollout.maxUnavailable) "0") }}
{{- fail "rollout.maxSurge and rollout.maxUnavailable are both 0: no pod could be replaced" }}
{{- end }}
{{- $leave := addf $v.shutdown.preStopSeconds $v.settings.drainDelay (divf $v.settings.deadlineMs 1000) }}
{{- if le (float64 $v.shutdown.gracePeriodSeconds) $leave }}
{{- fail (printf "shutdown.gracePeriodSeconds (%v) must be more than shutdown.preStopSeconds, settings.drainDelay and settings.deadlineMs together (%v s), or pods are killed with requests under way" $v.shutdown.gracePeriodSeconds $leave) }}
{{- end }}
{{- range $what, $need := dict "serviceMonitor" "monitoring.coreos.com/v1" "podMonitor" "monitoring.coreos.com/v1" "prometheusRule" "monitoring.coreos.com/v1" "httpRoute" "gateway.networking.k8s.io/v1" "keda" "keda.sh/v1alpha1" }}
{{- if and (index $v $what).enabled (not ($.Capabilities.APIVersions.Has $need)) }}
{{- fail (printf "%s.enabled needs %s, which this cluster does not have: install what brings it, or, for `helm template`, add --api-versions %s" $what $need $need) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Takes what (a name for the message) and model. */}}
{{- define "image-classifier.checks.model" -}}
{{- $m := .model }}
{{- if and (ne $m.source "image") (not $m.tag) }}
{{- fail (printf "%s.source %s needs %s.tag: NAME:VERSION of the model in it" .what $m.source .what) }}
{{- end }}
{{- if and (eq $m.source "pvc") (not $m.pvc.claimName) }}
{{- fail (printf "%s.source pvc needs %s.pvc.claimName" .what .what) }}
{{- end }}
{{- if and (eq $m.source "url") (not (and $m.url.location $m.url.sha256)) }}
{{- fail (printf "%s.source url needs %s.url.location and %s.url.sha256" .what .what .what) }}
{{- end }}
{{- end }}
