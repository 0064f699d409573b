{{/* What every pod of the release has: identity, the restricted profile, places, spread. */}}
{{- define "sentiment.pod" -}}
serviceAccountName: {{ include "sentiment.fullname" .root }}-{{ .part }}
# No app calls the API server. An AWS role uses a token of its own.
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ int .root.Values.podSecurity.runAsUser }}
  runAsGroup: {{ int .root.Values.podSecurity.runAsUser }}
  fsGroup: {{ int .root.Values.podSecurity.runAsUser }}
  # A cache of gigabytes would otherwise be gone through at every start.
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .root.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "sentiment.spread" -}}
topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: {{ $.root.Values.spread }}
    labelSelector:
      matchLabels:
        {{- include "sentiment.selector" $ | nindent 8 }}
  {{- end }}
{{- end -}}

{{- define "sentiment.container" -}}
image: {{ include "sentiment.image" (dict "root" .root "image" .image) }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  privileged: false
  capabilities:
    drop: [ALL]
{{- with .values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "sentiment.mounts" -}}
- name: tmp
  mountPath: /tmp
{{- if include "sentiment.secretFiles" . | fromJsonArray }}
- name: secrets
  mountPath: /etc/sentiment/secrets
  readOnly: true
{{- end }}
{{- if (include "sentiment.kafka" . | fromJson).caSecret.name }}
- name: kafka-ca
  mountPath: /etc/sentiment/kafka
  readOnly: true
{{- end }}
{{- end -}}

{{- define "sentiment.volumes" -}}
- name: tmp
  emptyDir:
    sizeLimit: 256Mi
{{- with include "sentiment.secretFiles" . | fromJsonArray }}
- name: secrets
  projected:
    # Read by the pod's group alone.
    defaultMode: 0440
    sources:
      {{- range . }}
      - secret:
          name: {{ .secret }}
          items:
            - key: {{ .key }}
              path: {{ lower .setting }}
      {{- end }}
{{- end }}
{{- with (include "sentiment.kafka" . | fromJson).caSecret }}
{{- if .name }}
- name: kafka-ca
  secret:
    secretName: {{ .name }}
    items:
      - key: {{ .key }}
        path: ca.crt
{{- end }}
{{- end }}
{{- end -}}
