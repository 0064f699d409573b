{{/* Kafka as a part sees it: what is said for all, and what is said for the part alone. */}}
{{- define "sentiment.kafka" -}}
{{- mergeOverwrite (deepCopy .root.Values.kafka) (deepCopy (.values.kafka | default dict)) | toJson -}}
{{- end -}}

{{/* A setting that all parts share, or its default in the apps. */}}
{{- define "sentiment.shared" -}}
{{- get .root.Values.settings .name | default .default -}}
{{- end -}}

{{- define "sentiment.topic" -}}
{{- include "sentiment.shared" (dict "root" . "name" "TOPICS_EVENTS" "default" "text-events") -}}
{{- end -}}

{{- define "sentiment.group" -}}
{{- include "sentiment.shared" (dict "root" . "name" "WORKER_GROUP_ID" "default" "sentiment-workers") -}}
{{- end -}}

{{/* The ports in the addresses of brokers, for the network policy. */}}
{{- define "sentiment.kafkaPorts" -}}
{{- $ports := list -}}
{{- range list (dict) .Values.worker .Values.trends .Values.web .Values.topics -}}
{{- $kafka := include "sentiment.kafka" (dict "root" $ "values" .) | fromJson -}}
{{- range splitList "," $kafka.bootstrapServers -}}
{{- $ports = append $ports (splitList ":" (trim .) | last) -}}
{{- end -}}
{{- end -}}
{{- $ports | uniq | sortAlpha | join "," -}}
{{- end -}}

{{/* The port of the model registry; empty where it is no server. */}}
{{- define "sentiment.registryPort" -}}
{{- $uri := .Values.registry.trackingUri | default (ternary "https://dagshub.com" "" (ne .Values.registry.dagshubRepo "")) -}}
{{- if hasPrefix "http" $uri -}}
{{- $url := urlParse $uri -}}
{{- if contains ":" $url.host -}}
{{- splitList ":" $url.host | last -}}
{{- else -}}
{{- ternary "443" "80" (eq $url.scheme "https") -}}
{{- end -}}
{{- end -}}
{{- end -}}
