{{/*
The environment of a part, by name: what the chart says, then what is set for all parts, then for
this one. Numbers go through JSON: 1048576 would come out as 1.048576e+06.
*/}}
{{- define "sentiment.env" -}}
{{- $kafka := include "sentiment.kafka" . | fromJson -}}
{{- $env := dict
  "KAFKA_BOOTSTRAP_SERVERS" $kafka.bootstrapServers
  "KAFKA_SECURITY_PROTOCOL" $kafka.securityProtocol
  "LOG_FORMAT" "json"
  "LOG_LEVEL" .root.Values.logLevel
-}}
{{- with $kafka.saslMechanism }}{{ $_ := set $env "KAFKA_SASL_MECHANISM" . }}{{ end -}}
{{- with $kafka.username }}{{ $_ := set $env "KAFKA_SASL_USERNAME" . }}{{ end -}}
{{- with $kafka.mskRegion }}{{ $_ := set $env "KAFKA_MSK_REGION" . }}{{ end -}}
{{- with $kafka.config }}{{ $_ := set $env "KAFKA_CONFIG" (toJson .) }}{{ end -}}
{{- if $kafka.caSecret.name }}{{ $_ := set $env "KAFKA_SSL_CA_LOCATION" "/etc/sentiment/kafka/ca.crt" }}{{ end -}}
{{- if include "sentiment.secretFiles" . | fromJsonArray }}{{ $_ := set $env "SENTIMENT_SECRETS_DIR" "/etc/sentiment/secrets" }}{{ end -}}
{{- $env = mergeOverwrite $env (deepCopy .root.Values.settings) (deepCopy .values.settings) (deepCopy .own) -}}
{{- range $name, $value := $env }}
- name: {{ $name }}
  value: {{ kindIs "string" $value | ternary $value (toJson $value) | quote }}
{{- end }}
{{- end -}}

{{/* Every secret setting of a part: the file that the app reads, and the key of a Secret with it. */}}
{{- define "sentiment.secretFiles" -}}
{{- $kafka := include "sentiment.kafka" . | fromJson -}}
{{- $files := list -}}
{{- if $kafka.passwordSecret.name -}}
{{- $files = append $files (dict "setting" "KAFKA_SASL_PASSWORD" "secret" $kafka.passwordSecret.name "key" $kafka.passwordSecret.key) -}}
{{- end -}}
{{- concat $files .values.secretFiles | toJson -}}
{{- end -}}

{{/* The registry's address and credentials, in the names that MLflow's own client reads. */}}
{{- define "sentiment.registryEnv" -}}
{{- with .Values.registry -}}
{{- with .trackingUri }}
- name: MLFLOW_TRACKING_URI
  value: {{ . | quote }}
{{- end }}
{{- with .dagshubRepo }}
- name: DAGSHUB_REPO
  value: {{ . | quote }}
{{- end }}
{{- $secret := .secret.name }}
{{- range $name, $key := .secret.keys }}
{{- if $secret }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef:
      name: {{ $secret }}
      key: {{ $key }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
