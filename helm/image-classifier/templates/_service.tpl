{{/* The Service of one component. Takes root and component; for the server also type, annotations and everyone. With
     everyone, the Service selects the canary's pods too, for a canary without an HTTPRoute. */}}

{{- define "image-classifier.service" }}
apiVersion: v1
kind: Service
metadata:
  {{- include "image-classifier.metadata" (dict "root" .root "component" .component "suffix" (eq .component "server" | ternary "" .component) "annotations" .annotations) | nindent 2 }}
spec:
  {{- with .type }}
  type: {{ . }}
  {{- end }}
  {{- include "image-classifier.service.families" .root }}
  ports:
    - name: http
      port: {{ .root.Values.service.port }}
      targetPort: http
      appProtocol: http
  selector:
    {{- include "image-classifier.selectorLabels" .root | nindent 4 }}
    {{- if not .everyone }}
    app.kubernetes.io/component: {{ .component }}
    {{- end }}
{{- end }}

{{/* The IP families of every Service, if values set them; otherwise the cluster chooses. */}}
{{- define "image-classifier.service.families" }}
{{- with .Values.service.ipFamilyPolicy }}
  ipFamilyPolicy: {{ . }}
{{- end }}
{{- with .Values.service.ipFamilies }}
  ipFamilies:
    {{- toYaml . | nindent 4 }}
{{- end }}
{{- end }}

{{/* The name of the pods' port that has probes, metrics and version. */}}
{{- define "image-classifier.managementPort" -}}
{{- int .Values.settings.managementPort | empty | ternary "http" "management" }}
{{- end }}

{{/* The numbers of the pods' ports, as JSON. */}}
{{- define "image-classifier.ports" -}}
{{- list 3000 (int .Values.settings.managementPort) | compact | toJson }}
{{- end }}
