"""The page and its API: thin, without a build step, without an external host.

- `outbox`: puts events on the topic and waits for the acknowledgement
- `inbox`: follows results and dead letters, and watches whether Kafka answers
- `pulse`, `lag`: counts, latency, models; events that wait for the workers
- `outcomes`, `feeds`: what came of each event, by id; the open live feeds
- `api`, `stream`, `telemetry`: the routes; `app` puts them together
- `server`, `command`: gunicorn around the app, and `sentiment web`
"""
