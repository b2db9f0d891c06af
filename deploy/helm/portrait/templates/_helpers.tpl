{{- define "portrait.labels" -}}
app.kubernetes.io/name: portrait
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
{{- define "portrait.triton" -}}
{{- range $number := until (int .Values.triton.replicas) }}{{ if $number }},{{ end }}{{ $.Release.Name }}-triton-{{ $number }}.{{ $.Release.Name }}-triton:8001{{ end -}}
{{- end }}
