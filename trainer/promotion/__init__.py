"""What stands between a registered version and `champion`: versions, gates, the audit trail."""
