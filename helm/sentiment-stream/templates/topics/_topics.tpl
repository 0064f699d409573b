{{/*
The job's own setting of a topic's name wins over the app's default; the shapes are those of
`sentiment.kafka.topics.wanted`, which a test compares.
*/}}
{{- define "sentiment.topicShapes" -}}
{{- $name := dict -}}
{{- range $setting, $default := dict
  "TOPICS_EVENTS" "text-events"
  "TOPICS_RESULTS" "sentiment-results"
  "TOPICS_DEAD_LETTERS" "text-events.dlq"
  "TOPICS_TALLIES" "sentiment-tallies"
  "TOPICS_TRENDS" "sentiment-trends"
  "TOPICS_FEEDBACK" "sentiment-feedback"
  "TRENDS_GROUP_ID" "sentiment-trends"
-}}
{{- $_ := set $name $setting (include "sentiment.shared" (dict "root" $ "name" $setting "default" $default)) -}}
{{- end -}}
{{- $partitions := int .Values.topics.partitions -}}
{{- $week := dict "retention.ms" "604800000" -}}
{{- $weekUnpacked := dict "retention.ms" "604800000" "compression.type" "uncompressed" -}}
{{- list
  (dict "name" $name.TOPICS_EVENTS "partitions" $partitions "config" $weekUnpacked)
  (dict "name" $name.TOPICS_RESULTS "partitions" $partitions "config" (merge (dict "max.message.bytes" "2097152") $week))
  (dict "name" $name.TOPICS_DEAD_LETTERS "partitions" $partitions "config" (dict "retention.ms" "2592000000" "max.message.bytes" "2097152"))
  (dict "name" (printf "%s.redriven" $name.TOPICS_DEAD_LETTERS) "partitions" $partitions "config" (dict "retention.ms" "-1"))
  (dict "name" $name.TOPICS_TALLIES "partitions" 1 "config" $weekUnpacked)
  (dict "name" $name.TOPICS_TRENDS "partitions" $partitions "config" $week)
  (dict "name" (printf "%s-windows-changelog" $name.TRENDS_GROUP_ID) "partitions" 1 "config" (dict "cleanup.policy" "compact" "min.compaction.lag.ms" "86400000"))
  (dict "name" $name.TOPICS_FEEDBACK "partitions" $partitions "config" (dict "cleanup.policy" "compact" "compression.type" "uncompressed"))
| toJson -}}
{{- end -}}
