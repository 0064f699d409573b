"""The page and its API: thin, without a build step, without an external host.

- `app`: the Flask app
- `api`: events in, results and the live feed out
- `parsing`: events from the body of a request
- `answers`: what the API answers, errors too
- `feedback`: labels of people
- `trends`: the trends' server, asked once a second
- `telemetry`: probes, metrics, names of requests
- `batches`: many lines at one time
- `operators`: the part behind a login
- `openapi`: the API's document
- `access`: who may send, how much and how often
- `services`: what requests share
- `outbox`: puts events on the topic and waits for the acknowledgement
- `inbox`: follows results and dead letters; counts, latency, models
- `feeds`: the open live feeds, and what became of each event
- `connections`: waitress, with bounds on what connections hold and how long
- `server`: the process around the app
- `settings`: of page, API and operators' pages
- `metrics`: what is shown at `/metrics`
- `command`: `sentiment web`
"""

from sentiment.apps import App, Right
from sentiment.kafka.rights import redriving

APP = App(
    commands={"web": "web.command:web"},
    settings=("web.settings:WebSettings", "web.settings:OperatorsSettings"),
    metrics=("web.metrics:WEB",),
    rights=(
        Right("page", "WRITE", "topic", "TOPICS_EVENTS"),
        Right("page", "WRITE", "topic", "TOPICS_FEEDBACK"),
        Right("page", "READ", "topic", "TOPICS_RESULTS"),
        Right("page", "READ", "topic", "TOPICS_DEAD_LETTERS"),
        # Only for the lag that it shows.
        Right("page", "DESCRIBE", "group", "WORKER_GROUP_ID"),
        # The operators' part of the page does what the command does, as the page's own user.
        *redriving("operators"),
    ),
)
