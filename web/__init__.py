"""The page and its API: thin, without a build step, without an external host.

- `sender`: puts events on the topic and waits for the acknowledgement
- `inbox`: reads results and dead letters as they come; answers by id; feeds the live feed
- `feed`: one open live feed
- `api`, `app`: the routes, and the Flask app that has them
- `server`: gunicorn around it
"""
