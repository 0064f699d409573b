{{/*
What a worker gets between SIGTERM and SIGKILL: its own deadline for the open batch, and the margin
for the rest of the process. A kill before that deadline would leave a transaction open.
*/}}
{{- define "sentiment.workerGrace" -}}
{{- $deadline := .Values.worker.settings.WORKER_SHUTDOWN_TIMEOUT_S | float64 | ceil | int -}}
{{- $given := .Values.worker.terminationGracePeriodSeconds -}}
{{- if $given -}}
{{- if le (int $given) $deadline -}}
{{- fail (printf "worker.terminationGracePeriodSeconds=%d is not above WORKER_SHUTDOWN_TIMEOUT_S=%d: a worker would be killed with a transaction open. Raise it, or leave it empty." (int $given) $deadline) -}}
{{- end -}}
{{- int $given -}}
{{- else -}}
{{- add $deadline 10 -}}
{{- end -}}
{{- end -}}

{{/* keda, hpa or none; auto takes KEDA where the cluster has it. */}}
{{- define "sentiment.autoscaler" -}}
{{- $kind := .Values.worker.autoscaling.kind -}}
{{- if eq $kind "auto" -}}
{{- ternary "keda" "hpa" (.Capabilities.APIVersions.Has "keda.sh/v1alpha1") -}}
{{- else -}}
{{- $kind -}}
{{- end -}}
{{- end -}}

{{/* More workers than partitions would stand idle. */}}
{{- define "sentiment.maxWorkers" -}}
{{- $most := int .Values.worker.autoscaling.maxReplicas -}}
{{- ternary (int .Values.topics.partitions) $most (gt $most (int .Values.topics.partitions)) -}}
{{- end -}}

{{/*
What lag by offsets rests at when nothing is left to do. A producer in transactions, such as
`sentiment dlq redrive`, ends each with a marker on every partition that it wrote to. The marker has an
offset, no worker ever reads it as an event, and so the committed offset stays one behind the end: on
each partition one for each such producer whose transaction came last.
*/}}
{{- define "sentiment.restingLag" -}}
{{- mul .Values.topics.partitions .Values.worker.autoscaling.transactionalProducers -}}
{{- end -}}
