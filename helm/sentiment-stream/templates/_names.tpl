{{/* The release's own name: short where the release is called like the chart. */}}
{{- define "sentiment.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What a part's pods are found by; never changed, since a selector can't be. */}}
{{- define "sentiment.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .part }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{- define "sentiment.labels" -}}
{{ include "sentiment.selector" . }}
app.kubernetes.io/version: {{ .root.Values.image.tag | default .root.Chart.AppVersion | splitList "@" | first | trunc 63 | trimSuffix "-" | quote }}
app.kubernetes.io/part-of: sentiment-stream
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{/* Name and labels of an object of a part. */}}
{{- define "sentiment.metadata" -}}
name: {{ include "sentiment.fullname" .root }}{{ with .part }}-{{ . }}{{ end }}
labels:
  {{- include "sentiment.labels" . | nindent 2 }}
{{- end -}}

{{/* One image per part, so that a pod holds only what its app imports. */}}
{{- define "sentiment.image" -}}
{{- $image := .root.Values.image -}}
{{- with $image.registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{- $image.prefix }}{{ .image }}:{{ $image.tag | default .root.Chart.AppVersion -}}
{{- end -}}
