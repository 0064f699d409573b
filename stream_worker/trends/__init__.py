"""Windowed aggregates of what the workers did, from their tallies; a Faust app.

- `names`: which sources and versions have rows of their own
- `windows`: what a window holds, and how tallies come into it exactly once
- `book`: all windows, kept in a table
- `app`: the Faust app: the table and its changelog, reading, publishing, the web views
"""

import os

# Faust looks at these when it is imported, or at each start; only our own settings may count.
for name in ("FAUST_LOOP", "F_LOOP", "DJANGO_SETTINGS_MODULE"):
    os.environ.pop(name, None)
