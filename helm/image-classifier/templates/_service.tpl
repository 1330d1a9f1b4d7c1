{{/* A Service for one component's pods. Takes root, component, and for the server type, annotations and everyone, which
     leaves the component out of the selector: a canary that no route weighs is behind the same Service. */}}

{{- define "image-classifier.service" }}
apiVersion: v1
kind: Service
metadata:
  {{- include "image-classifier.metadata" (dict "root" .root "component" .component "suffix" (eq .component "server" | ternary "" .component) "annotations" .annotations) | nindent 2 }}
spec:
  {{- with .type }}
  type: {{ . }}
  {{- end }}
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
