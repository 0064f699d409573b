"""What watches the apps: rules for Prometheus, dashboards for Grafana.

`rules.yml` has recorded series and alerts, `rules.test.yml` their tests; `dashboards/` is what
Grafana loads, written by `python -m tools.docs`.

- `boards`: what the dashboards show; a new panel is one more entry
- `panels`: panels and dashboards as JSON, held against the table of metrics
"""
