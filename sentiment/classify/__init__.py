"""Classification without a broker; worker, replay and `sentiment classify` run these.

- `decode`: from records or rows to texts
- `score`: from texts to scores, by champion and challenger; what a score means
- `tallies`: counts per input partition, for the trends
- `assemble`: from scores to the records to publish
"""
