#!/bin/sh
# The rights of the trends, whose client has no IAM: a user by SCRAM, and ACLs on the brokers.
# Generated: python -m tools.docs. Run with Apache Kafka's tools by an identity that may alter
# the cluster; BOOTSTRAP is the IAM listener, admin.properties that of docs/deploy-eks.md.
set -eu
kafka-acls.sh --bootstrap-server "$BOOTSTRAP" --command-config admin.properties --add \
  --allow-principal User:sentiment-trends --operation Read --topic sentiment-tallies
kafka-acls.sh --bootstrap-server "$BOOTSTRAP" --command-config admin.properties --add \
  --allow-principal User:sentiment-trends --operation Read --topic sentiment-feedback
kafka-acls.sh --bootstrap-server "$BOOTSTRAP" --command-config admin.properties --add \
  --allow-principal User:sentiment-trends --operation Read --topic sentiment-trends-windows-changelog
kafka-acls.sh --bootstrap-server "$BOOTSTRAP" --command-config admin.properties --add \
  --allow-principal User:sentiment-trends --operation Write --topic sentiment-trends-windows-changelog
kafka-acls.sh --bootstrap-server "$BOOTSTRAP" --command-config admin.properties --add \
  --allow-principal User:sentiment-trends --operation Write --topic sentiment-trends
kafka-acls.sh --bootstrap-server "$BOOTSTRAP" --command-config admin.properties --add \
  --allow-principal User:sentiment-trends --operation Read --group sentiment-trends
