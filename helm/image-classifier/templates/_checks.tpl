{{/* Checks of values that depend on each other, which JSON Schema cannot express. Each message says what to do. */}}

{{- define "image-classifier.checks" -}}
{{- include "image-classifier.checks.formats" . }}
{{- include "image-classifier.checks.renamed" . }}
{{- $v := .Values }}
{{- if and $v.autoscaling.enabled $v.keda.enabled }}
{{- fail "autoscaling.enabled and keda.enabled cannot be combined: both would scale the same Deployment. Disable one of them." }}
{{- end }}
{{- range $name := list "autoscaling" "keda" }}
{{- with index $v $name }}
{{- if and .enabled (gt (int .minReplicas) (int .maxReplicas)) }}
{{- fail (printf "%s.minReplicas (%v) is greater than %s.maxReplicas (%v). Lower the minimum or raise the maximum." $name .minReplicas $name .maxReplicas) }}
{{- end }}
{{- end }}
{{- end }}
{{- with $v.autoscaling }}
{{- if and .enabled (not (or (int .targetCPUUtilizationPercentage) (int .targetInFlight) .metrics)) }}
{{- fail "autoscaling.enabled needs a metric. Set autoscaling.targetCPUUtilizationPercentage, autoscaling.targetInFlight or autoscaling.metrics." }}
{{- end }}
{{- if and .enabled (int .targetCPUUtilizationPercentage) (not (dig "requests" "cpu" "" $v.resources)) }}
{{- fail "autoscaling.targetCPUUtilizationPercentage is a percentage of resources.requests.cpu, which is not set. Set the request, or set the percentage to 0." }}
{{- end }}
{{- end }}
{{- if and $v.keda.enabled (not (int $v.keda.minReplicas)) (not $v.keda.query) }}
{{- fail "keda.minReplicas is 0, but keda.query is empty. Without pods, their metrics are missing too. Set a query that returns a value even while there are no pods, such as the gateway's request rate." }}
{{- end }}
{{- if and $v.serviceMonitor.enabled $v.podMonitor.enabled }}
{{- fail "serviceMonitor.enabled and podMonitor.enabled cannot be combined: Prometheus would count every pod twice. Disable one of them." }}
{{- end }}
{{- if and $v.shadow.enabled (not $v.httpRoute.enabled) }}
{{- fail "shadow.enabled needs httpRoute.enabled: only the Gateway API can copy requests." }}
{{- end }}
{{- if and $v.httpRoute.enabled (not $v.httpRoute.parentRefs) }}
{{- fail "httpRoute.enabled needs httpRoute.parentRefs. Set it to the Gateway that the route attaches to." }}
{{- end }}
{{- with $v.networkPolicy }}
{{- if and .enabled (or $v.ingress.enabled $v.httpRoute.enabled) (not (or .gatewayNamespaces .extraFrom)) }}
{{- fail "The NetworkPolicy would block the Ingress controller or gateway. Set networkPolicy.gatewayNamespaces to its namespace, or networkPolicy.extraFrom to its addresses, or networkPolicy.enabled to false." }}
{{- end }}
{{- if and .enabled (ne $v.service.type "ClusterIP") (not .extraFrom) }}
{{- fail (printf "The NetworkPolicy would block clients outside the cluster, which service.type %s is for. Set networkPolicy.extraFrom to their addresses, such as an ipBlock.cidr, or networkPolicy.enabled to false." $v.service.type) }}
{{- end }}
{{- end }}
{{- if eq (int $v.settings.managementPort) 3000 }}
{{- fail "settings.managementPort 3000 is the port of the requests. Choose another one, or 0 for no second port." }}
{{- end }}
{{- if lt (int $v.settings.maxBufferedBytes) (int $v.settings.maxBodyBytes) }}
{{- fail (printf "settings.maxBufferedBytes (%d) must be at least settings.maxBodyBytes (%d)." (int64 $v.settings.maxBufferedBytes) (int64 $v.settings.maxBodyBytes)) }}
{{- end }}
{{- if and (regexMatch "^0+%?$" (toString $v.rollout.maxSurge)) (regexMatch "^0+%?$" (toString $v.rollout.maxUnavailable)) }}
{{- fail "rollout.maxSurge and rollout.maxUnavailable are both 0, so no pod could be replaced. Raise one of them." }}
{{- end }}
{{- $leave := addf $v.shutdown.preStopSeconds $v.settings.drainDelay (divf $v.settings.deadlineMs 1000) }}
{{- if le (float64 $v.shutdown.gracePeriodSeconds) $leave }}
{{- fail (printf "shutdown.gracePeriodSeconds (%v) must be more than shutdown.preStopSeconds, settings.drainDelay and settings.deadlineMs together (%v s). Otherwise pods are killed with requests in flight." $v.shutdown.gracePeriodSeconds $leave) }}
{{- end }}
{{- range $what, $need := dict "serviceMonitor" "monitoring.coreos.com/v1" "podMonitor" "monitoring.coreos.com/v1" "prometheusRule" "monitoring.coreos.com/v1" "httpRoute" "gateway.networking.k8s.io/v1" "keda" "keda.sh/v1alpha1" }}
{{- if and (index $v $what).enabled (not ($.Capabilities.APIVersions.Has $need)) }}
{{- fail (printf "%s.enabled needs the API %s, which this cluster does not have. Install its CustomResourceDefinitions, or pass --api-versions %s to `helm template`." $what $need $need) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Checks of one model. Takes model, and what, its path in the values. */}}
{{- define "image-classifier.checks.model" -}}
{{- $m := .model }}
{{- if and (ne $m.source "image") (not $m.tag) }}
{{- fail (printf "%s.source %s needs %s.tag. Set it to NAME:VERSION of the model." .what $m.source .what) }}
{{- end }}
{{- if and (eq $m.source "pvc") (not $m.pvc.claimName) }}
{{- fail (printf "%s.source pvc needs %s.pvc.claimName. Set it to the PersistentVolumeClaim with the model store." .what .what) }}
{{- end }}
{{- if and (eq $m.source "url") (not (and $m.url.location $m.url.sha256)) }}
{{- fail (printf "%s.source url needs %s.url.location and %s.url.sha256. Set them to the address and the SHA-256 of the archive." .what .what .what) }}
{{- end }}
{{- end }}
