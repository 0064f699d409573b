"""The page and its API: thin, without a build step, without an external host.

- `command`: `sentiment web`, the process
- `app`: the Flask app, its probes and metrics
- `connections`: waitress, with bounds on what connections hold and how long
- `access`: who may send, how much and how often
- `services`: what requests share
- `api`: events in, results and the live feed out, labels of people
- `parsing`: events from the body of a request, or from the lines of an upload
- `answers`: what the API answers, errors too
- `outbox`: puts events on the topic and waits for the acknowledgement
- `inbox`: follows results and dead letters; counts, latency, models
- `feeds`: the open live feeds, and what became of each event
- `uploads`: many lines at one time, and their results as a file
- `trends`: the trends' server, asked once a second
- `openapi`: the API's document
- `operators`: the part behind a login
- `settings`: of page, API and operators' pages
- `metrics`: what is shown at `/metrics`
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
