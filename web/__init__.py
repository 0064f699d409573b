"""The page and its API: thin, without a build step, without an external host.

- `outbox`: puts events on the topic and waits for the acknowledgement
- `inbox`: follows results and dead letters, and watches whether Kafka answers
- `pulse`: counts, latency, models
- `outcomes`, `feeds`: what came of each event, by id; the open live feeds
- `api`, `feedback`, `stream`, `trends`, `batches`, `telemetry`: the routes; `app` joins them
- `keys`, `limits`, `request_ids`: who may send, how often, and what a request is called
- `unread`: the rest of a body that was refused
- `openapi`: the API's document, made of what the routes read and answer
- `server`, `command`: gunicorn around the app, and `sentiment web`
"""
