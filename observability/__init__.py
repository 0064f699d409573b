"""What watches the apps: rules for Prometheus, dashboards for Grafana.

- `rules.yml`, `rules.test.yml`: recorded series and alerts, and their tests
- `dashboards/`: what Grafana loads, written by `python -m observability.grafana`
- `grafana/`: what the dashboards show
- `expressions`: which metrics an expression names, held against the table in `sentiment.metrics`
"""
