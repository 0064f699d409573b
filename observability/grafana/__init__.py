"""The dashboards of `observability/dashboards/`, as little Python and much JSON.

- `throughput`, `model`, `page`: what each shows; a new panel is one more entry
- `queries`: the few shapes that most of their expressions have
- `board`: rows and panels become Grafana's JSON
- `panel`: one panel does

`python -m observability.grafana` writes the files, `--check` fails when they are stale.
"""
