"""What watches the apps: rules for Prometheus, dashboards for Grafana.

`rules.yml` has recorded series and alerts, `rules.test.yml` their tests; `dashboards/` is what
Grafana loads, written by `python -m tools.docs`.

- `grafana`: what the dashboards show
"""
