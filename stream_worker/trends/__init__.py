"""Windowed aggregates of what the workers did, from their tallies; a Faust app.

- `book`: windows, how tallies come into them exactly once, and which names have rows of their own
- `reading`: the tallies topic, record by record
- `settings`: its settings, and the topic of its table
- `app`: the Faust app: the table and its changelog, publishing, the web views; and its process
- `command`: `sentiment trends`
"""

import os

# Faust reads these when it is imported, or at each start; only our own settings may count.
for name in ("FAUST_LOOP", "F_LOOP", "DJANGO_SETTINGS_MODULE"):
    os.environ.pop(name, None)
